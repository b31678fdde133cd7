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
  /** As `wire/state-codec.ts` makes them, checksum at the end; perhaps a view. `null` removes the row. */
  readonly bytes: Uint8Array | null;
}

/**
 * What changed in a group's applied state since the checkpoint before, taken between two applies.
 * The rows and the applied slot become durable together or not at all.
 */
export interface StateWrite {
  readonly group: GroupId;
  /** The state includes every entry up to and including this slot. */
  readonly appliedSlot: Slot;
  /** As `wire/state-codec.ts` makes it, checksum at the end. */
  readonly meta: Uint8Array;
  /** May be walked through again, as a write that failed is tried again. */
  readonly rows: Iterable<RowWrite>;
  /** Log records of this group with `slot` at or below this may be dropped; at most `appliedSlot`. */
  readonly cutThrough: Slot;
}

/** One disk commit: everything all groups of the node want durable in this turn. Atomic. */
export interface Commit {
  /** Newly accepted values, in the order accepted; a slot may come again under a higher ballot. */
  readonly log: readonly AcceptedRecord[];
  /** New promises; the newest per group replaces the one before. */
  readonly promises: readonly PromiseRecord[];
}

/** Told how a write ended: null when it is durable, else why nothing of it may be relied on. */
export type Stored = (failure: Error | null) => void;

/**
 * Durable log and state of one node. One commit and one checkpoint are in flight at a time, the two
 * independent of each other, so that a long checkpoint delays no commit.
 *
 * No callback is called before the call that it was given to has returned. The storage may read byte
 * arrays until their callback, so the caller must not change them.
 */
export interface Storage {
  /**
   * Makes `commit` durable as one atomic unit and then calls `done`; on a failing disk calls
   * `done` with the reason, after which nothing of it may be acknowledged.
   */
  commit(commit: Commit, done: Stored): void;
  /**
   * Makes a checkpoint durable as one atomic unit and then calls `done`. A failed one has changed
   * nothing and may be tried again; what it was to cut from the log is still there.
   */
  checkpoint(write: StateWrite, done: Stored): void;
  /** Bytes of log kept for a group, for deciding when to checkpoint. */
  logBytes(group: GroupId): number;
  /** A view of the group's newest durable checkpoint, or null without one. It must be closed. */
  openSnapshot(group: GroupId): SnapshotView | null;
  /**
   * Begins to replace a group's whole state. One at a time for a group, and no checkpoint of that
   * group until it is finished or aborted.
   */
  install(group: GroupId): SnapshotInstall;
}

/** A row as it is stored. */
export interface StoredRow {
  readonly row: number;
  readonly bytes: Uint8Array;
}

/** One checkpoint of a group, as it stays while newer ones are made. */
export interface SnapshotView {
  readonly appliedSlot: Slot;
  readonly meta: Uint8Array;
  /**
   * The next rows, by ascending id: at least one, and more while they fit into `bytesMax`; none at
   * the end. The bytes stay valid and unchanged.
   */
  next(bytesMax: number): readonly StoredRow[];
  /** Lets the storage use the space of what is newer again. May be called again. */
  close(): void;
}

/**
 * The new state of a group on its way to the disk. Until {@link finish} is durable the old state is
 * the valid one, whatever crashes; from then on the new one is.
 */
export interface SnapshotInstall {
  /** Adds rows, by ascending id over all calls. One call of the install is in flight at a time. */
  rows(rows: readonly StoredRow[], done: Stored): void;
  /**
   * Swaps the new state in. Log records of the group at or below `appliedSlot` mean nothing from then
   * on. May be tried again when it has failed.
   */
  finish(
    head: { readonly appliedSlot: Slot; readonly meta: Uint8Array; readonly cutThrough: Slot },
    done: Stored,
  ): void;
  /** Gives it up; what was written is cleared away. Not after a durable {@link finish}. */
  abort(): void;
}

/** Connections to the other nodes. Bodies to one node arrive in the order sent, or not at all. */
export interface Transport {
  /** Hands a body over; false when it was dropped: the link is down or too much waits on it. */
  send(to: NodeId, body: Uint8Array): boolean;
  isConnected(to: NodeId): boolean;
  /** Who there is to connect to, from now on. Addresses are `host:port`. */
  setPeers(peers: readonly { readonly id: NodeId; readonly address: string }[]): void;
}

/** What a {@link Transport} tells. */
export interface TransportHandler {
  /** The body stays valid; nothing in it has been validated. */
  received(from: NodeId, body: Uint8Array): void;
  connected(to: NodeId): void;
  disconnected(to: NodeId): void;
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
