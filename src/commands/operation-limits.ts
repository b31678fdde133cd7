/** Whether an operation is within the bounds of `base/limits.ts`. */
import {
  KEY_BYTES_MAX,
  LOCK_DATA_BYTES_MAX,
  LOCK_OWNER_BYTES_MAX,
  LOCK_REASON_BYTES_MAX,
  OPERATION_BYTES_MAX,
  PATTERN_BYTES_MAX,
  VALUE_BYTES_MAX,
} from "../base/limits.ts";
import type { ErrorReply } from "../base/reply.ts";
import type { Claim } from "../machine/locks/lock-operation.ts";
import type { Operation } from "../machine/operation.ts";
import { overLimit } from "./errors.ts";

/** The error for the first key, value or sum that is past its bound, or null. */
export function limitError(operation: Operation): ErrorReply | null {
  switch (operation.kind) {
    case "set":
    case "delex":
      return (
        keyError(operation.key) ??
        (operation.kind === "set" ? valueError(operation.value) : null) ??
        valueError(operation.compare)
      );
    case "append":
      return keyError(operation.key) ?? valueError(operation.value);
    case "mset":
      return listError(operation.keys, operation.values);
    case "eval":
      return scriptCallError(operation);
    case "script-load":
      return scriptError(operation.body);
    case "delete":
    case "exists":
    case "touch":
    case "mget":
      return listError(operation.keys, NONE);
    case "rename":
    case "copy":
      return keyError(operation.key) ?? keyError(operation.newKey);
    case "scan":
      return operation.match === null ? null : patternError(operation.match);
    case "lock-acquire":
      return keyError(operation.key) ?? claimError(operation);
    case "lock-acquire-all":
      return listError(operation.keys, NONE) ?? claimError(operation);
    case "lock-confirm":
      return listError(operation.keys, operation.tokens);
    case "lock-release":
    case "lock-renew":
      // Compared only, and a lock that came by SET may have any value as its owner.
      return keyError(operation.key) ?? valueError(operation.owner);
    case "lock-revoke":
    case "lock-break":
      return (
        keyError(operation.key) ?? boundError("a reason", operation.reason, LOCK_REASON_BYTES_MAX)
      );
    case "lock-list":
      return (
        (operation.match === null ? null : patternError(operation.match)) ??
        (operation.owner === null ? null : valueError(operation.owner))
      );
    case "flush":
    case "dbsize":
    case "randomkey":
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
      return null;
    case "getex":
    case "increment":
    case "expire":
    case "get":
    case "getdel":
    case "strlen":
    case "type":
    case "persist":
    case "lock-info":
    case "lock-token":
    case "lock-get-options":
    case "lock-set-options":
    case "lock-check":
    case "lock-queue":
    case "lock-state":
    case "object-encoding":
    case "object-idletime":
    case "object-refcount":
    case "ttl":
      return keyError(operation.key);
  }
}

/** The error for a script call: its body, its keys and its arguments. */
export function scriptCallError(call: {
  readonly body: string | null;
  readonly keys: readonly string[];
  readonly args: readonly string[];
}): ErrorReply | null {
  return (call.body === null ? null : scriptError(call.body)) ?? listError(call.keys, call.args);
}

const NONE: readonly string[] = [];

function claimError({ owner, data }: Claim): ErrorReply | null {
  return (
    boundError("an owner", owner, LOCK_OWNER_BYTES_MAX) ??
    boundError("the data of a lock", data, LOCK_DATA_BYTES_MAX)
  );
}

function keyError(key: string): ErrorReply | null {
  return boundError("a key", key, KEY_BYTES_MAX);
}

function patternError(pattern: string): ErrorReply | null {
  return boundError("a pattern", pattern, PATTERN_BYTES_MAX);
}

function valueError(value: string): ErrorReply | null {
  return boundError("a value", value, VALUE_BYTES_MAX);
}

function scriptError(body: string): ErrorReply | null {
  return boundError("a script", body, VALUE_BYTES_MAX);
}

function boundError(what: string, text: string, bytesMax: number): ErrorReply | null {
  return text.length > bytesMax ? overLimit(what, text.length, bytesMax) : null;
}

function listError(keys: readonly string[], values: readonly string[]): ErrorReply | null {
  let bytes = 0;
  for (const key of keys) {
    const error = keyError(key);
    if (error !== null) return error;
    bytes += key.length;
  }
  for (const value of values) {
    const error = valueError(value);
    if (error !== null) return error;
    bytes += value.length;
  }
  return bytes > OPERATION_BYTES_MAX ? overLimit("a request", bytes, OPERATION_BYTES_MAX) : null;
}
