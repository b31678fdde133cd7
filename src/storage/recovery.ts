/** Reading a data folder once, at start: what each group had promised, accepted and checkpointed. */
import { assert, present } from "../base/assert.ts";
import type { Ballot, GroupId, Slot } from "../base/ids.ts";
import type { AcceptedRecord, Recovery } from "../base/ports.ts";
import { decodePromise, decodeTurn } from "../wire/log-codec.ts";
import { isIntact } from "../wire/state-codec.ts";
import type { Environment, Table } from "./environment.ts";
import {
  CHECKPOINT_KIND,
  decodeCheckpoint,
  groupKey,
  PROMISE_KIND,
  readOrderedKey,
  type CheckpointHead,
} from "./format.ts";
import { LogIndex } from "./log-index.ts";
import { isDamage, StorageOpenError } from "./open-error.ts";

const CHECKSUM_FAULT = "its checksum does not match";

interface RecoveredGroup {
  readonly promise: Ballot;
  readonly checkpoint: { readonly head: CheckpointHead; readonly meta: Uint8Array } | null;
  readonly log: AcceptedRecord[];
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
    const table = present(environment.rows[group], "the group exists");
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
  /** Of the last turn ever stored, or 0. */
  readonly lastSequence: number;
}

/** Reads the groups' values and the whole log. Throws {@link StorageOpenError} `corrupt`. */
export function scan(environment: Environment, directory: string): Scan {
  const groups = readGroups(environment, directory);
  const index = new LogIndex(groups.length);
  let lastSequence = 0;
  readNumbered(environment.log, directory, "the log", (sequence, value) => {
    lastSequence = sequence;
    const turn = decodeTurn(value);
    if (typeof turn === "string") throw corrupt(directory, `turn ${lastSequence} of the log`, turn);
    if (turn.sequence !== lastSequence) {
      throw corrupt(directory, `turn ${lastSequence} of the log`, `it says ${turn.sequence}`);
    }
    for (const record of turn.records) {
      const group = groups[record.group];
      if (group === undefined) {
        const place = `turn ${lastSequence} of the log`;
        throw corrupt(directory, place, `it names group ${record.group}`);
      }
      if (record.slot > (group.checkpoint?.head.cutThrough ?? 0)) group.log.push(record);
    }
    index.add(lastSequence, turn.records);
  });
  groups.forEach(({ checkpoint }, group) => {
    if (checkpoint !== null) index.cut(group, checkpoint.head.cutThrough);
  });
  return { recovery: new LmdbRecovery(groups, environment, directory), index, lastSequence };
}

function readGroups(environment: Environment, directory: string): RecoveredGroup[] {
  const { groups } = environment;
  return readWhole(groups, directory, "the values of the groups", () => {
    const recovered = environment.rows.map((_, group) => readGroup(environment, group, directory));
    let count = 0;
    for (const { promise, checkpoint } of recovered) {
      if (promise !== 0) count += 1;
      if (checkpoint !== null) count += 1;
    }
    return { count, result: recovered };
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

function readGroup(environment: Environment, group: GroupId, directory: string): RecoveredGroup {
  return {
    promise: readPromise(environment, group, directory),
    checkpoint: readCheckpoint(environment, group, directory),
    log: [],
  };
}

function readPromise(environment: Environment, group: GroupId, directory: string): Ballot {
  const bytes = environment.groups.getBinary(groupKey(group, PROMISE_KIND));
  if (bytes === undefined) return 0;
  const promise = decodePromise(bytes);
  if (typeof promise === "string")
    throw corrupt(directory, `the promise of group ${group}`, promise);
  if (promise.group !== group) {
    throw corrupt(directory, `the promise of group ${group}`, `it says group ${promise.group}`);
  }
  return promise.ballot;
}

function readCheckpoint(
  environment: Environment,
  group: GroupId,
  directory: string,
): RecoveredGroup["checkpoint"] {
  const bytes = environment.groups.getBinary(groupKey(group, CHECKPOINT_KIND));
  if (bytes === undefined) {
    const { entryCount } = environmentRows(environment, group);
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

function environmentRows(environment: Environment, group: GroupId): { entryCount: number } {
  const table = present(environment.rows[group], "the group exists");
  return table.getStats() as { entryCount: number };
}

function corrupt(directory: string, place: string, reason: string): StorageOpenError {
  return new StorageOpenError(
    "corrupt",
    `the data folder ${directory} is damaged at ${place}: ${reason}; ` +
      "restore the folder from a backup, and check the disk",
  );
}
