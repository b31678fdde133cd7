/**
 * LOCK.ACQUIREALL over keys of several groups: one group after the other, in their order, so that two
 * that want the same keys never hold some each.
 *
 *     group 2: granted ─▶ group 5: granted ─▶ … ─▶ confirm 2, 5, … ─▶ answer
 *        │                   └─ nil, an error, the client gone ─▶ withdraw 2, uncount ─▶ answer
 *        └── provisional: ends with the session, should this node die in between
 *
 * What a group had granted this owner before is answered again, and is not taken back: see
 * `lock-withdraw`. Where it was counted once more (REENTRANT), it is released once, and once only: what
 * nobody knows the outcome of is not sent again, for it could take away a hold that the owner relies on.
 *
 * A client waits no longer than a request may take for what is to be confirmed or given back.
 */
import type { GroupId, Millis } from "../base/ids.ts";
import type { Reply } from "../base/reply.ts";
import { isError } from "../base/reply.ts";
import type { LockAcquireAllOperation } from "../machine/locks/lock-operation.ts";
import type { ReplySink } from "./batch.ts";
import type { ReplicaContext } from "./context.ts";
import type { LockChores, WriteOperation } from "./lock-chores.ts";
import type { LockRequest, LockRequests } from "./lock-requests.ts";
import type { LockSession } from "./lock-session.ts";
import { ALL_LOST, WAIT_UNKNOWN } from "./refusals.ts";

export interface LockAllParts {
  readonly context: ReplicaContext;
  readonly requests: LockRequests;
  readonly chores: LockChores;
  readonly write: WriteOperation;
  /** Those that are at their end, and look at the time with each tick. */
  readonly ending: Set<LockAll>;
  readonly groupOf: (key: string) => GroupId;
}

/** What one group has granted. */
interface Share {
  readonly group: GroupId;
  readonly keys: readonly string[];
  readonly request: LockRequest;
  readonly tokens: ReadonlyMap<string, string>;
  /** Those that the owner held before, and holds once more. */
  readonly counted: readonly string[];
  /** By this node's clock; -1 for a lease without end. */
  readonly endsMs: Millis;
}

const ENDLESS = -1;

export class LockAll {
  readonly #parts: LockAllParts;
  readonly #session: LockSession;
  readonly #operation: LockAcquireAllOperation;
  readonly #waitUntilMs: Millis;
  /** The groups to come, with their keys; the next one last. */
  readonly #left: { readonly group: GroupId; readonly keys: readonly string[] }[];
  readonly #granted: Share[] = [];
  #current: LockRequest | null = null;
  #sink: ReplySink | null;
  #unconfirmed = 0;
  #lost = false;
  #over = false;
  /** After which tick the client is told without what is missing. */
  #endsTick = 0;
  /** What it is told then. */
  #answer: Reply = WAIT_UNKNOWN;

  /** Begins at once; `sink` gets `[[[key, token]…], remaining-ms]` in the order of the keys, nil or an error. */
  constructor(
    parts: LockAllParts,
    what: { readonly session: LockSession; readonly operation: LockAcquireAllOperation },
    sink: ReplySink,
  ) {
    this.#parts = parts;
    this.#session = what.session;
    this.#operation = what.operation;
    this.#waitUntilMs = this.#nowMs + what.operation.waitMs;
    this.#left = sharesOf(what.operation.keys, parts.groupOf);
    this.#sink = sink;
    this.#session.alls.add(this);
    this.#askNext();
  }

  /** Its client is gone: everything is given back. */
  abandon(): void {
    this.#sink = null;
    const current = this.#current;
    this.#current = null;
    current?.abandon();
    this.#undo(null);
  }

  /** Ends the wait of its client with `reply`; not any more when everything is granted. */
  interrupt(reply: Reply): void {
    this.#current?.interrupt(reply);
  }

  /** The client is gone: the end of its session, which follows, calls {@link abandon}. */
  gone(): void {
    this.#sink = null;
  }

  get #nowMs(): Millis {
    return this.#parts.context.clock.monotonicMs();
  }

  #askNext(): void {
    const next = this.#left.pop();
    if (next === undefined) {
      this.#confirm();
      return;
    }
    const { group, keys } = next;
    const waitMs = Math.max(0, Math.ceil(this.#waitUntilMs - this.#nowMs));
    const operation = { ...this.#operation, keys, waitMs, provisional: true };
    const asked: { request: LockRequest | null; reply?: Reply } = { request: null };
    asked.request = this.#parts.requests.ask(
      this.#session,
      { group, operation },
      {
        resolve: (reply) => {
          if (asked.request === null) asked.reply = reply;
          else this.#answered({ group, keys, request: asked.request }, reply);
        },
      },
    );
    if (asked.reply === undefined) this.#current = asked.request;
    else if (asked.request === null) this.#undo(asked.reply);
    else this.#answered({ group, keys, request: asked.request }, asked.reply);
  }

  #answered(share: Pick<Share, "group" | "keys" | "request">, reply: Reply): void {
    this.#current = null;
    if (this.#over) return;
    const grant = readGrant(reply);
    if (grant === null) {
      this.#undo(reply);
      return;
    }
    const { tokens, remainingMs } = grant;
    const counted = this.#operation.reentrant ? grant.counted : [];
    const endsMs = remainingMs === ENDLESS ? ENDLESS : this.#nowMs + remainingMs;
    this.#granted.push({ ...share, tokens, counted, endsMs });
    this.#askNext();
  }

  /** Nothing is missing: what was provisional is for good. */
  #confirm(): void {
    const { db, owner } = this.#operation;
    this.#unconfirmed = this.#granted.length;
    this.#isEnding(WAIT_UNKNOWN);
    for (const { group, keys, tokens } of this.#granted) {
      const operation = {
        kind: "lock-confirm",
        db,
        keys,
        owner,
        tokens: keys.map((key) => tokens.get(key) ?? ""),
      } as const;
      this.#parts.chores.do(group, operation, (reply) => {
        if (reply !== 1) this.#lost = true;
        this.#unconfirmed -= 1;
        if (this.#unconfirmed === 0) this.#confirmed();
      });
    }
  }

  #confirmed(): void {
    if (this.#over) return;
    if (this.#lost) {
      this.#undo(ALL_LOST);
      return;
    }
    const pairs: Reply[] = [];
    let endsMs = Infinity;
    for (const share of this.#granted) {
      if (share.endsMs !== ENDLESS) endsMs = Math.min(endsMs, share.endsMs);
    }
    for (const key of this.#operation.keys) {
      const share = this.#granted.find(({ tokens }) => tokens.has(key));
      pairs.push([key, share?.tokens.get(key) ?? ""]);
    }
    const remainingMs =
      endsMs === Infinity ? ENDLESS : Math.max(0, Math.floor(endsMs - this.#nowMs));
    this.#finish([pairs, remainingMs]);
  }

  /** Gives back what was granted, then answers. */
  #undo(reply: Reply): void {
    if (this.#over) return;
    let missing = this.#granted.length;
    if (missing === 0) {
      this.#finish(reply);
      return;
    }
    this.#over = true;
    this.#isEnding(reply);
    const oneLess = (): void => {
      missing -= 1;
      if (missing === 0) this.#finish(reply);
    };
    for (const share of this.#granted) {
      missing += share.counted.length;
      this.#parts.requests.giveBack(share.request, oneLess);
      this.#uncount(share, oneLess);
    }
  }

  #uncount({ group, counted, tokens }: Share, done: () => void): void {
    const { db, owner } = this.#operation;
    for (const key of counted) {
      const what = { db, key, owner, token: tokens.get(key) ?? "", all: false };
      this.#parts.write(group, { kind: "lock-release", ...what }, { resolve: done });
    }
  }

  #isEnding(answer: Reply): void {
    const { tick, requestTicks } = this.#parts.context;
    this.#endsTick = tick + requestTicks;
    this.#answer = answer;
    this.#parts.ending.add(this);
  }

  /** The groups take too long: the client goes on, and what it was not granted is given back later. */
  tick(): void {
    if (this.#parts.context.tick < this.#endsTick) return;
    const answer = this.#answer;
    if (!this.#over) this.#undo(answer);
    this.#finish(answer);
  }

  #finish(reply: Reply): void {
    this.#over = true;
    this.#session.alls.delete(this);
    this.#parts.ending.delete(this);
    const sink = this.#sink;
    this.#sink = null;
    if (sink !== null) sink.resolve(reply);
  }
}

/** The keys by group, the highest group first. */
function sharesOf(
  keys: readonly string[],
  groupOf: (key: string) => GroupId,
): { readonly group: GroupId; readonly keys: readonly string[] }[] {
  const byGroup = new Map<GroupId, string[]>();
  for (const key of keys) {
    const group = groupOf(key);
    const share = byGroup.get(group);
    if (share === undefined) byGroup.set(group, [key]);
    else share.push(key);
  }
  return [...byGroup]
    .sort(([left], [right]) => right - left)
    .map(([group, share]) => ({ group, keys: share }));
}

/** What `[[[key, token, holds]…], remaining-ms]` says; null for nil and errors. */
function readGrant(
  reply: Reply,
): (Pick<Share, "tokens" | "counted"> & { readonly remainingMs: Millis }) | null {
  if (!isArray(reply)) return null;
  const [pairs, remainingMs] = reply;
  if (pairs === undefined || !isArray(pairs) || typeof remainingMs !== "number") return null;
  const tokens = new Map<string, string>();
  const counted: string[] = [];
  for (const pair of pairs) {
    if (!isArray(pair)) return null;
    const [key, token, holds] = pair;
    if (typeof key !== "string" || typeof token !== "string") return null;
    tokens.set(key, token);
    if (typeof holds === "number" && holds > 1) counted.push(key);
  }
  return { tokens, counted, remainingMs };
}

function isArray(reply: Reply): reply is readonly Reply[] {
  return Array.isArray(reply) && !isError(reply);
}
