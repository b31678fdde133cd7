/** Small plans and mergers that several commands use. */
import type { Reply } from "../base/reply.ts";
import { isError, OK } from "../base/reply.ts";
import type { Plan } from "./contract.ts";

/** Answers at once. */
export function answer(reply: Reply): Plan {
  return { kind: "reply", reply };
}

/** The first error of all groups, or null. */
export function firstError(replies: readonly Reply[]): Reply {
  for (const reply of replies) if (isError(reply)) return reply;
  return null;
}

/** OK unless a group answered an error. */
export function mergeOk(replies: readonly Reply[]): Reply {
  return firstError(replies) ?? OK;
}

/** The sum of the integers that the groups answered. */
export function mergeSum(replies: readonly Reply[]): Reply {
  let sum = 0;
  for (const reply of replies) if (typeof reply === "number") sum += reply;
  return firstError(replies) ?? sum;
}

/** Answers a HELP subcommand: a headline, the given lines, and HELP itself, as status replies. */
export function help(command: string, lines: readonly string[]): Plan {
  const text = [
    `${command} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:`,
    ...lines,
    "HELP",
    "    Print this help.",
  ];
  return answer(text.map((line) => ({ kind: "status", text: line })));
}
