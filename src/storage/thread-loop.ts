/** The thread's side of `thread-protocol.ts`: waits for requests and answers them, one at a time. */
import { statfsSync } from "node:fs";
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { present } from "../base/assert.ts";
import { isFull } from "./reservation.ts";
import {
  CLOSE,
  IDLE,
  LENGTH_WORD,
  REQUEST_WORD,
  WRITE,
  type ThreadData,
  type ThreadMessage,
} from "./thread-protocol.ts";

/** A disk with less than this above a write's own bytes counts as full. */
const SPARE_BYTES = 1024 * 1024;

/** What a thread does with the bytes it is given. */
export interface Work {
  /** Makes the bytes durable before it returns; throws when that fails. The bytes are shared memory. */
  write(bytes: Uint8Array): void;
  /** Lets go of what is open, also after a failure: the next write opens it again. */
  close(): void;
}

/** What this thread was given. */
export const threadData = workerData as ThreadData;

/** Does the work until it is told to close. */
export function serveRequests(work: Work): void {
  const port = present(parentPort, "this module is run in a thread");
  const { control, buffers } = threadData;
  const post = (message: ThreadMessage): void => {
    port.postMessage(message);
  };
  let shared = new Uint8Array(0);
  for (;;) {
    Atomics.wait(control, REQUEST_WORD, IDLE);
    const request = Atomics.exchange(control, REQUEST_WORD, IDLE);
    if (request === CLOSE) break;
    if (request !== WRITE) continue;
    for (;;) {
      const received = receiveMessageOnPort(buffers);
      if (received === undefined) break;
      shared = received.message as Uint8Array<ArrayBuffer>;
    }
    const length = Atomics.load(control, LENGTH_WORD);
    try {
      work.write(shared.subarray(0, length));
      post({ kind: "durable" });
    } catch (thrown) {
      work.close();
      post({ kind: "failed", reason: reasonOf(thrown, length) });
    }
  }
  work.close();
}

/** A full disk shows in many ways, such as too few bytes that were written. */
function reasonOf(thrown: unknown, length: number): string {
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  try {
    if (!isFull(thrown)) {
      const { bavail, bsize } = statfsSync(threadData.directory);
      if (bavail * bsize > length + SPARE_BYTES) return reason;
    }
    return `no space left on the device of ${threadData.directory} (${reason})`;
  } catch {
    return reason;
  }
}
