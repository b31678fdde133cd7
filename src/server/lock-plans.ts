/**
 * Carries out what commands plan for locks: gives each connection its session, lets it wait, and ends
 * what belongs to it when it goes.
 *
 * A command that may wait blocks its connection, as BLPOP does in Redis: what is sent behind it is
 * executed when it has its answer.
 */
import { present, unreachable } from "../base/assert.ts";
import type { GroupId } from "../base/ids.ts";
import type { Scheduler } from "../base/ports.ts";
import type { Reply } from "../base/reply.ts";
import { errorReply } from "../base/reply.ts";
import type { LockPlan, LockPort } from "../commands/contract.ts";
import { isWait } from "../replica/lock-requests.ts";
import type { LockSession } from "../replica/lock-session.ts";
import type { Replica } from "../replica/replica.ts";
import type { Connection } from "./connection.ts";
import type { LockConnection } from "./lock-connection.ts";
import { LockPushes } from "./lock-events.ts";
import { TicketWait } from "./lock-ticket.ts";
import { LockWatch } from "./lock-watch.ts";

const UNBLOCKED = errorReply("UNBLOCKED client unblocked via CLIENT UNBLOCK");

const TOO_MANY_WATCHERS = errorReply(
  "TRYAGAIN too many clients of this node wait for news of locks; retry in a moment, or on another node",
);

export class LockPlans {
  readonly #replica: Replica;
  readonly #scheduler: Scheduler;
  readonly #groupOf: (key: string) => GroupId;
  readonly #pushes: LockPushes;

  constructor(options: {
    readonly replica: Replica;
    readonly scheduler: Scheduler;
    readonly groupOf: (key: string) => GroupId;
  }) {
    this.#replica = options.replica;
    this.#scheduler = options.scheduler;
    this.#groupOf = options.groupOf;
    this.#pushes = new LockPushes(options.replica.locks.feed);
  }

  carryOut(plan: LockPlan, args: readonly string[], connection: LockConnection): void {
    switch (plan.kind) {
      case "lock-wait":
        this.#ask(plan, args, connection);
        return;
      case "lock-all":
        this.#askAll(plan, args, connection);
        return;
      case "lock-watch":
        if (!this.#replica.locks.mayWatch) {
          connection.reply(TOO_MANY_WATCHERS, args);
          return;
        }
        connection.blockedBy(new LockWatch(this.#parts, plan, connection.block(undefined)));
        return;
      case "lock-ticket":
        this.#ticket(plan, args, connection);
        return;
      case "lock-session":
        this.#session(plan.resume, args, connection);
        return;
      case "lock-deadlocks":
        this.#deadlocks(plan, args, connection);
        return;
      default:
        unreachable(plan);
    }
  }

  /** Ends the session of a connection and its wait. */
  endSession(connection: LockConnection): void {
    const { session } = connection;
    const { lockSession } = session;
    session.lockSession = null;
    if (lockSession === null) return;
    this.#pushes.left(connection, lockSession);
    this.#replica.locks.sessions.close(lockSession);
  }

  get #parts(): {
    readonly replica: Replica;
    readonly scheduler: Scheduler;
    readonly groupOf: (key: string) => GroupId;
  } {
    return { replica: this.#replica, scheduler: this.#scheduler, groupOf: this.#groupOf };
  }

  #ask(
    plan: Extract<LockPlan, { kind: "lock-wait" }>,
    args: readonly string[],
    connection: LockConnection,
  ): void {
    const { operation, finish } = plan;
    const { locks } = this.#replica;
    const refusal = locks.sessions.refusal();
    if (refusal !== null) {
      connection.reply(refusal, args);
      return;
    }
    const key = operation.kind === "lock-acquire" ? operation.key : operation.keys[0];
    const group = this.#groupOf(present(key, "there is at least one key"));
    const session = this.#sessionOf(connection);
    if (!isWait(operation)) {
      locks.ask(session, { group, operation }, connection.defer(args, finish, true));
      return;
    }
    const request = locks.ask(session, { group, operation }, connection.block(finish));
    if (request !== null) connection.blockedBy(request);
  }

  #askAll(
    { operation }: Extract<LockPlan, { kind: "lock-all" }>,
    args: readonly string[],
    connection: LockConnection,
  ): void {
    const { locks } = this.#replica;
    const refusal = locks.sessions.refusal();
    if (refusal !== null) {
      connection.reply(refusal, args);
      return;
    }
    const session = this.#sessionOf(connection);
    // It goes through several groups, one after the other, in any case.
    const sink = connection.block(undefined);
    connection.blockedBy(locks.askAll({ session, operation, groupOf: this.#groupOf }, sink));
  }

  #ticket(
    plan: Extract<LockPlan, { kind: "lock-ticket" }>,
    args: readonly string[],
    connection: LockConnection,
  ): void {
    const { group, operation, waitMs } = plan;
    const { locks } = this.#replica;
    const refusal = locks.sessions.refusal();
    if (waitMs === 0) {
      const sink = connection.defer(args, undefined, true);
      const { ticket } = operation;
      // Nobody loses a grant for what others have left behind: such a claim is never taken back.
      if (refusal !== null) this.#replica.write(group, operation, sink);
      else locks.claim(this.#sessionOf(connection), { group, ticket }, sink);
      return;
    }
    if (refusal !== null || !locks.mayWatch) {
      connection.reply(refusal ?? TOO_MANY_WATCHERS, args);
      return;
    }
    const session = this.#sessionOf(connection);
    const parts = { ...this.#parts, session };
    connection.blockedBy(new TicketWait(parts, plan, connection.block(undefined)));
  }

  #session(resume: string | null, args: readonly string[], connection: LockConnection): void {
    const { sessions } = this.#replica.locks;
    const refusal = sessions.refusal();
    if (refusal !== null) {
      connection.reply(refusal, args);
      return;
    }
    const own = connection.session.lockSession;
    if (resume === null || (own?.id === resume && !own.closed)) {
      const session = this.#sessionOf(connection);
      session.resumable = true;
      connection.reply(session.id, args);
      return;
    }
    this.endSession(connection);
    const sink = connection.block(undefined);
    this.#begin(connection, sessions.resume(resume, connection.session.address, sink));
  }

  #deadlocks(
    plan: Extract<LockPlan, { kind: "lock-deadlocks" }>,
    args: readonly string[],
    connection: LockConnection,
  ): void {
    const { groups } = this.#replica;
    const sink = connection.defer(args, undefined, true);
    const edges: Reply[] = groups.map(() => null);
    const cycles: Reply[] = groups.map(() => null);
    let missing = 2 * groups.length;
    const take = (into: Reply[], group: GroupId, reply: Reply): void => {
      into[group] = reply;
      missing -= 1;
      if (missing === 0) sink.resolve(plan.merge(edges, cycles));
    };
    for (const { id } of groups) {
      this.#replica.readBehindWrites(id, plan.edges, {
        resolve: (reply) => {
          take(edges, id, reply);
        },
      });
      this.#replica.readBehindWrites(id, plan.cycles, {
        resolve: (reply) => {
          take(cycles, id, reply);
        },
      });
    }
  }

  #sessionOf(connection: LockConnection): LockSession {
    const known = connection.session.lockSession;
    const session =
      known !== null && !known.closed
        ? known
        : this.#begin(connection, this.#replica.locks.sessions.open(connection.session.address));
    this.#pushes.joined(connection, session);
    return session;
  }

  #begin(connection: LockConnection, session: LockSession): LockSession {
    connection.session.lockSession = session;
    connection.onGone = () => {
      this.endSession(connection);
    };
    this.#pushes.joined(connection, session);
    return session;
  }
}

/** What CLIENT UNBLOCK, RESET and INFO need of it; `connection` finds one by its id. */
export function lockPort(
  replica: Replica,
  parts: {
    readonly connection: (id: number) => Connection | undefined;
    readonly plans: LockPlans;
  },
): LockPort {
  return {
    unblock: (id, how) => {
      const connection = parts.connection(id);
      return connection?.interrupt(how === "error" ? UNBLOCKED : null) ?? false;
    },
    endSession: ({ id }) => {
      const connection = parts.connection(id);
      if (connection !== undefined) parts.plans.endSession(connection);
    },
    statistics: () => replica.locks.statistics,
  };
}
