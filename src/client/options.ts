/** What users of the client may set, with units, bounds and defaults, and the checks of it. */
import { randomBytes } from "node:crypto";
import type { ConnectionOptions } from "node:tls";
import { parseEndpoint, type Endpoint } from "../base/address.ts";

/** Where the cluster is and how patient the client is with it. */
export interface ClientOptions {
  /**
   * `host:port` of one or more nodes of one cluster, an IPv6 host in brackets. The first that answers
   * is used, the others when it does not. All nodes are equal: any of them does.
   */
  readonly addresses: readonly string[];
  /** @default none is sent */
  readonly password?: string;
  /** Sent with the password. @default the default user */
  readonly username?: string;
  /** `true`, or options of `tls.connect`, where a proxy in front of the nodes speaks TLS. @default false */
  readonly tls?: boolean | ConnectionOptions;
  /** Database, 0 to 15. @default 0 */
  readonly db?: number;
  /** What `CLIENT LIST` shows. @default none */
  readonly name?: string;
  /**
   * How long a request that does not wait for a lock is tried on one node after the other, in ms.
   * @default 10000
   */
  readonly requestTimeoutMs?: number;
  /**
   * Silence of a node, in ms, after which the next one is asked. Renewals go on sooner where the
   * lease is short. @default 2000
   */
  readonly attemptTimeoutMs?: number;
  /** How long to try to connect to one node, in ms. @default 2000 */
  readonly connectTimeoutMs?: number;
  /**
   * Connections for requests that wait: each wait, watch and bound lock has one to itself, since a
   * blocked connection blocks whatever is sent behind. More wait in line for one. @default 64
   */
  readonly maxWaitConnections?: number;
  /** Requests in line for a connection to wait on; one more is refused. @default 1024 */
  readonly maxQueuedWaits?: number;
  /**
   * The servers' `--session-grace` in ms: how long a bound lock outlives its connection. A smaller
   * number here is safe, a larger one is not. @default 1000
   */
  readonly sessionGraceMs?: number;
  /**
   * How far the clocks of this machine and the servers' may drift apart, as a part of the time: a
   * lease counts as over so much before its end. @default 0.01
   */
  readonly driftRatio?: number;
}

/** Alone, together with other readers, or some of several permits. */
export type LockMode =
  | "exclusive"
  | "shared"
  | {
      /** How many to take. */
      readonly permits: number;
      /** How many there are; the same for all users of the key. */
      readonly limit: number;
    };

/** How a lock is asked for and kept. */
export interface AcquireOptions {
  /**
   * The lease in ms, at least 10. It is renewed after a third of it for as long as the lock is held, so
   * it is only how long others have to wait if this process dies. With {@link bind} 0 is no end.
   * @default 10000
   */
  readonly ttlMs?: number;
  /**
   * How long to wait in the lock's queue, in ms; 0 asks once, `Infinity` waits for ever. @default 0
   */
  readonly waitMs?: number;
  /**
   * Who holds it. One owner that asks twice gets the same grant twice, so give it only to say that
   * this is the same holder: for `reentrant`, or so that waiting for one lock while holding another
   * can be seen as a deadlock. @default 128 random bits as 32 hex digits
   */
  readonly owner?: string;
  /** @default "exclusive" */
  readonly mode?: LockMode;
  /** 0 to 9, the highest first, where the lock's policy is by priority. @default 0 */
  readonly priority?: number;
  /** Count how often this owner acquired it; it is free after as many releases. @default false */
  readonly reentrant?: boolean;
  /** Free it when the connection is gone for longer than the session's grace. @default false */
  readonly bind?: boolean;
  /** Nobody gets it for so many ms after an unclean end. @default that of the lock's options */
  readonly delayMs?: number;
  /** Shown to those who look. @default "" */
  readonly data?: string;
  /** Whether the lease is renewed by itself; else it ends after ttlMs. @default true */
  readonly renew?: boolean;
  /**
   * How long before the end of its lease the lock counts as lost when it cannot be renewed, in ms, at
   * most a third of ttlMs: time to stop whatever works under it. @default 0
   */
  readonly stopMs?: number;
  /** Ends the wait: the request is withdrawn and the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** The options of a client, all of them there. */
export interface ClientSettings {
  readonly endpoints: readonly Endpoint[];
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly tls: ConnectionOptions | undefined;
  readonly db: number;
  readonly name: string | undefined;
  readonly requestTimeoutMs: number;
  readonly attemptTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly maxWaitConnections: number;
  readonly maxQueuedWaits: number;
  readonly sessionGraceMs: number;
  readonly driftRatio: number;
}

/** The options of an acquisition, all of them there. */
export interface AcquireSettings {
  readonly ttlMs: number;
  readonly waitMs: number;
  readonly owner: string;
  readonly mode: LockMode;
  readonly priority: number;
  readonly reentrant: boolean;
  readonly bind: boolean;
  readonly delayMs: number;
  readonly data: string;
  readonly renew: boolean;
  readonly stopMs: number;
  readonly signal: AbortSignal | undefined;
}

/** A lease below this is over before a renewal has gone round. */
const TTL_MS_MIN = 10;
/** Times on the wire are whole milliseconds; the servers' longest is 2^52. */
const MS_MAX = 2 ** 52;
const DATABASE_MAX = 15;
const PRIORITY_MAX = 9;
const OWNER_BYTES = 16;

/** Checks the options of a client and fills in the defaults. */
export function clientSettings(options: ClientOptions): ClientSettings {
  const { addresses, tls } = options;
  if (!Array.isArray(addresses) || addresses.length === 0) {
    throw new TypeError('addresses must name at least one node, as in ["127.0.0.1:6379"]');
  }
  return {
    endpoints: addresses.map(endpoint),
    username: options.username,
    password: options.password,
    tls: tls === true ? {} : tls === false ? undefined : tls,
    db: whole("db", options.db ?? 0, { min: 0, max: DATABASE_MAX }),
    name: options.name,
    requestTimeoutMs: whole("requestTimeoutMs", options.requestTimeoutMs ?? 10_000, { min: 1 }),
    attemptTimeoutMs: whole("attemptTimeoutMs", options.attemptTimeoutMs ?? 2_000, { min: 1 }),
    connectTimeoutMs: whole("connectTimeoutMs", options.connectTimeoutMs ?? 2_000, { min: 1 }),
    maxWaitConnections: whole("maxWaitConnections", options.maxWaitConnections ?? 64, { min: 1 }),
    maxQueuedWaits: whole("maxQueuedWaits", options.maxQueuedWaits ?? 1024, { min: 0 }),
    sessionGraceMs: whole("sessionGraceMs", options.sessionGraceMs ?? 1_000, { min: 0 }),
    driftRatio: ratio(options.driftRatio ?? 0.01),
  };
}

/** Checks the options of an acquisition and fills in the defaults. */
export function acquireSettings(options: AcquireOptions): AcquireSettings {
  const bind = options.bind ?? false;
  const ttlMs = options.ttlMs ?? 10_000;
  if (!(bind && ttlMs === 0)) whole("ttlMs", ttlMs, { min: TTL_MS_MIN });
  const waitMs = options.waitMs ?? 0;
  if (waitMs !== Infinity) whole("waitMs", waitMs, { min: 0 });
  return {
    ttlMs,
    waitMs,
    owner: options.owner ?? randomOwner(),
    mode: checkedMode(options.mode ?? "exclusive"),
    priority: whole("priority", options.priority ?? 0, { min: 0, max: PRIORITY_MAX }),
    reentrant: options.reentrant ?? false,
    bind,
    delayMs: whole("delayMs", options.delayMs ?? 0, { min: 0 }),
    data: options.data ?? "",
    renew: options.renew ?? true,
    stopMs: whole("stopMs", options.stopMs ?? 0, { min: 0, max: Math.floor(ttlMs / 3) }),
    signal: options.signal,
  };
}

/** An owner that nobody else has: 128 random bits. */
export function randomOwner(): string {
  return randomBytes(OWNER_BYTES).toString("hex");
}

/** A whole number within bounds, else a `RangeError` that names the option. */
export function whole(
  name: string,
  value: number,
  { min, max = MS_MAX }: { readonly min: number; readonly max?: number },
): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new RangeError(
    `${name} must be a whole number from ${min} to ${max === MS_MAX ? "2^52" : max}, and is ${value}`,
  );
}

function checkedMode(mode: LockMode): LockMode {
  if (typeof mode !== "string") {
    whole("limit", mode.limit, { min: 1 });
    whole("permits", mode.permits, { min: 1, max: mode.limit });
  }
  return mode;
}

function endpoint(address: string): Endpoint {
  const parsed = parseEndpoint(address);
  if (parsed.ok) return parsed.endpoint;
  throw new TypeError(`the address ${JSON.stringify(address)} ${parsed.problem}`);
}

function ratio(value: number): number {
  if (value >= 0 && value < 1) return value;
  throw new RangeError(`driftRatio must be from 0 to below 1, and is ${value}`);
}
