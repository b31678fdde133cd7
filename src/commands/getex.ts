/** GETEX: reads a string and changes its lease. */
import type { ExpireMode } from "../machine/operation.ts";
import { isWord, parseLease } from "./arguments.ts";
import type { CommandSpec, Parsed } from "./contract.ts";
import { SYNTAX_ERROR } from "./errors.ts";
import type { LeaseWord } from "./set.ts";
import { LEASE_ARGUMENTS, leaseWordOf, modeOf, unitOf } from "./set.ts";
import { FIRST_KEY, KEY, keyAt, oneOf, token } from "./spec.ts";

/** Redis looks for the key before it reads the lease, so an absent key answers nil in any case. */
function parseGetex(args: readonly string[], db: number): Parsed {
  const key = args[1] ?? "";
  let persist = false;
  let lease = "";
  let leaseWord: LeaseWord = "";
  for (let index = 2; index < args.length; index += 1) {
    const option = args[index] ?? "";
    if (isWord(option, "persist")) {
      if (leaseWord !== "") return SYNTAX_ERROR;
      persist = true;
      continue;
    }
    const word = leaseWordOf(option);
    const next = args[index + 1];
    if (word === "" || next === undefined || persist) return SYNTAX_ERROR;
    if (leaseWord !== "" && leaseWord !== word) return SYNTAX_ERROR;
    leaseWord = word;
    lease = next;
    index += 1;
  }
  let expireMode: ExpireMode = persist ? "none" : "keep";
  let expireMs = 0;
  if (leaseWord !== "") {
    const milliseconds = parseLease(lease, unitOf(leaseWord), "getex");
    if (typeof milliseconds !== "number") {
      const operation = { kind: "get", db, key } as const;
      return { kind: "refused-if-present", operation, refusal: milliseconds };
    }
    expireMs = milliseconds;
    expireMode = modeOf(leaseWord);
  }
  return { kind: "getex", db, key, expireMode, expireMs };
}

export const getexSpec = {
  name: "getex",
  arity: -2,
  flags: ["write", "fast"],
  categories: ["string"],
  keys: FIRST_KEY,
  keySpecs: [keyAt(1, ["RW", "access", "update"], "RW and update because it changes the lease")],
  group: "string",
  summary: "Returns the string of a key and changes its lease",
  since: "6.2.0",
  complexity: "O(1)",
  arguments: [
    KEY,
    oneOf(
      "expiration",
      [...LEASE_ARGUMENTS.map(({ since: _, ...lease }) => lease), token("PERSIST")],
      { optional: true },
    ),
  ],
  parse: parseGetex,
} as const satisfies CommandSpec;
