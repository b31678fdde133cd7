/** Reading a data folder once, at start: what each group had promised, accepted and checkpointed. */
import { assert, present } from "../base/assert.ts";
import type { Ballot, GroupId, NodeId, Slot } from "../base/ids.ts";
import type { AcceptedRecord, Recovery } from "../base/ports.ts";
import { isIntact } from "../wire/state-codec.ts";
import type { Environment, Table } from "./environment.ts";
import type { OpenFolder } from "./folder.ts";
import {
  BOOT_KEY,
  CHECKPOINT_KIND,
  decodeBoot,
  decodeCheckpoint,
  decodeLogHead,
  decodePeer,
  groupKey,
  isPeerKey,
  LOG_KEY,
  readOrderedKey,
  type CheckpointHead,
  type LogHead,
  type PeerStart,
  type Side,
} from "./format.ts";
import { LogIndex } from "./log-index.ts";
import { readLog, type LogEnd } from "./log-reader.ts";
import { frameSeed, segmentName } from "./log-segment.ts";
import { corrupt, isDamage, type StorageOpenError } from "./open-error.ts";

const CHECKSUM_FAULT = "its checksum does not match";

type Checkpoint = { readonly head: CheckpointHead; readonly meta: Uint8Array } | null;

interface RecoveredGroup {
  promise: Ballot;
  readonly checkpoint: Checkpoint;
  readonly log: AcceptedRecord[];
  /** By slot: the highest ballot in `log`. */
  readonly ballots: Map<Slot, Ballot>;
}

/** What was read; the state rows are still in the environment and are read when asked for. */
export class LmdbRecovery implements Recovery {
  readonly #groups: RecoveredGroup[];
  readonly #directory: string;
  #environment: Environment | null;

  constructor(groups: RecoveredGroup[], environment: Environment, directory: string) {
    this.#groups = groups;
    this.#environment = environment;
    this.#directory = directory;
  }

  get groups(): number {
    return this.#groups.length;
  }

  promise(group: GroupId): Ballot {
    return this.#of(group).promise;
  }

  checkpoint(group: GroupId): { readonly appliedSlot: Slot; readonly meta: Uint8Array } | null {
    const { checkpoint } = this.#of(group);
    if (checkpoint === null) return null;
    return { appliedSlot: checkpoint.head.appliedSlot, meta: checkpoint.meta };
  }

  /** Throws {@link StorageOpenError} `corrupt` at a damaged row, or when one is missing. */
  rows(group: GroupId, visit: (row: number, bytes: Uint8Array) => void): void {
    const environment = present(this.#environment, "rows are read before the first commit");
    const side = this.#of(group).checkpoint?.head.side ?? 0;
    const table = present(environment.rows[group], "the group exists")[side];
    const place = `the state of group ${group}`;
    readNumbered(table, this.#directory, place, (row, value) => {
      if (!isIntact(value)) {
        throw corrupt(this.#directory, `row ${row} of group ${group}`, CHECKSUM_FAULT);
      }
      visit(row, value);
    });
  }

  damage(place: string, reason: string): StorageOpenError {
    return corrupt(this.#directory, place, reason);
  }

  log(group: GroupId, visit: (record: AcceptedRecord) => void): void {
    for (const record of this.#of(group).log) visit(record);
  }

  /** Forgets everything: the recovery is over. */
  end(): void {
    this.#groups.length = 0;
    this.#environment = null;
  }

  #of(group: GroupId): RecoveredGroup {
    return present(this.#groups[group], "the group exists and the recovery is not over");
  }
}

export interface Scan {
  readonly recovery: LmdbRecovery;
  readonly index: LogIndex;
  readonly logHead: LogHead;
  readonly logEnd: LogEnd;
  /** Of the start before. */
  readonly boot: number;
  readonly peers: ReadonlyMap<NodeId, PeerStart>;
  /** By group. */
  readonly sides: readonly Side[];
  readonly promises: readonly Ballot[];
}

/** Reads everything but the rows. Throws {@link StorageOpenError} `corrupt`; changes nothing. */
export function scan({ environment, meta, directory }: OpenFolder): Scan {
  const { boot, logHead, peers } = readFolderTable(environment, directory);
  const checkpoints = readGroups(environment, directory);
  const groups = checkpoints.map((checkpoint): RecoveredGroup => {
    return { promise: 0, checkpoint, log: [], ballots: new Map() };
  });
  const index = new LogIndex(groups.length);
  groups.forEach(({ checkpoint }, group) => {
    if (checkpoint !== null) index.cut(group, checkpoint.head.cutThrough);
  });
  const source = { directory, seed: frameSeed(meta.incarnation), head: logHead };
  const logEnd = readLog(source, (segment, { sequence, records, promises }) => {
    const of = (group: GroupId): RecoveredGroup => {
      const found = groups[group];
      if (found !== undefined) return found;
      const place = `turn ${sequence} in ${segmentName(segment)}`;
      throw corrupt(directory, place, `it names group ${group}`);
    };
    for (const { group, ballot } of promises) of(group).promise = ballot;
    for (const record of records) {
      const { checkpoint, log, ballots } = of(record.group);
      if (record.slot <= (checkpoint?.head.cutThrough ?? 0)) continue;
      // A record that was carried on into a newer segment may come after one that replaced it.
      if (record.ballot <= (ballots.get(record.slot) ?? -1)) continue;
      ballots.set(record.slot, record.ballot);
      // A copy, so that what is needed does not keep the whole segment in memory.
      const kept = { ...record, value: Uint8Array.from(record.value) };
      log.push(kept);
      index.add(segment, [kept]);
    }
  });
  return {
    recovery: new LmdbRecovery(groups, environment, directory),
    index,
    logHead,
    logEnd,
    boot,
    peers,
    sides: checkpoints.map((checkpoint) => checkpoint?.head.side ?? 0),
    promises: groups.map(({ promise }) => promise),
  };
}

function readFolderTable(
  environment: Environment,
  directory: string,
): Pick<Scan, "boot" | "logHead" | "peers"> {
  const read = <T>(key: Uint8Array, place: string, decode: (bytes: Uint8Array) => T | null): T => {
    const bytes = environment.folder.getBinary(key);
    const value = bytes === undefined ? null : decode(bytes);
    if (value === null) throw corrupt(directory, place, "it cannot be read");
    return value;
  };
  return readWhole(environment.folder, directory, "the values of the folder", () => {
    const boot = read(BOOT_KEY, "the number of starts", decodeBoot);
    const logHead = read(LOG_KEY, "the extent of the log", decodeLogHead);
    const peers = new Map<NodeId, PeerStart>();
    let count = 0;
    for (const { key, value } of environment.folder.getRange({ snapshot: true })) {
      count += 1;
      if (!isPeerKey(key)) continue;
      const peer = decodePeer(value);
      if (peer === null) throw corrupt(directory, "what is known of a peer", CHECKSUM_FAULT);
      const { node, ...start } = peer;
      peers.set(node, start);
    }
    return { count, result: { boot, logHead, peers } };
  });
}

function readGroups(environment: Environment, directory: string): Checkpoint[] {
  const { groups } = environment;
  return readWhole(groups, directory, "the values of the groups", () => {
    const checkpoints = environment.rows.map((_, group) =>
      readCheckpoint(environment, group, directory),
    );
    const count = checkpoints.filter((checkpoint) => checkpoint !== null).length;
    return { count, result: checkpoints };
  });
}

/** Visits the values of a table whose keys are numbers, and makes sure that none is missing. */
function readNumbered(
  table: Table,
  directory: string,
  place: string,
  visit: (number: number, value: Uint8Array) => void,
): void {
  readWhole(table, directory, place, () => {
    let count = 0;
    let last = -1;
    for (const { key, value } of table.getRange({ snapshot: true })) {
      const number = readOrderedKey(key);
      if (number === null || number <= last) {
        throw corrupt(directory, place, "its keys are not in order");
      }
      last = number;
      count += 1;
      visit(number, value);
    }
    return { count, result: undefined };
  });
}

/**
 * Reads a table, and compares how many values came with the number that LMDB keeps elsewhere: where
 * a page is damaged, LMDB may pass over what hung on it. What LMDB throws is damage too.
 */
function readWhole<T>(
  table: Table,
  directory: string,
  place: string,
  read: () => { readonly count: number; readonly result: T },
): T {
  try {
    const { entryCount } = table.getStats() as { readonly entryCount: number };
    const { count, result } = read();
    if (count === entryCount) return result;
    throw corrupt(directory, place, `${entryCount} values were written, ${count} are there`);
  } catch (thrown) {
    if (isDamage(thrown)) throw corrupt(directory, place, thrown.message);
    throw thrown;
  }
}

function readCheckpoint(environment: Environment, group: GroupId, directory: string): Checkpoint {
  const bytes = environment.groups.getBinary(groupKey(group, CHECKPOINT_KIND));
  if (bytes === undefined) {
    // A first state from another node is gathered on side 1; what is on side 0 had a checkpoint.
    const [table] = present(environment.rows[group], "the group exists");
    const { entryCount } = table.getStats() as { readonly entryCount: number };
    if (entryCount === 0) return null;
    throw corrupt(directory, `the checkpoint of group ${group}`, "it is missing");
  }
  const checkpoint = decodeCheckpoint(bytes);
  if (checkpoint?.head.group !== group || !isIntact(checkpoint.meta)) {
    throw corrupt(directory, `the checkpoint of group ${group}`, CHECKSUM_FAULT);
  }
  assert(checkpoint.head.cutThrough <= checkpoint.head.appliedSlot, "a cut is at most applied");
  return checkpoint;
}
