/**
 * A batch: the operations that will share one slot, with those who wait for the answers.
 *
 * Operations and sinks lie in parallel arrays, so that adding a command to a batch allocates
 * nothing. Reads that must see a write of this batch wait here too, each at its place between the
 * writes: a later write of the same pipeline may undo what the read must see.
 */
import { present } from "../base/assert.ts";
import type { Reply } from "../base/reply.ts";
import type { OperationOrigin } from "../machine/entry.ts";
import type { PlacedRead } from "../machine/machine.ts";
import type { Operation } from "../machine/operation.ts";

/** Where the answer to one operation goes. Called exactly once. */
export interface ReplySink {
  resolve(reply: Reply): void;
}

/**
 * Where the answer to a forwarded operation goes. Its origin sends it again until it has one, so it
 * may also be refused, or be forgotten.
 */
export interface OriginSink extends ReplySink {
  /** This node has not proposed it and will not. */
  refused(reason: Reply): void;
  /** This node cannot tell what became of it. */
  forgotten(): void;
}

/** Whether the operation of a sink was forwarded, by this node or another. */
export function isOriginSink(sink: ReplySink): sink is OriginSink {
  return "refused" in sink;
}

/** Which operation of which node it is, see {@link OperationOrigin}. */
export type OriginName = Omit<OperationOrigin, "index">;

/** An estimate of an operation's bytes in the log, for bounding an entry; exact sizes do not matter. */
export function sizeOf(operation: Operation): number {
  let size = 32;
  if ("key" in operation) size += operation.key.length;
  if ("owner" in operation) size += operation.owner?.length ?? 0;
  if ("data" in operation) size += operation.data.length;
  if ("value" in operation) size += operation.value.length;
  if ("keys" in operation) for (const key of operation.keys) size += key.length + 8;
  if ("values" in operation) for (const value of operation.values) size += value.length + 8;
  if ("args" in operation) for (const arg of operation.args) size += arg.length + 8;
  if ("body" in operation && operation.body !== null) size += operation.body.length;
  return size;
}

/** Takes the operations and reads of a batch back, in the order in which they came. */
export interface BatchVisitor {
  operation(operation: Operation, sink: ReplySink): void;
  read(operation: Operation, sink: ReplySink): void;
}

export class Batch {
  readonly operations: Operation[] = [];
  readonly sinks: ReplySink[] = [];
  readonly reads: PlacedRead[] = [];
  readonly readSinks: ReplySink[] = [];
  readonly origins: OperationOrigin[] = [];
  /** The tick of its oldest request. */
  sinceTick: number;
  /** Estimated bytes of the entry. */
  bytes = 0;
  /** Whether an operation may change which scripts the group has. */
  changesScripts = false;
  #answered = false;
  #abandoned = false;

  constructor(tick: number) {
    this.sinceTick = tick;
  }

  /** Adds an operation; returns its estimated bytes. */
  add(operation: Operation, sink: ReplySink): number {
    this.operations.push(operation);
    this.sinks.push(sink);
    const bytes = sizeOf(operation);
    this.bytes += bytes;
    return bytes;
  }

  /** Adds an operation that was forwarded; returns its estimated bytes. */
  addForwarded(operation: Operation, sink: OriginSink, origin: OriginName): number {
    const { node, boot, sequence, floor } = origin;
    this.origins.push({ index: this.operations.length, node, boot, sequence, floor });
    return this.add(operation, sink);
  }

  addRead(operation: Operation, sink: ReplySink): void {
    this.reads.push({ operation, after: this.operations.length, reply: null });
    this.readSinks.push(sink);
  }

  /** Whether anybody waits who can only be answered by this batch. */
  get hasLocal(): boolean {
    return (
      !this.#abandoned &&
      (this.operations.length > this.origins.length || this.readSinks.length > 0)
    );
  }

  /** Whether no read can wait here any more: those who waited have their answer. */
  get closedToReads(): boolean {
    return this.#answered || this.#abandoned;
  }

  /** Whether the clients of this node were told that nobody knows; origins wait on. */
  get abandoned(): boolean {
    return this.#abandoned;
  }

  /** True once: whoever gets it answers everybody who waits for this batch. */
  takeAnswering(): boolean {
    const mayAnswer = !this.#answered;
    this.#answered = true;
    return mayAnswer;
  }

  /** It was never proposed and never will be: everybody is told so. */
  refuse(reply: Reply): void {
    if (!this.takeAnswering()) return;
    for (const sinks of [this.sinks, this.readSinks]) {
      for (const sink of sinks) {
        if (isOriginSink(sink)) sink.refused(reply);
        else sink.resolve(reply);
      }
    }
  }

  /** Clients of this node stop waiting; it may still be applied, and then origins are answered. */
  abandon(reply: Reply): void {
    if (this.#answered || this.#abandoned) return;
    this.#abandoned = true;
    for (const sinks of [this.sinks, this.readSinks]) {
      for (const sink of sinks) if (!isOriginSink(sink)) sink.resolve(reply);
    }
  }

  /** Nobody here will learn what became of it. */
  forget(reply: Reply): void {
    if (!this.takeAnswering()) return;
    for (const sinks of [this.sinks, this.readSinks]) {
      for (const sink of sinks) {
        if (isOriginSink(sink)) sink.forgotten();
        else if (!this.#abandoned) sink.resolve(reply);
      }
    }
  }

  /** Hands everything over that still waits; nobody is answered by this batch any more. */
  takeBack(visitor: BatchVisitor): void {
    if (!this.takeAnswering()) return;
    let nextRead = 0;
    for (let index = 0; index <= this.operations.length; index += 1) {
      for (; this.reads[nextRead]?.after === index; nextRead += 1) {
        const read = present(this.reads[nextRead], "within bounds");
        const sink = present(this.readSinks[nextRead], "each read has a sink");
        if (!this.#abandoned || isOriginSink(sink)) visitor.read(read.operation, sink);
      }
      if (index === this.operations.length) return;
      const operation = present(this.operations[index], "within bounds");
      const sink = present(this.sinks[index], "each operation has a sink");
      if (!this.#abandoned || isOriginSink(sink)) visitor.operation(operation, sink);
    }
  }
}
