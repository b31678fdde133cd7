/** LOCK.RELEASE and LOCK.RENEW: what a holder does with its lock. */
import { EXPIRE_MS_MAX } from "../base/limits.ts";
import { parseInteger } from "./arguments.ts";
import type { CommandSpec, Parsed } from "./contract.ts";
import { invalidExpireTime, NOT_AN_INTEGER } from "./errors.ts";
import { OWNER, readOptions, TOKEN, tokenError, TTL } from "./lock-arguments.ts";
import { FIRST_KEY, KEY, keyAt, token } from "./spec.ts";

const RELEASE_OPTIONS = [
  ["token", 1],
  ["all", 0],
] as const;
const RENEW_OPTIONS = [["token", 1]] as const;

function parseRelease(args: readonly string[], db: number): Parsed {
  const given = readOptions(args, 3, RELEASE_OPTIONS);
  if ("kind" in given) return given;
  const wanted = given.get("token");
  const error = wanted === undefined ? null : tokenError(wanted);
  if (error !== null) return error;
  return {
    kind: "lock-release",
    db,
    key: args[1] ?? "",
    owner: args[2] ?? "",
    token: wanted ?? "",
    all: given.has("all"),
  };
}

/** A lease of 0 is one without end, which only a bound lock may have: that the machine knows. */
function parseRenew(args: readonly string[], db: number): Parsed {
  const given = readOptions(args, 4, RENEW_OPTIONS);
  if ("kind" in given) return given;
  const ttlMs = parseInteger(args[3] ?? "");
  if (ttlMs === null) return NOT_AN_INTEGER;
  if (ttlMs < 0 || ttlMs > EXPIRE_MS_MAX) return invalidExpireTime("lock.renew");
  const wanted = given.get("token");
  const error = wanted === undefined ? null : tokenError(wanted);
  if (error !== null) return error;
  return {
    kind: "lock-renew",
    db,
    key: args[1] ?? "",
    owner: args[2] ?? "",
    ttlMs: Number(ttlMs),
    token: wanted ?? "",
  };
}

const shape = {
  flags: ["write", "fast"],
  categories: ["keyspace"],
  keys: FIRST_KEY,
  group: "lock",
  since: "0.1.0",
} as const;

export const lockReleaseSpec = {
  ...shape,
  name: "lock.release",
  arity: -3,
  keySpecs: [keyAt(1, ["RW", "access", "delete"])],
  summary: "Releases a lock of an owner, or one hold of it; the next in the queue gets it",
  complexity: "O(log(N)) with N waiters",
  arguments: [KEY, OWNER, TOKEN, token("ALL", { optional: true })],
  parse: parseRelease,
} as const satisfies CommandSpec;

export const lockRenewSpec = {
  ...shape,
  name: "lock.renew",
  arity: -4,
  keySpecs: [keyAt(1, ["RW", "access", "update"])],
  summary: "Sets the lease of a lock that an owner holds; returns nil when it holds it no more",
  complexity: "O(1)",
  arguments: [KEY, OWNER, TTL, TOKEN],
  parse: parseRenew,
} as const satisfies CommandSpec;
