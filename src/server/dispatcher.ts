/**
 * Carries out the plan of a command: answers at once, or hands operations to the replica.
 *
 * A read goes straight to the applied state where that is current, and to whoever has current state
 * where it is not. While its own connection still waits for a write, it runs behind the newest batch of
 * its group, so that a pipeline sees its own writes. Commands of
 * one pipeline that concern different groups may take effect in either order, as in a Redis cluster;
 * their replies keep the order of the pipeline.
 */
import { unreachable } from "../base/assert.ts";
import type { GroupId } from "../base/ids.ts";
import type { Reply } from "../base/reply.ts";
import { errorReply } from "../base/reply.ts";
import type { Plan, ServerPort } from "../commands/contract.ts";
import { CROSS_SLOT, NO_SCRIPT } from "../commands/errors.ts";
import { operationKeys, soleKey } from "../commands/operation-keys.ts";
import { publish } from "../commands/pubsub.ts";
import { planCommand } from "../commands/table.ts";
import type { Operation } from "../machine/operation.ts";
import { isWrite } from "../machine/operation.ts";
import type { ReplySink } from "../replica/batch.ts";
import type { Replica } from "../replica/replica.ts";
import type { Connection } from "./connection.ts";
import type { LockPlans } from "./lock-plans.ts";
import type { PubSub } from "./pubsub.ts";
import type { Counters } from "./statistics.ts";

const CROSS_SLOT_REPLY = errorReply(CROSS_SLOT);
const NO_SCRIPT_REPLY = errorReply(NO_SCRIPT);

/** As in Redis. */
const WARNING_INTERVAL_MS = 60_000;

/** Stands for "the keys belong to several groups" where a group is expected. */
const SEVERAL_GROUPS = -1;

export class Dispatcher {
  readonly #replica: Replica;
  readonly #port: ServerPort;
  readonly #pubsub: PubSub;
  readonly #locks: LockPlans;
  readonly #counters: Counters;
  readonly #shutdown: (asker: Connection) => void;
  readonly #warn: (text: string, address: string) => void;
  #warnedAtMs = -Infinity;

  constructor(options: {
    readonly replica: Replica;
    readonly port: ServerPort;
    readonly pubsub: PubSub;
    readonly locks: LockPlans;
    readonly counters: Counters;
    readonly shutdown: (asker: Connection) => void;
    /** For the log: what a client at an address has done. */
    readonly warn: (text: string, address: string) => void;
  }) {
    this.#replica = options.replica;
    this.#port = options.port;
    this.#pubsub = options.pubsub;
    this.#locks = options.locks;
    this.#counters = options.counters;
    this.#shutdown = options.shutdown;
    this.#warn = options.warn;
  }

  dispatch(args: readonly string[], connection: Connection): void {
    const session = connection.session;
    session.lastCommandAtMs = connection.commandAtMs;
    session.commandsProcessed += 1;
    this.#counters.commandsProcessed += 1;
    const plan = planCommand(args, session, this.#port);
    this.#carryOut(plan, args, connection);
  }

  #carryOut(plan: Plan, args: readonly string[], connection: Connection): void {
    switch (plan.kind) {
      case "reply":
        connection.reply(plan.reply, args);
        return;
      case "operation": {
        const group = this.#groupOf(plan.operation);
        if (group === SEVERAL_GROUPS) connection.reply(CROSS_SLOT_REPLY, args);
        else this.#submit(group, plan, { args, connection });
        return;
      }
      case "group":
        this.#submit(plan.group, plan, { args, connection });
        return;
      case "every-group":
        this.#submitToAll(plan, args, connection);
        return;
      case "script":
        this.#submitScript(plan, args, connection);
        return;
      case "silent":
        return;
      case "close":
        if (plan.warning !== undefined) {
          this.#warnRarely(plan.warning, connection);
          connection.destroy();
          return;
        }
        if (plan.reply !== null) connection.reply(plan.reply, args);
        connection.end();
        return;
      case "shutdown":
        this.#shutdown(connection);
        return;
      case "subscription": {
        const replies = this.#pubsub.change(plan, connection);
        if ("kind" in replies) connection.reply(replies, args);
        else connection.confirm(replies, args);
        return;
      }
      case "publish":
        connection.inTurn(() => {
          connection.reply(publish(plan, this.#port), args);
        });
        return;
      case "paxos":
        this.#replica.admin(plan.args, connection.defer(args, undefined, true));
        return;
      case "lock-wait":
      case "lock-all":
      case "lock-watch":
      case "lock-ticket":
      case "lock-session":
      case "lock-deadlocks":
        this.#locks.carryOut(plan, args, connection);
        return;
      default:
        unreachable(plan);
    }
  }

  /** Clients do not fill the log. */
  #warnRarely(text: string, connection: Connection): void {
    if (connection.commandAtMs - this.#warnedAtMs < WARNING_INTERVAL_MS) return;
    this.#warnedAtMs = connection.commandAtMs;
    this.#warn(text, connection.session.address);
  }

  #submit(
    group: GroupId,
    plan: { readonly operation: Operation; readonly finish?: (reply: Reply) => Reply },
    from: { readonly args: readonly string[]; readonly connection: Connection },
  ): void {
    const { args, connection } = from;
    const { operation, finish } = plan;
    if (isWrite(operation)) {
      this.#replica.write(group, operation, connection.defer(args, finish, false));
      return;
    }
    if (connection.pendingReplies > 0) {
      const pending = connection.defer(args, finish, operation.kind === "scan");
      this.#replica.readBehindWrites(group, operation, pending);
      return;
    }
    const reply = this.#replica.tryRead(group, operation);
    if (reply === undefined) {
      const pending = connection.defer(args, finish, operation.kind === "scan");
      this.#replica.read(group, operation, pending);
      return;
    }
    connection.reply(finish === undefined ? reply : finish(reply), args);
  }

  #submitToAll(
    plan: Extract<Plan, { kind: "every-group" }>,
    args: readonly string[],
    connection: Connection,
  ): void {
    const write = isWrite(plan.operation);
    const refusal = write ? this.#replica.refusalOfAll() : null;
    if (refusal !== null) {
      connection.reply(refusal, args);
      return;
    }
    const pending = connection.defer(args, undefined, true);
    const gather = new Gather(this.#port.groups, plan.merge, pending);
    for (let group = 0; group < this.#port.groups; group += 1) {
      const sink = gather.sink(group);
      if (write) this.#replica.write(group, plan.operation, sink);
      else this.#replica.readBehindWrites(group, plan.operation, sink);
    }
  }

  #submitScript(
    plan: Extract<Plan, { kind: "script" }>,
    args: readonly string[],
    connection: Connection,
  ): void {
    const group = this.#groupOfKeys(plan.keys);
    if (group === SEVERAL_GROUPS) {
      connection.reply(CROSS_SLOT_REPLY, args);
      return;
    }
    const body = plan.body ?? this.#replica.scriptBody(plan.sha);
    // With other nodes, a script may be loaded that this one has not heard of yet: the group knows.
    if (body === null && this.#replica.alone) {
      connection.reply(NO_SCRIPT_REPLY, args);
      return;
    }
    const operation: Operation = {
      kind: "eval",
      db: connection.session.db,
      sha: plan.sha,
      // The replica leaves it out of the log where the group has it already.
      body,
      keys: plan.keys,
      args: plan.args,
      readOnly: plan.readOnly,
    };
    // A read-only script that the group lacks passes through the log all the same, to be kept there.
    if (!plan.readOnly || !this.#replica.groupHasScript(group, plan.sha)) {
      this.#replica.write(group, operation, connection.defer(args, undefined, true));
      return;
    }
    if (connection.pendingReplies > 0) {
      this.#replica.readBehindWrites(group, operation, connection.defer(args, undefined, true));
      return;
    }
    const reply = this.#replica.tryRead(group, operation);
    if (reply !== undefined) connection.reply(reply, args);
    else this.#replica.read(group, operation, connection.defer(args, undefined, true));
  }

  #groupOf(operation: Operation): GroupId {
    const key = soleKey(operation);
    if (key !== null) return this.#port.groupOf(key);
    return this.#groupOfKeys(operationKeys(operation));
  }

  #groupOfKeys(keys: readonly string[]): GroupId {
    const first = keys[0];
    if (first === undefined) return 0;
    const group = this.#port.groupOf(first);
    for (let index = 1; index < keys.length; index += 1) {
      const key = keys[index];
      if (key !== undefined && this.#port.groupOf(key) !== group) return SEVERAL_GROUPS;
    }
    return group;
  }
}

/** Collects one answer from each group and merges them when the last has come. */
class Gather {
  readonly #replies: Reply[];
  readonly #merge: (replies: readonly Reply[]) => Reply;
  readonly #sink: ReplySink;
  #missing: number;

  constructor(groups: number, merge: (replies: readonly Reply[]) => Reply, sink: ReplySink) {
    this.#replies = new Array<Reply>(groups).fill(null);
    this.#merge = merge;
    this.#sink = sink;
    this.#missing = groups;
  }

  sink(group: GroupId): ReplySink {
    return {
      resolve: (reply) => {
        this.#replies[group] = reply;
        this.#missing -= 1;
        if (this.#missing === 0) this.#sink.resolve(this.#merge(this.#replies));
      },
    };
  }
}
