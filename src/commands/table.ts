/**
 * The table of all commands, and from arguments to a plan: lookup, arity, password, arguments,
 * bounds, in Redis's order, so that the first thing wrong is the one that is answered.
 *
 * When you add a command: its spec in a file of its own or of its family, a row in `ALL`.
 */
import { present } from "../base/assert.ts";
import type { ErrorReply, Reply } from "../base/reply.ts";
import { isWord } from "./arguments.ts";
import { clientSpec } from "./client.ts";
import { askingSpec, clusterSpec, readonlySpec, readwriteSpec } from "./cluster.ts";
import { commandSpec } from "./command.ts";
import { configSpec } from "./config.ts";
import { echoSpec, pingSpec, quitSpec, resetSpec, selectSpec } from "./connection.ts";
import type {
  CommandSpec,
  Parsed,
  Plan,
  RefusedIfPresent,
  ServerPort,
  Session,
} from "./contract.ts";
import { delSpec, delexSpec, delifeqSpec, unlinkSpec } from "./delete.ts";
import { NO_AUTH_REPLY, unknownCommand, unknownSubcommand, wrongArity } from "./errors.ts";
import { evalRoSpec, evalSpec, evalshaRoSpec, evalshaSpec } from "./eval.ts";
import { expireSpec, expireatSpec, persistSpec, pexpireSpec, pexpireatSpec } from "./expire.ts";
import { flushallSpec, flushdbSpec } from "./flush.ts";
import { getSpec, getdelSpec, mgetSpec, strlenSpec } from "./get.ts";
import { getexSpec } from "./getex.ts";
import { authSpec, helloSpec, needsPassword } from "./hello.ts";
import { appendSpec, decrSpec, decrbySpec, incrSpec, incrbySpec } from "./increment.ts";
import { infoSpec } from "./info.ts";
import { copySpec, existsSpec, renameSpec, renamenxSpec, touchSpec, typeSpec } from "./keys.ts";
import { lockAcquireAllSpec } from "./lock-acquire-all.ts";
import { lockAcquireSpec } from "./lock-acquire.ts";
import { lockBreakSpec, lockRevokeSpec } from "./lock-break.ts";
import { lockDeadlocksSpec } from "./lock-deadlocks.ts";
import { lockHelpSpec } from "./lock-help.ts";
import { lockListSpec } from "./lock-list.ts";
import { lockCheckSpec, lockInfoSpec, lockQueueSpec, lockTokenSpec } from "./lock-look.ts";
import { lockGetOptionsSpec, lockSetOptionsSpec } from "./lock-options.ts";
import { lockReleaseSpec, lockRenewSpec } from "./lock-release.ts";
import { lockSessionSpec } from "./lock-session.ts";
import { lockCancelSpec, lockTicketSpec } from "./lock-ticket.ts";
import { lockWatchSpec } from "./lock-watch.ts";
import { msetSpec, msetnxSpec } from "./mset.ts";
import { objectSpec } from "./object.ts";
import { limitError, scriptCallError } from "./operation-limits.ts";
import {
  paxosAddNodeSpec,
  paxosHandoverSpec,
  paxosRemoveNodeSpec,
  paxosStatusSpec,
} from "./paxos.ts";
import { refusing } from "./plans.ts";
import {
  isRestricted,
  notWhileSubscribed,
  psubscribeSpec,
  publishSpec,
  pubsubSpec,
  punsubscribeSpec,
  subscribeSpec,
  unsubscribeSpec,
  WHILE_SUBSCRIBED,
} from "./pubsub.ts";
import { dbsizeSpec, keysSpec, randomkeySpec, scanSpec } from "./scan.ts";
import { scriptSpec } from "./script.ts";
import {
  lastsaveSpec,
  roleSpec,
  shutdownSpec,
  timeSpec,
  waitSpec,
  waitaofSpec,
} from "./server-state.ts";
import { getsetSpec, psetexSpec, setexSpec, setnxSpec } from "./set-old.ts";
import { setSpec } from "./set.ts";
import { slowlogSpec } from "./slowlog.ts";
import { expiretimeSpec, pexpiretimeSpec, pttlSpec, ttlSpec } from "./ttl.ts";

/** All commands, by group and name; COMMAND and the README list them in this order. */
export const ALL: readonly CommandSpec[] = [
  appendSpec,
  decrSpec,
  decrbySpec,
  delexSpec,
  delifeqSpec,
  getSpec,
  getdelSpec,
  getexSpec,
  getsetSpec,
  incrSpec,
  incrbySpec,
  mgetSpec,
  msetSpec,
  msetnxSpec,
  psetexSpec,
  setSpec,
  setexSpec,
  setnxSpec,
  strlenSpec,
  copySpec,
  delSpec,
  existsSpec,
  expireSpec,
  expireatSpec,
  expiretimeSpec,
  keysSpec,
  persistSpec,
  pexpireSpec,
  pexpireatSpec,
  pexpiretimeSpec,
  pttlSpec,
  randomkeySpec,
  renameSpec,
  renamenxSpec,
  scanSpec,
  touchSpec,
  ttlSpec,
  typeSpec,
  unlinkSpec,
  objectSpec,
  waitSpec,
  waitaofSpec,
  lockAcquireSpec,
  lockAcquireAllSpec,
  lockBreakSpec,
  lockCancelSpec,
  lockCheckSpec,
  lockDeadlocksSpec,
  lockGetOptionsSpec,
  lockHelpSpec,
  lockInfoSpec,
  lockListSpec,
  lockQueueSpec,
  lockReleaseSpec,
  lockRenewSpec,
  lockRevokeSpec,
  lockSessionSpec,
  lockSetOptionsSpec,
  lockTicketSpec,
  lockTokenSpec,
  lockWatchSpec,
  evalSpec,
  evalshaSpec,
  evalRoSpec,
  evalshaRoSpec,
  scriptSpec,
  psubscribeSpec,
  publishSpec,
  pubsubSpec,
  punsubscribeSpec,
  subscribeSpec,
  unsubscribeSpec,
  authSpec,
  echoSpec,
  helloSpec,
  pingSpec,
  quitSpec,
  resetSpec,
  selectSpec,
  clientSpec,
  commandSpec({
    all: () => ALL,
    named: (name) => commandNamed(name)?.spec ?? null,
    called: (args) => lookup(args)?.spec ?? null,
    hasArity,
  }),
  configSpec,
  dbsizeSpec,
  flushallSpec,
  flushdbSpec,
  infoSpec,
  lastsaveSpec,
  roleSpec,
  shutdownSpec,
  slowlogSpec,
  timeSpec,
  paxosAddNodeSpec,
  paxosHandoverSpec,
  paxosRemoveNodeSpec,
  paxosStatusSpec,
  askingSpec,
  clusterSpec,
  readonlySpec,
  readwriteSpec,
];

/** A command as dispatch needs it: what its flags say, and its subcommands by their names. */
export interface Command {
  readonly spec: CommandSpec;
  readonly beforeAuth: boolean;
  /** Changes state, by Redis's reckoning: what a read-only script may not call. */
  readonly write: boolean;
  readonly inScripts: boolean;
  /** May run in RESP2 while the connection is subscribed. */
  readonly whileSubscribed: boolean;
  readonly subcommands: ReadonlyMap<string, Command> | null;
}

/**
 * By name in lower and in upper case: the two spellings that clients send are found without
 * making a string for each command.
 */
const BY_NAME = byName(ALL, (spec) => spec.name);

const NAME_LENGTH_MAX = 32;

function byName(
  specs: readonly CommandSpec[],
  nameOf: (spec: CommandSpec) => string,
): ReadonlyMap<string, Command> {
  const map = new Map<string, Command>();
  for (const spec of specs) {
    const command: Command = {
      spec,
      beforeAuth: spec.flags.includes("no_auth"),
      write: spec.flags.includes("write"),
      inScripts: !spec.flags.includes("noscript"),
      whileSubscribed: WHILE_SUBSCRIBED.has(spec.name),
      subcommands: spec.subcommands === undefined ? null : byName(spec.subcommands, lastWord),
    };
    map.set(nameOf(spec), command);
    map.set(nameOf(spec).toUpperCase(), command);
  }
  return map;
}

/** The subcommand's own name: `kill` of `client|kill`. */
function lastWord(spec: CommandSpec): string {
  return spec.name.slice(spec.name.indexOf("|") + 1);
}

function find(map: ReadonlyMap<string, Command>, name: string): Command | null {
  const command = map.get(name);
  if (command !== undefined) return command;
  return name.length > NAME_LENGTH_MAX ? null : (map.get(name.toLowerCase()) ?? null);
}

/** The command by its name alone, in any case; `parent|sub` names a subcommand. */
export function commandNamed(name: string): Command | null {
  const bar = name.indexOf("|");
  if (bar < 0) return find(BY_NAME, name);
  const parent = find(BY_NAME, name.slice(0, bar));
  if (parent === null || parent.subcommands === null) return null;
  return find(parent.subcommands, name.slice(bar + 1));
}

/** The command or subcommand that `args` call, or null where there is none. */
export function lookup(args: readonly string[]): Command | null {
  const command = find(BY_NAME, args[0] ?? "");
  if (command === null || command.subcommands === null || args.length === 1) return command;
  return find(command.subcommands, args[1] ?? "");
}

/** Whether a command takes as many arguments, the name counted. */
export function hasArity(spec: CommandSpec, length: number): boolean {
  return spec.arity >= 0 ? length === spec.arity : length >= -spec.arity;
}

/** What to do for one command of a connection. `args` is never empty; `args[0]` is the name. */
export function planCommand(args: readonly string[], session: Session, server: ServerPort): Plan {
  const command = lookup(args);
  if (command === null) return isHttp(args) ? CLOSE_HTTP : { kind: "reply", reply: notFound(args) };
  const { spec } = command;
  session.lastCommand = spec.name;
  if (!hasArity(spec, args.length)) return { kind: "reply", reply: wrongArity(spec.name) };
  if (!command.beforeAuth && needsPassword(session, server)) {
    return { kind: "reply", reply: NO_AUTH_REPLY };
  }
  if (!command.whileSubscribed && isRestricted(session)) {
    return { kind: "reply", reply: notWhileSubscribed(spec.name) };
  }
  if (spec.parse !== undefined) return planParsed(spec.parse(args, session.db));
  // What has only subcommands cannot come here: its name alone has too few arguments.
  const plan = present(spec.plan, "a command has parse or plan");
  return planChecked(plan(args, session, server));
}

/**
 * A web page can make a browser send commands to a server on its own machine, in the body of a
 * request. As in Redis, the first line or the `Host` header of one ends the connection, unanswered.
 */
const CLOSE_HTTP: Plan = {
  kind: "close",
  reply: null,
  warning: "closed a connection that speaks HTTP; a web page may be trying to send commands",
};

function isHttp([name = ""]: readonly string[]): boolean {
  return isWord(name, "post") || (name.length === 5 && name.toLowerCase() === "host:");
}

/** The error for arguments that {@link lookup} finds nothing for. */
export function notFound(args: readonly string[]): Reply {
  const parent = find(BY_NAME, args[0] ?? "");
  if (parent === null) return unknownCommand(args);
  return unknownSubcommand(parent.spec.name, args[1] ?? "");
}

function planParsed(parsed: Parsed): Plan {
  if (parsed.kind === "error") return { kind: "reply", reply: parsed };
  if (parsed.kind === "refused-if-present") return planRefusal(parsed);
  const error = limitError(parsed);
  if (error !== null) return { kind: "reply", reply: error };
  return { kind: "operation", operation: parsed };
}

function planRefusal(refused: RefusedIfPresent): Plan {
  const { operation } = refused;
  const error = limitError(operation);
  if (error !== null) return { kind: "reply", reply: error };
  return {
    kind: "operation",
    operation,
    finish: refusing(refused),
  };
}

/** The bounds of what plans carry. */
function planChecked(plan: Plan): Plan {
  let error: ErrorReply | null = null;
  if ("operation" in plan) error = limitError(plan.operation);
  else if (plan.kind === "script") error = scriptCallError(plan);
  return error === null ? plan : { kind: "reply", reply: error };
}
