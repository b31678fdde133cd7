/**
 * CLUSTER, READONLY, READWRITE, ASKING: as a Redis answers that is not in cluster mode. Clients
 * probe with them and take the word "cluster" in the error for the sign to use one server alone.
 */
import { errorReply } from "../base/reply.ts";
import type { CommandSpec } from "./contract.ts";
import { CLUSTER_DISABLED } from "./errors.ts";
import { answer } from "./plans.ts";
import { NO_KEYS } from "./spec.ts";

const DISABLED = answer(errorReply(CLUSTER_DISABLED));

const shape = {
  arity: 1,
  categories: ["connection"],
  keys: NO_KEYS,
  group: "cluster",
  since: "3.0.0",
  complexity: "O(1)",
  plan: () => DISABLED,
} as const;

export const clusterSpec = {
  ...shape,
  name: "cluster",
  arity: -2,
  flags: [],
  categories: [],
  summary: "Commands of Redis Cluster, which this is not: any node serves any key",
  arguments: [
    { name: "subcommand", type: "string" },
    { name: "arg", type: "string", optional: true, multiple: true },
  ],
} as const satisfies CommandSpec;

export const readonlySpec = {
  ...shape,
  name: "readonly",
  flags: ["loading", "stale", "fast"],
  summary: "Allows reads from a replica of a Redis Cluster, which this is not",
} as const satisfies CommandSpec;

export const readwriteSpec = {
  ...shape,
  name: "readwrite",
  flags: ["loading", "stale", "fast"],
  summary: "Takes READONLY back",
} as const satisfies CommandSpec;

export const askingSpec = {
  ...shape,
  name: "asking",
  flags: ["fast"],
  summary: "Follows an ASK redirection of a Redis Cluster, which this is not",
} as const satisfies CommandSpec;
