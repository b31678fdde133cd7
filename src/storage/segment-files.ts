/**
 * Segments before and after their use: the next one is filled with zeros while the present one is
 * written, and old ones are deleted. Both run in Node's pool, beside the commits.
 */
import { renameSync } from "node:fs";
import { open, readdir, rm, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { ByteWriter } from "../base/bytes.ts";
import { preparationName } from "./log-reader.ts";
import { segmentName, segmentNumber, writeSegmentHead } from "./log-segment.ts";

/** Zeros written and flushed at a time, so that commits do not queue behind all of a segment. */
const STEP_BYTES = 1024 * 1024;

/**
 * What one call writes of a step. Linux caches it in pieces as large as the call, and each commit
 * walks over all of the piece that it lies in: 3 µs of a commit's 43 with calls of a megabyte.
 */
const CALL_BYTES = 128 * 1024;

export class SegmentFiles {
  readonly #directory: string;
  readonly #segmentBytes: number;
  /** The newest segment that is ready for use. */
  #ready: number;
  /** The highest segment in use: not to be prepared any more. */
  #used: number;
  #work: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(
    directory: string,
    segmentBytes: number,
    present: { readonly used: number; readonly ready: number },
  ) {
    this.#directory = directory;
    this.#segmentBytes = segmentBytes;
    this.#used = present.used;
    this.#ready = present.ready;
  }

  /** Whether a segment is there, full of zeros behind its head. */
  isReady(segment: number): boolean {
    return segment <= this.#ready;
  }

  /** From now on the segment is written to and prepared no more. */
  use(segment: number): void {
    this.#used = Math.max(this.#used, segment);
  }

  /** Begins to prepare a segment. Where that fails it is made when it is used, growing as it is written. */
  prepare(segment: number): void {
    this.#then(() => this.#prepare(segment));
  }

  /** Begins to delete all segments below one. What cannot be deleted is left to the next start. */
  deleteBelow(segment: number): void {
    this.#then(async () => {
      for (const name of await readdir(this.#directory)) {
        const number = segmentNumber(name);
        if (number !== null && number < segment) await rm(join(this.#directory, name));
      }
      await this.#syncFolder();
    });
  }

  /** Begins to delete files that an earlier process has left. */
  deleteLeftovers(names: readonly string[]): void {
    if (names.length === 0) return;
    this.#then(async () => {
      for (const name of names) await rm(join(this.#directory, name), { force: true });
      await this.#syncFolder();
    });
  }

  /** Resolves when everything that was begun is over. */
  async settled(): Promise<void> {
    let seen: Promise<void>;
    do {
      seen = this.#work;
      await seen;
    } while (seen !== this.#work);
  }

  /** Stops what is under way. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.settled();
  }

  /** One thing after the other. A failure costs speed or space, never safety, so it is not reported. */
  #then(task: () => Promise<void>): void {
    this.#work = this.#work.then(async () => {
      if (this.#closed) return;
      try {
        await task();
      } catch {
        // See above.
      }
    });
  }

  async #prepare(segment: number): Promise<void> {
    if (!this.#wanted(segment)) return;
    const path = join(this.#directory, preparationName(segment));
    try {
      const file = await open(path, "w", 0o600);
      try {
        await this.#fill(file, segment);
      } finally {
        await file.close();
      }
      // Nothing can come in between: a segment in use must not be replaced.
      if (this.#wanted(segment)) {
        renameSync(path, join(this.#directory, segmentName(segment)));
        await this.#syncFolder();
        if (this.#wanted(segment)) this.#ready = segment;
        return;
      }
    } catch {
      // Without room for it there may still be room for a few turns.
    }
    await rm(path, { force: true });
  }

  async #fill(file: FileHandle, segment: number): Promise<void> {
    const head = new ByteWriter();
    writeSegmentHead(head, segment);
    const bytes = new Uint8Array(CALL_BYTES);
    bytes.set(head.written());
    for (let position = 0; position < this.#segmentBytes;) {
      if (!this.#wanted(segment)) return;
      const length = Math.min(CALL_BYTES, this.#segmentBytes - position);
      await file.write(bytes, 0, length, position);
      if (position === 0) bytes.fill(0);
      position += length;
      if (position % STEP_BYTES === 0) await file.datasync();
    }
    await file.datasync();
  }

  #wanted(segment: number): boolean {
    return !this.#closed && segment > this.#used && segment > this.#ready;
  }

  async #syncFolder(): Promise<void> {
    const folder = await open(this.#directory, "r");
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }
}
