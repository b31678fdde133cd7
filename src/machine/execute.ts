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
import { acquire, acquireAll } from "./locks/acquire.ts";
import { lockDeadlocks, lockEdges } from "./locks/edges.ts";
import { listLocks } from "./locks/lock-list.ts";
import {
  checkToken,
  getOptions,
  lockInfo,
  lockQueue,
  lockState,
  lockToken,
} from "./locks/lock-view.ts";
import { breakLock, confirm, release, renew, setOptions, withdraw } from "./locks/release.ts";
import { nodeLost, sessionAttach, sessionEnd } from "./locks/sessions.ts";
import { ticket } from "./locks/tickets.ts";
import { refuseVictim } from "./locks/victim.ts";
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
    case "lock-acquire":
      return acquire(keyspace, operation);
    case "lock-acquire-all":
      return acquireAll(keyspace, operation);
    case "lock-confirm":
      return confirm(keyspace, operation);
    case "lock-release":
      return release(keyspace, operation);
    case "lock-renew":
      return renew(keyspace, operation);
    case "lock-set-options":
      return setOptions(keyspace, operation);
    case "lock-get-options":
      return getOptions(keyspace, operation);
    case "lock-revoke":
    case "lock-break":
      return breakLock(keyspace, operation);
    case "lock-ticket":
    case "lock-cancel":
      return ticket(keyspace, operation);
    case "lock-withdraw":
      return withdraw(keyspace, operation);
    case "lock-session-end":
      return sessionEnd(keyspace, operation);
    case "lock-session-attach":
      return sessionAttach(keyspace, operation);
    case "lock-node-lost":
      return nodeLost(keyspace, operation);
    case "lock-victim":
      return refuseVictim(keyspace, operation);
    case "lock-check":
      return checkToken(keyspace, operation);
    case "lock-queue":
      return lockQueue(keyspace, operation);
    case "lock-list":
      return listLocks(keyspace, operation);
    case "lock-state":
      return lockState(keyspace, operation);
    case "lock-edges":
      return lockEdges(keyspace, operation);
    case "lock-deadlocks":
      return lockDeadlocks(keyspace);
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
