/**
 * A batch: the operations that will share one slot, with those who wait for the answers.
 *
 * Operations and sinks lie in parallel arrays, so that adding a command to a batch allocates
 * nothing. Reads that must see a write of this batch wait here too, each at its place between the
 * writes: a later write of the same pipeline may undo what the read must see.
 */
import type { Reply } from "../base/reply.ts";
import type { PlacedRead } from "../machine/machine.ts";
import type { Operation } from "../machine/operation.ts";

/** Where the answer to one operation goes. Called exactly once. */
export interface ReplySink {
  resolve(reply: Reply): void;
}

/** An estimate of an operation's bytes in the log, for bounding an entry; exact sizes do not matter. */
function sizeOf(operation: Operation): number {
  let size = 32;
  if ("key" in operation) size += operation.key.length;
  if ("value" in operation) size += operation.value.length;
  if ("keys" in operation) for (const key of operation.keys) size += key.length + 8;
  if ("values" in operation) for (const value of operation.values) size += value.length + 8;
  if ("args" in operation) for (const arg of operation.args) size += arg.length + 8;
  if ("body" in operation && operation.body !== null) size += operation.body.length;
  return size;
}

export class Batch {
  readonly operations: Operation[] = [];
  readonly sinks: ReplySink[] = [];
  readonly reads: PlacedRead[] = [];
  readonly readSinks: ReplySink[] = [];
  /** Estimated bytes of the entry. */
  bytes = 0;
  /** Whether an operation may change which scripts the group has. */
  changesScripts = false;
  #answered = false;

  /** Adds an operation; returns its estimated bytes. */
  add(operation: Operation, sink: ReplySink): number {
    this.operations.push(operation);
    this.sinks.push(sink);
    const bytes = sizeOf(operation);
    this.bytes += bytes;
    return bytes;
  }

  /** Whether those who waited have their answer, though the batch may still be applied. */
  get answered(): boolean {
    return this.#answered;
  }

  /** True once: whoever gets it answers everybody who waits for this batch. */
  takeAnswering(): boolean {
    const mayAnswer = !this.#answered;
    this.#answered = true;
    return mayAnswer;
  }

  /** Gives everybody the same answer, unless they have theirs. */
  answerAll(reply: Reply): void {
    if (!this.takeAnswering()) return;
    for (const sink of this.sinks) sink.resolve(reply);
    for (const sink of this.readSinks) sink.resolve(reply);
  }

  addRead(operation: Operation, sink: ReplySink): void {
    this.reads.push({ operation, after: this.operations.length, reply: null });
    this.readSinks.push(sink);
  }
}
