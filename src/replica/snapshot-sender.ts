/**
 * Gives a group's whole state to a node whose log ends before this one's begins: chunks of the newest
 * durable checkpoint, a few on their way at a time, read from a view that stays as it is while serving
 * goes on.
 */
import type { GroupId, NodeId, Slot } from "../base/ids.ts";
import {
  SNAPSHOT_CHUNK_BYTES,
  SNAPSHOT_CHUNKS_IN_FLIGHT,
  SNAPSHOTS_SENT_MAX,
} from "../base/limits.ts";
import type { SnapshotView, Storage, StoredRow } from "../base/ports.ts";
import type { SnapshotAckMessage, SnapshotRequestMessage } from "../wire/peer-messages.ts";
import type { ReplicaContext } from "./context.ts";

interface Transfer {
  readonly number: number;
  readonly group: GroupId;
  readonly to: NodeId;
  readonly view: SnapshotView;
  nextIndex: number;
  acknowledged: number;
  /** The rows of the next chunk; empty at the end. */
  ahead: readonly StoredRow[];
  done: boolean;
  progressTick: number;
}

/** A request that waits for a checkpoint that is new enough. */
interface Waiting {
  readonly group: GroupId;
  readonly to: NodeId;
  readonly slot: Slot;
  readonly sinceTick: number;
}

const NO_META = new Uint8Array(0);

export class SnapshotSender {
  readonly #context: ReplicaContext;
  readonly #storage: Storage;
  readonly #wantCheckpoint: (group: GroupId) => void;
  #transfers: Transfer[] = [];
  #waiting: Waiting[] = [];
  #nextNumber = 1;

  /** `wantCheckpoint` sees to it that a group is checkpointed soon. */
  constructor(context: ReplicaContext, storage: Storage, wantCheckpoint: (group: GroupId) => void) {
    this.#context = context;
    this.#storage = storage;
    this.#wantCheckpoint = wantCheckpoint;
  }

  /** Begins a transfer, or begins it anew if that node asks again. */
  requested(from: NodeId, { group, slot }: SnapshotRequestMessage): void {
    this.#drop((transfer) => transfer.to === from && transfer.group === group);
    this.#waiting = this.#waiting.filter(({ to, group: other }) => to !== from || other !== group);
    if (this.#transfers.length + this.#waiting.length >= SNAPSHOTS_SENT_MAX) return;
    const waiting = { group, to: from, slot, sinceTick: this.#context.tick };
    if (this.#begin(waiting)) return;
    this.#waiting.push(waiting);
    this.#wantCheckpoint(group);
  }

  acknowledged(from: NodeId, { group, transfer: number, index }: SnapshotAckMessage): void {
    const transfer = this.#transfers.find(
      (other) => other.number === number && other.to === from && other.group === group,
    );
    if (transfer === undefined || index < transfer.acknowledged) return;
    if (index >= transfer.nextIndex) return;
    transfer.acknowledged = index + 1;
    transfer.progressTick = this.#context.tick;
    if (transfer.done && transfer.acknowledged === transfer.nextIndex) {
      this.#drop((other) => other === transfer);
    } else {
      this.#sendMore(transfer);
    }
  }

  /** A checkpoint of `group` is durable. */
  checkpointed(group: GroupId): void {
    const waiting = this.#waiting.filter((request) => request.group === group);
    if (waiting.length === 0) return;
    this.#waiting = this.#waiting.filter((request) => request.group !== group);
    // One that is too old even so asks again.
    for (const request of waiting) this.#begin(request);
  }

  disconnected(peer: NodeId): void {
    this.#drop(({ to }) => to === peer);
    this.#waiting = this.#waiting.filter(({ to }) => to !== peer);
  }

  /** Gives up transfers that do not get on. */
  expire(): void {
    const { tick, timings } = this.#context;
    const late = tick - timings.snapshotPatienceMs / timings.tickMs;
    this.#drop(({ progressTick }) => progressTick < late);
    this.#waiting = this.#waiting.filter(({ sinceTick }) => sinceTick >= late);
  }

  /** Closes every view. */
  close(): void {
    this.#drop(() => true);
    this.#waiting = [];
  }

  #begin({ group, to, slot }: Waiting): boolean {
    const view = this.#storage.openSnapshot(group);
    if (view === null) return false;
    if (view.appliedSlot < slot) {
      view.close();
      return false;
    }
    const transfer: Transfer = {
      number: this.#nextNumber,
      group,
      to,
      view,
      nextIndex: 0,
      acknowledged: 0,
      ahead: view.next(SNAPSHOT_CHUNK_BYTES),
      done: false,
      progressTick: this.#context.tick,
    };
    this.#nextNumber += 1;
    this.#transfers.push(transfer);
    this.#sendMore(transfer);
    return true;
  }

  #sendMore(transfer: Transfer): void {
    const { group, to, view, number } = transfer;
    while (
      !transfer.done &&
      transfer.nextIndex - transfer.acknowledged < SNAPSHOT_CHUNKS_IN_FLIGHT
    ) {
      const index = transfer.nextIndex;
      const rows = transfer.ahead;
      transfer.ahead = rows.length === 0 ? [] : view.next(SNAPSHOT_CHUNK_BYTES);
      transfer.done = transfer.ahead.length === 0;
      transfer.nextIndex += 1;
      this.#context.outbound.add(to, {
        kind: "snapshot-chunk",
        group,
        transfer: number,
        index,
        appliedSlot: view.appliedSlot,
        meta: index === 0 ? view.meta : NO_META,
        rows,
        last: transfer.done,
      });
    }
  }

  #drop(matches: (transfer: Transfer) => boolean): void {
    this.#transfers = this.#transfers.filter((transfer) => {
      if (!matches(transfer)) return true;
      transfer.view.close();
      return false;
    });
  }
}
