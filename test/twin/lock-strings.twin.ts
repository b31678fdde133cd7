/** Strings on the key space of the dumb twin of the lock machine: locks that their values hold. */
import { OK, status } from "../../src/base/reply.ts";
import type { LockOperation } from "../../src/machine/locks/lock-operation.ts";
import type { Operation } from "../../src/machine/operation.ts";
import { matchesGlobTwin } from "./glob.twin.ts";
import type { Expected } from "./lock-state.twin.ts";
import { REFUSED, WRONG_TYPE } from "./lock-state.twin.ts";
import type { LockStoreTwin } from "./lock-store.twin.ts";

type Of<Kind extends Operation["kind"]> = Extract<Operation, { kind: Kind }>;

/** Operations that know nothing of LOCK.*. */
export type StringOperation = Exclude<
  Operation,
  LockOperation | Of<"eval"> | Of<"script-load"> | Of<"script-flush">
>;

export class LockStringsTwin {
  readonly #store: LockStoreTwin;

  constructor(store: LockStoreTwin) {
    this.#store = store;
  }

  run(operation: StringOperation): Expected {
    switch (operation.kind) {
      case "set":
        return this.#set(operation);
      case "mset":
        return this.#multiSet(operation);
      case "get":
        if (this.#store.isOfLocks(operation.db, operation.key)) return WRONG_TYPE;
        return this.#store.value(operation.db, operation.key) ?? null;
      case "strlen":
        if (this.#store.isOfLocks(operation.db, operation.key)) return WRONG_TYPE;
        return this.#store.value(operation.db, operation.key)?.length ?? 0;
      case "getdel": {
        if (this.#store.isOfLocks(operation.db, operation.key)) return WRONG_TYPE;
        const value = this.#store.value(operation.db, operation.key) ?? null;
        this.#store.remove(operation.db, operation.key);
        return value;
      }
      case "getex":
        return this.#getExpire(operation);
      case "increment":
        return this.#increment(operation);
      case "append": {
        const { db, key, value } = operation;
        if (this.#store.isOfLocks(db, key)) return WRONG_TYPE;
        const text = (this.#store.value(db, key) ?? "") + value;
        this.#store.write(db, key, text, this.#store.find(db, key)?.holders[0]?.deadlineMs ?? 0);
        return text.length;
      }
      case "expire":
        return this.#expire(operation);
      case "persist": {
        const { db, key } = operation;
        if (this.#store.isOfLocks(db, key)) return WRONG_TYPE;
        const [holder] = this.#store.find(db, key)?.holders ?? [];
        if (holder === undefined || holder.deadlineMs === 0) return 0;
        this.#store.write(db, key, holder.owner, 0);
        return 1;
      }
      case "ttl":
        return this.#timeToLive(operation);
      case "delete":
        return operation.keys.filter((key) => this.#store.remove(operation.db, key)).length;
      case "delex": {
        const { db, key, when, compare } = operation;
        if (when !== "always" && this.#store.isOfLocks(db, key)) return WRONG_TYPE;
        const value = this.#store.value(db, key);
        if (when === "ifeq" && value !== compare) return 0;
        if (when === "ifne" && value === compare) return 0;
        return this.#store.remove(db, key) ? 1 : 0;
      }
      case "exists":
      case "touch":
        return operation.keys.filter((key) => this.#store.find(operation.db, key)).length;
      case "mget":
        return operation.keys.map((key) => this.#store.value(operation.db, key) ?? null);
      case "rename":
        return this.#rename(operation);
      case "copy":
        return this.#copy(operation);
      case "type": {
        if (this.#store.isOfLocks(operation.db, operation.key)) return status("lock");
        return status(this.#store.find(operation.db, operation.key) ? "string" : "none");
      }
      case "scan": {
        const { db, match, type } = operation;
        const names = this.#store.state.keys
          .filter((key) => key.db === db)
          .filter(
            ({ mode }) => type === null || (mode === "exclusive" ? "string" : "lock") === type,
          )
          .map(({ key }) => key)
          .filter((key) => match === null || matchesGlobTwin(match, key));
        return [0, names.sort()];
      }
      case "dbsize":
        return this.#store.state.keys.filter((key) => key.db === operation.db).length;
      case "flush": {
        const { db } = operation;
        for (const key of this.#store.state.keys.filter((one) => db === null || one.db === db)) {
          this.#store.endAll(key, "released");
        }
        return OK;
      }
      case "randomkey":
      case "object-encoding":
      case "object-idletime":
      case "object-refcount":
        return { kind: "anything" };
    }
  }

  /** The deadline to write, or "past" when the key shall be gone. */
  #deadline(
    { expireMode, expireMs }: { readonly expireMode: string; readonly expireMs: number },
    present: number,
  ): number | "past" {
    if (expireMode === "none") return 0;
    if (expireMode === "keep") return present;
    const at =
      this.#store.nowMs + (expireMode === "after" ? expireMs : expireMs - this.#store.wallMs);
    return at > this.#store.nowMs ? at : "past";
  }

  #presentDeadline(db: number, name: string): number {
    const { holders = [] } = this.#store.find(db, name) ?? {};
    if (holders.some((holder) => holder.deadlineMs === 0)) return 0;
    return Math.max(0, ...holders.map((holder) => holder.deadlineMs));
  }

  #set(operation: Of<"set">): Expected {
    const { db, key, value, when, compare, answer } = operation;
    const looks = when === "ifeq" || when === "ifne" || answer === "old";
    if (looks && this.#store.isOfLocks(db, key)) return WRONG_TYPE;
    const old = this.#store.value(db, key) ?? null;
    const holds =
      when === "always" ||
      (when === "nx" && !this.#store.isTaken(db, key)) ||
      (when === "xx" && this.#store.find(db, key) !== undefined) ||
      (when === "ifeq" && old === compare) ||
      (when === "ifne" && old !== compare);
    if (holds) {
      const deadline = this.#deadline(operation, this.#presentDeadline(db, key));
      if (deadline === "past") this.#store.remove(db, key);
      else this.#store.write(db, key, value, deadline);
    }
    if (answer === "old") return old;
    if (answer === "integer") return holds ? 1 : 0;
    return holds ? OK : null;
  }

  #multiSet({ db, keys, values, onlyIfNone }: Of<"mset">): Expected {
    if (onlyIfNone && keys.some((key) => this.#store.isTaken(db, key))) return 0;
    keys.forEach((key, index) => {
      this.#store.write(db, key, values[index] ?? "", 0);
    });
    return onlyIfNone ? 1 : OK;
  }

  #getExpire(operation: Of<"getex">): Expected {
    const { db, key } = operation;
    if (this.#store.isOfLocks(db, key)) return WRONG_TYPE;
    const [holder] = this.#store.find(db, key)?.holders ?? [];
    if (holder === undefined) return null;
    const deadline = this.#deadline(operation, holder.deadlineMs);
    if (deadline === "past") this.#store.remove(db, key);
    else if (deadline !== holder.deadlineMs) this.#store.write(db, key, holder.owner, deadline);
    return holder.owner;
  }

  #increment({ db, key, by }: Of<"increment">): Expected {
    if (this.#store.isOfLocks(db, key)) return WRONG_TYPE;
    const old = this.#store.value(db, key) ?? "0";
    if (!/^(?:0|-?[1-9]\d{0,14})$/.test(old)) return REFUSED;
    const sum = BigInt(old) + by;
    this.#store.write(db, key, String(sum), this.#presentDeadline(db, key));
    return Number(sum);
  }

  #expire({ db, key, expireMode, expireMs, condition }: Of<"expire">): Expected {
    if (this.#store.isOfLocks(db, key)) return WRONG_TYPE;
    const [holder] = this.#store.find(db, key)?.holders ?? [];
    if (holder === undefined) return 0;
    const wanted =
      this.#store.nowMs + (expireMode === "after" ? expireMs : expireMs - this.#store.wallMs);
    const present = holder.deadlineMs === 0 ? Infinity : holder.deadlineMs;
    if (condition === "nx" && present !== Infinity) return 0;
    if (condition === "xx" && present === Infinity) return 0;
    if (condition === "xx-lt" && present === Infinity) return 0;
    if (condition === "gt" && !(wanted > present)) return 0;
    if ((condition === "lt" || condition === "xx-lt") && !(wanted < present)) return 0;
    if (wanted <= this.#store.nowMs) this.#store.remove(db, key);
    else this.#store.write(db, key, holder.owner, wanted);
    return 1;
  }

  #timeToLive({ db, key, unit, absolute }: Of<"ttl">): Expected {
    if (this.#store.find(db, key) === undefined) return -2;
    const deadlineMs = this.#presentDeadline(db, key);
    if (deadlineMs === 0) return -1;
    const left = Math.max(deadlineMs - this.#store.nowMs, 0);
    const ms = absolute ? left + this.#store.wallMs : left;
    return unit === "ms" ? ms : Math.round(ms / 1000);
  }

  #rename({ db, key, newKey, onlyIfNone }: Of<"rename">): Expected {
    const found = this.#store.find(db, key);
    if (found === undefined) return REFUSED;
    if (this.#store.isOfLocks(db, key)) return WRONG_TYPE;
    if (onlyIfNone && this.#store.isTaken(db, newKey)) return 0;
    const [holder] = found.holders;
    if (key !== newKey && holder !== undefined) {
      this.#store.remove(db, key);
      this.#store.write(db, newKey, holder.owner, holder.deadlineMs, true);
    }
    return onlyIfNone ? 1 : OK;
  }

  #copy({ db, key, newDb, newKey, replace }: Of<"copy">): Expected {
    if (db === newDb && key === newKey) return REFUSED;
    const [holder] = this.#store.find(db, key)?.holders ?? [];
    if (holder === undefined) return 0;
    if (this.#store.isOfLocks(db, key)) return WRONG_TYPE;
    if (!replace && this.#store.isTaken(newDb, newKey)) return 0;
    this.#store.write(newDb, newKey, holder.owner, holder.deadlineMs, true);
    return 1;
  }
}
