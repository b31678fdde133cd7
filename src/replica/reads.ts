/**
 * Reads of a leader whose lease is not valid: each waits for a round of heartbeats that began after
 * it came in and that a majority has answered [P9]. Reads of one turn share a round.
 */
import type { Slot } from "../base/ids.ts";
import type { Reply } from "../base/reply.ts";
import type { Operation } from "../machine/operation.ts";
import type { PaxosGroup } from "../paxos/group.ts";
import type { ReplySink } from "./batch.ts";

/** A read that waits for its round. */
export interface PendingRead {
  readonly operation: Operation;
  readonly sink: ReplySink;
  readonly sinceTick: number;
  /** What it read already at its place between writes, and only has to be confirmed. */
  readonly reply: Reply | undefined;
}

interface Round {
  readonly round: number;
  /** Everything chosen when the round began is below or at this. */
  readonly slot: Slot;
  reads: PendingRead[];
}

export class QuorumReads {
  #gathering: PendingRead[] = [];
  #rounds: Round[] = [];

  get size(): number {
    let size = this.#gathering.length;
    for (const { reads } of this.#rounds) size += reads.length;
    return size;
  }

  add(read: PendingRead): void {
    this.#gathering.push(read);
  }

  /** Begins a round for what has gathered. */
  begin(paxos: PaxosGroup, nowMs: number): void {
    if (this.#gathering.length === 0) return;
    const slot = Math.max(paxos.chosenSlot, paxos.recoveredSlot);
    this.#rounds.push({ round: paxos.beat(nowMs), slot, reads: this.#gathering });
    this.#gathering = [];
  }

  /** The reads that may be carried out now. */
  takeConfirmed(paxos: PaxosGroup): readonly PendingRead[] {
    const ready: PendingRead[] = [];
    for (;;) {
      const first = this.#rounds[0];
      if (first === undefined) return ready;
      if (first.round > paxos.confirmedRound || first.slot > paxos.appliedSlot) return ready;
      this.#rounds.shift();
      for (const read of first.reads) ready.push(read);
    }
  }

  /** Hands over all reads: this node does not lead any more, or in another ballot. */
  takeAll(): readonly PendingRead[] {
    const all = [...this.#rounds.flatMap(({ reads }) => reads), ...this.#gathering];
    this.#rounds = [];
    this.#gathering = [];
    return all;
  }

  /** Takes out the reads that came in at or before a tick. */
  takeLate(tick: number): readonly PendingRead[] {
    const late: PendingRead[] = [];
    const keep = (reads: readonly PendingRead[]): PendingRead[] =>
      reads.filter((read) => {
        if (read.sinceTick <= tick) late.push(read);
        return read.sinceTick > tick;
      });
    this.#gathering = keep(this.#gathering);
    for (const round of this.#rounds) round.reads = keep(round.reads);
    return late;
  }
}
