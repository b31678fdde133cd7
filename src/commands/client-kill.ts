/** CLIENT KILL, in its old form (one address) and its new one (filters, all of which must hold). */
import type { ErrorReply } from "../base/reply.ts";
import { errorReply, OK } from "../base/reply.ts";
import { isWord, parseInteger } from "./arguments.ts";
import type { ClientType } from "./client-list.ts";
import { clientType, parseClientType } from "./client-list.ts";
import type { Plan, ServerPort, Session } from "./contract.ts";
import { quotingError, SYNTAX_ERROR } from "./errors.ts";
import { answer } from "./plans.ts";

/** The one user there is. */
const USER = "default";

interface Filters {
  id: number | bigint | null;
  type: ClientType | null;
  address: string | null;
  localAddress: string | null;
  /** Seconds that a connection must be old. */
  age: number | bigint | null;
  skipMe: boolean;
}

export function planKill(args: readonly string[], session: Session, server: ServerPort): Plan {
  if (args.length === 3) {
    const address = args[2] ?? "";
    const found = matching({ ...NO_FILTER, address, skipMe: false }, session, server);
    if (found.length === 0) return answer(errorReply("ERR No such client"));
    return killAll(found, session, { server, reply: OK });
  }
  const filters = parseFilters(args);
  if ("kind" in filters) return answer(filters);
  const found = matching(filters, session, server);
  return killAll(found, session, { server, reply: found.length });
}

const NO_FILTER: Filters = {
  id: null,
  type: null,
  address: null,
  localAddress: null,
  age: null,
  skipMe: true,
};

function parseFilters(args: readonly string[]): Filters | ErrorReply {
  const filters = { ...NO_FILTER };
  for (let index = 2; index < args.length; index += 2) {
    const value = args[index + 1];
    if (value === undefined) return SYNTAX_ERROR;
    const error = readFilter(filters, args[index] ?? "", value);
    if (error !== null) return error;
  }
  return filters;
}

function readFilter(filters: Filters, word: string, value: string): ErrorReply | null {
  if (isWord(word, "id")) return readPositive(value, "client-id", (id) => (filters.id = id));
  if (isWord(word, "maxage")) return readPositive(value, "maxage", (age) => (filters.age = age));
  if (isWord(word, "type")) {
    const type = parseClientType(value);
    if (typeof type !== "string") return type;
    filters.type = type;
  } else if (isWord(word, "addr")) {
    filters.address = value;
  } else if (isWord(word, "laddr")) {
    filters.localAddress = value;
  } else if (isWord(word, "user")) {
    // Every connection is the one user's, so that the filter lets all pass.
    if (value !== USER) return quotingError("ERR No such user '", value, "'");
  } else if (isWord(word, "skipme") && (isWord(value, "yes") || isWord(value, "no"))) {
    filters.skipMe = isWord(value, "yes");
  } else {
    return SYNTAX_ERROR;
  }
  return null;
}

function readPositive(
  text: string,
  name: string,
  store: (value: number | bigint) => void,
): ErrorReply | null {
  const value = parseInteger(text);
  if (value === null || value < 1) return errorReply(`ERR ${name} should be greater than 0`);
  store(value);
  return null;
}

function matching(filters: Filters, me: Session, server: ServerPort): readonly Session[] {
  const found: Session[] = [];
  for (const session of server.sessions()) {
    if (filters.address !== null && session.address !== filters.address) continue;
    if (filters.localAddress !== null && session.localAddress !== filters.localAddress) continue;
    if (filters.type !== null && filters.type !== clientType(session)) continue;
    if (filters.id !== null && session.id !== filters.id) continue;
    if (filters.age !== null && ageSeconds(session, server) < filters.age) continue;
    if (filters.skipMe && session.id === me.id) continue;
    found.push(session);
  }
  return found;
}

function ageSeconds(session: Session, server: ServerPort): number {
  return Math.floor((server.monotonicMs() - session.connectedAtMs) / 1000);
}

/** A connection that kills itself still gets its answer. */
function killAll(
  sessions: readonly Session[],
  me: Session,
  { server, reply }: { readonly server: ServerPort; readonly reply: typeof OK | number },
): Plan {
  let suicide = false;
  for (const { id } of sessions) {
    if (id === me.id) suicide = true;
    else server.kill(id);
  }
  return suicide ? { kind: "close", reply } : answer(reply);
}
