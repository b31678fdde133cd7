/**
 * Scripts without Lua: those that nearly every lock client sends, which run natively in production
 * too. Any other is refused; the simulated clients send none.
 */
import { errorReply } from "../base/reply.ts";
import { LEAVE_TO_LUA, NativeCall } from "../machine/script/native-programs.ts";
import type { NativeScript } from "../machine/script/native-scripts.ts";
import { recognise } from "../machine/script/native-scripts.ts";
import type { ScriptEngine } from "../machine/script/port.ts";

const NO_LUA = "ERR the simulator runs the scripts of lock clients only";

const known = new Map<string, NativeScript | null>();

function native(sha: string, body: string): NativeScript | null {
  let script = known.get(sha);
  if (script === undefined) known.set(sha, (script = recognise(body)));
  return script;
}

export const nativeScripts: ScriptEngine = {
  compile: (sha, body) => (native(sha, body) === null ? NO_LUA : null),
  run: (run, host) => {
    const script = native(run.sha, run.body);
    const reply =
      script === null ? LEAVE_TO_LUA : script.program(new NativeCall(run, host, script.callLines));
    return { kind: "done", reply: reply === LEAVE_TO_LUA ? errorReply(NO_LUA) : reply };
  },
};
