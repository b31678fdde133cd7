/** CLIENT LIST, CLIENT INFO: connections as lines of `field=value`. */
import type { ErrorReply, Reply } from "../base/reply.ts";
import { errorReply } from "../base/reply.ts";
import { isWord, parseInteger } from "./arguments.ts";
import type { Plan, ServerPort, Session } from "./contract.ts";
import { quotingError, SYNTAX_ERROR } from "./errors.ts";
import { answer } from "./plans.ts";

/** The kinds of clients that Redis knows; here there are normal ones and subscribers. */
export type ClientType = "normal" | "master" | "replica" | "pubsub";

/** The kind that a word names, or the error. */
export function parseClientType(text: string): ClientType | ErrorReply {
  if (isWord(text, "normal")) return "normal";
  if (isWord(text, "slave") || isWord(text, "replica")) return "replica";
  if (isWord(text, "pubsub")) return "pubsub";
  if (isWord(text, "master")) return "master";
  return quotingError("ERR Unknown client type '", text, "'");
}

/** The kind of a connection. */
export function clientType({ channels, patterns }: Session): ClientType {
  return channels + patterns > 0 ? "pubsub" : "normal";
}

/** CLIENT INFO: the line of this connection. */
export function planInfo(session: Session, server: ServerPort): Plan {
  return answer(verbatim(line(session, server)));
}

/** CLIENT LIST, of all connections, of those of one kind, or of those with the given ids. */
export function planList(args: readonly string[], server: ServerPort): Plan {
  const filter = args[2];
  if (filter === undefined) return answer(listed(server, () => true));
  if (args.length === 4 && isWord(filter, "type")) {
    const type = parseClientType(args[3] ?? "");
    if (typeof type !== "string") return answer(type);
    return answer(listed(server, (session) => clientType(session) === type));
  }
  if (args.length > 3 && isWord(filter, "id")) {
    const ids = new Set<number | bigint>();
    for (let index = 3; index < args.length; index += 1) {
      const id = parseInteger(args[index] ?? "");
      if (id === null) return answer(errorReply("ERR Invalid client ID"));
      ids.add(id);
    }
    return answer(listed(server, (session) => ids.has(session.id)));
  }
  return answer(SYNTAX_ERROR);
}

function listed(server: ServerPort, isShown: (session: Session) => boolean): Reply {
  let text = "";
  for (const session of server.sessions()) if (isShown(session)) text += line(session, server);
  return verbatim(text);
}

function verbatim(text: string): Reply {
  return { kind: "verbatim", format: "txt", text };
}

/**
 * Redis's fields as far as there is something to tell: no descriptors and no buffer sizes. There
 * are no shard channels and no transactions, so their counts are true.
 */
function line(session: Session, server: ServerPort): string {
  const nowMs = server.monotonicMs();
  const fields: readonly (readonly [string, string | number])[] = [
    ["id", session.id],
    ["addr", session.address],
    ["laddr", session.localAddress],
    ["name", session.name],
    ["age", wholeSeconds(nowMs - session.connectedAtMs)],
    ["idle", wholeSeconds(nowMs - session.lastCommandAtMs)],
    ["flags", flagsOf(session)],
    ["db", session.db],
    ["sub", session.channels],
    ["psub", session.patterns],
    ["ssub", 0],
    ["multi", -1],
    ["watch", 0],
    ["events", "r"],
    ["cmd", session.lastCommand === "" ? "NULL" : session.lastCommand],
    ["user", session.user],
    ["redir", -1],
    ["resp", session.protocol],
    ["lib-name", session.libraryName],
    ["lib-ver", session.libraryVersion],
    ["tot-net-in", session.inputBytes],
    ["tot-net-out", session.outputBytes],
    ["tot-cmds", session.commandsProcessed],
  ];
  return `${fields.map(([name, value]) => `${name}=${value}`).join(" ")}\n`;
}

function flagsOf(session: Session): string {
  const subscriber = clientType(session) === "pubsub";
  return (
    `${subscriber ? "P" : ""}${session.blocked ? "b" : ""}` +
      `${session.noEvict ? "e" : ""}${session.noTouch ? "T" : ""}` || "N"
  );
}

function wholeSeconds(milliseconds: number): number {
  return Math.max(0, Math.floor(milliseconds / 1000));
}
