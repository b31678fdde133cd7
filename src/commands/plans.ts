/** Small plans and mergers that several commands use. */
import type { Reply } from "../base/reply.ts";
import { errorReply, isError, OK } from "../base/reply.ts";
import { isWrite } from "../machine/operation.ts";
import type { ScriptCommand } from "../machine/script/port.ts";
import type { Plan, RefusedIfPresent } from "./contract.ts";

/** The answer to a script that calls what only a connection can. */
export const NOT_ALLOWED_IN_SCRIPT: ScriptCommand = {
  kind: "reply",
  reply: errorReply("ERR This Redis command is not allowed from script"),
};

/** Answers at once. */
export function answer(reply: Reply): Plan {
  return { kind: "reply", reply };
}

/** The first error of all groups, or null. */
export function firstError(replies: readonly Reply[]): Reply {
  for (const reply of replies) if (isError(reply)) return reply;
  return null;
}

/**
 * OK when every group has done it. The error of one group says what is so in that group only, so it is
 * the answer only where no group has done anything.
 */
export function mergeOk(replies: readonly Reply[]): Reply {
  const failed = replies.find(isError);
  if (failed === undefined) return OK;
  if (replies.every(isError)) return failed;
  const done = replies.filter((reply) => !isError(reply)).length;
  return errorReply(
    `UNKNOWN ${done} of ${replies.length} groups have done it, the others may not have; ` +
      `send it again (one of them said: ${failed.text})`,
  );
}

/** The sum of the integers that the groups answered. */
export function mergeSum(replies: readonly Reply[]): Reply {
  let sum = 0;
  for (const reply of replies) if (typeof reply === "number") sum += reply;
  return firstError(replies) ?? sum;
}

/** Turns the answer of the operation into the one of a {@link RefusedIfPresent}. */
export function refusing({ refusal }: RefusedIfPresent): (reply: Reply) => Reply {
  return (reply) => (reply === null || reply === 0 || isError(reply) ? reply : refusal);
}

/** A plan for all groups as a script of the only group runs it. */
export function inScript(plan: Plan): ScriptCommand {
  switch (plan.kind) {
    case "reply":
    case "publish":
      return plan;
    case "every-group":
      return {
        kind: "operation",
        operation: plan.operation,
        write: isWrite(plan.operation),
        finish: (reply) => plan.merge([reply]),
      };
    case "group":
    case "operation":
      return { ...plan, kind: "operation", write: isWrite(plan.operation) };
    case "script":
    case "silent":
    case "close":
    case "shutdown":
    case "subscription":
    case "paxos":
    case "lock-wait":
    case "lock-all":
    case "lock-watch":
    case "lock-ticket":
    case "lock-session":
    case "lock-deadlocks":
      return NOT_ALLOWED_IN_SCRIPT;
  }
}

/** Answers a HELP subcommand: a headline, the given lines, and HELP itself, as status replies. */
export function help(command: string, lines: readonly string[]): Plan {
  const text = [
    `${command} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:`,
    ...lines,
    "HELP",
    "    Prints this help.",
  ];
  return answer(text.map((line) => ({ kind: "status", text: line })));
}
