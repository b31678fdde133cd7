/** One operation on the keyspace; scripts and the script cache are the machine's. */
import type { Reply } from "../base/reply.ts";
import { expire, persist, timeToLive } from "./keyspace/expire-operations.ts";
import {
  copy,
  countPresent,
  deleteIf,
  deleteKeys,
  objectEncoding,
  objectIdleTime,
  objectReferenceCount,
  rename,
  type,
} from "./keyspace/key-operations.ts";
import type { Keyspace } from "./keyspace/keyspace.ts";
import { databaseSize, flush, randomKey, scan } from "./keyspace/scan-operations.ts";
import {
  append,
  get,
  getDelete,
  getExpire,
  increment,
  multiGet,
  multiSet,
  set,
  stringLength,
} from "./keyspace/string-operations.ts";
import { lockInfo, lockToken } from "./locks/lock-info.ts";
import type {
  EvalOperation,
  Operation,
  ScriptFlushOperation,
  ScriptLoadOperation,
} from "./operation.ts";

/** What {@link execute} runs. */
export type KeyspaceOperation = Exclude<
  Operation,
  EvalOperation | ScriptLoadOperation | ScriptFlushOperation
>;

/** Runs one operation at the clocks of the keyspace. */
export function execute(keyspace: Keyspace, operation: KeyspaceOperation): Reply {
  switch (operation.kind) {
    case "set":
      return set(keyspace, operation);
    case "get":
      return get(keyspace, operation);
    case "delete":
      return deleteKeys(keyspace, operation);
    case "delex":
      return deleteIf(keyspace, operation);
    case "expire":
      return expire(keyspace, operation);
    case "ttl":
      return timeToLive(keyspace, operation);
    case "persist":
      return persist(keyspace, operation);
    case "exists":
    case "touch":
      return countPresent(keyspace, operation);
    case "mget":
      return multiGet(keyspace, operation);
    case "mset":
      return multiSet(keyspace, operation);
    case "getex":
      return getExpire(keyspace, operation);
    case "getdel":
      return getDelete(keyspace, operation);
    case "increment":
      return increment(keyspace, operation);
    case "append":
      return append(keyspace, operation);
    case "strlen":
      return stringLength(keyspace, operation);
    case "type":
      return type(keyspace, operation);
    case "rename":
      return rename(keyspace, operation);
    case "copy":
      return copy(keyspace, operation);
    case "lock-info":
      return lockInfo(keyspace, operation);
    case "lock-token":
      return lockToken(keyspace, operation);
    case "object-encoding":
      return objectEncoding(keyspace, operation);
    case "object-idletime":
      return objectIdleTime(keyspace, operation);
    case "object-refcount":
      return objectReferenceCount(keyspace, operation);
    case "scan":
      return scan(keyspace, operation);
    case "dbsize":
      return databaseSize(keyspace, operation);
    case "randomkey":
      return randomKey(keyspace, operation);
    case "flush":
      return flush(keyspace, operation);
  }
}
