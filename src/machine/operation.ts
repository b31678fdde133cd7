/**
 * Operations: what a command asks of a group's state, already parsed and validated.
 *
 * An entry of the log is a batch of operations. Their meaning is fixed here and their bytes in
 * `wire/operation-codec.ts`; both are kept for ever, since old logs must replay alike. Strings hold
 * one character per byte. `db` is 0 to 15.
 *
 * When you add an operation: a variant here, a row in `isWrite`, its execution in
 * `machine/keyspace`, its codec row in `wire/operation-codec.ts` with golden bytes.
 */
import type { Millis, WallMillis } from "../base/ids.ts";
import type { LockOperation } from "./locks/lock-operation.ts";

/** How a write treats the deadline of its key. */
export type ExpireMode =
  /** No deadline afterwards. */
  | "none"
  /** The deadline stays as it is. */
  | "keep"
  /** `expireMs` milliseconds of group time from the entry's stamp. */
  | "after"
  /** At the wall time `expireMs`, converted to group time with the entry's wall stamp. */
  | "at";

/** The condition of a SET or DELEX. `ifeq`/`ifne` compare the present value with `compare`. */
export type ValueCondition = "always" | "nx" | "xx" | "ifeq" | "ifne";

export interface SetOperation {
  readonly kind: "set";
  readonly db: number;
  readonly key: string;
  readonly value: string;
  readonly when: ValueCondition;
  readonly compare: string;
  readonly expireMode: ExpireMode;
  readonly expireMs: Millis | WallMillis;
  /** `status`: OK or nil (SET, SETEX) · `old`: the old value or nil (SET … GET, GETSET) · `integer`: 1 or 0 (SETNX). */
  readonly answer: "status" | "old" | "integer";
}

/** GETEX: reads and changes the deadline; mode `keep` reads only, `none` is PERSIST. */
export interface GetExpireOperation {
  readonly kind: "getex";
  readonly db: number;
  readonly key: string;
  readonly expireMode: ExpireMode;
  readonly expireMs: Millis | WallMillis;
}

/** MSET, MSETNX. `keys` and `values` have the same length. */
export interface MultiSetOperation {
  readonly kind: "mset";
  readonly db: number;
  readonly keys: readonly string[];
  readonly values: readonly string[];
  /** MSETNX: only if none of the keys exists. */
  readonly onlyIfNone: boolean;
}

/** INCR, DECR, INCRBY, DECRBY: adds a signed 64-bit number. */
export interface IncrementOperation {
  readonly kind: "increment";
  readonly db: number;
  readonly key: string;
  readonly by: bigint;
}

/**
 * EXPIRE, PEXPIRE, EXPIREAT, PEXPIREAT. Redis lets XX stand beside GT or LT: XX GT is GT, since GT
 * never applies to a key without deadline, but LT does, so XX LT is a condition of its own.
 */
export interface ExpireOperation {
  readonly kind: "expire";
  readonly db: number;
  readonly key: string;
  readonly expireMode: "after" | "at";
  readonly expireMs: Millis | WallMillis;
  readonly condition: "always" | "nx" | "xx" | "gt" | "lt" | "xx-lt";
}

/** DELEX and DELIFEQ: deletes one key when the condition holds; answers 1 or 0. */
export interface ConditionalDeleteOperation {
  readonly kind: "delex";
  readonly db: number;
  readonly key: string;
  readonly when: "always" | "ifeq" | "ifne";
  readonly compare: string;
}

/** RENAME, RENAMENX. */
export interface RenameOperation {
  readonly kind: "rename";
  readonly db: number;
  readonly key: string;
  readonly newKey: string;
  readonly onlyIfNone: boolean;
}

/** COPY. */
export interface CopyOperation {
  readonly kind: "copy";
  readonly db: number;
  readonly key: string;
  readonly newDb: number;
  readonly newKey: string;
  readonly replace: boolean;
}

/** Operations on one key without further arguments. */
export interface KeyOperation {
  readonly kind:
    | "get"
    | "getdel"
    | "strlen"
    | "type"
    | "persist"
    | "object-encoding"
    | "object-idletime"
    | "object-refcount";
  readonly db: number;
  readonly key: string;
}

/** Operations on several keys without further arguments. `delete` serves DEL and UNLINK. */
export interface KeysOperation {
  readonly kind: "delete" | "exists" | "touch" | "mget";
  readonly db: number;
  readonly keys: readonly string[];
}

/** APPEND. */
export interface AppendOperation {
  readonly kind: "append";
  readonly db: number;
  readonly key: string;
  readonly value: string;
}

/** TTL, PTTL (`absolute` false), EXPIRETIME, PEXPIRETIME (`absolute` true). */
export interface TimeToLiveOperation {
  readonly kind: "ttl";
  readonly db: number;
  readonly key: string;
  readonly unit: "s" | "ms";
  readonly absolute: boolean;
}

/** FLUSHDB (`db` given) and FLUSHALL (`db` null), for the keys of this group. */
export interface FlushOperation {
  readonly kind: "flush";
  readonly db: number | null;
}

/** KEYS and, with a cursor, one step of SCAN, over the keys of this group. */
export interface ScanOperation {
  readonly kind: "scan";
  readonly db: number;
  /** Row id to go on after; 0 to begin. Answers `[next row id or 0, [key…]]`. */
  readonly cursor: number;
  /** How many keys to look at. */
  readonly count: number;
  /** Glob pattern as in Redis, or null for all. */
  readonly match: string | null;
  /** Lower-case type name, or null for all. */
  readonly type: string | null;
}

/** DBSIZE, RANDOMKEY (`pick` is a random number below 2^32 drawn by the caller), per group. */
export interface DatabaseOperation {
  readonly kind: "dbsize" | "randomkey";
  readonly db: number;
  readonly pick: number;
}

/** EVAL, EVALSHA and their _RO forms. */
export interface EvalOperation {
  readonly kind: "eval";
  readonly db: number;
  /** SHA-1 of the script, 40 lower-case hex digits. */
  readonly sha: string;
  /** The script, or null where the group is known to have it. */
  readonly body: string | null;
  readonly keys: readonly string[];
  readonly args: readonly string[];
  readonly readOnly: boolean;
}

/** SCRIPT LOAD: answers the SHA-1. */
export interface ScriptLoadOperation {
  readonly kind: "script-load";
  readonly sha: string;
  readonly body: string;
}

/** SCRIPT FLUSH, for this group. */
export interface ScriptFlushOperation {
  readonly kind: "script-flush";
}

export type Operation =
  | SetOperation
  | GetExpireOperation
  | MultiSetOperation
  | IncrementOperation
  | ExpireOperation
  | ConditionalDeleteOperation
  | RenameOperation
  | CopyOperation
  | KeyOperation
  | KeysOperation
  | AppendOperation
  | TimeToLiveOperation
  | FlushOperation
  | ScanOperation
  | DatabaseOperation
  | EvalOperation
  | ScriptLoadOperation
  | ScriptFlushOperation
  | LockOperation;

/** Whether an operation may change state and so must pass through the log. */
export function isWrite(operation: Operation): boolean {
  switch (operation.kind) {
    case "set":
    case "mset":
    case "increment":
    case "expire":
    case "delex":
    case "rename":
    case "copy":
    case "getdel":
    case "persist":
    case "delete":
    case "append":
    case "flush":
    case "script-load":
    case "script-flush":
    case "lock-acquire":
    case "lock-acquire-all":
    case "lock-confirm":
    case "lock-release":
    case "lock-renew":
    case "lock-set-options":
    case "lock-revoke":
    case "lock-break":
    case "lock-ticket":
    case "lock-cancel":
    case "lock-withdraw":
    case "lock-session-end":
    case "lock-session-attach":
    case "lock-node-lost":
    case "lock-victim":
      return true;
    case "getex":
      return operation.expireMode !== "keep";
    case "eval":
      return !operation.readOnly;
    case "get":
    case "strlen":
    case "type":
    case "lock-info":
    case "lock-token":
    case "lock-get-options":
    case "lock-check":
    case "lock-queue":
    case "lock-list":
    case "lock-state":
    case "lock-edges":
    case "lock-deadlocks":
    case "object-encoding":
    case "object-idletime":
    case "object-refcount":
    case "exists":
    case "touch":
    case "mget":
    case "ttl":
    case "scan":
    case "dbsize":
    case "randomkey":
      return false;
  }
}
