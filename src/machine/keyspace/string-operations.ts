/** Values: SET and its kin, GET and its kin, counters, APPEND. */
import type { ErrorReply, Reply } from "../../base/reply.ts";
import { OK } from "../../base/reply.ts";
import { INCREMENT_OVERFLOW, NOT_AN_INTEGER, WRONG_TYPE } from "../errors.ts";
import { isCrowd } from "../locks/lock-facts.ts";
import type {
  AppendOperation,
  GetExpireOperation,
  IncrementOperation,
  KeyOperation,
  KeysOperation,
  MultiSetOperation,
  SetOperation,
  ValueCondition,
} from "../operation.ts";
import { isPast, lastDeadline, writeDeadline } from "./expire-operations.ts";
import { isInt64, parseInteger } from "./integers.ts";
import type { Item } from "./item.ts";
import type { Keyspace } from "./keyspace.ts";
import { growthOf } from "./keyspace.ts";

/** SET, SETNX, SETEX, PSETEX, GETSET. */
export function set(keyspace: Keyspace, operation: SetOperation): Reply {
  const { db, key, value, answer } = operation;
  const item = keyspace.lookup(db, key);
  const old = item === null ? null : item.value;
  const looks = answer === "old" || operation.when === "ifeq" || operation.when === "ifne";
  if (looks && isCrowd(item)) return WRONG_TYPE;
  // What waits, or a delay, keeps a newcomer out as the key would [L2].
  const isKept = item === null && operation.when === "nx" && keyspace.locks.isReserved(db, key);
  if (isKept || !holds(operation.when, old, operation.compare)) {
    return answer === "old" ? old : answer === "integer" ? 0 : null;
  }
  const refusal = keyspace.refusal(db, key, item, value.length);
  if (refusal !== null) return refusal;
  write(keyspace, operation, item);
  return answer === "old" ? old : answer === "integer" ? 1 : OK;
}

function write(keyspace: Keyspace, operation: SetOperation, item: Item | null): void {
  const { db, key, value, expireMode } = operation;
  const presentMs = item === null ? 0 : lastDeadline(item);
  const deadlineMs = writeDeadline(keyspace, operation, presentMs);
  const timed = expireMode === "after" || expireMode === "at";
  if (timed && isPast(keyspace, deadlineMs)) {
    if (item !== null) keyspace.remove(item);
  } else if (item === null) {
    keyspace.create(db, key, value, deadlineMs);
  } else {
    keyspace.update(item, value, deadlineMs);
  }
}

/** Whether a condition holds for the present value, null for a missing key. */
export function holds(when: ValueCondition, present: string | null, compare: string): boolean {
  switch (when) {
    case "always":
      return true;
    case "nx":
      return present === null;
    case "xx":
      return present !== null;
    case "ifeq":
      return present === compare;
    case "ifne":
      return present !== compare;
  }
}

/** MSET and MSETNX, all or nothing. */
export function multiSet(keyspace: Keyspace, operation: MultiSetOperation): Reply {
  const { db, keys, values, onlyIfNone } = operation;
  if (onlyIfNone && keys.some((key) => isTaken(keyspace, db, key))) return 0;
  const refusal = multiSetRefusal(keyspace, operation);
  if (refusal !== null) return refusal;
  for (const [index, key] of keys.entries()) {
    const value = values[index] ?? "";
    const item = keyspace.lookup(db, key);
    if (item === null) keyspace.create(db, key, value, 0);
    else keyspace.update(item, value, 0);
  }
  return onlyIfNone ? 1 : OK;
}

/**
 * Checked before the first write: a refusal half-way would leave the half that was written. A pair
 * that makes room does not count for the others, since a key may be named twice.
 */
function multiSetRefusal(keyspace: Keyspace, operation: MultiSetOperation): ErrorReply | null {
  let promised = 0;
  for (const [index, key] of operation.keys.entries()) {
    const item = keyspace.lookup(operation.db, key);
    const { length } = operation.values[index] ?? "";
    const refusal = keyspace.refusal(operation.db, key, item, length, promised);
    if (refusal !== null) return refusal;
    promised += Math.max(0, growthOf(key, item, length));
  }
  return null;
}

/** Whether a key is there, or is kept for others [L2]. */
export function isTaken(keyspace: Keyspace, db: number, key: string): boolean {
  return keyspace.lookup(db, key) !== null || keyspace.locks.isReserved(db, key);
}

/** GET. */
export function get(keyspace: Keyspace, operation: KeyOperation): Reply {
  return valueOf(keyspace.look(operation.db, operation.key));
}

/** What GET answers. */
export function valueOf(item: Item | null): Reply {
  if (item === null) return null;
  return isCrowd(item) ? WRONG_TYPE : item.value;
}

/** GETDEL. */
export function getDelete(keyspace: Keyspace, operation: KeyOperation): Reply {
  const item = keyspace.lookup(operation.db, operation.key);
  if (item === null) return null;
  if (isCrowd(item)) return WRONG_TYPE;
  keyspace.remove(item);
  return item.value;
}

/** GETEX. */
export function getExpire(keyspace: Keyspace, operation: GetExpireOperation): Reply {
  const item = keyspace.look(operation.db, operation.key);
  if (item === null) return null;
  if (isCrowd(item)) return WRONG_TYPE;
  const { expireMode } = operation;
  const deadlineMs = writeDeadline(keyspace, operation, item.deadlineMs);
  const timed = expireMode === "after" || expireMode === "at";
  if (timed && isPast(keyspace, deadlineMs)) keyspace.remove(item);
  else if (deadlineMs !== item.deadlineMs) keyspace.update(item, item.value, deadlineMs);
  return item.value;
}

/** MGET. */
export function multiGet(keyspace: Keyspace, operation: KeysOperation): Reply {
  return operation.keys.map((key) => {
    const item = keyspace.look(operation.db, key);
    return item === null || isCrowd(item) ? null : item.value;
  });
}

/** STRLEN. */
export function stringLength(keyspace: Keyspace, operation: KeyOperation): Reply {
  const item = keyspace.look(operation.db, operation.key);
  if (item === null) return 0;
  return isCrowd(item) ? WRONG_TYPE : item.value.length;
}

/** INCR, DECR, INCRBY, DECRBY. */
export function increment(keyspace: Keyspace, operation: IncrementOperation): Reply {
  const { db, key } = operation;
  const item = keyspace.lookup(db, key);
  if (isCrowd(item)) return WRONG_TYPE;
  const present = item === null ? 0 : parseInteger(item.value);
  if (present === null) return NOT_AN_INTEGER;
  const sum = add(present, operation.by);
  if (sum === null) return INCREMENT_OVERFLOW;
  const value = String(sum);
  const refusal = keyspace.refusal(db, key, item, value.length);
  if (refusal !== null) return refusal;
  if (item === null) keyspace.create(db, key, value, 0);
  else keyspace.update(item, value, item.deadlineMs);
  return sum;
}

/** The 64-bit sum, a number when it is a safe integer; null when it overflows. */
function add(present: number | bigint, by: bigint): number | bigint | null {
  const step = Number(by);
  if (typeof present === "number" && Number.isSafeInteger(step)) {
    const sum = present + step;
    if (Number.isSafeInteger(sum)) return sum;
  }
  const sum = BigInt(present) + by;
  if (!isInt64(sum)) return null;
  const number = Number(sum);
  return Number.isSafeInteger(number) ? number : sum;
}

/** APPEND. */
export function append(keyspace: Keyspace, operation: AppendOperation): Reply {
  const { db, key } = operation;
  const item = keyspace.lookup(db, key);
  if (isCrowd(item)) return WRONG_TYPE;
  const length = operation.value.length + (item === null ? 0 : item.value.length);
  const refusal = keyspace.refusal(db, key, item, length);
  if (refusal !== null) return refusal;
  if (item === null) keyspace.create(db, key, operation.value, 0);
  else keyspace.update(item, item.value + operation.value, item.deadlineMs);
  return length;
}
