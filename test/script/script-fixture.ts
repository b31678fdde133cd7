/**
 * Scripts run as a node runs them: one engine, a machine of one group, the commands of the table.
 */
import { createHash } from "node:crypto";
import type { Reply } from "../../src/base/reply.ts";
import { scriptCommands } from "../../src/commands/script-commands.ts";
import { Machine } from "../../src/machine/machine.ts";
import { createLuaEngine } from "../../src/machine/script/engine.ts";
import type { ScriptEngine, ScriptHost } from "../../src/machine/script/port.ts";
import { loadLua } from "../../src/node/load-lua.ts";
import { localEntry } from "../machine/machine-fixture.ts";

/** Compiled once for all tests of a process. */
export const luaModule = loadLua();

/** A new engine; its virtual machine has no history. */
export async function newEngine(redisVersion = "7.2.4"): Promise<ScriptEngine> {
  return createLuaEngine(await luaModule, { redisVersion });
}

/** The name of a script. */
export function shaOf(body: string): string {
  return createHash("sha1").update(body, "latin1").digest("hex");
}

/** One call of a script, and what it runs with. */
export interface Call {
  readonly body: string;
  readonly keys?: readonly string[];
  readonly args?: readonly string[];
  readonly readOnly?: boolean;
}

/** A node of one group, as far as scripts can tell. */
export class ScriptNode {
  readonly machine: Machine;
  #slot = 0;
  nowMs = 1_000_000;

  constructor(scripts: ScriptEngine) {
    this.machine = new Machine({
      scripts,
      commands: scriptCommands,
      owns: () => true,
      ownsEverything: true,
    });
  }

  /** EVAL in an entry of its own. */
  eval({ body, keys = [], args = [], readOnly = false }: Call): Reply {
    this.#slot += 1;
    const operation = {
      kind: "eval",
      db: 0,
      sha: shaOf(body),
      body,
      keys,
      args,
      readOnly,
    } as const;
    const entry = localEntry({
      nowMs: this.nowMs,
      wallMs: 1_700_000_000_123,
      operations: [operation],
    });
    return this.machine.apply(entry, this.#slot)[0] ?? null;
  }
}

/** A host that keeps what it was asked and answers from a list, then nil. */
export class RecordingHost implements ScriptHost {
  readonly calls: string[][] = [];
  readonly #answers: Reply[];

  constructor(answers: readonly Reply[] = []) {
    this.#answers = [...answers];
  }

  call(args: readonly string[]): Reply {
    this.calls.push([...args]);
    return this.#answers.shift() ?? null;
  }
}

/** Runs a script on an engine against `host`. */
export function runScript(
  engine: ScriptEngine,
  { body, keys = [], args = [], readOnly = false }: Call,
  host: ScriptHost = new RecordingHost(),
): ReturnType<ScriptEngine["run"]> {
  return engine.run({ sha: shaOf(body), body, keys, args, readOnly }, host);
}
