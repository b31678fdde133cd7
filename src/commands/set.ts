/** SET: the lock command. A key that comes to be by it is held, and gets a fencing token. */
import type { ErrorReply } from "../base/reply.ts";
import type { ExpireMode, SetOperation, ValueCondition } from "../machine/operation.ts";
import { isWord, parseLease } from "./arguments.ts";
import type { CommandSpec } from "./contract.ts";
import { SYNTAX_ERROR } from "./errors.ts";
import { FIRST_KEY, KEY, keyAt, oneOf, token } from "./spec.ts";

/**
 * Options come in any order; a repeated one counts once more, two that contradict are an error.
 * Redis reads all options before it reads the lease, so a syntax error comes first.
 */
function parseSet(args: readonly string[], db: number): SetOperation | ErrorReply {
  let when: ValueCondition = "always";
  let compare = "";
  let expireMode: ExpireMode = "none";
  let lease = "";
  let leaseWord: LeaseWord = "";
  let old = false;
  for (let index = 3; index < args.length; index += 1) {
    const option = args[index] ?? "";
    const next = args[index + 1];
    const condition = conditionOf(option);
    if (condition !== null) {
      if (when !== "always" && when !== condition) return SYNTAX_ERROR;
      when = condition;
      if (condition === "nx" || condition === "xx") continue;
      if (next === undefined) return SYNTAX_ERROR;
      compare = next;
      index += 1;
    } else if (isWord(option, "get")) {
      old = true;
    } else if (isWord(option, "keepttl")) {
      if (leaseWord !== "") return SYNTAX_ERROR;
      expireMode = "keep";
    } else {
      const word = leaseWordOf(option);
      if (word === "" || next === undefined || expireMode === "keep") return SYNTAX_ERROR;
      if (leaseWord !== "" && leaseWord !== word) return SYNTAX_ERROR;
      leaseWord = word;
      lease = next;
      index += 1;
    }
  }
  let expireMs = 0;
  if (leaseWord !== "") {
    const milliseconds = parseLease(lease, unitOf(leaseWord), "set");
    if (typeof milliseconds !== "number") return milliseconds;
    expireMs = milliseconds;
    expireMode = modeOf(leaseWord);
  }
  return {
    kind: "set",
    db,
    key: args[1] ?? "",
    value: args[2] ?? "",
    when,
    compare,
    expireMode,
    expireMs,
    answer: old ? "old" : "status",
  };
}

function conditionOf(option: string): Exclude<ValueCondition, "always"> | null {
  if (option.length === 2) return isWord(option, "nx") ? "nx" : isWord(option, "xx") ? "xx" : null;
  if (option.length !== 4) return null;
  return isWord(option, "ifeq") ? "ifeq" : isWord(option, "ifne") ? "ifne" : null;
}

/** GET, and a condition on the value, read the key as well. */
function keyFlagsOf(args: readonly string[]): readonly string[] {
  const reads = args
    .slice(3)
    .some((option) => isWord(option, "get") || isWord(option, "ifeq") || isWord(option, "ifne"));
  return reads ? ["RW", "access", "update"] : ["OW", "update"];
}

/** A word that introduces a lease; empty for any other. */
export type LeaseWord = "" | "ex" | "px" | "exat" | "pxat";

export function leaseWordOf(option: string): LeaseWord {
  if (option.length === 2) return isWord(option, "px") ? "px" : isWord(option, "ex") ? "ex" : "";
  if (option.length !== 4) return "";
  return isWord(option, "pxat") ? "pxat" : isWord(option, "exat") ? "exat" : "";
}

/** The unit of the number behind a lease word. */
export function unitOf(word: LeaseWord): "s" | "ms" {
  return word === "ex" || word === "exat" ? "s" : "ms";
}

/** Whether the number behind a lease word is a duration or a point of time. */
export function modeOf(word: LeaseWord): "after" | "at" {
  return word === "ex" || word === "px" ? "after" : "at";
}

/** The four ways to give a lease, for COMMAND DOCS. */
export const LEASE_ARGUMENTS = [
  { name: "seconds", type: "integer", token: "EX", since: "2.6.12" },
  { name: "milliseconds", type: "integer", token: "PX", since: "2.6.12" },
  { name: "unix-time-seconds", type: "unix-time", token: "EXAT", since: "6.2.0" },
  { name: "unix-time-milliseconds", type: "unix-time", token: "PXAT", since: "6.2.0" },
] as const;

export const setSpec = {
  name: "set",
  arity: -3,
  flags: ["write", "denyoom"],
  categories: ["string"],
  keys: FIRST_KEY,
  keySpecs: [
    keyAt(
      1,
      ["RW", "access", "update", "variable_flags"],
      "RW and access because GET returns the value before",
    ),
  ],
  keyFlags: keyFlagsOf,
  group: "string",
  summary: "Sets a string, on a condition and with a lease if asked; the usual way to take a lock",
  since: "1.0.0",
  complexity: "O(1)",
  history: [
    ["2.6.12", "Options EX, PX, NX and XX."],
    ["6.0.0", "Option KEEPTTL."],
    ["6.2.0", "Options GET, EXAT and PXAT."],
    ["7.0.0", "NX and GET may stand together."],
    ["8.4.0", "Options IFEQ and IFNE."],
  ],
  arguments: [
    KEY,
    { name: "value", type: "string" },
    oneOf(
      "condition",
      [
        token("NX"),
        token("XX"),
        { name: "ifeq-value", type: "string", token: "IFEQ", since: "8.4.0" },
        { name: "ifne-value", type: "string", token: "IFNE", since: "8.4.0" },
      ],
      { optional: true, since: "2.6.12" },
    ),
    token("GET", { optional: true, since: "6.2.0" }),
    oneOf("expiration", [...LEASE_ARGUMENTS, token("KEEPTTL", { since: "6.0.0" })], {
      optional: true,
    }),
  ],
  parse: parseSet,
} as const satisfies CommandSpec;
