/** Keys as such: DEL, EXISTS, TYPE, TOUCH, RENAME, COPY, OBJECT. */
import type { Reply } from "../../base/reply.ts";
import { OK, status } from "../../base/reply.ts";
import { NO_SUCH_KEY, SAME_OBJECT, WRONG_TYPE } from "../errors.ts";
import { isCrowd } from "../locks/lock-facts.ts";
import type {
  ConditionalDeleteOperation,
  CopyOperation,
  KeyOperation,
  KeysOperation,
  RenameOperation,
} from "../operation.ts";
import { parseInteger } from "./integers.ts";
import type { Item } from "./item.ts";
import type { Keyspace } from "./keyspace.ts";
import { holds, isTaken } from "./string-operations.ts";

/** DEL, UNLINK. */
export function deleteKeys(keyspace: Keyspace, operation: KeysOperation): Reply {
  let count = 0;
  for (const key of operation.keys) {
    const item = keyspace.lookup(operation.db, key);
    if (item === null) continue;
    keyspace.remove(item);
    count += 1;
  }
  return count;
}

/** DELEX, DELIFEQ. */
export function deleteIf(keyspace: Keyspace, operation: ConditionalDeleteOperation): Reply {
  const item = keyspace.lookup(operation.db, operation.key);
  if (operation.when !== "always" && isCrowd(item)) return WRONG_TYPE;
  if (item === null || !holds(operation.when, item.value, operation.compare)) return 0;
  keyspace.remove(item);
  return 1;
}

/** EXISTS and TOUCH: how many are there; a key named twice counts twice. */
export function countPresent(keyspace: Keyspace, operation: KeysOperation): Reply {
  let count = 0;
  for (const key of operation.keys) if (keyspace.look(operation.db, key) !== null) count += 1;
  return count;
}

const STRING = status("string");
const LOCK = status("lock");
const NONE = status("none");

/** TYPE. */
export function type(keyspace: Keyspace, operation: KeyOperation): Reply {
  const item = keyspace.look(operation.db, operation.key);
  if (item === null) return NONE;
  return isCrowd(item) ? LOCK : STRING;
}

/** RENAME, RENAMENX. */
export function rename(keyspace: Keyspace, operation: RenameOperation): Reply {
  const { db, key, newKey, onlyIfNone } = operation;
  const item = keyspace.lookup(db, key);
  if (item === null) return NO_SUCH_KEY;
  if (isCrowd(item)) return WRONG_TYPE;
  if (key === newKey) return onlyIfNone ? 0 : OK;
  if (onlyIfNone && isTaken(keyspace, db, newKey)) return 0;
  const target = keyspace.lookup(db, newKey);
  const refusal = target === null ? keyspace.renameRefusal(item, newKey) : null;
  if (refusal !== null) return refusal;
  keyspace.remove(item);
  place(keyspace, { db, key: newKey, target, from: item });
  return onlyIfNone ? 1 : OK;
}

/** COPY. */
export function copy(keyspace: Keyspace, operation: CopyOperation): Reply {
  const { db, key, newDb, newKey } = operation;
  if (db === newDb && key === newKey) return SAME_OBJECT;
  const item = keyspace.lookup(db, key);
  if (item === null) return 0;
  if (isCrowd(item)) return WRONG_TYPE;
  if (!operation.replace && isTaken(keyspace, newDb, newKey)) return 0;
  const target = keyspace.lookup(newDb, newKey);
  const refusal = keyspace.refusal(newDb, newKey, target, item.value.length);
  if (refusal !== null) return refusal;
  place(keyspace, { db: newDb, key: newKey, target, from: item });
  return 1;
}

/** The target of RENAME and COPY is granted anew, whatever it held before. */
function place(
  keyspace: Keyspace,
  to: {
    readonly db: number;
    readonly key: string;
    readonly target: Item | null;
    readonly from: Item;
  },
): void {
  const { value, deadlineMs } = to.from;
  if (to.target === null) keyspace.create(to.db, to.key, value, deadlineMs);
  else keyspace.update(to.target, value, deadlineMs, true);
}

/** The longest value Redis keeps in one allocation with its header. */
const EMBEDDED_BYTES_MAX = 44;

/** Below this, Redis shares the objects of small integers and reports a reference count for ever. */
const SHARED_INTEGERS = 10_000;
const SHARED_REFERENCES = 2_147_483_647;

/** OBJECT ENCODING, by the value alone (Redis also remembers that a value was appended to). */
export function objectEncoding(keyspace: Keyspace, operation: KeyOperation): Reply {
  const item = keyspace.lookup(operation.db, operation.key);
  if (item === null) return null;
  if (isCrowd(item)) return "raw";
  if (parseInteger(item.value) !== null) return "int";
  return item.value.length <= EMBEDDED_BYTES_MAX ? "embstr" : "raw";
}

/** OBJECT REFCOUNT. */
export function objectReferenceCount(keyspace: Keyspace, operation: KeyOperation): Reply {
  const item = keyspace.lookup(operation.db, operation.key);
  if (item === null) return null;
  const value = parseInteger(item.value);
  return value !== null && value >= 0 && value < SHARED_INTEGERS ? SHARED_REFERENCES : 1;
}

/** OBJECT IDLETIME in seconds since the last *write*: reads do not pass through the log. */
export function objectIdleTime(keyspace: Keyspace, operation: KeyOperation): Reply {
  const item = keyspace.lookup(operation.db, operation.key);
  if (item === null) return null;
  return Math.floor(Math.max(0, keyspace.nowMs - item.writtenMs) / 1000);
}
