/** HELLO, AUTH: the protocol and the password of a connection. There is one user, `default`. */
import type { ErrorReply, Reply } from "../base/reply.ts";
import { errorReply, OK } from "../base/reply.ts";
import { isWord, parseInteger } from "./arguments.ts";
import { nameError } from "./client-names.ts";
import type { CommandSpec, Plan, ServerPort, Session } from "./contract.ts";
import { quotingError, SYNTAX_ERROR, WRONG_PASS } from "./errors.ts";
import { answer } from "./plans.ts";
import { REDIS_VERSION } from "./redis-version.ts";
import { NO_KEYS } from "./spec.ts";

const USER = "default";

/** Whether the session must log in first; a password taken away opens the door to all. */
export function needsPassword(session: Session, server: ServerPort): boolean {
  return !session.authenticated && server.password() !== "";
}

/** Compares in a time that depends on the length of what was sent alone. */
function isPassword(sent: string, password: string): boolean {
  let difference = sent.length ^ password.length;
  for (let index = 0; index < sent.length; index += 1) {
    difference |= sent.charCodeAt(index) ^ password.charCodeAt(index % password.length);
  }
  return difference === 0;
}

/** Logs the session in, or gives the error. Without a password any is right, as in Redis. */
function authenticate(
  { user, password }: { readonly user: string; readonly password: string },
  session: Session,
  server: ServerPort,
): ErrorReply | null {
  const expected = server.password();
  const known = user === USER && (expected === "" || isPassword(password, expected));
  if (!known) return errorReply(WRONG_PASS);
  session.user = USER;
  session.authenticated = true;
  return null;
}

function planAuth(args: readonly string[], session: Session, server: ServerPort): Plan {
  if (args.length > 3) return answer(SYNTAX_ERROR);
  const user = args.length === 3 ? (args[1] ?? "") : USER;
  const password = args[args.length - 1] ?? "";
  if (args.length === 2 && server.password() === "") {
    return answer(
      errorReply(
        "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
      ),
    );
  }
  return answer(authenticate({ user, password }, session, server) ?? OK);
}

interface HelloOptions {
  readonly protocol: 2 | 3 | null;
  readonly user: string | null;
  readonly password: string;
  readonly name: string | null;
}

function parseHello(args: readonly string[]): HelloOptions | ErrorReply {
  let protocol: 2 | 3 | null = null;
  let user: string | null = null;
  let password = "";
  let name: string | null = null;
  if (args.length >= 2) {
    const version = parseInteger(args[1] ?? "");
    if (version === null) {
      return errorReply("ERR Protocol version is not an integer or out of range");
    }
    if (version !== 2 && version !== 3) {
      return errorReply("NOPROTO unsupported protocol version");
    }
    protocol = version;
  }
  for (let index = 2; index < args.length; index += 1) {
    const option = args[index] ?? "";
    const left = args.length - 1 - index;
    if (isWord(option, "auth") && left >= 2) {
      user = args[index + 1] ?? "";
      password = args[index + 2] ?? "";
      index += 2;
    } else if (isWord(option, "setname") && left >= 1) {
      name = args[index + 1] ?? "";
      const error = nameError(name);
      if (error !== null) return error;
      index += 1;
    } else {
      return quotingError("ERR Syntax error in HELLO option '", option, "'");
    }
  }
  return { protocol, user, password, name };
}

/** Nothing of the session changes unless all of it does, except that AUTH comes before the rest. */
function planHello(args: readonly string[], session: Session, server: ServerPort): Plan {
  const options = parseHello(args);
  if ("kind" in options) return answer(options);
  const { protocol, user, password, name } = options;
  if (user !== null) {
    const error = authenticate({ user, password }, session, server);
    if (error !== null) return answer(error);
  }
  if (needsPassword(session, server)) {
    return answer(
      errorReply(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
      ),
    );
  }
  if (name !== null) session.name = name;
  if (protocol !== null) session.protocol = protocol;
  return answer(helloReply(session));
}

function helloReply(session: Session): Reply {
  return {
    kind: "map",
    entries: [
      ["server", "redis"],
      ["version", REDIS_VERSION],
      ["proto", session.protocol],
      ["id", session.id],
      ["mode", "standalone"],
      ["role", "master"],
      ["modules", []],
    ],
  };
}

const shape = {
  flags: ["noscript", "loading", "stale", "fast", "no_auth", "allow_busy"],
  categories: ["connection"],
  keys: NO_KEYS,
  group: "connection",
  since: "6.0.0",
  complexity: "O(1)",
} as const;

export const authSpec = {
  ...shape,
  name: "auth",
  arity: -2,
  summary: "Gives the password",
  since: "1.0.0",
  history: [["6.0.0", "A user name before the password."]],
  arguments: [
    { name: "username", type: "string", optional: true, since: "6.0.0" },
    { name: "password", type: "string" },
  ],
  plan: planAuth,
} as const satisfies CommandSpec;

export const helloSpec = {
  ...shape,
  name: "hello",
  arity: -1,
  summary: "Chooses the protocol, gives the password, names the connection; tells about the server",
  history: [["6.2.0", "The version is optional."]],
  arguments: [
    {
      name: "arguments",
      type: "block",
      optional: true,
      arguments: [
        { name: "protover", type: "integer" },
        {
          name: "username_password",
          type: "block",
          token: "AUTH",
          optional: true,
          arguments: [
            { name: "username", type: "string" },
            { name: "password", type: "string" },
          ],
        },
        { name: "clientname", type: "string", token: "SETNAME", optional: true },
      ],
    },
  ],
  plan: planHello,
} as const satisfies CommandSpec;
