/**
 * What the recognised scripts do, in TypeScript. A program answers what Lua would have answered, or,
 * before it has called anything, that it leaves the run to Lua.
 */
import { assert } from "../../base/assert.ts";
import { EXPIRE_MS_MAX } from "../../base/limits.ts";
import { errorReply, isError, type ErrorReply, type Reply } from "../../base/reply.ts";
import { argumentText } from "./number-text.ts";
import type { DirectCommands, ScriptHost, ScriptRun } from "./port.ts";

/** Answers of {@link NativeProgram} that are not replies. */
export const LEAVE_TO_LUA = Symbol("leave to Lua");

export type NativeProgram = (call: NativeCall) => Reply | typeof LEAVE_TO_LUA;

/** More keys than this are left to Lua, which counts its steps. */
export const NATIVE_KEYS_MAX = 256;

/** A run of a recognised script. */
export class NativeCall {
  readonly keys: readonly string[];
  readonly args: readonly string[];
  readonly #host: ScriptHost;
  readonly #direct: DirectCommands | null;
  readonly #sha: string;
  readonly #lines: readonly number[];

  constructor(run: ScriptRun, host: ScriptHost, lines: readonly number[]) {
    this.keys = run.keys;
    this.args = run.args;
    this.#host = host;
    this.#direct = host.direct ?? null;
    this.#sha = run.sha;
    this.#lines = lines;
  }

  get(key: string): Reply {
    return this.#direct === null ? this.#host.call(["get", key]) : this.#direct.get(key);
  }

  exists(key: string): Reply {
    return this.#direct === null ? this.#host.call(["exists", key]) : this.#direct.exists(key);
  }

  delete(key: string): Reply {
    return this.#direct === null ? this.#host.call(["del", key]) : this.#direct.delete(key);
  }

  timeToLive(key: string): Reply {
    return this.#direct === null ? this.#host.call(["pttl", key]) : this.#direct.timeToLive(key);
  }

  expireAfter(key: string, milliseconds: string): Reply {
    const plain = plainMilliseconds(milliseconds);
    if (this.#direct === null || plain === 0) {
      return this.#host.call(["pexpire", key, milliseconds]);
    }
    return this.#direct.expireAfter(key, plain);
  }

  setFor(key: string, value: string, milliseconds: string): Reply {
    const plain = plainMilliseconds(milliseconds);
    if (this.#direct === null || plain === 0) {
      return this.#host.call(["set", key, value, "PX", milliseconds]);
    }
    return this.#direct.setFor(key, value, plain);
  }

  call(args: readonly string[]): Reply {
    return this.#host.call(args);
  }

  /** The reply of a script in which the `at`-th command, from 0, raised an error. */
  raise(error: ErrorReply, at: number): ErrorReply {
    return errorReply(
      `${error.text} script: ${this.#sha}, on @user_script:${this.#lines[at] ?? 0}.`,
    );
  }

  /** The reply of a script that returns what the `at`-th command answered. */
  pass(reply: Reply, at: number): Reply {
    if (isError(reply)) return this.raise(reply, at);
    const isNilArray = typeof reply === "object" && reply !== null && "kind" in reply;
    return isNilArray && reply.kind === "nil-array" ? null : reply;
  }
}

/** The milliseconds that a text in plain digits stands for, or 0 for any other text. */
function plainMilliseconds(text: string): number {
  if (text.length > 15) return 0;
  let value = 0;
  for (let at = 0; at < text.length; at += 1) {
    const digit = text.charCodeAt(at) - 48;
    // A leading zero is for Redis to refuse.
    if (digit < 0 || digit > 9 || (digit === 0 && at === 0)) return 0;
    value = value * 10 + digit;
  }
  return value < EXPIRE_MS_MAX ? value : 0;
}

/** What is done with a key whose value is `ARGV[1]`. */
export type Action = "del" | "unlink" | "pexpire" | "expire" | "set";

/** What a compare-and-act script answers. */
export interface Answers {
  /** `null` for what the command answered. */
  readonly match: number | null;
  readonly mismatch: Reply;
  readonly missing: Reply;
}

/** `GET KEYS[1]`, and if it is `ARGV[1]`, one command on `KEYS[1]` with `ARGV[2]`. */
export function compareAnd(action: Action, answers: Answers): NativeProgram {
  const argumentCount = action === "del" || action === "unlink" ? 1 : 2;
  return (call) => {
    const { keys, args } = call;
    const [key] = keys;
    const [value, time = ""] = args;
    if (key === undefined || value === undefined || args.length < argumentCount) {
      return LEAVE_TO_LUA;
    }
    const present = call.get(key);
    if (isError(present)) return call.raise(present, 0);
    if (present !== value) return present === null ? answers.missing : answers.mismatch;
    const reply = act(call, action, key, { value, time });
    return answers.match === null || isError(reply) ? call.pass(reply, 1) : answers.match;
  };
}

function act(
  call: NativeCall,
  action: Action,
  key: string,
  { value, time }: { readonly value: string; readonly time: string },
): Reply {
  switch (action) {
    case "del":
      return call.delete(key);
    case "unlink":
      return call.call(["unlink", key]);
    case "pexpire":
      return call.expireAfter(key, time);
    case "expire":
      return call.call(["expire", key, time]);
    case "set":
      return call.setFor(key, value, time);
  }
}

/** redsync's touch: extends the lease of its own lock and takes a free one. */
export const touchOrSet: NativeProgram = (call) => {
  const [key] = call.keys;
  const [value, time] = call.args;
  if (key === undefined || value === undefined || time === undefined) return LEAVE_TO_LUA;
  const present = call.get(key);
  if (isError(present)) return call.raise(present, 0);
  if (present === value) return call.pass(call.expireAfter(key, time), 1);
  const reply = call.call(["set", key, value, "PX", time, "NX"]);
  if (isError(reply)) return call.raise(reply, 2);
  return reply === null ? 0 : 1;
};

/** redis-py's extend: adds `ARGV[2]` to the lease, or if `ARGV[3]` says so, begins it anew. */
export const addToLease: NativeProgram = (call) => {
  const [key] = call.keys;
  const [value, time, anew] = call.args;
  if (key === undefined || value === undefined || time === undefined) return LEAVE_TO_LUA;
  const added = plainMilliseconds(time);
  if (added === 0) return LEAVE_TO_LUA;
  const present = call.get(key);
  if (isError(present)) return call.raise(present, 0);
  if (present !== value) return 0;
  const left = call.timeToLive(key);
  if (isError(left)) return call.raise(left, 1);
  assert(typeof left === "number", "PTTL answers a number");
  if (left < 0) return 0;
  const reply = call.expireAfter(key, anew === "0" ? argumentText(left + added) : time);
  return isError(reply) ? call.raise(reply, 2) : 1;
};

/** Redlock's acquire: takes all keys if none exists. */
export const setAllIfNone: NativeProgram = (call) => {
  const { keys, args } = call;
  const [value, time] = args;
  if (value === undefined || time === undefined) return LEAVE_TO_LUA;
  for (const key of keys) {
    const reply = call.exists(key);
    if (isError(reply)) return call.raise(reply, 0);
    if (reply === 1) return 0;
  }
  return setAll(call, value, time);
};

/** Redlock's extend: a new lease for all keys if all have the value. */
export const setAllIfEqual: NativeProgram = (call) => {
  const { keys, args } = call;
  const [value, time] = args;
  if (value === undefined || time === undefined) return LEAVE_TO_LUA;
  for (const key of keys) {
    const reply = call.get(key);
    if (isError(reply)) return call.raise(reply, 0);
    if (reply !== value) return 0;
  }
  return setAll(call, value, time);
};

function setAll(call: NativeCall, value: string, time: string): Reply {
  for (const key of call.keys) {
    const reply = call.setFor(key, value, time);
    if (isError(reply)) return call.raise(reply, 1);
  }
  return call.keys.length;
}

/** Redlock's release: deletes the keys that have the value; whether that succeeds is not looked at. */
export const deleteAllEqual: NativeProgram = (call) => {
  const { keys, args } = call;
  const [value] = args;
  if (value === undefined) return LEAVE_TO_LUA;
  let count = 0;
  for (const key of keys) {
    const reply = call.get(key);
    if (isError(reply)) return call.raise(reply, 0);
    if (reply !== value) continue;
    call.delete(key);
    count += 1;
  }
  return count;
};
