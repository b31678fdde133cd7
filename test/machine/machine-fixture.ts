/**
 * A machine to test on: operations with defaults, entries of one or more of them, and a script
 * engine whose scripts are lists of operations, so that no Lua is needed to test what scripts may do.
 */
import type { Reply } from "../../src/base/reply.ts";
import type { Entry, OperationOrigin } from "../../src/machine/entry.ts";
import { NO_ORIGINS } from "../../src/machine/entry.ts";
import type { MachineOptions } from "../../src/machine/machine.ts";
import { Machine } from "../../src/machine/machine.ts";
import type {
  CopyOperation,
  EvalOperation,
  ExpireOperation,
  KeyOperation,
  KeysOperation,
  Operation,
  RenameOperation,
  ScanOperation,
  SetOperation,
  TimeToLiveOperation,
} from "../../src/machine/operation.ts";
import { isWrite } from "../../src/machine/operation.ts";
import type { LockKeyOperation } from "../../src/machine/locks/lock-operation.ts";
import type { ScriptCommands, ScriptEngine } from "../../src/machine/script/port.ts";
import type { Checkpoint, MachineMeta, StateRow } from "../../src/machine/state.ts";

/** One command of a test script. */
export type Step = Operation | { readonly kind: "select"; readonly db: number } | { kind: "time" };

/** A step that has no effect on the state: twins of the machine need not know of it. */
export interface PublishStep {
  readonly kind: "publish";
  readonly channel: string;
  readonly message: string;
}

/** A test script: runs its steps, answers their replies, and ends as it says. */
export interface Program {
  readonly steps: readonly Step[];
  readonly end: "done" | "aborted";
}

/** The script body of a program; a body that is no program does not compile. */
export function bodyOf(program: Program): string {
  return encode(program);
}

/** Any name will do, as long as it is one per body. */
export function shaOf(body: string): string {
  return `sha:${body}`;
}

function encode(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === "bigint" ? { bigint: String(part) } : part,
  );
}

function decode(text: string): unknown {
  return JSON.parse(text, (_, part: unknown) => {
    const isBigInt = typeof part === "object" && part !== null && "bigint" in part;
    return isBigInt ? BigInt(String(part.bigint)) : part;
  });
}

export function programOf(body: string): Program {
  return decode(body) as Program;
}

/** Runs programs; counts how often it compiled. */
export class ProgramEngine implements ScriptEngine {
  compiled = 0;

  compile(_sha: string, body: string): string | null {
    this.compiled += 1;
    return body.startsWith("{") ? null : "ERR Error compiling script";
  }

  run: ScriptEngine["run"] = ({ body }, host) => {
    const { steps, end } = programOf(body);
    const replies = steps.map((step) => host.call([encode(step)]));
    if (end === "done") return { kind: "done", reply: replies };
    return { kind: "aborted", reply: { kind: "error", text: "ERR script broke a bound" } };
  };
}

/** "Parses" a step; it runs in the script's db whatever db it names. */
export const programCommands: ScriptCommands = {
  parse([text = ""], db) {
    const step = decode(text) as Step | PublishStep;
    if (step.kind === "select") return { kind: "select", db: step.db };
    if (step.kind === "time") return { kind: "time" };
    if (step.kind === "publish") return step;
    const operation = ("db" in step ? { ...step, db } : step) as Operation;
    return { kind: "operation", operation, write: isWrite(operation) };
  },
};

/** Keys with this prefix belong to another group. */
export const FOREIGN = "foreign:";

/** An entry of operations that no other node sent, proposed by a node that is alone. */
export function localEntry(part: Pick<Entry, "nowMs" | "wallMs" | "operations">): Entry {
  return { ...part, proposal: null, origins: NO_ORIGINS };
}

/** Gives each origin the operation at its place. */
export function withIndexes(
  origins: readonly Omit<OperationOrigin, "index">[],
): readonly OperationOrigin[] {
  return origins.map((origin, index) => ({ index, ...origin }));
}

export function newMachine(options: Partial<MachineOptions> = {}): Machine {
  return new Machine({
    scripts: new ProgramEngine(),
    commands: programCommands,
    owns: (key) => !key.startsWith(FOREIGN),
    ownsEverything: true,
    ...options,
  });
}

/** Drives a machine: one method per thing that happens to it. */
export class Rig {
  readonly machine: Machine;
  nowMs = 1_000;
  wallMs = 1_700_000_000_000;

  constructor(options: Partial<MachineOptions> = {}) {
    this.machine = newMachine(options);
  }

  /** Lets both clocks go on, without an entry. */
  pass(ms: number): this {
    this.nowMs += ms;
    this.wallMs += ms;
    return this;
  }

  /** Applies one entry; the reply of its last operation. */
  apply(...operations: readonly Operation[]): Reply {
    const { nowMs, wallMs, machine } = this;
    const entry = localEntry({ nowMs, wallMs, operations });
    return machine.apply(entry, machine.appliedSlot + 1).at(-1) ?? null;
  }

  /** Applies one entry of operations that other nodes sent, one origin for each; all replies. */
  forwarded(
    operations: readonly Operation[],
    origins: readonly Omit<OperationOrigin, "index">[],
  ): Reply[] {
    const { nowMs, wallMs, machine } = this;
    const entry = { ...localEntry({ nowMs, wallMs, operations }), origins: withIndexes(origins) };
    return machine.apply(entry, machine.appliedSlot + 1);
  }

  read(operation: Operation): Reply {
    return this.machine.read(operation, { nowMs: this.nowMs, wallMs: this.wallMs });
  }

  /** Runs a program as a script in db 0. */
  evaluate(steps: readonly Step[], options: Partial<EvalOperation & Program> = {}): Reply {
    return this.apply(evaluation({ steps, end: options.end ?? "done" }, options));
  }

  token(key: string): bigint {
    const token = this.read(one("lock-token", key));
    if (typeof token !== "string") throw new Error(`no token of ${key}`);
    return BigInt(token);
  }
}

export function set(key: string, value: string, more: Partial<SetOperation> = {}): SetOperation {
  return {
    kind: "set",
    db: 0,
    key,
    value,
    when: "always",
    compare: "",
    expireMode: "none",
    expireMs: 0,
    answer: "status",
    ...more,
  };
}

/** SET key value NX PX ms. */
export function lock(key: string, value: string, leaseMs: number): SetOperation {
  return set(key, value, { when: "nx", expireMode: "after", expireMs: leaseMs });
}

export function one<Kind extends KeyOperation["kind"] | LockKeyOperation["kind"]>(
  kind: Kind,
  key: string,
  db = 0,
): { readonly kind: Kind; readonly db: number; readonly key: string } {
  return { kind, db, key };
}

export function get(key: string, db = 0): Operation {
  return one("get", key, db);
}

export function many(kind: KeysOperation["kind"], ...keys: readonly string[]): KeysOperation {
  return { kind, db: 0, keys };
}

export function mset(pairs: Readonly<Record<string, string>>, onlyIfNone = false): Operation {
  const keys = Object.keys(pairs);
  return { kind: "mset", db: 0, keys, values: Object.values(pairs), onlyIfNone };
}

export function increment(key: string, by: bigint | number): Operation {
  return { kind: "increment", db: 0, key, by: BigInt(by) };
}

export function append(key: string, value: string): Operation {
  return { kind: "append", db: 0, key, value };
}

export function expire(
  key: string,
  expireMs: number,
  more: Partial<ExpireOperation> = {},
): ExpireOperation {
  return {
    kind: "expire",
    db: 0,
    key,
    expireMode: "after",
    expireMs,
    condition: "always",
    ...more,
  };
}

export function pttl(key: string, more: Partial<TimeToLiveOperation> = {}): TimeToLiveOperation {
  return { kind: "ttl", db: 0, key, unit: "ms", absolute: false, ...more };
}

export function rename(key: string, newKey: string, onlyIfNone = false): RenameOperation {
  return { kind: "rename", db: 0, key, newKey, onlyIfNone };
}

export function copy(
  key: string,
  newKey: string,
  more: Partial<CopyOperation> = {},
): CopyOperation {
  return { kind: "copy", db: 0, key, newDb: 0, newKey, replace: false, ...more };
}

export function scan(cursor: number, count: number, more: Partial<ScanOperation> = {}): Operation {
  return { kind: "scan", db: 0, cursor, count, match: null, type: null, ...more };
}

export function database(kind: "dbsize" | "randomkey", pick = 0, db = 0): Operation {
  return { kind, db, pick };
}

export function evaluation(program: Program, more: Partial<EvalOperation> = {}): EvalOperation {
  const body = bodyOf(program);
  const { db = 0, readOnly = false } = more;
  const operation: EvalOperation = {
    kind: "eval",
    db,
    sha: shaOf(body),
    body,
    keys: [],
    args: [],
    readOnly,
  };
  return "body" in more ? { ...operation, body: more.body ?? null } : operation;
}

/** What a storage would hold after some checkpoints. */
export class Disk {
  meta: MachineMeta | null = null;
  appliedSlot = 0;
  readonly rows = new Map<number, StateRow>();

  /** Writes a checkpoint of the machine. */
  write(machine: Machine, leftoversMax?: number): Checkpoint {
    const checkpoint = machine.takeCheckpoint(leftoversMax);
    this.meta = checkpoint.meta;
    this.appliedSlot = machine.appliedSlot;
    for (const row of checkpoint.changed) this.rows.set(row.row, row);
    for (const row of checkpoint.removed) {
      if (!this.rows.delete(row)) throw new Error(`row ${row} was removed but never written`);
    }
    return checkpoint;
  }

  /** Restores a new machine from what was written. */
  restore(options: Partial<MachineOptions> = {}): Machine {
    const machine = newMachine(options);
    if (this.meta === null) return machine;
    machine.restoreMeta(this.meta);
    for (const row of this.sorted()) {
      if (!machine.restoreRow(row)) throw new Error(`row ${row.row} does not fit`);
    }
    const fault = machine.finishRestore(this.appliedSlot);
    if (fault !== null) throw new Error(fault);
    return machine;
  }

  sorted(): StateRow[] {
    return [...this.rows.values()].sort((a, b) => a.row - b.row);
  }
}
