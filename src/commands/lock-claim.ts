/** What LOCK.ACQUIRE and LOCK.ACQUIREALL have in common: how a request waits and what it takes. */
import {
  LOCK_CLAIM_MS_DEFAULT,
  LOCK_PERMITS_MAX,
  LOCK_PRIORITY_MAX,
  LOCK_WAIT_MS_MAX,
} from "../base/limits.ts";
import type { ErrorReply } from "../base/reply.ts";
import type { Asker, Claim } from "../machine/locks/lock-operation.ts";
import { parseLease } from "./arguments.ts";
import type { ArgumentSpec } from "./contract.ts";
import { EMPTY_OWNER, notInScripts, permitsAboveLimit, SYNTAX_ERROR } from "./errors.ts";
import type { GivenOptions, OptionList } from "./lock-arguments.ts";
import { parseBounded, parseWait, readOptions, WAIT } from "./lock-arguments.ts";
import { oneOf, token } from "./spec.ts";

/** Who asks, as long as nobody is known: in a script, and until the server fills it in. */
export const NOBODY: Asker = { session: "", node: 0, boot: 0, request: 0, address: "" };

const COMMON = [
  ["wait", 1],
  ["exclusive", 0],
  ["shared", 0],
  ["permits", 3],
  ["priority", 1],
  ["reentrant", 0],
  ["bind", 0],
  ["delay", 1],
  ["data", 1],
] as const;

/** Those that answer a ticket are for one lock only. */
const WITH_TICKET = [...COMMON, ["async", 0], ["claim", 1]] as const;

type Word = (typeof WITH_TICKET)[number][0];
type Given = GivenOptions<Word | `${Word} of`>;

/** Where the owner is, and what is asked of it. */
export interface ClaimForm {
  /** Of the command, for Redis's text about leases. */
  readonly name: string;
  readonly db: number;
  /** The index of the owner; the lease and the options follow. */
  readonly ownerIndex: number;
  readonly tickets: boolean;
  /** Nobody can wait there, and there is no connection to bind anything to. */
  readonly inScript: boolean;
}

/** The claim, and whether and how a ticket stands for it. */
export interface ParsedClaim extends Claim {
  readonly kind: "claim";
  readonly async: boolean;
  readonly claimMs: number;
}

/**
 * Owner, lease and options. The syntax of all is looked at first, as Redis does, then the values in
 * the order of the command's documentation.
 */
export function parseClaim(args: readonly string[], form: ClaimForm): ParsedClaim | ErrorReply {
  const { ownerIndex, inScript } = form;
  const options: OptionList<Word> = form.tickets ? WITH_TICKET : COMMON;
  const given: Given | ErrorReply = readOptions(args, ownerIndex + 2, options);
  if ("kind" in given) return given;
  const isAsync = given.has("async");
  const bind = given.has("bind");
  if (modesGiven(given) > 1 || (given.has("claim") && !isAsync)) return SYNTAX_ERROR;
  if (inScript && isAsync) return notInScripts("ASYNC");
  if (inScript && bind) return notInScripts("BIND");
  const owner = args[ownerIndex] ?? "";
  if (owner === "") return EMPTY_OWNER;
  const lease = args[ownerIndex + 1] ?? "";
  const ttlMs = bind && lease === "0" ? 0 : parseLease(lease, "ms", form.name);
  if (typeof ttlMs !== "number") return ttlMs;
  // A ticket that waits for nothing would be of no use: it waits until it is granted or cancelled.
  const waitMs = valueOr(given.get("wait"), isAsync ? LOCK_WAIT_MS_MAX : 0, parseWait);
  if (typeof waitMs !== "number") return waitMs;
  const mode = parseMode(given);
  if ("kind" in mode) return mode;
  const priority = valueOr(given.get("priority"), 0, parsePriority);
  if (typeof priority !== "number") return priority;
  const delayMs = valueOr(given.get("delay"), 0, parseDelay);
  if (typeof delayMs !== "number") return delayMs;
  const claimMs = valueOr(given.get("claim"), LOCK_CLAIM_MS_DEFAULT, parseClaimTime);
  if (typeof claimMs !== "number") return claimMs;
  return {
    kind: "claim",
    ...NOBODY,
    db: form.db,
    owner,
    ttlMs,
    waitMs: inScript ? 0 : waitMs,
    ...mode,
    priority,
    reentrant: given.has("reentrant"),
    bind,
    delayMs,
    data: given.get("data") ?? "",
    async: isAsync,
    claimMs,
  };
}

function modesGiven(given: Given): number {
  return (
    Number(given.has("exclusive")) + Number(given.has("shared")) + Number(given.has("permits"))
  );
}

function parseMode(given: Given): Pick<Claim, "mode" | "permits" | "limit"> | ErrorReply {
  const text = given.get("permits");
  if (text === undefined) {
    return { mode: given.has("shared") ? "shared" : "exclusive", permits: 1, limit: 0 };
  }
  const permits = parseBounded(text, "PERMITS", [1, LOCK_PERMITS_MAX]);
  if (typeof permits !== "number") return permits;
  const limit = parseBounded(given.get("permits of") ?? "", "the limit of PERMITS", [
    1,
    LOCK_PERMITS_MAX,
  ]);
  if (typeof limit !== "number") return limit;
  return permits > limit ? permitsAboveLimit(permits, limit) : { mode: "permits", permits, limit };
}

function valueOr(
  text: string | undefined,
  absent: number,
  parse: (text: string) => number | ErrorReply,
): number | ErrorReply {
  return text === undefined ? absent : parse(text);
}

function parsePriority(text: string): number | ErrorReply {
  return parseBounded(text, "PRIORITY", [0, LOCK_PRIORITY_MAX]);
}

/** A DELAY in milliseconds. */
export function parseDelay(text: string): number | ErrorReply {
  return parseBounded(text, "DELAY", [0, LOCK_WAIT_MS_MAX]);
}

function parseClaimTime(text: string): number | ErrorReply {
  return parseBounded(text, "CLAIM", [1, LOCK_WAIT_MS_MAX]);
}

/** A DELAY, for COMMAND DOCS. */
export const DELAY: ArgumentSpec = {
  name: "delay-ms",
  type: "integer",
  token: "DELAY",
  optional: true,
};

/** What both commands take behind the lease, for COMMAND DOCS. */
export const CLAIM_ARGUMENTS: readonly ArgumentSpec[] = [
  WAIT,
  oneOf(
    "mode",
    [
      token("EXCLUSIVE"),
      token("SHARED"),
      {
        name: "permits-of-limit",
        type: "block",
        arguments: [
          { name: "permits", type: "integer", token: "PERMITS" },
          { name: "limit", type: "integer", token: "OF" },
        ],
      },
    ],
    { optional: true },
  ),
  { name: "priority", type: "integer", token: "PRIORITY", optional: true },
  token("REENTRANT", { optional: true }),
  token("BIND", { optional: true }),
  DELAY,
];

/** The last option, for COMMAND DOCS. */
export const DATA: ArgumentSpec = { name: "data", type: "string", token: "DATA", optional: true };
