/**
 * The sessions of this node's clients: one per connection that has asked for a lock, made with its
 * first request. What belongs to a session ends with it: its requests that wait, and what it holds with
 * BIND.
 *
 * A group knows a session while something there belongs to it; a session remembers which groups that
 * may be, and those are told when it ends. One that may be resumed (LOCK.SESSION) waits out its grace
 * there, with its place in the queues; else what waits ends with the connection.
 *
 * The end goes through the same queue of each group as what was asked before, and is sent again until
 * it is carried out. Should the session be resumed at this node meanwhile, it is not sent any more; one
 * that was resumed at another node belongs to that node, and the end does nothing.
 */
import type { Millis } from "../base/ids.ts";
import { LOCK_REQUESTS_MAX } from "../base/limits.ts";
import type { Reply } from "../base/reply.ts";
import { isError } from "../base/reply.ts";
import type { ReplySink } from "./batch.ts";
import type { ReplicaContext } from "./context.ts";
import type { LockChores, WriteOperation } from "./lock-chores.ts";
import { LockSession } from "./lock-session.ts";
import { SESSION_MOVED, TOO_MANY_LOCK_REQUESTS } from "./refusals.ts";

export class LockSessions {
  readonly #context: ReplicaContext;
  readonly #chores: LockChores;
  readonly #write: WriteOperation;
  readonly #newId: () => string;
  readonly #groupCount: () => number;
  readonly #graceMs: Millis;
  readonly #open = new Map<string, LockSession>();

  constructor(
    context: ReplicaContext,
    parts: {
      readonly chores: LockChores;
      readonly write: WriteOperation;
      /** A new id: 128 random bits as 32 hexadecimal digits. */
      readonly newId: () => string;
      readonly groupCount: () => number;
      readonly graceMs: Millis;
    },
  ) {
    this.#context = context;
    this.#chores = parts.chores;
    this.#write = parts.write;
    this.#newId = parts.newId;
    this.#groupCount = parts.groupCount;
    this.#graceMs = parts.graceMs;
  }

  /** How many connections of this node have one. */
  get size(): number {
    return this.#open.size;
  }

  all(): Iterable<LockSession> {
    return this.#open.values();
  }

  /** The open session with this id, if it is of this node. */
  get(id: string): LockSession | undefined {
    return this.#open.get(id);
  }

  /** Begins a session for a client at `address`. */
  open(address: string): LockSession {
    const session = new LockSession(this.#newId(), address);
    this.#open.set(session.id, session);
    return session;
  }

  /**
   * Takes over the session `id` for a client at `address`, from another connection, another node, or as
   * a new one where no group knows it (any more). It is the client's at once; `sink` is told when all
   * groups know that: the id, or nil where nothing belonged to it, so that a client that was away for too
   * long knows that it has lost what it held; else an error, and RESUME may be tried again.
   */
  resume(id: string, address: string, sink: ReplySink): LockSession {
    const before = this.#open.get(id);
    if (before !== undefined) this.#leave(before);
    this.#chores.cancelEndsOf(id);
    const session = new LockSession(id, address);
    session.resumable = true;
    this.#open.set(id, session);
    const groups = this.#groupCount();
    const attached = new Attaching(id, groups, sink);
    const { self, boot } = this.#context;
    for (let group = 0; group < groups; group += 1) {
      session.touched.add(group);
      const sink: ReplySink = {
        resolve: (reply) => {
          attached.sink.resolve(reply);
          session.replied(group);
        },
      };
      // The next end of the session goes behind this, as this goes behind the last one.
      session.asked(group);
      this.#chores.behindEndsOf(id, group, () => {
        this.#write(group, { kind: "lock-session-attach", session: id, node: self, boot }, sink);
      });
    }
    return session;
  }

  /** Refuses what would have to be ended later when too much of that is due already; else null. */
  refusal(): Reply {
    return this.#chores.full || this.#open.size >= LOCK_REQUESTS_MAX
      ? TOO_MANY_LOCK_REQUESTS
      : null;
  }

  /** The connection has closed: its requests and its session end. Does nothing the second time. */
  close(session: LockSession): void {
    if (session.closed) return;
    for (const all of [...session.alls]) all.abandon();
    for (const request of [...session.requests]) {
      if (session.resumable) request.orphan();
      else request.abandon();
    }
    this.end(session, null);
  }

  /** The node stops: its requests end with `reply` where that can be told, its session as by {@link close}. */
  stop(session: LockSession, reply: Reply): void {
    if (session.closed) return;
    for (const all of [...session.alls]) all.interrupt(reply);
    // One that may be resumed keeps its place: its client is told when its end is in the log.
    if (!session.resumable) {
      for (const request of [...session.requests]) if (request.waits) request.interrupt(reply);
    }
    this.end(session, null);
  }

  /** Ends the session in its groups; its requests are left to the caller. `done` is told once per group. */
  end(session: LockSession, done: (() => void) | null): void {
    session.closed = true;
    if (this.#open.get(session.id) === session) this.#open.delete(session.id);
    const { self, boot } = this.#context;
    for (const group of session.touched) {
      this.#chores.do(
        group,
        {
          kind: "lock-session-end",
          session: session.id,
          node: self,
          boot,
          graceMs: this.#graceMs,
        },
        { done, behind: session },
      );
    }
  }

  /** Another connection of this node goes on with the session: this one has none any more. */
  #leave(session: LockSession): void {
    session.closed = true;
    for (const all of [...session.alls]) all.interrupt(SESSION_MOVED);
    for (const request of [...session.requests]) {
      // They keep their places: the client asks again, and its new request takes over from the old.
      request.hand(SESSION_MOVED);
    }
  }
}

/** Gathers what the groups say to a session that is taken over. */
class Attaching {
  readonly sink: ReplySink;
  #missing: number;
  #error: Reply = null;
  #isKnown = false;

  constructor(id: string, groups: number, sink: ReplySink) {
    this.#missing = groups;
    this.sink = {
      resolve: (reply) => {
        if (isError(reply)) this.#error ??= reply;
        else if (reply === 1) this.#isKnown = true;
        this.#missing -= 1;
        if (this.#missing === 0) sink.resolve(this.#error ?? (this.#isKnown ? id : null));
      },
    };
  }
}
