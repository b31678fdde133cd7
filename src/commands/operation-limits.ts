/** Whether an operation is within the bounds of `base/limits.ts`. */
import {
  KEY_BYTES_MAX,
  OPERATION_BYTES_MAX,
  PATTERN_BYTES_MAX,
  VALUE_BYTES_MAX,
} from "../base/limits.ts";
import type { ErrorReply } from "../base/reply.ts";
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
    case "flush":
    case "dbsize":
    case "randomkey":
    case "script-flush":
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

function keyError(key: string): ErrorReply | null {
  return key.length > KEY_BYTES_MAX ? overLimit("a key", key.length, KEY_BYTES_MAX) : null;
}

function patternError(pattern: string): ErrorReply | null {
  if (pattern.length <= PATTERN_BYTES_MAX) return null;
  return overLimit("a pattern", pattern.length, PATTERN_BYTES_MAX);
}

function valueError(value: string): ErrorReply | null {
  return value.length > VALUE_BYTES_MAX
    ? overLimit("a value", value.length, VALUE_BYTES_MAX)
    : null;
}

function scriptError(body: string): ErrorReply | null {
  return body.length > VALUE_BYTES_MAX ? overLimit("a script", body.length, VALUE_BYTES_MAX) : null;
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
