/**
 * What must hold of locks whatever happens, seen from outside: by LOCK.INFO and LOCK.QUEUE after each
 * entry, and by the answers to requests. It knows no rules of granting, and so shares no mistake with
 * those that do.
 *
 * - An exclusive lock has one holder; who reads and who writes never hold together.
 * - Permits stay within the limit; one that was lowered under them lets nobody in.
 * - Tokens only rise, also from one key to another; but who wrote may read on under an older one.
 * - No waiter is granted after its wait was over.
 * - Nobody is granted before one who stood in front and still waits.
 * - Nothing that is bound, and no waiter, is left of a session that ended.
 * - Nobody who waits is forgotten: who is not answered stands in a queue.
 *
 * Requests carry their number in their address, `10.0.0.1:<number>`, which both commands show.
 */
import type { Reply } from "../../src/base/reply.ts";
import type { Entry } from "../../src/machine/entry.ts";
import type { LockOutcome } from "../../src/machine/locks/lock-event.ts";
import type { Claim } from "../../src/machine/locks/lock-operation.ts";
import type { Machine } from "../../src/machine/machine.ts";
import type { Operation } from "../../src/machine/operation.ts";

interface Place {
  readonly db: number;
  readonly key: string;
}

interface Seen {
  readonly mode: string;
  readonly limit: number;
  readonly holders: readonly SeenHolder[];
  /** The numbers of the requests that wait, in order. */
  readonly queue: readonly number[];
}

interface SeenHolder {
  readonly owner: string;
  readonly token: bigint;
  readonly permits: number;
  readonly session: string;
  readonly request: number;
}

interface Request {
  readonly claim: Claim;
  readonly async: boolean;
  /** Through which group time it may be granted. */
  readonly deadlineMs: number;
  waiting: boolean;
  /** Bound to its session for good. */
  readonly bound: boolean;
}

const NOTHING: Seen = { mode: "", limit: 0, holders: [], queue: [] };

export class LockInvariants {
  readonly #machine: Pick<Machine, "read">;
  readonly #places: readonly Place[];
  readonly #isBehind: (nowMs: number) => boolean;
  readonly #requests = new Map<number, Request>();
  /** Sessions that certainly end, with the time through which they are there. */
  readonly #ending = new Map<string, number>();
  #seen = new Map<string, Seen>();
  #newestToken = 0n;
  /** By token: its owner. */
  readonly #owners = new Map<bigint, string>();
  /** How many grants from a queue were held against their order. */
  ordered = 0;

  /** `isBehind`: whether something is due and waits for its turn to end, as the end of a session may. */
  constructor(
    machine: Pick<Machine, "read">,
    places: readonly Place[],
    isBehind: (nowMs: number) => boolean = () => false,
  ) {
    this.#machine = machine;
    this.#places = places;
    this.#isBehind = isBehind;
  }

  /** Looks at the machine after an entry; the first thing that is wrong, or null. */
  check(
    entry: Pick<Entry, "nowMs" | "wallMs" | "operations">,
    replies: readonly Reply[],
    outcomes: readonly LockOutcome[],
  ): string | null {
    entry.operations.forEach((operation, index) => {
      this.#note(operation, replies[index] ?? null, entry.nowMs);
    });
    const granted = new Set<number>();
    for (const { request, reply } of outcomes) {
      const known = this.#requests.get(request);
      if (known === undefined) return `request ${request} was answered, but nobody made it`;
      known.waiting = false;
      if (!Array.isArray(reply)) continue;
      granted.add(request);
      if (entry.nowMs > known.deadlineMs) return `request ${request} was granted past its wait`;
    }
    const now = new Map(
      this.#places.map((place) => [nameOf(place), this.#look(place, entry)] as const),
    );
    const wrong = this.#wrongIn(now, entry, granted);
    this.#seen = now;
    for (const { holders } of now.values()) {
      for (const { token } of holders) if (token > this.#newestToken) this.#newestToken = token;
    }
    return wrong;
  }

  #wrongIn(
    now: ReadonlyMap<string, Seen>,
    entry: Pick<Entry, "nowMs" | "operations">,
    granted: ReadonlySet<number>,
  ): string | null {
    const tokens = new Set<bigint>();
    const isBehind = this.#isBehind(entry.nowMs);
    for (const [name, seen] of now) {
      const before = this.#seen.get(name) ?? NOTHING;
      const wrong =
        wrongHolders(seen, hasOptions(entry) ? seen : before) ??
        this.#wrongTokens(seen, before, tokens) ??
        this.#wrongOrder(seen, before, { granted, entry }) ??
        (isBehind ? null : this.#wrongSessions(seen, entry.nowMs));
      if (wrong !== null) return `${name}: ${wrong}`;
    }
    const queued = new Set([...now.values()].flatMap(({ queue }) => queue));
    for (const [number, { waiting, async }] of this.#requests) {
      if (async || !waiting || queued.has(number)) continue;
      return `request ${number} waits in no queue and was not answered`;
    }
    return null;
  }

  #wrongTokens(seen: Seen, before: Seen, all: Set<bigint>): string | null {
    for (const { token, owner } of seen.holders) {
      if (all.has(token)) return `token ${token} was given twice`;
      all.add(token);
      const same = before.holders.find((holder) => holder.token === token);
      const known = same ?? (readsOn(seen, before, owner, token) ? { owner } : undefined);
      if (known === undefined && token <= this.#newestToken) return `token ${token} is no new one`;
      const first = this.#owners.get(token) ?? known?.owner ?? owner;
      if (first !== owner) return `token ${token} has changed its owner`;
      this.#owners.set(token, owner);
    }
    return null;
  }

  #wrongOrder(
    seen: Seen,
    before: Seen,
    { granted, entry }: { granted: ReadonlySet<number>; entry: Pick<Entry, "operations"> },
  ): string | null {
    // A change of policy turns the queue over, and one who goes from reading to writing stands first.
    if (hasOptions(entry)) return null;
    const still = new Set(seen.queue);
    let front: number | null = null;
    for (const number of before.queue) {
      if (granted.has(number)) {
        this.ordered += 1;
        if (front !== null) return `request ${number} was granted before ${front} in front of it`;
      } else if (still.has(number)) {
        front = number;
      }
    }
    return null;
  }

  #wrongSessions(seen: Seen, nowMs: number): string | null {
    for (const [session, endsMs] of this.#ending) {
      if (nowMs <= endsMs) continue;
      const holder = seen.holders.find((one) => one.session === session);
      const request = holder === undefined ? undefined : this.#requests.get(holder.request);
      if (request?.bound === true) return `${session} has ended and holds by ${holder?.request}`;
      const waiter = seen.queue.find((number) => {
        const asked = this.#requests.get(number);
        return asked?.claim.session === session && !asked.async;
      });
      if (waiter !== undefined) return `${session} has ended and request ${waiter} waits`;
    }
    return null;
  }

  #note(operation: Operation, reply: Reply, nowMs: number): void {
    if (operation.kind === "lock-acquire" || operation.kind === "lock-acquire-all") {
      this.#requests.set(operation.request, {
        claim: operation,
        async: operation.kind === "lock-acquire" && operation.async,
        deadlineMs: nowMs + operation.waitMs,
        waiting: isQueued(reply),
        bound: operation.bind,
      });
      this.#ending.delete(operation.session);
    } else if (operation.kind === "lock-withdraw" && reply === 1) {
      const request = this.#requests.get(operation.request);
      if (request !== undefined) request.waiting = false;
    } else if (operation.kind === "lock-session-end" && reply === 1) {
      this.#ending.set(operation.session, nowMs + operation.graceMs);
    } else if (operation.kind === "lock-session-attach" && reply === 1) {
      this.#ending.delete(operation.session);
    }
  }

  #look({ db, key }: Place, clock: { readonly nowMs: number; readonly wallMs: number }): Seen {
    const queue = this.#machine.read({ kind: "lock-queue", db, key, count: 10_000 }, clock);
    const info = this.#machine.read({ kind: "lock-info", db, key }, clock);
    const waiters = Array.isArray(queue) ? (queue as readonly Reply[]) : [];
    const holders = field(info, "holders");
    return {
      mode: String(field(info, "mode")),
      limit: Number(field(info, "limit") ?? 0),
      holders: (Array.isArray(holders) ? (holders as readonly Reply[]) : []).map((holder) => ({
        owner: String(field(holder, "owner")),
        token: BigInt(String(field(holder, "token"))),
        permits: Number(field(holder, "permits") ?? 1),
        session: String(field(holder, "session") ?? ""),
        request: requestOf(holder),
      })),
      queue: waiters.map(requestOf),
    };
  }
}

/** Whether an owner wrote and reads again, under the token that it had before it wrote. */
function readsOn(seen: Seen, before: Seen, owner: string, token: bigint): boolean {
  const [writer] = before.mode === "exclusive" ? before.holders : [];
  return seen.mode === "shared" && writer?.owner === owner && token < writer.token;
}

/** Whether an entry may change the options of a lock, between two of its operations. */
function hasOptions({ operations }: Pick<Entry, "operations">): boolean {
  return operations.some(({ kind }) => kind === "lock-set-options" || kind === "eval");
}

function wrongHolders({ mode, holders, limit }: Seen, before: Seen): string | null {
  const owners = new Set(holders.map(({ owner }) => owner));
  if (owners.size !== holders.length) return "an owner holds it twice";
  if (mode === "exclusive" && holders.length > 1) return "two hold it exclusively";
  const used = holders.reduce((sum, { permits }) => sum + permits, 0);
  if (mode !== "permits" || used <= limit) return null;
  const known = new Set(before.holders.map(({ token }) => token));
  const newcomer = holders.find(({ token }) => !known.has(token));
  return newcomer === undefined
    ? null
    : `${used} permits of ${limit}, and ${newcomer.owner} is new`;
}

function nameOf({ db, key }: Place): string {
  return `${db}/${key}`;
}

function requestOf(of: Reply): number {
  return Number(String(field(of, "address") ?? "").split(":")[1] ?? 0);
}

function isQueued(reply: Reply): boolean {
  if (reply === null || typeof reply !== "object" || !("kind" in reply)) return false;
  return reply.kind === "status" && reply.text === "QUEUED";
}

/** A field of a map; undefined where there is none. */
export function field(of: Reply | undefined, name: string): Reply | undefined {
  if (of === null || typeof of !== "object" || !("kind" in of) || of.kind !== "map")
    return undefined;
  return of.entries.find(([one]) => one === name)?.[1];
}
