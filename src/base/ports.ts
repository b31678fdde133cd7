/**
 * The ports: everything the pure core and the replica need from outside, as narrow interfaces.
 *
 * Production implements them in `storage`, `transport` and `node`; the simulator implements them
 * with virtual time and faults. Ports complete by calling back, never with promises, so that the
 * simulator owns the order of completions.
 */
import type { Ballot, GroupId, Millis, NodeId, Slot, WallMillis } from "./ids.ts";

/** The two clocks. Only the replica reads them, to stamp entries. */
export interface Clock {
  /** Monotonic milliseconds since an arbitrary start, with fraction. */
  monotonicMs(): Millis;
  /** Wall clock, whole milliseconds since 1970. */
  wallMs(): WallMillis;
}

/** Deferred calls. A simulator runs them in virtual time. */
export interface Scheduler {
  /** Runs `task` once, after the input of the present event-loop turn has been read. */
  defer(task: () => void): void;
  /** Runs `task` once after at least `delayMs`; returns a function that cancels it. */
  after(delayMs: Millis, task: () => void): () => void;
}

/**
 * A value that a group's acceptor has accepted: what the log is made of.
 *
 * The storage gets records, not bytes, because it packs the records of all groups of one turn into
 * a single stored value (`wire/log-codec.ts`): one append at the right edge of the log per commit.
 */
export interface AcceptedRecord {
  readonly group: GroupId;
  readonly slot: Slot;
  readonly ballot: Ballot;
  /** The entry's bytes, opaque here. They also go to peers, so nobody may ever change them. */
  readonly value: Uint8Array;
}

/** The highest ballot that a group's acceptor has promised. */
export interface PromiseRecord {
  readonly group: GroupId;
  readonly ballot: Ballot;
}

/** A state row of one group: a row id the machine chose, unique in the group, and its bytes. */
export interface RowWrite {
  readonly row: number;
  /** As `wire/state-codec.ts` makes them, checksum at the end; `null` removes the row. */
  readonly bytes: Uint8Array | null;
}

/**
 * What changed in a group's applied state since the checkpoint before, taken between two applies.
 * Written in the same transaction as `meta`, which names the applied slot.
 */
export interface StateWrite {
  readonly group: GroupId;
  /** The state includes every entry up to and including this slot. */
  readonly appliedSlot: Slot;
  /** As `wire/state-codec.ts` makes it, checksum at the end. */
  readonly meta: Uint8Array;
  readonly rows: readonly RowWrite[];
  /** Log records of this group with `slot` at or below this may be dropped; at most `appliedSlot`. */
  readonly cutThrough: Slot;
}

/** One disk commit: everything all groups of the node want durable in this turn. Atomic. */
export interface Commit {
  /** Newly accepted values, in the order accepted; a slot may come again under a higher ballot. */
  readonly log: readonly AcceptedRecord[];
  /** New promises; the newest per group replaces the one before. */
  readonly promises: readonly PromiseRecord[];
  readonly state: readonly StateWrite[];
}

/** Durable log and state of one node. One commit is in flight at a time. */
export interface Storage {
  /**
   * Makes `commit` durable as one atomic unit and then calls `done`; on a failing disk calls
   * `done` with the reason, after which nothing of it may be acknowledged. The storage may read
   * the byte arrays until `done`, so the caller must not change them. `done` is never called
   * before `commit` returns.
   */
  commit(commit: Commit, done: (failure: Error | null) => void): void;
  /** Bytes of log kept for a group, for deciding when to checkpoint. */
  logBytes(group: GroupId): number;
}

/** What {@link Storage} gives back at start, group by group, before the first commit. */
export interface Recovery {
  /** How many groups the data folder was created for. */
  readonly groups: number;
  /** The newest promise of a group, or 0 when it never promised. */
  promise(group: GroupId): Ballot;
  /** The newest checkpoint of a group, or null: `(appliedSlot, meta)`. */
  checkpoint(group: GroupId): { readonly appliedSlot: Slot; readonly meta: Uint8Array } | null;
  /**
   * Calls `visit` with each state row of the group, in order of row id, its checksum verified. The
   * bytes are valid during the call only.
   */
  rows(group: GroupId, visit: (row: number, bytes: Uint8Array) => void): void;
  /**
   * Calls `visit` with each log record of the group above its last cut, in the order written. A
   * slot may come several times; the last one is the one with the highest ballot.
   */
  log(group: GroupId, visit: (record: AcceptedRecord) => void): void;
  /** The error that ends a start whose reader found that `place` of what it was given is not whole. */
  damage(place: string, reason: string): Error;
}

/** Where another node of the cluster is reached. */
export interface PeerAddress {
  readonly id: NodeId;
  /** `host:port`, the host in brackets when it is an IPv6 address. */
  readonly address: string;
}

/**
 * Bodies to and from the other nodes. Delivery is not promised: a body arrives whole, once and in
 * the order sent, or not at all, and everybody who needs an answer asks again.
 */
export interface Transport {
  /**
   * Sends `body` to a node. False: dropped, for there is no link or its queue is full. True
   * promises nothing: the link may break before the body is through. The transport may read the
   * bytes for as long as it likes, so the caller must not change them.
   */
  send(to: NodeId, body: Uint8Array): boolean;
  /** Whether there is a link to `to`, so that a body of moderate size would not be dropped. */
  isConnected(to: NodeId): boolean;
  /**
   * The nodes to be connected with from now on; this node itself is ignored. Links to nodes that are
   * no longer named are closed, those to new ones are opened, a changed address is dialled anew.
   */
  setPeers(peers: readonly PeerAddress[]): void;
}

/** What a {@link Transport} calls; never from within one of its own methods. */
export interface TransportHandler {
  /**
   * A body has come, already checked for damage. The bytes are the handler's to keep, and nobody
   * changes them. What comes after `disconnected(from)` is of a newer link.
   */
  received(from: NodeId, body: Uint8Array): void;
  /** A link is up: bodies may be sent. What was sent over the link before may be lost. */
  connected(to: NodeId): void;
  /** The link is gone: the other node, or the network, has failed or is stopping. */
  disconnected(to: NodeId): void;
}
