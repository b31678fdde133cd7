/** Reading a data folder once, at start: what each group had promised, accepted and checkpointed. */
import { assert, present } from "../base/assert.ts";
import type { Ballot, GroupId, Slot } from "../base/ids.ts";
import type { AcceptedRecord, Recovery } from "../base/ports.ts";
import { decodePromise, decodeTurn } from "../wire/log-codec.ts";
import { isIntact } from "../wire/state-codec.ts";
import type { Environment } from "./environment.ts";
import {
  CHECKPOINT_KIND,
  decodeCheckpoint,
  groupKey,
  PROMISE_KIND,
  readOrderedKey,
  type CheckpointHead,
} from "./format.ts";
import { LogIndex } from "./log-index.ts";
import { StorageOpenError } from "./open-error.ts";

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

  /** Throws {@link StorageOpenError} `corrupt` at a damaged row. */
  rows(group: GroupId, visit: (row: number, bytes: Uint8Array) => void): void {
    const environment = present(this.#environment, "rows are read before the first commit");
    const table = present(environment.rows[group], "the group exists");
    for (const { key, value } of table.getRange({ snapshot: true })) {
      const row = present(readOrderedKey(key), "a row's key is a number");
      if (!isIntact(value)) {
        const place = `row ${row} of group ${group}`;
        throw corrupt(this.#directory, place, CHECKSUM_FAULT);
      }
      visit(row, value);
    }
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
  const groups = environment.rows.map((_, group) => readGroup(environment, group, directory));
  const index = new LogIndex(groups.length);
  let lastSequence = 0;
  for (const { key, value } of environment.log.getRange({ snapshot: true })) {
    lastSequence = present(readOrderedKey(key), "a turn's key is a number");
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
  }
  groups.forEach(({ checkpoint }, group) => {
    if (checkpoint !== null) index.cut(group, checkpoint.head.cutThrough);
  });
  return { recovery: new LmdbRecovery(groups, environment, directory), index, lastSequence };
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
  if (bytes === undefined) return null;
  const checkpoint = decodeCheckpoint(bytes);
  if (checkpoint?.head.group !== group || !isIntact(checkpoint.meta)) {
    throw corrupt(directory, `the checkpoint of group ${group}`, CHECKSUM_FAULT);
  }
  assert(checkpoint.head.cutThrough <= checkpoint.head.appliedSlot, "a cut is at most applied");
  return checkpoint;
}

function corrupt(directory: string, place: string, reason: string): StorageOpenError {
  return new StorageOpenError(
    "corrupt",
    `the data folder ${directory} is damaged at ${place}: ${reason}; ` +
      "restore the folder from a backup, and check the disk",
  );
}
