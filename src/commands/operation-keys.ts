/** The keys of an operation, which say in what group it is executed. */
import { unreachable } from "../base/assert.ts";
import type { Operation } from "../machine/operation.ts";

const NO_KEYS: readonly string[] = [];

/**
 * The key of an operation on one key, or null for those on several keys or none: spares the hot
 * path an array per command.
 */
export function soleKey(operation: Operation): string | null {
  switch (operation.kind) {
    case "set":
    case "getex":
    case "increment":
    case "expire":
    case "delex":
    case "get":
    case "getdel":
    case "strlen":
    case "type":
    case "persist":
    case "lock-info":
    case "lock-token":
    case "lock-acquire":
    case "lock-release":
    case "lock-renew":
    case "lock-set-options":
    case "lock-get-options":
    case "lock-revoke":
    case "lock-break":
    case "lock-check":
    case "lock-queue":
    case "lock-state":
    case "object-encoding":
    case "object-idletime":
    case "object-refcount":
    case "append":
    case "ttl":
      return operation.key;
    case "mset":
    case "delete":
    case "exists":
    case "touch":
    case "mget":
    case "rename":
    case "copy":
    case "eval":
    case "flush":
    case "scan":
    case "dbsize":
    case "randomkey":
    case "script-load":
    case "script-flush":
    case "lock-acquire-all":
    case "lock-confirm":
    case "lock-ticket":
    case "lock-cancel":
    case "lock-withdraw":
    case "lock-session-end":
    case "lock-session-attach":
    case "lock-node-lost":
    case "lock-victim":
    case "lock-list":
    case "lock-edges":
    case "lock-deadlocks":
      return null;
    default:
      return unreachable(operation);
  }
}

/** All keys of an operation, in the order given; empty for one that concerns a whole group. */
export function operationKeys(operation: Operation): readonly string[] {
  if ("keys" in operation) return operation.keys;
  if ("newKey" in operation) return [operation.key, operation.newKey];
  return "key" in operation ? [operation.key] : NO_KEYS;
}
