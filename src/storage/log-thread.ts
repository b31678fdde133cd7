/**
 * The thread of the log: one write and one fdatasync per commit.
 *
 * Measured on ext4,
 * a commit of 200 bytes takes 84 µs in a file of written zeros
 * and 120 µs in one that grows, since the flush of a file that grows also writes its size. Through
 * this thread, in the same time as through any other, a commit
 * costs the main thread some 14 µs, through Node's own pool 22 µs.
 */
import { closeSync, constants, fdatasyncSync, fsyncSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { segmentName } from "./log-segment.ts";
import { serveRequests, threadData } from "./thread-loop.ts";
import { POSITION_WORD, SEGMENT_WORD } from "./thread-protocol.ts";

let file: number | null = null;
let segment = 0;

function close(): void {
  if (file !== null) closeSync(file);
  file = null;
}

function syncFolder(): void {
  const folder = openSync(threadData.directory, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

serveRequests({
  write(bytes) {
    const { control } = threadData;
    const wanted = Atomics.load(control, SEGMENT_WORD);
    const position = Atomics.load(control, POSITION_WORD);
    if (file === null || segment !== wanted) {
      close();
      const path = join(threadData.directory, segmentName(wanted));
      file = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
      segment = wanted;
    }
    for (let written = 0; written < bytes.length;) {
      written += writeSync(file, bytes, written, bytes.length - written, position + written);
    }
    fdatasyncSync(file);
    // A segment that nobody prepared begins with its own head, and its name must be durable too.
    if (position === 0) syncFolder();
  },
  close,
});
