/**
 * The border between the lock machine and its Lua engine.
 *
 * The engine runs a script body against a {@link ScriptHost}; it holds no state that a replica
 * could see. The machine keeps the scripts (replicated), undoes the effects of a script that broke
 * a bound, and decides what a command inside a script means.
 */
import type { Reply } from "../../base/reply.ts";
import type { Operation } from "../operation.ts";

/** What a running script may ask of the machine. */
export interface ScriptHost {
  /** `redis.call`: executes one command of the script; an error reply is raised or returned by the engine. */
  call(args: readonly string[]): Reply;
  /** `redis.log`: level 0 (debug) to 3 (warning). Nothing depends on it. */
  log?(level: number, text: string): void;
  /** Called before the first command of a script that declared `#!lua flags=no-writes`. */
  forbidWrites?(): void;
  /** Short cuts of `call` for scripts that run natively; without them those use `call`. */
  readonly direct?: DirectCommands;
}

/**
 * Commands of the frequent lock scripts without an argument array to build and parse. Each does and
 * answers exactly what `call` would with the command named. Milliseconds are whole, at least 1 and
 * below 2^52.
 */
export interface DirectCommands {
  /** `GET key` */
  get(key: string): Reply;
  /** `DEL key` */
  delete(key: string): Reply;
  /** `EXISTS key` */
  exists(key: string): Reply;
  /** `SET key value PX milliseconds` */
  setFor(key: string, value: string, milliseconds: number): Reply;
  /** `PEXPIRE key milliseconds` */
  expireAfter(key: string, milliseconds: number): Reply;
  /** `PTTL key` */
  timeToLive(key: string): Reply;
}

/** How a script ended. */
export type ScriptOutcome =
  /** It returned or raised; `reply` may be an error. Effects so far stay, as in Redis. */
  | { readonly kind: "done"; readonly reply: Reply }
  /** It broke a bound (instructions, memory, depth): all effects must be undone. */
  | { readonly kind: "aborted"; readonly reply: Reply };

export interface ScriptRun {
  readonly sha: string;
  readonly body: string;
  readonly keys: readonly string[];
  readonly args: readonly string[];
  readonly readOnly: boolean;
  /** The protocol of the calling client does not matter: values convert by RESP2 rules unless the script asks `redis.setresp(3)`. */
}

/** Runs Lua 5.1 scripts; deterministic: same script, arguments and host answers, same outcome. */
export interface ScriptEngine {
  /** The error for a body that does not compile, or null. Keeps the compiled form. */
  compile(sha: string, body: string): string | null;
  run(run: ScriptRun, host: ScriptHost): ScriptOutcome;
}

/** Parses a command that a script calls, given by the composition root from the command table. */
export interface ScriptCommands {
  /** The operation for `args` (name first), an error text as Redis gives it inside scripts, or a finished reply. */
  parse(args: readonly string[], db: number): ScriptCommand;
}

export type ScriptCommand =
  | {
      readonly kind: "operation";
      readonly operation: Operation;
      readonly write: boolean;
      /** What the script gets instead of the machine's answer. */
      readonly finish?: (reply: Reply) => Reply;
    }
  | { readonly kind: "select"; readonly db: number }
  /** A message for subscribers, if the script comes to its end. */
  | { readonly kind: "publish"; readonly channel: string; readonly message: string }
  | { readonly kind: "time" }
  /** `write`: a command that writes was refused for its arguments. */
  | { readonly kind: "reply"; readonly reply: Reply; readonly write?: boolean };
