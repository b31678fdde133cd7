/**
 * The lock machine again, by definition: one array of keys, searched from the front for everything.
 * It copies whole states to undo a script, sorts all keys to expire some, and has no checkpoints.
 * Every reply of the machine must equal that of this twin, and so must the rows it stores.
 */
import type { Reply } from "../../src/base/reply.ts";
import { errorReply, OK, status } from "../../src/base/reply.ts";
import type { Entry } from "../../src/machine/entry.ts";
import { SCRIPT_BODY_NEEDED } from "../../src/machine/machine.ts";
import type { LockKeyOperation, LockOperation } from "../../src/machine/locks/lock-operation.ts";
import type { Operation } from "../../src/machine/operation.ts";
import { isWrite } from "../../src/machine/operation.ts";
import type { ScriptRow, StateRow, StringRow } from "../../src/machine/state.ts";
import type { Program } from "../machine/machine-fixture.ts";
import { FOREIGN, programOf } from "../machine/machine-fixture.ts";
import { matchesGlobTwin } from "./glob.twin.ts";

type Key = { -readonly [Field in keyof StringRow]: StringRow[Field] };

interface State {
  nowMs: number;
  nextRow: number;
  tokenCounter: number;
  keys: Key[];
  scripts: ScriptRow[];
}

interface TwinLimits {
  readonly expiredPerEntryMax: number;
  readonly stateBytesMax: number;
}

const OVERHEAD_BYTES = 256;

const FULL = errorReply(
  "OOM command not allowed: the keys and values of the group take all the memory they may",
);

/** What LOCK.INFO shows of a key without options. */
const NO_OPTIONS: Reply = {
  kind: "map",
  entries: [
    ["limit", 0],
    ["policy", "fifo"],
    ["maxttl", 0],
    ["delay", 0],
    ["maxwaiters", 0],
  ],
};

/** Locks have a twin of their own; of their operations this one knows two that look. */
type StringOperation =
  | Exclude<Operation, LockOperation>
  | (LockKeyOperation & { readonly kind: "lock-info" | "lock-token" });

type Of<Kind extends Operation["kind"]> = Extract<Operation, { kind: Kind }>;

export class MachineTwin {
  readonly #limits: TwinLimits;
  #state: State = { nowMs: 0, nextRow: 1, tokenCounter: 0, keys: [], scripts: [] };
  #nowMs = 0;
  #wallMs = 0;
  #reading = false;

  constructor(limits: TwinLimits) {
    this.#limits = limits;
  }

  apply(entry: Entry): Reply[] {
    this.#state.nowMs = entry.nowMs;
    this.#begin(entry, false);
    const due = this.#state.keys
      .filter((key) => this.#isDue(key))
      .sort((a, b) => a.deadlineMs - b.deadlineMs || a.row - b.row);
    for (const key of due.slice(0, this.#limits.expiredPerEntryMax)) this.#remove(key);
    return entry.operations.map((operation) => this.#run(operation));
  }

  read(operation: Operation, clock: { nowMs: number; wallMs: number }): Reply {
    this.#begin(clock, true);
    return this.#run(operation);
  }

  nextDeadlineMs(): number | null {
    const deadlines = this.#state.keys.map((key) => key.deadlineMs).filter((ms) => ms !== 0);
    return deadlines.length === 0 ? null : Math.min(...deadlines);
  }

  /** All rows, in order of row id. */
  rows(): StateRow[] {
    return [...this.#state.keys, ...this.#state.scripts].sort((a, b) => a.row - b.row);
  }

  #begin(clock: { nowMs: number; wallMs: number }, reading: boolean): void {
    this.#nowMs = clock.nowMs;
    this.#wallMs = clock.wallMs;
    this.#reading = reading;
  }

  #isDue(key: Key): boolean {
    return key.deadlineMs !== 0 && this.#nowMs > key.deadlineMs;
  }

  /** What all keys are counted with. */
  bytes(): number {
    return this.#state.keys.reduce(
      (sum, { key, value }) => sum + key.length + value.length + OVERHEAD_BYTES,
      0,
    );
  }

  #fits(growth: number): boolean {
    return growth <= 0 || this.bytes() + growth <= this.#limits.stateBytesMax;
  }

  /** By how much the write of a value makes the state larger. */
  #growth(db: number, name: string, value: string): number {
    const found = this.#find(db, name);
    if (found === undefined) return name.length + value.length + OVERHEAD_BYTES;
    return value.length - found.value.length;
  }

  #remove(gone: Key): void {
    this.#state.keys = this.#state.keys.filter((key) => key !== gone);
  }

  #find(db: number, name: string): Key | undefined {
    const found = this.#state.keys.find((key) => key.db === db && key.key === name);
    if (found === undefined || this.#reading || !this.#isDue(found)) return found;
    this.#remove(found);
    return undefined;
  }

  #write(db: number, name: string, value: string, deadlineMs: number, regrant = false): void {
    const found = this.#find(db, name);
    const granted = regrant || found?.value !== value;
    if (granted) this.#state.tokenCounter += 1;
    const key: Key = {
      kind: "string",
      row: found?.row ?? this.#state.nextRow++,
      db,
      key: name,
      value,
      deadlineMs,
      tokenEpoch: 0,
      tokenCounter: granted ? this.#state.tokenCounter : found.tokenCounter,
      sinceMs: granted ? this.#nowMs : found.sinceMs,
      writtenMs: this.#nowMs,
    };
    if (found !== undefined) this.#remove(found);
    this.#state.keys.push(key);
  }

  /** The deadline to write: "past" when the key shall be gone, as it was given if not. */
  #deadline(
    { expireMode, expireMs }: { expireMode: string; expireMs: number },
    present: number,
  ): number | "past" {
    if (expireMode === "none") return 0;
    if (expireMode === "keep") return present;
    const at = expireMode === "after" ? this.#nowMs + expireMs : this.#at(expireMs);
    return at > this.#nowMs ? at : "past";
  }

  #at(wallMs: number): number {
    return this.#nowMs + (wallMs - this.#wallMs);
  }

  #run(operation: Operation): Reply {
    return this.#runString(operation as StringOperation);
  }

  #runString(operation: StringOperation): Reply {
    switch (operation.kind) {
      case "set":
        return this.#set(operation);
      case "mset":
        return this.#multiSet(operation);
      case "get":
        return this.#find(operation.db, operation.key)?.value ?? null;
      case "getex":
        return this.#getExpire(operation);
      case "getdel":
        return this.#delete(operation.db, operation.key)?.value ?? null;
      case "increment":
        return this.#increment(operation);
      case "append":
        return this.#append(operation);
      case "strlen":
        return this.#find(operation.db, operation.key)?.value.length ?? 0;
      case "expire":
        return this.#expire(operation);
      case "persist":
        return this.#persist(operation);
      case "ttl":
        return this.#timeToLive(operation);
      case "delete":
        return operation.keys.filter((key) => this.#delete(operation.db, key)).length;
      case "delex":
        return this.#deleteIf(operation);
      case "exists":
      case "touch":
        return operation.keys.filter((key) => this.#find(operation.db, key)).length;
      case "mget":
        return operation.keys.map((key) => this.#find(operation.db, key)?.value ?? null);
      case "rename":
        return this.#rename(operation);
      case "copy":
        return this.#copy(operation);
      case "type":
        return status(this.#find(operation.db, operation.key) ? "string" : "none");
      case "lock-info":
      case "lock-token":
      case "object-encoding":
      case "object-idletime":
      case "object-refcount":
        return this.#inspect(operation);
      case "scan":
        return this.#scan(operation);
      case "dbsize":
        return this.#inDatabase(operation.db).length;
      case "randomkey": {
        const keys = this.#inDatabase(operation.db);
        return keys[Math.floor((operation.pick * keys.length) / 2 ** 32)]?.key ?? null;
      }
      case "flush": {
        const { db } = operation;
        const stays = (key: Key): boolean => db !== null && key.db !== db;
        this.#state.keys = this.#state.keys.filter(stays);
        return OK;
      }
      case "eval":
        return this.#evaluate(operation);
      case "script-load":
        this.#state.scripts = this.#state.scripts.filter(
          ({ sha, loaded }) => loaded || sha !== operation.sha,
        );
        this.#keepScript(operation.sha, operation.body, true);
        return operation.sha;
      case "script-flush":
        this.#state.scripts = [];
        return OK;
    }
  }

  #set(operation: Of<"set">): Reply {
    const { db, key, value, when, compare, answer } = operation;
    const found = this.#find(db, key);
    const old = found?.value ?? null;
    const holds =
      when === "always" ||
      (when === "nx" && old === null) ||
      (when === "xx" && old !== null) ||
      (when === "ifeq" && old === compare) ||
      (when === "ifne" && old !== compare);
    if (holds) {
      if (!this.#fits(this.#growth(db, key, value))) return FULL;
      const deadline = this.#deadline(operation, found?.deadlineMs ?? 0);
      if (deadline === "past") this.#delete(db, key);
      else this.#write(db, key, value, deadline);
    }
    if (answer === "old") return old;
    if (answer === "integer") return holds ? 1 : 0;
    return holds ? OK : null;
  }

  #multiSet({ db, keys, values, onlyIfNone }: Of<"mset">): Reply {
    if (onlyIfNone && keys.some((key) => this.#find(db, key))) return 0;
    let grown = 0;
    for (const [index, key] of keys.entries()) {
      const growth = this.#growth(db, key, values[index] ?? "");
      if (growth > 0) grown += growth;
      if (growth > 0 && !this.#fits(grown)) return FULL;
    }
    keys.forEach((key, index) => {
      this.#write(db, key, values[index] ?? "", 0);
    });
    return onlyIfNone ? 1 : OK;
  }

  #getExpire(operation: Of<"getex">): Reply {
    const { db, key } = operation;
    const found = this.#find(db, key);
    if (found === undefined) return null;
    const deadline = this.#deadline(operation, found.deadlineMs);
    if (deadline === "past") this.#delete(db, key);
    else if (deadline !== found.deadlineMs) this.#write(db, key, found.value, deadline);
    return found.value;
  }

  #increment({ db, key, by }: Of<"increment">): Reply {
    const found = this.#find(db, key);
    const old = integer(found?.value ?? "0");
    if (old === null) return errorReply("ERR value is not an integer or out of range");
    const sum = old + by;
    if (integer(String(sum)) === null) {
      return errorReply("ERR increment or decrement would overflow");
    }
    if (!this.#fits(this.#growth(db, key, String(sum)))) return FULL;
    this.#write(db, key, String(sum), found?.deadlineMs ?? 0);
    return Number.isSafeInteger(Number(sum)) ? Number(sum) : sum;
  }

  #append({ db, key, value }: Of<"append">): Reply {
    const found = this.#find(db, key);
    const text = (found?.value ?? "") + value;
    if (!this.#fits(this.#growth(db, key, text))) return FULL;
    this.#write(db, key, text, found?.deadlineMs ?? 0);
    return text.length;
  }

  #expire({ db, key, expireMode, expireMs, condition }: Of<"expire">): Reply {
    const found = this.#find(db, key);
    if (found === undefined) return 0;
    const wanted = expireMode === "after" ? this.#nowMs + expireMs : this.#at(expireMs);
    const present = found.deadlineMs === 0 ? Infinity : found.deadlineMs;
    if (condition === "nx" && present !== Infinity) return 0;
    if (condition === "xx" && present === Infinity) return 0;
    if (condition === "xx-lt" && present === Infinity) return 0;
    if (condition === "gt" && !(wanted > present)) return 0;
    if ((condition === "lt" || condition === "xx-lt") && !(wanted < present)) return 0;
    if (wanted <= this.#nowMs) this.#delete(db, key);
    else this.#write(db, key, found.value, wanted);
    return 1;
  }

  #persist({ db, key }: { db: number; key: string }): Reply {
    const found = this.#find(db, key);
    if (found === undefined || found.deadlineMs === 0) return 0;
    this.#write(db, key, found.value, 0);
    return 1;
  }

  #timeToLive({ db, key, unit, absolute }: Of<"ttl">): Reply {
    const found = this.#find(db, key);
    if (found === undefined) return -2;
    if (found.deadlineMs === 0) return -1;
    const left = Math.max(found.deadlineMs - this.#nowMs, 0);
    const ms = absolute ? left + this.#wallMs : left;
    return unit === "ms" ? ms : Math.round(ms / 1000);
  }

  #delete(db: number, key: string): Key | undefined {
    const found = this.#find(db, key);
    if (found !== undefined) this.#remove(found);
    return found;
  }

  #deleteIf({ db, key, when, compare }: Of<"delex">): Reply {
    const found = this.#find(db, key);
    if (found === undefined) return 0;
    if (when === "ifeq" && found.value !== compare) return 0;
    if (when === "ifne" && found.value === compare) return 0;
    this.#remove(found);
    return 1;
  }

  #rename({ db, key, newKey, onlyIfNone }: Of<"rename">): Reply {
    const found = this.#find(db, key);
    if (found === undefined) return errorReply("ERR no such key");
    if (onlyIfNone && this.#find(db, newKey)) return 0;
    if (key !== newKey) {
      const growth = newKey.length - key.length;
      if (this.#find(db, newKey) === undefined && !this.#fits(growth)) return FULL;
      this.#remove(found);
      this.#write(db, newKey, found.value, found.deadlineMs, true);
    }
    return onlyIfNone ? 1 : OK;
  }

  #copy({ db, key, newDb, newKey, replace }: Of<"copy">): Reply {
    if (db === newDb && key === newKey) {
      return errorReply("ERR source and destination objects are the same");
    }
    const found = this.#find(db, key);
    if (found === undefined) return 0;
    if (this.#find(newDb, newKey) && !replace) return 0;
    if (!this.#fits(this.#growth(newDb, newKey, found.value))) return FULL;
    this.#write(newDb, newKey, found.value, found.deadlineMs, true);
    return 1;
  }

  #inspect(operation: { kind: string; db: number; key: string }): Reply {
    const found = this.#find(operation.db, operation.key);
    if (found === undefined) return null;
    const { value, tokenCounter, deadlineMs, sinceMs, writtenMs } = found;
    switch (operation.kind) {
      case "object-encoding":
        if (integer(value) !== null) return "int";
        return value.length > 44 ? "raw" : "embstr";
      case "object-refcount":
        return /^[1-9]?\d{1,3}$/.test(value) && integer(value) !== null ? 2147483647 : 1;
      case "object-idletime":
        return Math.floor((this.#nowMs - writtenMs) / 1000);
      case "lock-token":
        return String(tokenCounter);
      default: {
        const remaining = deadlineMs === 0 ? -1 : Math.max(0, deadlineMs - this.#nowMs);
        const holder: Reply = {
          kind: "map",
          entries: [
            ["owner", value],
            ["token", String(tokenCounter)],
            ["holds", 1],
            ["permits", 1],
            ["remaining-ms", remaining],
            ["since-ms", this.#nowMs - sinceMs],
            ["session", ""],
            ["address", ""],
            ["data", ""],
          ],
        };
        return {
          kind: "map",
          entries: [
            ["mode", "exclusive"],
            ["limit", 0],
            ["holders", [holder]],
            ["waiters", 0],
            ["delay-ms", 0],
            ["revoke", null],
            ["last-break", null],
            ["options", NO_OPTIONS],
          ],
        };
      }
    }
  }

  #inDatabase(db: number): Key[] {
    return this.#state.keys.filter((key) => key.db === db).sort((a, b) => a.row - b.row);
  }

  #scan({ db, cursor, count, match, type }: Of<"scan">): Reply {
    const rest = this.#inDatabase(db).filter((key) => key.row > cursor);
    const looked = rest.slice(0, count);
    const next = rest.length > looked.length ? (looked.at(-1)?.row ?? cursor) : 0;
    const keys = looked
      .filter((key) => this.#reading || !this.#isDue(key))
      .filter(({ key }) => match === null || matchesGlobTwin(match, key))
      .map(({ key }) => key);
    return [next, type === null || type === "string" ? keys : []];
  }

  #keepScript(sha: string, body: string, loaded: boolean): void {
    if (this.#state.scripts.some((script) => script.sha === sha)) return;
    this.#state.scripts.push({ kind: "script", row: this.#state.nextRow++, sha, body, loaded });
  }

  #evaluate(operation: Of<"eval">): Reply {
    const known = this.#state.scripts.find(({ sha }) => sha === operation.sha);
    const body = known?.body ?? operation.body;
    if (body === null) return SCRIPT_BODY_NEEDED;
    if (!this.#reading) this.#keepScript(operation.sha, body, false);
    const before = structuredClone(this.#state);
    const program = programOf(body);
    const replies = this.#steps(program, operation);
    if (program.end === "done") return replies;
    this.#state = before;
    return { kind: "error", text: "ERR script broke a bound" };
  }

  #steps(program: Program, { db, readOnly }: Of<"eval">): Reply[] {
    let selected = db;
    return program.steps.map((step): Reply => {
      if (step.kind === "select") {
        selected = step.db;
        return OK;
      }
      if (step.kind === "time") {
        return [String(Math.floor(this.#wallMs / 1000)), String((this.#wallMs % 1000) * 1000)];
      }
      if (readOnly && isWrite(step)) {
        return errorReply("ERR Write commands are not allowed from read-only scripts.");
      }
      const names = ["key", "newKey", "keys"].flatMap((field) =>
        field in step ? (step as unknown as Record<string, string | string[]>)[field] : [],
      );
      if (names.some((name) => name?.startsWith(FOREIGN))) {
        return errorReply(
          "CROSSSLOT Script attempted to access a key of another group; " +
            "use one {hash tag} in all its keys",
        );
      }
      return this.#run(("db" in step ? { ...step, db: selected } : step) as Operation);
    });
  }
}

/** The 64-bit integer a text spells in canonical form, or null. */
function integer(text: string): bigint | null {
  if (!/^(?:0|-?[1-9]\d*)$/.test(text)) return null;
  return BigInt.asIntN(64, BigInt(text)) === BigInt(text) ? BigInt(text) : null;
}
