/**
 * Everything that this node does about locks beside applying its groups' logs: the requests and
 * sessions of its clients, news for those who watch, and what it owes to others.
 *
 *     clients ──▶ ask, askAll, open, resume, close, watch
 *     groups  ──▶ applied, installed ─▶ LockRequests (answers) · LockFeed · LockChanges
 *     time    ──▶ tick ─▶ LockRequests · LockChores · LostNodes · Deadlocks
 */
import { present } from "../base/assert.ts";
import type { GroupId, Millis, NodeId } from "../base/ids.ts";
import { LOCK_WATCHERS_MAX } from "../base/limits.ts";
import type { LockStatistics } from "../commands/contract.ts";
import type { LockOutcome } from "../machine/locks/lock-event.ts";
import type { LockAcquireAllOperation } from "../machine/locks/lock-operation.ts";
import type { ReplySink } from "./batch.ts";
import type { ReplicaContext } from "./context.ts";
import type { ReadCurrent } from "./deadlocks.ts";
import { Deadlocks } from "./deadlocks.ts";
import type { GroupReplica } from "./group-replica.ts";
import { LockAll } from "./lock-all.ts";
import type { ChangeListener } from "./lock-changes.ts";
import { LockChanges } from "./lock-changes.ts";
import type { WriteOperation } from "./lock-chores.ts";
import { LockChores } from "./lock-chores.ts";
import { LockFeed } from "./lock-feed.ts";
import type { LockRequest, LockRequestOperation } from "./lock-requests.ts";
import { LockRequests } from "./lock-requests.ts";
import type { LockSession } from "./lock-session.ts";
import { LockSessions } from "./lock-sessions.ts";
import { LostNodes } from "./lost-nodes.ts";
import { WAIT_STOPPED } from "./refusals.ts";

/** How long changes are kept for LOCK.WATCH after the last that waited. */
const WATCH_PATIENCE_MS: Millis = 60_000;

/** How long a node that stops waits until its sessions have ended. */
const STOP_MS: Millis = 2_000;

export interface LocksParts {
  readonly groups: readonly GroupReplica[];
  readonly write: WriteOperation;
  readonly read: ReadCurrent;
  readonly newSessionId: () => string;
  readonly sessionGraceMs: Millis;
  readonly sessionTimeoutMs: Millis;
}

/** The group of a ticket and its number there. */
export interface TicketName {
  readonly group: GroupId;
  readonly ticket: number;
}

export class Locks {
  readonly feed: LockFeed;
  readonly sessions: LockSessions;
  readonly #context: ReplicaContext;
  readonly #parts: LocksParts;
  readonly #chores: LockChores;
  readonly #requests: LockRequests;
  readonly #lostNodes: LostNodes;
  readonly #deadlocks: Deadlocks;
  readonly #changes: LockChanges[] = [];
  /** Those who wait for news of a ticket, by group and number. */
  readonly #tickets = new Map<string, Set<() => void>>();
  #ticketWatchers = 0;
  readonly #endingAlls = new Set<LockAll>();
  #stopping: {
    readonly done: () => void;
    readonly endsTick: number;
    readonly sessions: readonly LockSession[];
  } | null = null;

  constructor(context: ReplicaContext, parts: LocksParts) {
    this.#context = context;
    this.#parts = parts;
    const { groups, write, sessionGraceMs: graceMs, sessionTimeoutMs: timeoutMs } = parts;
    this.#chores = new LockChores(context, write);
    const chores = this.#chores;
    this.#requests = new LockRequests(context, { chores, write, graceMs });
    this.sessions = new LockSessions(context, {
      chores,
      write,
      graceMs,
      newId: parts.newSessionId,
      groupCount: () => groups.length,
    });
    this.#lostNodes = new LostNodes(context, { groups, chores, timeoutMs, graceMs });
    this.#deadlocks = new Deadlocks(context, { groups, write, read: parts.read });
    this.feed = new LockFeed(() => groups.map(({ machine }) => machine));
  }

  get statistics(): LockStatistics {
    let waiters = 0;
    for (const { machine } of this.#parts.groups) waiters += machine.waiterCount;
    let watchers = this.#ticketWatchers;
    for (const changes of this.#changes) watchers += changes.watcherCount;
    return {
      requests: this.#requests.size,
      watchers,
      sessions: this.sessions.size,
      chores: this.#chores.size,
      waiters,
    };
  }

  // ── clients ─────────────────────────────────────────────────────────────────────────────────────

  /** See {@link LockRequests.ask}. */
  ask(
    session: LockSession,
    what: { readonly group: GroupId; readonly operation: LockRequestOperation },
    sink: ReplySink,
  ): LockRequest | null {
    return this.#requests.ask(session, what, sink);
  }

  /** See {@link LockRequests.claim}. */
  claim(session: LockSession, ticket: TicketName, sink: ReplySink): LockRequest {
    return this.#requests.claim(session, ticket, sink);
  }

  /** Asks for keys of several groups, all or none, see {@link LockAll}. */
  askAll(
    what: {
      readonly session: LockSession;
      readonly operation: LockAcquireAllOperation;
      readonly groupOf: (key: string) => GroupId;
    },
    sink: ReplySink,
  ): LockAll {
    const parts = {
      context: this.#context,
      requests: this.#requests,
      chores: this.#chores,
      write: this.#parts.write,
      ending: this.#endingAlls,
      groupOf: what.groupOf,
    };
    return new LockAll(parts, what, sink);
  }

  /** Whether one more may wait for news. */
  get mayWatch(): boolean {
    return this.statistics.watchers < LOCK_WATCHERS_MAX;
  }

  /** Calls `listener` after each entry applied here that changes the lock; the answer ends that. */
  watch(
    group: GroupId,
    lock: { readonly db: number; readonly key: string },
    listener: ChangeListener,
  ): () => void {
    return this.#changesOf(group).watch(this.#group(group).machine, lock, listener);
  }

  /** Whether the lock has changed after `version`, as far as is applied here; true if nobody can tell. */
  mayHaveChanged(
    group: GroupId,
    lock: { readonly db: number; readonly key: string },
    version: number,
  ): boolean {
    return this.#changesOf(group).mayHaveChanged(lock.db, lock.key, version);
  }

  /** How far this node has applied the group's log. */
  appliedSlot(group: GroupId): number {
    return this.#group(group).machine.appliedSlot;
  }

  /** Calls `listener` when the ticket is granted or ends; the answer ends that. */
  watchTicket({ group, ticket }: TicketName, listener: () => void): () => void {
    const name = `${group}-${ticket}`;
    const listeners = this.#tickets.get(name) ?? new Set<() => void>();
    this.#tickets.set(name, listeners);
    const own = (): void => {
      listener();
    };
    listeners.add(own);
    this.#ticketWatchers += 1;
    return () => {
      if (!listeners.delete(own)) return;
      this.#ticketWatchers -= 1;
      if (listeners.size === 0 && this.#tickets.get(name) === listeners) this.#tickets.delete(name);
    };
  }

  // ── groups ──────────────────────────────────────────────────────────────────────────────────────

  /** An entry of the group was applied, with these outcomes. */
  applied(group: GroupReplica, outcomes: readonly LockOutcome[]): void {
    this.#changes[group.id]?.applied(group.machine);
    this.feed.applied(group.machine);
    for (const outcome of outcomes) {
      if (outcome.ticket === 0) this.#requests.decided(group.id, outcome);
      else this.#tellTicket(`${group.id}-${outcome.ticket}`);
    }
  }

  /** A snapshot has taken the place of the group's state. */
  installed(group: GroupReplica): void {
    this.feed.installed(group.machine);
    this.#changes[group.id]?.installed(group.machine);
    this.#requests.installed(group.id, group.machine);
    const prefix = `${group.id}-`;
    for (const name of [...this.#tickets.keys()])
      if (name.startsWith(prefix)) this.#tellTicket(name);
  }

  /** Another node has sent something. */
  heard(node: NodeId): void {
    this.#lostNodes.heard(node);
  }

  // ── time ────────────────────────────────────────────────────────────────────────────────────────

  tick(): void {
    const { tick, timings } = this.#context;
    this.#requests.tick();
    for (const all of [...this.#endingAlls]) all.tick();
    this.#chores.tick();
    this.#deadlocks.tick();
    const lookTicks = Math.max(1, Math.floor(this.#parts.sessionTimeoutMs / 8 / timings.tickMs));
    if (tick % lookTicks === 0) {
      this.#lostNodes.run();
      const patience = WATCH_PATIENCE_MS / timings.tickMs;
      this.#changes.forEach((changes, group) => {
        changes.tick(this.#group(group).machine, tick, patience);
      });
    }
    if (this.#stopping !== null && tick >= this.#stopping.endsTick) this.#stopped();
  }

  /**
   * Ends the sessions of all clients, tells those who wait to ask another node, and calls `done`; the
   * replica still takes writes then.
   */
  stop(done: () => void): void {
    const { tick, timings } = this.#context;
    const sessions = [...this.sessions.all()];
    this.#stopping = { done, sessions, endsTick: tick + Math.ceil(STOP_MS / timings.tickMs) };
    for (const session of sessions) this.sessions.stop(session, WAIT_STOPPED);
    this.#chores.whenDone(() => {
      this.#stopped();
    });
  }

  #stopped(): void {
    const stopping = this.#stopping;
    if (stopping === null) return;
    this.#stopping = null;
    for (const { requests } of stopping.sessions) {
      for (const request of [...requests]) if (request.waits) request.hand(WAIT_STOPPED);
    }
    stopping.done();
  }

  #tellTicket(name: string): void {
    for (const listener of [...(this.#tickets.get(name) ?? [])]) listener();
  }

  #changesOf(group: GroupId): LockChanges {
    const known = this.#changes[group];
    if (known !== undefined) return known;
    for (let id = this.#changes.length; id <= group; id += 1) this.#changes.push(new LockChanges());
    return present(this.#changes[group], "there is one for each group");
  }

  #group(group: GroupId): GroupReplica {
    return present(this.#parts.groups[group], "the routing names an existing group");
  }
}
