/**
 * Why a node did not start: conditions that a person can mend, each as one line that says what is
 * wrong and what to do. A bug is not among them.
 *
 * Whoever throws one has left everything as it was: no file is made, changed or removed.
 */

/**
 * Every reason, for programs. `bad-option` is for values that only the start can find wrong; it ends
 * with exit code 2, the others with 1.
 */
export type StartErrorCode =
  | "bad-option"
  | "port-taken"
  | "port-forbidden"
  | "address-not-available"
  | "folder-unwritable"
  | "folder-full"
  | "folder-not-ours"
  | "folder-of-another-cluster"
  | "folder-of-another-node"
  | "folder-has-other-groups"
  | "folder-has-newer-format"
  | "folder-has-older-format"
  | "folder-in-use"
  | "folder-damaged";

export class StartError extends Error {
  override readonly name = "StartError";
  readonly code: StartErrorCode;
  /** The exit code of the process: never 0. */
  readonly exitCode: number;

  /** `message` is one line: what is wrong, and what to do. */
  constructor(code: StartErrorCode, message: string, options?: ErrorOptions) {
    super(message.replaceAll(/\s*[\r\n]+\s*/g, " "), options);
    this.code = code;
    this.exitCode = code === "bad-option" ? 2 : 1;
  }
}

/**
 * What an error of `server.listen` means; the address is taken from the error where it names one of
 * several. Errors that are no condition of the machine (a wrong argument) come back as they are, to
 * be thrown as bugs.
 */
export function listenError(
  thrown: unknown,
  asked: {
    readonly address: string;
    readonly port: number;
    /** Which options the advice names. */
    readonly portOption?: string;
    readonly addressOption?: string;
  },
): unknown {
  const { port, portOption = "--port", addressOption = "--bind" } = asked;
  const address = failedAddress(thrown) ?? asked.address;
  const where = address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
  const options = { cause: thrown };
  switch (errorCode(thrown)) {
    case "EADDRINUSE":
      return new StartError(
        "port-taken",
        `${where} is taken: another server, perhaps Redis or another Paxlock, listens there; stop it or choose another port with ${portOption}`,
        options,
      );
    case "EACCES":
    case "EPERM":
      return new StartError(
        "port-forbidden",
        `this user may not listen on ${where}; choose a port of 1024 or above with ${portOption}`,
        options,
      );
    case "EADDRNOTAVAIL":
    case "EAFNOSUPPORT":
    case "EINVAL":
      return new StartError(
        "address-not-available",
        `${address} is no address of this machine; choose another with ${addressOption}`,
        options,
      );
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return new StartError(
        "address-not-available",
        `the host name ${address} has no address; give an IP address with ${addressOption}`,
        options,
      );
    default:
      return thrown;
  }
}

/**
 * What an error of the file system in the data folder means. Errors that are no condition of the
 * machine come back as they are.
 */
export function folderError(thrown: unknown, directory: string): unknown {
  const options = { cause: thrown };
  const code = errorCode(thrown);
  switch (code) {
    case "EACCES":
    case "EPERM":
    case "EROFS":
    case "ENOENT":
    case "ELOOP":
    case "ENAMETOOLONG":
      return new StartError(
        "folder-unwritable",
        `the data folder ${directory} cannot be written (${code}); give this user the right to write there or choose another folder with --dir`,
        options,
      );
    case "ENOTDIR":
    case "EEXIST":
      return new StartError(
        "folder-unwritable",
        `the data folder ${directory} cannot be made: there is a file in its place (${code}); choose another folder with --dir`,
        options,
      );
    case "ENOSPC":
    case "EDQUOT":
      return new StartError(
        "folder-full",
        `no space is left for the data folder ${directory} (${code}); free some or choose a folder on another disk with --dir`,
        options,
      );
    default:
      return thrown;
  }
}

/** The address that Node's error is about; for host names it is called `hostname`. */
function failedAddress(thrown: unknown): string | undefined {
  if (typeof thrown !== "object" || thrown === null) return undefined;
  if ("address" in thrown && typeof thrown.address === "string") return thrown.address;
  return "hostname" in thrown && typeof thrown.hostname === "string" ? thrown.hostname : undefined;
}

/** The folder was opened, but the first commit to it failed. */
export function folderRefusesWrites(directory: string, reason: Error): StartError {
  return new StartError(
    "folder-unwritable",
    `the data folder ${directory} does not take writes (${reason.message}); free space or repair the disk, or choose another folder with --dir`,
    { cause: reason },
  );
}

function errorCode(thrown: unknown): string {
  return typeof thrown === "object" &&
    thrown !== null &&
    "code" in thrown &&
    typeof thrown.code === "string"
    ? thrown.code
    : "";
}
