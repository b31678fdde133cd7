/** Takes many locks fast, so that a measurement starts with a known number of them held. */
import { connect } from "node:net";
import { encodeCommand } from "../test/support/resp-client.ts";

/** Owner of the locks that `redis-benchmark` takes and frees. */
export const OWNER = "tok";

const COMMANDS_PER_WRITE = 1_000;
/** Commands sent and not yet answered. */
const WINDOW = 8 * COMMANDS_PER_WRITE;
/** Both replies, `+OK` and a null bulk string, have this many bytes. */
const REPLY_BYTES = 5;

/** The key that `redis-benchmark` makes of `lock:__rand_int__` for this number. */
export function lockKey(index: number): string {
  return `lock:${index.toString().padStart(12, "0")}`;
}

/** An owner as `redlock` draws it, 32 hexadecimal digits, but always the same for this number. */
export function uniqueOwner(index: number): string {
  return index.toString(16).padStart(32, "0");
}

export interface Fill {
  readonly port: number;
  /** Locks `lockKey(0)` to `lockKey(count - 1)`. */
  readonly count: number;
  readonly leaseMs: number;
  /** @default {@link OWNER} for every lock */
  readonly owner?: (index: number) => string;
}

/**
 * Sends `SET key owner NX PX lease` for each lock over one pipelined connection; resolves once all
 * are answered. Locks held already stay as they are.
 */
export async function fillLocks({
  port,
  count,
  leaseMs,
  owner = () => OWNER,
}: Fill): Promise<void> {
  const socket = connect({ port, host: "127.0.0.1" });
  let sent = 0;
  let answeredBytes = 0;
  const send = (): void => {
    while (sent < count && sent - answeredBytes / REPLY_BYTES < WINDOW) {
      const end = Math.min(count, sent + COMMANDS_PER_WRITE);
      let text = "";
      for (; sent < end; sent += 1) {
        text += encodeCommand(["SET", lockKey(sent), owner(sent), "NX", "PX", leaseMs]);
      }
      socket.write(text, "latin1");
    }
  };
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", send);
      socket.on("data", (chunk) => {
        const text = chunk.toString("latin1");
        // Anything but these letters is an error reply.
        if (/[^+OK$\-1\r\n]/.test(text)) reject(new Error(`filling: ${text.slice(0, 200)}`));
        answeredBytes += chunk.length;
        if (answeredBytes >= count * REPLY_BYTES) resolve();
        else send();
      });
      socket.once("error", reject);
      socket.once("close", () => {
        reject(new Error("the server closed the connection"));
      });
    });
  } finally {
    socket.destroy();
  }
}
