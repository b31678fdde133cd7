/** What the cluster answers to LOCK.*, as the client's own types. A field that is new is left out. */
import type { RawReply } from "./connection.ts";

/** One who holds a lock. */
export interface LockHolder {
  readonly owner: string;
  /** The fencing token of the grant: larger than that of any grant of this key before it. */
  readonly token: bigint;
  /** How often the owner acquired it; 1 where it is not reentrant. */
  readonly holds: number;
  /** How many permits; 1 in other modes. */
  readonly permits: number;
  /** What is left of the lease, in ms; -1 for one without end. */
  readonly remainingMs: number;
  /** For how long it has been held, in ms. */
  readonly sinceMs: number;
  /** The session of the connection; empty where it belongs to none. */
  readonly session: string;
  /** The address that the holder came from; empty where it is not known. */
  readonly address: string;
  /** What the holder gave with `data`. */
  readonly data: string;
}

/** A lock was broken, or its holder asked to let go. */
export interface LockIntervention {
  /** Why, as whoever did it said; empty for nothing. */
  readonly reason: string;
  /** How long ago, in ms. */
  readonly agoMs: number;
  /** The address of whoever did it; empty where it is not known. */
  readonly by: string;
}

/** The state of a lock that somebody holds, waits for, or has options. */
export interface LockInfo {
  /** `free` where nobody holds it and nobody waits: after a break, or with options. */
  readonly mode: "exclusive" | "shared" | "permits" | "free";
  /** How many permits there are; 0 in other modes. */
  readonly limit: number;
  readonly holders: readonly LockHolder[];
  /** How many wait. */
  readonly waiters: number;
  /** For how long nobody gets it yet after an unclean end, in ms; 0 for none. */
  readonly delayMs: number;
  /** The last time that its holder was asked to let go; null for never. */
  readonly revoke: LockIntervention | null;
  /** The last time it was broken, for an hour; null for none. */
  readonly lastBreak: LockIntervention | null;
  readonly options: LockOptions;
}

/** What one lock does otherwise than others; 0 leaves a thing as it is by default. */
export interface LockOptions {
  /** How many permits there are, whatever those who ask say. */
  readonly limit: number;
  /** In which order those who wait get it. */
  readonly policy: "fifo" | "priority";
  /** The longest lease, in ms. */
  readonly maxTtlMs: number;
  /** For how long nobody gets it after an unclean end, in ms. */
  readonly delayMs: number;
  /** How many may wait. */
  readonly maxWaiters: number;
}

/** One who waits for a lock. */
export interface LockWaiter {
  readonly owner: string;
  readonly mode: "exclusive" | "shared" | "permits";
  readonly permits: number;
  readonly priority: number;
  /** 1 for the next. */
  readonly position: number;
  readonly waitedMs: number;
  /** How long it still waits, in ms. */
  readonly remainingMs: number;
  readonly session: string;
  readonly address: string;
  /** The ticket it stands for; empty for a waiting connection. */
  readonly ticket: string;
}

/** One lock of a list. */
export interface LockEntry extends LockInfo {
  readonly key: string;
}

/** What a grant says. */
export interface GrantReply {
  /** In the order of the keys asked for. */
  readonly tokens: readonly bigint[];
  /** `Infinity` for a lease without end. */
  readonly remainingMs: number;
  /** How often the owner holds it. */
  readonly holds: number;
}

/** An answer that is not one of this version's. */
export class UnreadableReply extends Error {
  override readonly name = "UnreadableReply";

  constructor(command: string) {
    super(`the answer to ${command} is not one that this version of the client reads; update it`);
  }
}

/** `[token, remaining-ms, holds]` of LOCK.ACQUIRE, `[token, remaining-ms]` of LOCK.RENEW, or nil. */
export function readGrant(command: string, reply: RawReply): GrantReply | null {
  if (reply === null) return null;
  const [token, remaining, holds = 1] = list(reply) ?? [];
  if (!isToken(token) || typeof remaining !== "number" || typeof holds !== "number") {
    throw new UnreadableReply(command);
  }
  return { tokens: [BigInt(token)], remainingMs: leaseMs(remaining), holds };
}

/** `[[[key, token]…], remaining-ms]` of LOCK.ACQUIREALL, or nil. */
export function readGrants(reply: RawReply, keys: readonly string[]): GrantReply | null {
  if (reply === null) return null;
  const command = "LOCK.ACQUIREALL";
  const [pairs, remaining] = list(reply) ?? [];
  const found = new Map<string, bigint>();
  for (const pair of list(pairs) ?? []) {
    const [key, token] = list(pair) ?? [];
    if (typeof key !== "string" || !isToken(token)) throw new UnreadableReply(command);
    found.set(key, BigInt(token));
  }
  const tokens = keys.map((key) => {
    const token = found.get(key);
    if (token === undefined) throw new UnreadableReply(command);
    return token;
  });
  if (typeof remaining !== "number") throw new UnreadableReply(command);
  return { tokens, remainingMs: leaseMs(remaining), holds: 1 };
}

/** The map of LOCK.INFO, or nil. */
export function readInfo(command: string, reply: RawReply): LockInfo | null {
  if (reply === null) return null;
  const fields = map(command, reply);
  return {
    mode: fields.get("mode") === "free" ? "free" : mode(fields.get("mode")),
    limit: number(fields.get("limit")),
    holders: (list(fields.get("holders")) ?? []).map((holder) => readHolder(command, holder)),
    waiters: number(fields.get("waiters")),
    delayMs: number(fields.get("delay-ms")),
    revoke: readIntervention(command, fields.get("revoke")),
    lastBreak: readIntervention(command, fields.get("last-break")),
    options: readOptions(command, fields.get("options") ?? null),
  };
}

/** The map of LOCK.GETOPTIONS; nil stands for none. */
export function readOptions(command: string, reply: RawReply): LockOptions {
  const fields = list(reply) === null ? new Map<string, RawReply>() : map(command, reply);
  return {
    limit: number(fields.get("limit")),
    policy: fields.get("policy") === "priority" ? "priority" : "fifo",
    maxTtlMs: number(fields.get("maxttl")),
    delayMs: number(fields.get("delay")),
    maxWaiters: number(fields.get("maxwaiters")),
  };
}

/** The array of LOCK.QUEUE. */
export function readQueue(reply: RawReply): LockWaiter[] {
  const command = "LOCK.QUEUE";
  return (list(reply) ?? []).map((waiter) => {
    const fields = map(command, waiter);
    return {
      owner: text(fields.get("owner")),
      mode: mode(fields.get("mode")),
      permits: number(fields.get("permits"), 1),
      priority: number(fields.get("priority")),
      position: number(fields.get("position")),
      waitedMs: number(fields.get("waited-ms")),
      remainingMs: number(fields.get("remaining-ms")),
      session: text(fields.get("session")),
      address: text(fields.get("address")),
      ticket: text(fields.get("ticket")),
    };
  });
}

/** `[next cursor, [map…]]` of LOCK.LIST. */
export function readList(reply: RawReply): {
  readonly cursor: string;
  readonly locks: readonly LockEntry[];
} {
  const command = "LOCK.LIST";
  const [cursor, locks] = list(reply) ?? [];
  if (cursor === undefined || cursor === null || list(cursor) !== null) {
    throw new UnreadableReply(command);
  }
  return {
    cursor: text(cursor),
    locks: (list(locks) ?? []).flatMap((lock) => {
      const info = readInfo(command, lock);
      return info === null ? [] : [{ key: text(map(command, lock).get("key")), ...info }];
    }),
  };
}

/** `[version, map]` of LOCK.WATCH, or nil when nothing changed in time. */
export function readWatch(
  reply: RawReply,
): { readonly version: string; readonly info: LockInfo | null } | null {
  if (reply === null) return null;
  const [version, info] = list(reply) ?? [];
  if (version === undefined || version === null || list(version) !== null) {
    throw new UnreadableReply("LOCK.WATCH");
  }
  return { version: text(version), info: readInfo("LOCK.WATCH", info ?? null) };
}

/** Something that happened to a lock, as its channel tells it. */
export interface LockMessage {
  /** `acquired`, `queued`, `renewed`, `released`, `expired`, `broken`, `revoked`, `lost`. */
  readonly event: string;
  /** The holder's; null where it is about one who waits. */
  readonly token: bigint | null;
  /** What was given as the reason; empty for nothing. */
  readonly reason: string;
}

/** A message of a lock's channel; null for what is none. */
export function readMessage(text: string): LockMessage | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof parsed !== "object" || parsed === null || !("event" in parsed)) return null;
  const { event, token, reason } = parsed as Readonly<Record<string, unknown>>;
  if (typeof event !== "string") return null;
  return {
    event,
    token: typeof token === "string" && isToken(token) ? BigInt(token) : null,
    // Its characters stand for bytes, which were sent as UTF-8.
    reason: typeof reason === "string" ? Buffer.from(reason, "latin1").toString() : "",
  };
}

/** A number where there must be one. */
export function readNumber(command: string, reply: RawReply): number {
  if (typeof reply === "number") return reply;
  throw new UnreadableReply(command);
}

/** A map by its names: RESP2 has it as a list of names and values. */
export function map(command: string, reply: RawReply): ReadonlyMap<string, RawReply> {
  const parts = list(reply);
  if (parts === null || parts.length % 2 !== 0) throw new UnreadableReply(command);
  const fields = new Map<string, RawReply>();
  for (let index = 0; index < parts.length; index += 2) {
    fields.set(text(parts[index]), parts[index + 1] ?? null);
  }
  return fields;
}

function readHolder(command: string, reply: RawReply): LockHolder {
  const fields = map(command, reply);
  const token = fields.get("token");
  if (!isToken(token)) throw new UnreadableReply(command);
  return {
    owner: text(fields.get("owner")),
    token: BigInt(token),
    holds: number(fields.get("holds"), 1),
    permits: number(fields.get("permits"), 1),
    remainingMs: number(fields.get("remaining-ms")),
    sinceMs: number(fields.get("since-ms")),
    session: text(fields.get("session")),
    address: text(fields.get("address")),
    data: text(fields.get("data")),
  };
}

function readIntervention(command: string, reply: RawReply | undefined): LockIntervention | null {
  if (reply === undefined || list(reply) === null) return null;
  const fields = map(command, reply);
  return {
    reason: text(fields.get("reason")),
    agoMs: number(fields.get("ago-ms")),
    by: text(fields.get("by") ?? fields.get("address")),
  };
}

function list(reply: RawReply | undefined): readonly RawReply[] | null {
  return Array.isArray(reply) ? (reply as readonly RawReply[]) : null;
}

function isToken(reply: RawReply | undefined): reply is string {
  return typeof reply === "string" && /^[0-9]{1,20}$/.test(reply);
}

function leaseMs(remaining: number): number {
  return remaining < 0 ? Infinity : remaining;
}

function text(reply: RawReply | undefined): string {
  return typeof reply === "string" || typeof reply === "number" ? String(reply) : "";
}

function number(reply: RawReply | undefined, otherwise = 0): number {
  if (typeof reply === "number") return reply;
  return typeof reply === "string" && /^-?[0-9]{1,15}$/.test(reply) ? Number(reply) : otherwise;
}

function mode(reply: RawReply | undefined): LockWaiter["mode"] {
  return reply === "shared" || reply === "permits" ? reply : "exclusive";
}
