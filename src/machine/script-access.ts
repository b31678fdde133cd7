/** What a script may touch: the keys of its own group, one by one. */
import type { Operation } from "./operation.ts";

/** What an operation touches, as far as a script is concerned. */
export type Access = "own" | "foreign" | "everything" | "forbidden";

/** Whether a script may run an operation in a group that owns the keys for which `owns` holds. */
export function accessOf(operation: Operation, owns: (key: string) => boolean): Access {
  switch (operation.kind) {
    case "set":
    case "get":
    case "getex":
    case "getdel":
    case "increment":
    case "append":
    case "strlen":
    case "expire":
    case "ttl":
    case "persist":
    case "type":
    case "delex":
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
      return owns(operation.key) ? "own" : "foreign";
    case "rename":
    case "copy":
      return owns(operation.key) && owns(operation.newKey) ? "own" : "foreign";
    case "mset":
    case "mget":
    case "delete":
    case "exists":
    case "touch":
    case "lock-acquire-all":
    case "lock-confirm":
      return operation.keys.every(owns) ? "own" : "foreign";
    case "scan":
    case "dbsize":
    case "randomkey":
    case "flush":
    case "lock-list":
      return "everything";
    case "eval":
    case "script-load":
    case "script-flush":
    case "lock-ticket":
    case "lock-cancel":
    case "lock-withdraw":
    case "lock-session-end":
    case "lock-session-attach":
    case "lock-node-lost":
    case "lock-victim":
    case "lock-edges":
    case "lock-deadlocks":
      return "forbidden";
  }
}
