/** PING, ECHO, SELECT, QUIT, RESET. */
import { OK, status } from "../base/reply.ts";
import type { ScriptCommand } from "../machine/script/port.ts";
import { parseDatabase } from "./arguments.ts";
import type { CommandSpec, Plan, ServerPort, Session } from "./contract.ts";
import { wrongArity } from "./errors.ts";
import { answer, inScript } from "./plans.ts";
import { isRestricted } from "./pubsub.ts";
import { NO_KEYS } from "./spec.ts";

const PONG = answer(status("PONG"));

function planPing(args: readonly string[], session?: Session): Plan {
  if (args.length > 2) return answer(wrongArity("ping"));
  // In the form of a message, so that clients that wait for messages can tell it.
  if (session !== undefined && isRestricted(session)) return answer(["pong", args[1] ?? ""]);
  return args.length === 1 ? PONG : answer(args[1] ?? "");
}

function planSelect(args: readonly string[], session: Session): Plan {
  const db = parseDatabase(args[1] ?? "");
  if (typeof db !== "number") return answer(db);
  session.db = db;
  return answer(OK);
}

/** SELECT in a script is the script's own, and over when the script is. */
function selectInScript(args: readonly string[]): ScriptCommand {
  const db = parseDatabase(args[1] ?? "");
  return typeof db === "number" ? { kind: "select", db } : { kind: "reply", reply: db };
}

/** Brings the connection back to how it was accepted; the names of the client library stay. */
function planReset(_: readonly string[], session: Session, server: ServerPort): Plan {
  session.protocol = 2;
  session.db = 0;
  session.name = "";
  session.user = "default";
  session.authenticated = server.password() === "";
  // After CLIENT REPLY SKIP the answer to this very command is left out, as in Redis.
  if (session.replyMode === "off") session.replyMode = "on";
  session.noEvict = false;
  session.noTouch = false;
  server.pubsub.leaveAll(session);
  server.locks.endSession(session);
  return answer(status("RESET"));
}

const shape = {
  categories: ["connection"],
  keys: NO_KEYS,
  group: "connection",
  complexity: "O(1)",
} as const;

const early = {
  ...shape,
  flags: ["noscript", "loading", "stale", "fast", "no_auth", "allow_busy"],
} as const;

export const pingSpec = {
  ...shape,
  name: "ping",
  arity: -1,
  flags: ["fast"],
  tips: ["request_policy:all_shards", "response_policy:all_succeeded"],
  summary: "Answers PONG, or the message given: the server is alive",
  since: "1.0.0",
  arguments: [{ name: "message", type: "string", optional: true }],
  plan: planPing,
  script: (args) => inScript(planPing(args)),
} as const satisfies CommandSpec;

export const echoSpec = {
  ...shape,
  name: "echo",
  arity: 2,
  flags: ["loading", "stale", "fast"],
  summary: "Answers the message given",
  since: "1.0.0",
  arguments: [{ name: "message", type: "string" }],
  plan: (args) => answer(args[1] ?? ""),
  script: (args) => inScript(answer(args[1] ?? "")),
} as const satisfies CommandSpec;

export const selectSpec = {
  ...shape,
  name: "select",
  arity: 2,
  flags: ["loading", "stale", "fast"],
  summary: "Chooses the database of this connection, 0 to 15",
  since: "1.0.0",
  arguments: [{ name: "index", type: "integer" }],
  plan: planSelect,
  script: selectInScript,
} as const satisfies CommandSpec;

export const quitSpec = {
  ...early,
  name: "quit",
  arity: -1,
  summary: "Closes the connection",
  since: "1.0.0",
  deprecatedSince: "7.2.0",
  replacedBy: "just closing the connection",
  plan: () => ({ kind: "close", reply: OK }),
} as const satisfies CommandSpec;

export const resetSpec = {
  ...early,
  name: "reset",
  arity: 1,
  summary: "Brings the connection back to how it was accepted",
  since: "6.2.0",
  plan: planReset,
} as const satisfies CommandSpec;
