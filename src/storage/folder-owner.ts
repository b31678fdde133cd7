/**
 * One process at a time: who has the data folder open.
 *
 * The owner listens on a Unix socket in the folder and writes its name into `owner.json`. Whoever
 * comes next connects to it: an answer means that the owner lives, a refusal that it died, however
 * it died, since the kernel closes sockets. That also works between containers that share the
 * folder, where process ids mean nothing. Taking over from a dead owner is compare-and-swap under
 * LMDB's own lock between processes, so two newcomers cannot both win.
 *
 * Some file systems have no sockets. There the owner is known by its process id alone.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OWNER_FILE } from "./format.ts";
import { StorageOpenError } from "./open-error.ts";

/** Runs `change` while no other process runs its own. */
export type Exclusively = (change: () => boolean) => boolean;

export interface FolderOwner {
  /** Gives the folder free. */
  release(): void;
}

interface OwnerRecord {
  readonly pid: number;
  /** Name of the socket in the folder, or null on a file system without sockets. */
  readonly socket: string | null;
}

/** The longest path that fits into a socket address everywhere. */
const SOCKET_PATH_BYTES = 100;

/**
 * Makes this process the owner of the folder, or rejects with {@link StorageOpenError} `locked`
 * while another one is, having changed nothing.
 */
export async function ownFolder(directory: string, exclusively: Exclusively): Promise<FolderOwner> {
  const file = join(directory, OWNER_FILE);
  await refuseLiveOwner(directory, readOwner(file));
  const socket = `owner-${randomBytes(6).toString("hex")}.sock`;
  const server = await listen(directory, socket);
  const record = `${JSON.stringify({ pid: process.pid, socket: server === null ? null : socket })}\n`;
  const release = (): void => {
    server?.close();
    rmSync(join(directory, socket), { force: true });
    if (readOwner(file) === record) rmSync(file, { force: true });
  };
  try {
    for (;;) {
      const before = readOwner(file);
      await refuseLiveOwner(directory, before);
      const swapped = exclusively(() => {
        if (readOwner(file) !== before) return false;
        replace(file, record);
        return true;
      });
      if (!swapped) continue;
      const stale = before === null ? null : parseOwner(before);
      if (stale?.socket) rmSync(join(directory, stale.socket), { force: true });
      return { release };
    }
  } catch (thrown) {
    release();
    throw thrown;
  }
}

/** Rejects with {@link StorageOpenError} `locked` while another process owns the folder. */
export function refuseOwned(directory: string): Promise<void> {
  return refuseLiveOwner(directory, readOwner(join(directory, OWNER_FILE)));
}

/** Writes the file as a whole or not at all; a full disk leaves nothing of it behind. */
function replace(file: string, text: string): void {
  const next = `${file}.new`;
  try {
    writeFileSync(next, text);
    renameSync(next, file);
  } catch (thrown) {
    rmSync(next, { force: true });
    throw thrown;
  }
}

function readOwner(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return null;
  }
}

function parseOwner(text: string): OwnerRecord | null {
  try {
    const { pid, socket } = JSON.parse(text) as Partial<OwnerRecord>;
    if (typeof pid !== "number") return null;
    // Nothing but a name as written here may be connected to, or removed.
    const named = typeof socket === "string" && /^owner-[0-9a-f]{12}\.sock$/.test(socket);
    return { pid, socket: named ? socket : null };
  } catch {
    return null;
  }
}

async function refuseLiveOwner(directory: string, text: string | null): Promise<void> {
  const owner = text === null ? null : parseOwner(text);
  if (owner === null || !(await lives(directory, owner))) return;
  throw new StorageOpenError(
    "locked",
    `the data folder ${directory} is in use by process ${owner.pid}; stop that one or choose another --dir ` +
      `(if ${owner.pid} is not a Paxlock of this folder, delete ${OWNER_FILE} in it)`,
  );
}

async function lives(directory: string, owner: OwnerRecord): Promise<boolean> {
  if (owner.socket !== null) {
    const answer = await knock(directory, owner.socket);
    // Without the socket's file nothing can be told from it; any other trouble counts as life.
    if (answer !== "ENOENT") return answer !== "ECONNREFUSED";
  }
  if (owner.pid === process.pid) return false;
  try {
    process.kill(owner.pid, 0);
    return true;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

/** Connects and hangs up; the error code of a failure, else null. */
function knock(directory: string, socket: string): Promise<string | null> {
  return withShortPath(
    directory,
    socket,
    (path) =>
      new Promise((resolve) => {
        const connection = connect(path);
        connection.once("connect", () => {
          connection.destroy();
          resolve(null);
        });
        connection.once("error", (error: NodeJS.ErrnoException) => {
          resolve(error.code ?? "unknown");
        });
      }),
  );
}

/** A server on a socket in the folder, or null where the file system has none. */
function listen(directory: string, socket: string): Promise<Server | null> {
  return withShortPath(
    directory,
    socket,
    (path) =>
      new Promise((resolve) => {
        const server = createServer((connection) => {
          connection.destroy();
        });
        server.once("error", () => {
          resolve(null);
        });
        server.listen(path, () => {
          server.unref();
          resolve(server);
        });
      }),
  );
}

/** Calls `use` with a path to the socket that fits into an address, by a short link if need be. */
async function withShortPath<T>(
  directory: string,
  socket: string,
  use: (path: string) => Promise<T>,
): Promise<T> {
  const direct = join(directory, socket);
  if (Buffer.byteLength(direct) <= SOCKET_PATH_BYTES) return use(direct);
  const place = mkdtempSync(join(tmpdir(), "paxlock-"));
  try {
    symlinkSync(directory, join(place, "d"));
    return await use(join(place, "d", socket));
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}
