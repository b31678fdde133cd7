/**
 * Commands as scripts call them: the same table, with Redis's own error texts for scripts.
 *
 * Which keys a script may touch, and that a read-only script may not write, is for the machine to
 * say, which knows its group. Nothing here depends on a node, a clock or a connection, so that all
 * replicas parse a script's commands alike.
 */
import { errorReply } from "../base/reply.ts";
import type { ScriptCommand, ScriptCommands } from "../machine/script/port.ts";
import type { Parsed } from "./contract.ts";
import { limitError } from "./operation-limits.ts";
import { NOT_ALLOWED_IN_SCRIPT, refusing } from "./plans.ts";
import { hasArity, lookup } from "./table.ts";

const UNKNOWN: ScriptCommand = {
  kind: "reply",
  reply: errorReply("ERR Unknown Redis command called from script"),
};

const WRONG_ARITY: ScriptCommand = {
  kind: "reply",
  reply: errorReply("ERR Wrong number of args calling Redis command from script"),
};

/** Parses what scripts call; without state, so that all groups share it. */
export const scriptCommands: ScriptCommands = {
  parse: (args, db) => {
    const command = lookup(args);
    if (command === null) return UNKNOWN;
    const { spec, write, inScripts } = command;
    if (!hasArity(spec, args.length)) return WRONG_ARITY;
    if (!inScripts) return NOT_ALLOWED_IN_SCRIPT;
    if (spec.parse !== undefined) return fromParsed(spec.parse(args, db), write);
    if (spec.script === undefined) return NOT_ALLOWED_IN_SCRIPT;
    const own = spec.script(args, db);
    if (own.kind === "operation") {
      const error = limitError(own.operation);
      if (error !== null) return { kind: "reply", reply: error, write };
    }
    return own.kind === "reply" && write ? { ...own, write } : own;
  },
};

function fromParsed(parsed: Parsed, write: boolean): ScriptCommand {
  if (parsed.kind === "error") return { kind: "reply", reply: parsed, write };
  const refused = parsed.kind === "refused-if-present";
  const operation = refused ? parsed.operation : parsed;
  const error = limitError(operation);
  if (error !== null) return { kind: "reply", reply: error, write };
  return refused
    ? { kind: "operation", operation, write, finish: refusing(parsed) }
    : { kind: "operation", operation, write };
}
