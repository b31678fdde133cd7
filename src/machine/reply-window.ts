/**
 * The answers that other nodes may still ask for: what makes a forwarded operation run exactly once.
 *
 * A node that forwards an operation to a leader sends it again when the answer does not come or the
 * leader changes. All copies bear the same (node, boot, sequence), and the first that is applied is
 * the one that counts; the others get its answer. Per node that forwards:
 *
 * ```
 *     given up or answered │ floor ─ ─ ─ what may come, again or for the first time ─ ─ ─▶
 *        not executed      │  stored answer · not yet come · stored answer · …
 * ```
 * - The node sends its lowest sequence that waits for an answer along with each operation: the floor.
 *   Answers below it are dropped, and an operation below it is a straggler that nobody waits for.
 * - Sequences begin anew when the node starts again, so a higher boot replaces the window and a lower
 *   one marks a straggler.
 * - The bound on the distance from the floor bounds the number of answers; an answer that their bytes
 *   leave no room for is replaced by a mark, and a repeat is told that the operation was executed.
 *
 * Replicated state like the keys: checkpointed, one row per node, and part of the digest. A failed
 * operation keeps its answer as any other, and undoing a script does not undo it. The window of a node
 * that leaves is emptied and shut by a boot above all others, so that nothing of it runs again that
 * comes late; it opens, empty, should the node join again.
 */
import { assert } from "../base/assert.ts";
import type { NodeId } from "../base/ids.ts";
import { FORWARDED_OPERATIONS_MAX, REPLY_WINDOW_BYTES_MAX } from "../base/limits.ts";
import type { Reply } from "../base/reply.ts";
import type { Digest } from "./digest.ts";
import type { OperationOrigin } from "./entry.ts";
import { ANSWER_NOT_KEPT, STRAGGLER, TOO_FAR_AHEAD } from "./errors.ts";
import { digestReply, replyBytes } from "./reply-content.ts";
import type { RowLedger } from "./row-ledger.ts";
import { markOf, NOT_STORED } from "./row-ledger.ts";
import type { ReplyWindowRow, StoredReply } from "./state.ts";

export interface ReplyWindowLimits {
  /** How far a sequence may be above the floor. Default {@link FORWARDED_OPERATIONS_MAX}. */
  readonly operationsMax?: number;
  /** Bytes of the answers of one node. Default {@link REPLY_WINDOW_BYTES_MAX}. */
  readonly bytesMax?: number;
}

/** The boot of a window whose node has left: no start of a node comes so far. */
const SHUT = Number.MAX_SAFE_INTEGER;

interface Window {
  readonly row: number;
  readonly node: NodeId;
  boot: number;
  floor: number;
  /** Answers stored since the boot, dropped ones included: tells versions of the row apart. */
  executed: number;
  /** By sequence. `undefined` is an answer that was not kept. */
  readonly replies: Map<number, Reply | undefined>;
  bytes: number;
  /** The mark of the stored version. */
  storedMark: number;
}

/** The windows of all nodes that have forwarded operations to a group. */
export class ReplyWindows {
  readonly #rows: RowLedger;
  /** In order of row id, which is that of their first operations. */
  readonly #windows = new Map<NodeId, Window>();
  readonly #dirty = new Set<Window>();
  readonly #operationsMax: number;
  readonly #bytesMax: number;

  constructor(rows: RowLedger, limits: ReplyWindowLimits = {}) {
    this.#rows = rows;
    this.#operationsMax = limits.operationsMax ?? FORWARDED_OPERATIONS_MAX;
    this.#bytesMax = limits.bytesMax ?? REPLY_WINDOW_BYTES_MAX;
  }

  /** How many rows changed since the last {@link takeChanged}. */
  get dirtySize(): number {
    return this.#dirty.size;
  }

  /** How many answers are kept. */
  get size(): number {
    let size = 0;
    for (const { replies } of this.#windows.values()) size += replies.size;
    return size;
  }

  /**
   * The answer of an operation that must not be executed: the stored one of a repeat, or why it is not
   * executed at all. Undefined for one that must; then {@link keep} takes its answer.
   */
  answerOf(origin: OperationOrigin): Reply | undefined {
    const { node, boot, sequence, floor } = origin;
    assert(floor <= sequence, "an operation is not below its own floor");
    let window = this.#windows.get(node);
    if (window === undefined) {
      window = this.#add(node, boot, floor);
    } else if (boot > window.boot) {
      this.#begin(window, boot, floor);
    } else if (boot < window.boot || sequence < window.floor) {
      return STRAGGLER;
    } else if (floor > window.floor) {
      this.#raise(window, floor);
    }
    const stored = window.replies.get(sequence);
    if (stored !== undefined) return stored;
    if (window.replies.has(sequence)) return ANSWER_NOT_KEPT;
    return sequence - window.floor < this.#operationsMax ? undefined : TOO_FAR_AHEAD;
  }

  /** Keeps the answer of an operation that {@link answerOf} let pass. */
  keep({ node, sequence }: OperationOrigin, reply: Reply): void {
    const window = this.#windows.get(node);
    assert(window?.replies.has(sequence) === false, "an operation is executed once");
    const room = this.#bytesMax - window.bytes;
    const bytes = replyBytes(reply, room);
    window.replies.set(sequence, bytes <= room ? reply : undefined);
    if (bytes <= room) window.bytes += bytes;
    window.executed += 1;
    this.#dirty.add(window);
  }

  /** Drops the answers of a node; what it has sent is a straggler from now on. */
  retire(node: NodeId): void {
    const window = this.#windows.get(node) ?? this.#add(node, 0, 0);
    this.#begin(window, SHUT, 0);
  }

  /** What a node sends is executed again, if it was retired. */
  admit(node: NodeId): void {
    const window = this.#windows.get(node);
    if (window?.boot === SHUT) this.#begin(window, 0, 0);
  }

  /** Hands over the rows that changed. */
  takeChanged(): ReplyWindowRow[] {
    const changed: ReplyWindowRow[] = [];
    for (const window of this.#dirty) {
      const mark = windowMark(window);
      this.#rows.store(window.storedMark, mark);
      window.storedMark = mark;
      const { row, node, boot, floor, executed } = window;
      const replies = sorted(window);
      changed.push({ kind: "reply-window", row, node, boot, floor, executed, replies });
    }
    this.#dirty.clear();
    return changed;
  }

  /**
   * Takes a row of a checkpoint; rows come in ascending order of row id. Returns false for one that
   * this machine would never have written.
   */
  restoreRow(stored: ReplyWindowRow): boolean {
    const { row, node, boot, floor, executed } = stored;
    const storedMark = windowMark(stored);
    this.#rows.store(NOT_STORED, storedMark);
    if (this.#windows.has(node) || executed < stored.replies.length) return false;
    const replies = new Map<number, Reply | undefined>();
    let bytes = 0;
    for (const { sequence, reply } of stored.replies) {
      if (sequence < floor || sequence - floor >= this.#operationsMax) return false;
      if (reply !== undefined) bytes += replyBytes(reply, this.#bytesMax);
      replies.set(sequence, reply);
    }
    if (bytes > this.#bytesMax || replies.size < stored.replies.length) return false;
    this.#windows.set(node, { row, node, boot, floor, executed, replies, bytes, storedMark });
    return true;
  }

  /** Adds everything that replicas must agree on. */
  digest(digest: Digest): void {
    digest.addNumber(this.#windows.size);
    for (const window of this.#windows.values()) {
      digest.addNumber(window.row);
      digest.addNumber(window.node);
      digest.addNumber(window.boot);
      digest.addNumber(window.floor);
      digest.addNumber(window.executed);
      digest.addNumber(window.replies.size);
      for (const { sequence, reply } of sorted(window)) {
        digest.addNumber(sequence);
        digest.addNumber(reply === undefined ? 0 : 1);
        if (reply !== undefined) digestReply(digest, reply);
      }
    }
  }

  #add(node: NodeId, boot: number, floor: number): Window {
    const row = this.#rows.take();
    const common = { row, node, boot, floor, executed: 0, bytes: 0 };
    const window: Window = { ...common, replies: new Map(), storedMark: NOT_STORED };
    this.#windows.set(node, window);
    this.#dirty.add(window);
    return window;
  }

  #begin(window: Window, boot: number, floor: number): void {
    window.boot = boot;
    window.floor = floor;
    window.executed = 0;
    window.replies.clear();
    window.bytes = 0;
    this.#dirty.add(window);
  }

  /** Drops what is below the new floor, in steps by whichever is fewer: sequences or answers. */
  #raise(window: Window, floor: number): void {
    const { replies, floor: from } = window;
    if (floor - from <= replies.size) {
      for (let sequence = from; sequence < floor; sequence += 1) drop(window, sequence);
    } else {
      for (const sequence of replies.keys()) if (sequence < floor) drop(window, sequence);
    }
    window.floor = floor;
    this.#dirty.add(window);
  }
}

function drop(window: Window, sequence: number): void {
  const reply = window.replies.get(sequence);
  if (reply !== undefined) window.bytes -= replyBytes(reply, window.bytes);
  window.replies.delete(sequence);
}

/** In ascending order of sequence, in whatever order they came. */
function sorted({ replies }: Window): StoredReply[] {
  const stored: StoredReply[] = [];
  for (const [sequence, reply] of replies) stored.push({ sequence, reply });
  return stored.sort((left, right) => left.sequence - right.sequence);
}

/** No two versions of a row have the same boot, floor and count. */
function windowMark(window: Pick<Window, "row" | "boot" | "floor" | "executed">): number {
  const { row, boot, floor, executed } = window;
  return markOf({ row, tokenCounter: boot, deadlineMs: floor, writtenMs: executed });
}
