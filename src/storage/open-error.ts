/** Why a data folder cannot be opened: conditions that an operator can do something about. */

/** What is wrong with the folder. */
export type StorageOpenCode =
  /** Another running process has it open. */
  | "locked"
  /** It cannot be created, read or written. */
  | "unwritable"
  /** It holds something else than Paxlock's data. */
  | "not-ours"
  /** A later version of Paxlock has written it. */
  | "newer-format"
  /** An earlier version of Paxlock has written it, in a format that is not read any more. */
  | "older-format"
  /** It belongs to another cluster than asked for. */
  | "other-cluster"
  /** It belongs to another node than asked for. */
  | "other-node"
  /** It has another number of groups than asked for. */
  | "other-groups"
  /** Its content is damaged. */
  | "corrupt";

/** A data folder that cannot be opened. The message is one line and says what to do. */
export class StorageOpenError extends Error {
  override readonly name = "StorageOpenError";
  readonly code: StorageOpenCode;

  constructor(code: StorageOpenCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** The refusal of a folder that lacks, at `place`, what was written. */
export function corrupt(directory: string, place: string, reason: string): StorageOpenError {
  return new StorageOpenError(
    "corrupt",
    `the data folder ${directory} is damaged at ${place}: ${reason}; ` +
      "restore the folder from a backup, and check the disk",
  );
}

/** LMDB's codes for a file that is not what it wrote, and for states that only such a file leads to. */
const DAMAGE_CODES: ReadonlySet<unknown> = new Set([
  -30797, // MDB_PAGE_NOTFOUND
  -30796, // MDB_CORRUPTED
  -30795, // MDB_PANIC
  -30793, // MDB_INVALID
  -30787, // MDB_CURSOR_FULL
  -30786, // MDB_PAGE_FULL
  -30784, // MDB_INCOMPATIBLE
  -30782, // MDB_BAD_TXN
  -30781, // MDB_BAD_VALSIZE
  -30779, // MDB_PROBLEM
]);

/** Whether an error of LMDB says that the data file is damaged. */
export function isDamage(thrown: unknown): thrown is Error {
  return thrown instanceof Error && DAMAGE_CODES.has((thrown as { code?: unknown }).code);
}
