/**
 * The disk of one machine, which outlives its processes, and the storage port on it.
 *
 * ```
 * commit ─▶ bytes as the log codec makes them ─▶ in flight ─▶ durable ─▶ done
 *                                                   └ a crash here: all of it survives, or nothing
 * ```
 * That a commit is whole or not there is assumed, as LMDB promises it; the end-to-end tests of the
 * storage prove it there. What is kept are bytes in the formats of `wire`, so that a bit that turns
 * over is found by the very checksums that find it in production.
 */
import { assert, present } from "../base/assert.ts";
import { ByteWriter } from "../base/bytes.ts";
import type { Ballot, GroupId, NodeId, Slot } from "../base/ids.ts";
import type {
  AcceptedRecord,
  Commit,
  Recovery,
  SnapshotInstall,
  SnapshotView,
  StateWrite,
  Storage,
  Stored,
  StoredRow,
} from "../base/ports.ts";
import type { Prng } from "../base/prng.ts";
import { decodePromise, decodeTurn, writePromise, writeTurn } from "../wire/log-codec.ts";
import { decodeStateRow } from "../wire/state-codec.ts";
import type { SimProcess } from "./process.ts";
import { TurnIndex } from "./turn-index.ts";

/** A start that the disk refuses. `transient`: the next one may succeed. */
export class DiskFault extends Error {
  override readonly name = "DiskFault";
  readonly transient: boolean;

  constructor(message: string, transient: boolean) {
    super(message);
    this.transient = transient;
  }
}

/** How fast a disk is, in microseconds per commit, and how often one takes far longer. */
export interface DiskTiming {
  readonly leastUs: number;
  readonly mostUs: number;
  /** One commit in so many takes {@link slowUs}; 0 is never. */
  readonly slowOdds: number;
  readonly slowUs: number;
}

/** Whom the disk tells what has become durable, before the process knows. */
export interface DiskWitness {
  durable(commit: Commit): void;
  checkpointed(group: GroupId, appliedSlot: Slot): void;
}

interface DurableState {
  readonly appliedSlot: Slot;
  readonly meta: Uint8Array;
  readonly rows: ReadonlyMap<number, Uint8Array>;
}

/** Something handed over that is not durable yet. */
interface InFlight {
  readonly apply: () => void;
}

const scratch = new ByteWriter(64 * 1024);

export class SimDisk {
  readonly #groups: number;
  readonly #timing: DiskTiming;
  readonly #random: Prng;
  readonly #witness: DiskWitness;
  readonly #checkMeta: (meta: Uint8Array) => boolean;
  readonly #turns = new Map<number, Uint8Array>();
  readonly #promises = new Map<GroupId, Uint8Array>();
  readonly #states = new Map<GroupId, DurableState>();
  readonly #cuts: Slot[];
  #index: TurnIndex;
  #sequence = 0;
  #inFlight: InFlight[] = [];
  #boot = 0;
  readonly #peers = new Map<NodeId, string>();
  readonly incarnation: string;
  /** Until this true time every write fails. */
  fullUntilUs = 0;
  /** Until this true time every write takes {@link DiskTiming.slowUs} at least. */
  slowUntilUs = 0;
  /** So many of the next starts fail to read. */
  readErrors = 0;
  /** Bits that were turned over and have not been found. */
  rotten = 0;

  constructor(options: {
    readonly groups: number;
    readonly timing: DiskTiming;
    readonly random: Prng;
    readonly witness: DiskWitness;
    readonly checkMeta: (meta: Uint8Array) => boolean;
  }) {
    this.#groups = options.groups;
    this.#timing = options.timing;
    this.#random = options.random;
    this.#witness = options.witness;
    this.#checkMeta = options.checkMeta;
    this.#index = new TurnIndex(options.groups);
    this.#cuts = Array.from({ length: options.groups }, () => 0);
    this.incarnation = options.random.next().toString(16).padStart(8, "0");
  }

  /** How often the folder was opened. */
  get boot(): number {
    return this.#boot;
  }

  get peerIncarnations(): ReadonlyMap<NodeId, string> {
    return this.#peers;
  }

  rememberPeer(id: NodeId, incarnation: string): void {
    this.#peers.set(id, incarnation);
  }

  /** The process died: what was in flight is on the disk or not, each write as a whole. */
  crashed(): { readonly kept: number; readonly lost: number } {
    const flying = this.#inFlight;
    this.#inFlight = [];
    let kept = 0;
    for (const write of flying) {
      if (this.#random.chance(1, 2)) continue;
      write.apply();
      kept += 1;
    }
    return { kept, lost: flying.length - kept };
  }

  /** Turns one bit over in something durable; false when there is nothing. */
  rot(): boolean {
    const places: Uint8Array[] = [...this.#turns.values(), ...this.#promises.values()];
    for (const { meta, rows } of this.#states.values()) places.push(meta, ...rows.values());
    if (places.length === 0) return false;
    const bytes = this.#random.pick(places);
    const at = this.#random.below(bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << this.#random.below(8));
    this.rotten += 1;
    return true;
  }

  /** Opens the folder for a new process. Throws {@link DiskFault} when it is not whole. */
  open(process: SimProcess, nowUs: () => number): { storage: Storage; recovery: Recovery } {
    assert(this.#inFlight.length === 0, "the process before is dead");
    if (this.readErrors > 0) {
      this.readErrors -= 1;
      throw new DiskFault("a read failed", true);
    }
    const recovery = this.#recover();
    this.#boot += 1;
    return { recovery, storage: new ProcessStorage(this, process, nowUs) };
  }

  // ── what a process may do ───────────────────────────────────────────────────────────────────

  /** Microseconds until a write of `bytes` bytes is durable. */
  latencyUs(nowUs: number, bytes: number): number {
    const { leastUs, mostUs, slowOdds, slowUs } = this.#timing;
    let drawn = this.#random.between(leastUs, mostUs) + (bytes >> 6);
    if (slowOdds > 0 && this.#random.chance(1, slowOdds)) drawn += slowUs;
    return nowUs < this.slowUntilUs ? drawn + slowUs : drawn;
  }

  begin(apply: () => void): InFlight {
    const write = { apply };
    this.#inFlight.push(write);
    return write;
  }

  /** The write is over, one way or the other. */
  end(write: InFlight): void {
    this.#inFlight = this.#inFlight.filter((other) => other !== write);
  }

  logBytes(group: GroupId): number {
    return this.#index.bytes(group);
  }

  state(group: GroupId): DurableState | undefined {
    return this.#states.get(group);
  }

  commit(commit: Commit): void {
    if (commit.log.length > 0) {
      this.#sequence += 1;
      scratch.reset();
      writeTurn(scratch, this.#sequence, commit.log);
      this.#turns.set(this.#sequence, scratch.take());
      this.#index.add(this.#sequence, commit.log);
    }
    for (const promise of commit.promises) {
      scratch.reset();
      writePromise(scratch, promise);
      this.#promises.set(promise.group, scratch.take());
    }
    this.#witness.durable(commit);
  }

  checkpoint(write: StateWrite): void {
    const rows = new Map(this.#states.get(write.group)?.rows);
    for (const { row, bytes } of write.rows) {
      if (bytes === null) rows.delete(row);
      else rows.set(row, bytes.slice());
    }
    this.replace(write, rows);
  }

  replace(
    head: {
      readonly group: GroupId;
      readonly appliedSlot: Slot;
      readonly meta: Uint8Array;
      readonly cutThrough: Slot;
    },
    rows: ReadonlyMap<number, Uint8Array>,
  ): void {
    const { group, appliedSlot, meta, cutThrough } = head;
    this.#states.set(group, { appliedSlot, meta: meta.slice(), rows });
    if (cutThrough > (this.#cuts[group] ?? 0)) this.#cuts[group] = cutThrough;
    for (const sequence of this.#index.cut(group, cutThrough)) this.#turns.delete(sequence);
    this.#witness.checkpointed(group, appliedSlot);
  }

  // ── a start ─────────────────────────────────────────────────────────────────────────────────

  #recover(): Recovery {
    const index = new TurnIndex(this.#groups);
    const logs = Array.from({ length: this.#groups }, (): AcceptedRecord[] => []);
    for (const [sequence, bytes] of this.#turns) {
      const turn = decodeTurn(bytes.slice());
      if (typeof turn === "string") throw new DiskFault(`turn ${sequence}: ${turn}`, false);
      if (turn.sequence !== sequence) throw new DiskFault(`turn ${sequence} is another`, false);
      index.add(sequence, turn.records);
      for (const record of turn.records) logs[record.group]?.push(record);
    }
    const promises = new Map<GroupId, Ballot>();
    for (const [group, bytes] of this.#promises) {
      const promise = decodePromise(bytes);
      if (typeof promise === "string") throw new DiskFault(`promise: ${promise}`, false);
      promises.set(group, promise.ballot);
    }
    for (const [group, { meta, rows }] of this.#states) {
      if (!this.#checkMeta(meta)) throw new DiskFault(`the meta of group ${group}`, false);
      for (const [row, bytes] of rows) {
        if (decodeStateRow(bytes) === null) {
          throw new DiskFault(`row ${row} of group ${group}`, false);
        }
      }
    }
    for (const [group, through] of this.#cuts.entries()) index.cut(group, through);
    this.#index = index;
    return {
      groups: this.#groups,
      promise: (group) => promises.get(group) ?? 0,
      checkpoint: (group) => this.#states.get(group) ?? null,
      rows: (group, visit) => {
        const rows = [...(this.#states.get(group)?.rows ?? [])];
        for (const [row, bytes] of rows.sort(([one], [other]) => one - other)) visit(row, bytes);
      },
      log: (group, visit) => {
        for (const record of logs[group] ?? []) {
          if (record.slot > (this.#cuts[group] ?? 0)) visit(record);
        }
      },
      damage: (place, reason) => new DiskFault(`${place}: ${reason}`, false),
    };
  }
}

/** The storage port of one process. */
class ProcessStorage implements Storage {
  readonly #disk: SimDisk;
  readonly #process: SimProcess;
  readonly #nowUs: () => number;
  #committing = false;
  #checkpointing = false;
  readonly #installing = new Set<GroupId>();

  constructor(disk: SimDisk, process: SimProcess, nowUs: () => number) {
    this.#disk = disk;
    this.#process = process;
    this.#nowUs = nowUs;
  }

  commit(commit: Commit, done: Stored): void {
    assert(!this.#committing, "one commit is in flight at a time");
    this.#committing = true;
    const { log, promises } = commit;
    let bytes = 0;
    for (const { value } of log) bytes += value.length;
    const frozen = { log: [...log], promises: [...promises] };
    const settle = (failure: Error | null): void => {
      this.#committing = false;
      done(failure);
    };
    this.#write(bytes, () => this.#disk.commit(frozen), settle);
  }

  checkpoint(write: StateWrite, done: Stored): void {
    assert(!this.#checkpointing, "one checkpoint is in flight at a time");
    assert(!this.#installing.has(write.group), "no checkpoint during an install");
    this.#checkpointing = true;
    let bytes = write.meta.length;
    for (const row of write.rows) bytes += row.bytes?.length ?? 0;
    const settle = (failure: Error | null): void => {
      this.#checkpointing = false;
      done(failure);
    };
    this.#write(4 * bytes, () => this.#disk.checkpoint(write), settle);
  }

  logBytes(group: GroupId): number {
    return this.#disk.logBytes(group);
  }

  openSnapshot(group: GroupId): SnapshotView | null {
    this.#process.called();
    const state = this.#disk.state(group);
    if (state === undefined) return null;
    const rows = [...state.rows].sort(([one], [other]) => one - other);
    let next = 0;
    return {
      appliedSlot: state.appliedSlot,
      meta: state.meta,
      next: (bytesMax) => {
        const page: StoredRow[] = [];
        let bytes = 0;
        for (; next < rows.length; next += 1) {
          const [row, value] = present(rows[next], "within bounds");
          bytes += value.length;
          if (page.length > 0 && bytes > bytesMax) break;
          page.push({ row, bytes: value });
        }
        return page;
      },
      close: () => {
        next = rows.length;
      },
    };
  }

  install(group: GroupId): SnapshotInstall {
    assert(!this.#installing.has(group), "one install of a group at a time");
    this.#installing.add(group);
    const staged = new Map<number, Uint8Array>();
    return {
      rows: (rows, done) => {
        let bytes = 0;
        for (const row of rows) {
          bytes += row.bytes.length;
          staged.set(row.row, row.bytes.slice());
        }
        this.#write(bytes, () => undefined, done);
      },
      finish: (head, done) => {
        const settle = (failure: Error | null): void => {
          if (failure === null) this.#installing.delete(group);
          done(failure);
        };
        this.#write(0, () => this.#disk.replace({ group, ...head }, staged), settle);
      },
      abort: () => {
        this.#installing.delete(group);
      },
    };
  }

  #write(bytes: number, apply: () => void, done: Stored): void {
    this.#process.called();
    const disk = this.#disk;
    const latencyUs = disk.latencyUs(this.#nowUs(), bytes);
    if (this.#nowUs() < disk.fullUntilUs) {
      this.#process.post(latencyUs, () => {
        done(new Error("no space left on device"));
      });
      return;
    }
    const write = disk.begin(apply);
    // Durable while the process may be stopped; it learns of it when it runs again.
    this.#process.outside(latencyUs, () => {
      apply();
      disk.end(write);
      this.#process.post(0, () => {
        done(null);
        this.#process.called();
      });
    });
  }
}
