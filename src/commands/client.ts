/** CLIENT: this connection and the others. */
import type { Reply } from "../base/reply.ts";
import { errorReply, OK } from "../base/reply.ts";
import { isWord, parseInteger } from "./arguments.ts";
import { planKill } from "./client-kill.ts";
import { planInfo, planList } from "./client-list.ts";
import { isPrintable, nameError, nameLengthError } from "./client-names.ts";
import type { CommandSpec, Plan, ServerPort, Session } from "./contract.ts";
import { NOT_AN_INTEGER, quotingError, SYNTAX_ERROR, wrongSubcommandArity } from "./errors.ts";
import { answer, help } from "./plans.ts";
import { NO_KEYS, oneOf, token } from "./spec.ts";

const NOT_TRACKING = errorReply(
  "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
);

const NO_TRACKING = errorReply(
  "ERR client side caching (CLIENT TRACKING ON) is not supported yet; turn the client's cache off",
);

function planSetName(args: readonly string[], session: Session): Plan {
  const name = args[2] ?? "";
  const error = nameError(name);
  if (error !== null) return answer(error);
  session.name = name;
  return answer(OK);
}

function planSetInfo(args: readonly string[], session: Session): Plan {
  const attribute = args[2] ?? "";
  const value = args[3] ?? "";
  const isName = isWord(attribute, "lib-name");
  if (!isName && !isWord(attribute, "lib-ver")) {
    return answer(quotingError("ERR Unrecognized option '", attribute, "'"));
  }
  if (!isPrintable(value)) {
    return answer(
      errorReply(`ERR ${attribute} cannot contain spaces, newlines or special characters.`),
    );
  }
  const error = nameLengthError(value);
  if (error !== null) return answer(error);
  if (isName) session.libraryName = value;
  else session.libraryVersion = value;
  return answer(OK);
}

/** SKIP leaves a connection that is OFF as it is; only ON is answered. */
function planReply(args: readonly string[], session: Session): Plan {
  const mode = args[2] ?? "";
  if (isWord(mode, "on")) {
    session.replyMode = "on";
    return answer(OK);
  }
  if (isWord(mode, "off")) session.replyMode = "off";
  else if (!isWord(mode, "skip")) return answer(SYNTAX_ERROR);
  else if (session.replyMode !== "off") session.replyMode = "skip";
  return { kind: "silent" };
}

const BAD_UNBLOCK_REASON = errorReply("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");

function planUnblock(args: readonly string[], server: ServerPort): Plan {
  if (args.length > 4) return answer(wrongSubcommandArity("client", args[1] ?? ""));
  const reason = args[3] ?? "timeout";
  const isTimeout = isWord(reason, "timeout");
  if (!isTimeout && !isWord(reason, "error")) return answer(BAD_UNBLOCK_REASON);
  const id = parseInteger(args[2] ?? "");
  if (id === null) return answer(NOT_AN_INTEGER);
  const unblocked = server.locks.unblock(Number(id), isTimeout ? "timeout" : "error");
  return answer(unblocked ? 1 : 0);
}

function planSwitch(word: string, set: (on: boolean) => void): Plan {
  const on = isWord(word, "on");
  if (!on && !isWord(word, "off")) return answer(SYNTAX_ERROR);
  set(on);
  return answer(OK);
}

/** Tracking is always off, so turning it off is done at once. */
function planTracking(args: readonly string[]): Plan {
  const mode = args[2] ?? "";
  if (isWord(mode, "on")) return answer(NO_TRACKING);
  return answer(isWord(mode, "off") && args.length === 3 ? OK : SYNTAX_ERROR);
}

const TRACKING_INFO: Reply = {
  kind: "map",
  entries: [
    ["flags", { kind: "set", items: ["off"] }],
    ["redirect", -1],
    ["prefixes", []],
  ],
};

const HELP_LINES = [
  "CACHING (YES|NO)",
  "    Of use with TRACKING only, which is not supported yet.",
  "GETNAME",
  "    Return the name of this connection.",
  "GETREDIR",
  "    Return where tracking is redirected to: -1, it is off.",
  "ID",
  "    Return the id of this connection.",
  "INFO",
  "    Describe this connection.",
  "KILL <ip:port>",
  "    Close the connection made from <ip:port>.",
  "KILL <option> <value> [<option> <value> [...]]",
  "    Close connections. Options are:",
  "    * ID <client-id>, ADDR <ip:port>, LADDR <ip:port>, USER <username>, MAXAGE <seconds>",
  "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
  "    * SKIPME (YES|NO): leave this connection out (default: yes)",
  "LIST [TYPE (NORMAL|MASTER|REPLICA|PUBSUB)] [ID <client-id> [...]]",
  "    Describe connections.",
  "NO-EVICT (ON|OFF)",
  "    Kept and shown; connections are not evicted for memory here.",
  "NO-TOUCH (ON|OFF)",
  "    Kept and shown; reads do not change keys here.",
  "REPLY (ON|OFF|SKIP)",
  "    Turn replies to this connection on or off, or leave out the next one.",
  "SETINFO (LIB-NAME|LIB-VER) <value>",
  "    Tell what library the client uses.",
  "SETNAME <name>",
  "    Name this connection.",
  "TRACKING (ON|OFF)",
  "    Client side caching, which is not supported yet.",
  "TRACKINGINFO",
  "    Tell that tracking is off.",
  "UNBLOCK <client-id> [TIMEOUT|ERROR]",
  "    End the wait of a connection for a lock, as if its time were over, or with an error.",
];

const shape = {
  flags: ["noscript", "loading", "stale"],
  categories: ["connection"],
  keys: NO_KEYS,
  group: "connection",
  complexity: "O(1)",
} as const;

const admin = { ...shape, flags: ["admin", "noscript", "loading", "stale"] } as const;

const ON_OFF = oneOf("enabled", [token("ON"), token("OFF")]);

const TYPES = [token("NORMAL"), token("MASTER"), token("REPLICA"), token("PUBSUB")];

export const clientSpec = {
  name: "client",
  arity: -2,
  flags: [],
  categories: [],
  keys: NO_KEYS,
  group: "connection",
  summary: "Commands for connections",
  since: "2.4.0",
  complexity: "Depends on subcommand.",
  subcommands: [
    {
      ...shape,
      name: "client|caching",
      arity: 3,
      summary: "Chooses what is tracked, which is not supported yet",
      since: "6.0.0",
      arguments: [oneOf("mode", [token("YES"), token("NO")])],
      plan: () => answer(NOT_TRACKING),
    },
    {
      ...shape,
      name: "client|getname",
      arity: 2,
      summary: "Returns the name of this connection",
      since: "2.6.9",
      plan: (_, session) => answer(session.name === "" ? null : session.name),
    },
    {
      ...shape,
      name: "client|getredir",
      arity: 2,
      summary: "Returns where tracking is redirected to",
      since: "6.0.0",
      plan: () => answer(-1),
    },
    {
      ...shape,
      name: "client|help",
      arity: 2,
      flags: ["loading", "stale"],
      summary: "Prints the subcommands",
      since: "5.0.0",
      plan: () => help("CLIENT", HELP_LINES),
    },
    {
      ...shape,
      name: "client|id",
      arity: 2,
      summary: "Returns the id of this connection",
      since: "5.0.0",
      plan: (_, session) => answer(session.id),
    },
    {
      ...shape,
      name: "client|info",
      arity: 2,
      tips: ["nondeterministic_output"],
      summary: "Describes this connection",
      since: "6.2.0",
      plan: (_, session, server) => planInfo(session, server),
    },
    {
      ...admin,
      name: "client|kill",
      arity: -3,
      summary: "Closes connections",
      since: "2.4.0",
      complexity: "O(N) in the number of connections",
      history: [
        ["2.8.12", "Filters, among them ID."],
        ["6.2.0", "Filter LADDR."],
        ["7.4.0", "Filter MAXAGE."],
      ],
      arguments: [
        oneOf("filter", [
          { name: "ip:port", type: "string", deprecatedSince: "2.8.12" },
          oneOf(
            "new-format",
            [
              { name: "client-id", type: "integer", token: "ID", optional: true },
              oneOf("type", TYPES, { token: "TYPE", optional: true }),
              { name: "username", type: "string", token: "USER", optional: true },
              { name: "addr", type: "string", token: "ADDR", optional: true },
              { name: "laddr", type: "string", token: "LADDR", optional: true },
              oneOf("skipme", [token("YES"), token("NO")], { token: "SKIPME", optional: true }),
              { name: "maxage", type: "integer", token: "MAXAGE", optional: true },
            ],
            { multiple: true },
          ),
        ]),
      ],
      plan: planKill,
    },
    {
      ...admin,
      name: "client|list",
      arity: -2,
      tips: ["nondeterministic_output"],
      summary: "Describes connections",
      since: "2.4.0",
      complexity: "O(N) in the number of connections",
      history: [
        ["5.0.0", "Filter TYPE."],
        ["6.2.0", "Filter ID."],
      ],
      arguments: [
        oneOf("type", TYPES, { token: "TYPE", optional: true, since: "5.0.0" }),
        {
          name: "client-id",
          type: "integer",
          token: "ID",
          optional: true,
          multiple: true,
          since: "6.2.0",
        },
      ],
      plan: (args, _, server) => planList(args, server),
    },
    {
      ...admin,
      name: "client|no-evict",
      arity: 3,
      summary: "Keeps this connection from being evicted, which none is here",
      since: "7.0.0",
      arguments: [ON_OFF],
      plan: (args, session) => planSwitch(args[2] ?? "", (on) => (session.noEvict = on)),
    },
    {
      ...shape,
      name: "client|no-touch",
      arity: 3,
      summary: "Lets reads of this connection leave no trace, which they never do here",
      since: "7.2.0",
      arguments: [ON_OFF],
      plan: (args, session) => planSwitch(args[2] ?? "", (on) => (session.noTouch = on)),
    },
    {
      ...shape,
      name: "client|reply",
      arity: 3,
      summary: "Turns replies to this connection on or off, or leaves out the next one",
      since: "3.2.0",
      arguments: [oneOf("mode", [token("ON"), token("OFF"), token("SKIP")])],
      plan: planReply,
    },
    {
      ...shape,
      name: "client|setinfo",
      arity: 4,
      tips: ["request_policy:all_nodes", "response_policy:all_succeeded"],
      summary: "Tells what library the client uses",
      since: "7.2.0",
      arguments: [
        oneOf("attr", [
          { name: "libname", type: "string", token: "LIB-NAME" },
          { name: "libver", type: "string", token: "LIB-VER" },
        ]),
      ],
      plan: planSetInfo,
    },
    {
      ...shape,
      name: "client|setname",
      arity: 3,
      summary: "Names this connection",
      since: "2.6.9",
      arguments: [{ name: "connection-name", type: "string" }],
      plan: planSetName,
    },
    {
      ...shape,
      name: "client|tracking",
      arity: -3,
      summary: "Turns client side caching on or off, which is not supported yet",
      since: "6.0.0",
      arguments: [oneOf("status", [token("ON"), token("OFF")])],
      plan: planTracking,
    },
    {
      ...shape,
      name: "client|trackinginfo",
      arity: 2,
      summary: "Tells what is tracked for this connection: nothing",
      since: "6.2.0",
      plan: () => answer(TRACKING_INFO),
    },
    {
      ...admin,
      name: "client|unblock",
      arity: -3,
      summary: "Ends the wait of a connection for a lock",
      since: "5.0.0",
      complexity: "O(log N) in the number of waiters of the lock",
      arguments: [
        { name: "client-id", type: "integer" },
        oneOf("unblock-type", [token("TIMEOUT"), token("ERROR")], { optional: true }),
      ],
      plan: (args, _, server) => planUnblock(args, server),
    },
  ],
} as const satisfies CommandSpec;
