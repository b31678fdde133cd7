/**
 * PAXOS.STATUS, PAXOS.HANDOVER, PAXOS.ADDNODE, PAXOS.REMOVENODE: carried out by the node that can,
 * whichever was asked, and answered when what was asked for is so.
 *
 * A command that changes something goes to the leader of the group it concerns and waits there until
 * the change is in force. The node that was asked passes on the answer.
 */
import { errorReply, isError, OK } from "../base/reply.ts";
import type { Reply } from "../base/reply.ts";
import type { NodeId } from "../base/ids.ts";
import { ADMIN_REQUESTS_MAX } from "../base/limits.ts";
import type { NodeStatus } from "../commands/paxos-status.ts";
import { statusReply } from "../commands/paxos-status.ts";
import type { AdminMessage, AdminReplyMessage } from "../wire/peer-messages.ts";
import type { ReplySink } from "./batch.ts";
import type { ReplicaContext } from "./context.ts";
import type { GroupReplica } from "./group-replica.ts";
import type { LeadershipPolicy } from "./leadership-policy.ts";
import { NO_MEMBER } from "./refusals.ts";

/** What the next step of a command brought: an answer, another node to ask, or nothing yet. */
type Step =
  | { readonly kind: "answer"; readonly reply: Reply }
  | { readonly kind: "ask"; readonly node: NodeId }
  | { readonly kind: "wait" };

interface Task {
  readonly id: number;
  readonly args: readonly string[];
  readonly sink: ReplySink;
  readonly sinceTick: number;
  /** Whether this node has begun to carry it out. */
  begun: boolean;
  /** The node that was asked, or 0. */
  asked: NodeId;
  /** Whether another node may ask this one only for what it can do itself. */
  readonly local: boolean;
}

const WAIT: Step = { kind: "wait" };

/** Between nodes only: "nothing was begun here, and another node leads that group now". */
const ASK_ANOTHER = errorReply(
  "CLUSTERDOWN another node leads that group by now; nothing was changed, retry",
);

const TOO_MANY = errorReply("TRYAGAIN too many PAXOS commands are waiting; retry in a moment");

function refuse(text: string): Step {
  return { kind: "answer", reply: errorReply(`ERR ${text}`) };
}

export class Admin {
  readonly #context: ReplicaContext;
  readonly #groups: readonly GroupReplica[];
  readonly #leadership: LeadershipPolicy;
  readonly #status: () => NodeStatus;
  #tasks: Task[] = [];
  #nextId = 1;

  constructor(
    context: ReplicaContext,
    parts: {
      readonly groups: readonly GroupReplica[];
      readonly leadership: LeadershipPolicy;
      readonly status: () => NodeStatus;
    },
  ) {
    this.#context = context;
    this.#groups = parts.groups;
    this.#leadership = parts.leadership;
    this.#status = parts.status;
  }

  /** Carries out a command of a client of this node; `args[0]` is its name. */
  request(args: readonly string[], sink: ReplySink): void {
    this.#begin(args, sink, false);
  }

  /** Another node asks for what this one can do. */
  received(from: NodeId, { id, args }: AdminMessage): void {
    const sink: ReplySink = {
      resolve: (reply) => {
        this.#context.outbound.add(from, { kind: "admin-reply", id, reply });
      },
    };
    this.#begin(args, sink, true);
  }

  replied(from: NodeId, { id, reply }: AdminReplyMessage): void {
    const task = this.#tasks.find((other) => other.id === id && other.asked === from);
    if (task === undefined) return;
    // Asked again at the next tick, by when this node may have heard who leads.
    if (isError(reply) && reply.text === ASK_ANOTHER.text) task.asked = 0;
    else this.#end(task, reply);
  }

  disconnected(peer: NodeId): void {
    for (const task of this.#tasks.filter(({ asked }) => asked === peer)) {
      const text = isStatus(task.args)
        ? `ERR the link to node ${peer} broke before it answered; retry`
        : `UNKNOWN the link to node ${peer} broke before it answered; see PAXOS.STATUS for what is so`;
      this.#end(task, errorReply(text));
    }
  }

  /** Goes on with what waits; called once a tick. */
  tick(): void {
    const { tick, timings } = this.#context;
    for (const task of [...this.#tasks]) {
      if (task.asked === 0) this.#step(task);
      if ((tick - task.sinceTick) * timings.tickMs < timings.adminTimeoutMs) continue;
      if (this.#tasks.includes(task)) this.#end(task, this.#late(task));
    }
  }

  #begin(args: readonly string[], sink: ReplySink, local: boolean): void {
    if (this.#tasks.length >= ADMIN_REQUESTS_MAX) {
      sink.resolve(TOO_MANY);
      return;
    }
    const sinceTick = this.#context.tick;
    const task: Task = { id: this.#nextId, args, sink, sinceTick, begun: false, asked: 0, local };
    this.#nextId += 1;
    this.#tasks.push(task);
    this.#step(task);
    this.#context.wake();
  }

  #end(task: Task, reply: Reply): void {
    this.#tasks = this.#tasks.filter((other) => other !== task);
    task.sink.resolve(reply);
    this.#context.wake();
  }

  #late({ begun, asked, args }: Task): Reply {
    if (begun || asked !== 0) {
      return errorReply(
        isStatus(args)
          ? `ERR node ${asked} did not answer in time`
          : "UNKNOWN the change was begun and is not in force yet; see PAXOS.STATUS for what is so",
      );
    }
    return errorReply(
      "CLUSTERDOWN no node leads the group that decides this; nothing was changed, retry",
    );
  }

  #step(task: Task): void {
    const step = this.#attempt(task);
    switch (step.kind) {
      case "answer":
        this.#end(task, step.reply);
        return;
      case "ask":
        if (task.local) {
          this.#end(task, ASK_ANOTHER);
          return;
        }
        if (!this.#context.outbound.isConnected(step.node)) return;
        task.asked = step.node;
        this.#context.outbound.add(step.node, { kind: "admin", id: task.id, args: task.args });
        return;
      case "wait":
        return;
    }
  }

  #attempt(task: Task): Step {
    const [name = "", first = "", second = ""] = task.args;
    switch (name.toLowerCase()) {
      case "paxos.status":
        return this.#statusOf(first === "" ? this.#context.self : Number(first), task);
      case "paxos.handover":
        return this.#handOver(task, Number(first), Number(second));
      case "paxos.addnode":
        return this.#addNode(task, Number(first), second);
      case "paxos.removenode":
        return this.#removeNode(task, Number(first));
      default:
        return refuse(`this version knows no command '${name}'`);
    }
  }

  #statusOf(node: NodeId, { local }: Task): Step {
    if (node === this.#context.self || local) {
      return { kind: "answer", reply: statusReply(this.#status()) };
    }
    if (!this.#isMember(node)) return refuse(`node ${node} is no member; PAXOS.STATUS names them`);
    if (this.#context.outbound.isConnected(node)) return { kind: "ask", node };
    return refuse(`node ${node} cannot be reached from node ${this.#context.self}`);
  }

  #handOver(task: Task, groupId: number, node: NodeId): Step {
    const group = this.#groups[groupId];
    if (group === undefined) return refuse(`there is no group ${groupId}`);
    const member = group.members.find(({ id }) => id === node);
    if (member === undefined) return refuse(`node ${node} is no member of group ${groupId}`);
    if (!member.voter) {
      return refuse(`node ${node} still learns group ${groupId}; it may lead once it votes`);
    }
    if (group.leader === node) return { kind: "answer", reply: OK };
    if (task.begun) return WAIT;
    if (!group.isLeader) return this.#leaderOf(group);
    if (!group.paxos.handOver(node)) {
      return refuse(
        `node ${node} cannot take group ${groupId} over now: it does not answer, lacks too much of ` +
          "the log, or a handover is under way; PAXOS.STATUS shows its lag",
      );
    }
    return this.#begun(task, group);
  }

  #addNode(task: Task, node: NodeId, address: string): Step {
    const group = this.#groups[0];
    if (!this.#isMember(this.#context.self)) return { kind: "answer", reply: NO_MEMBER };
    if (task.begun) return this.#isMember(node) ? inForce([group]) : WAIT;
    if (group === undefined || !group.isLeader) return this.#leaderOf(group);
    if (!group.leads) return WAIT;
    const refusal = group.changeMembers({ kind: "add", id: node, address });
    return refusal === null ? this.#begun(task, group) : refuse(refusal);
  }

  #removeNode(task: Task, node: NodeId): Step {
    const group = this.#groups[0];
    if (task.begun) {
      // Before every group has let go of it, its disk may still be needed for a majority.
      const isGone = this.#groups.every(({ members }) => members.every(({ id }) => id !== node));
      return isGone ? inForce(this.#groups) : WAIT;
    }
    if (!this.#isMember(this.#context.self)) return { kind: "answer", reply: NO_MEMBER };
    if (group === undefined || !group.isLeader) return this.#leaderOf(group);
    if (!group.leads) return WAIT;
    if (!this.#isMember(node)) return refuse(`node ${node} is no member; PAXOS.STATUS names them`);
    const refusal = this.#unfinished(group, node) ?? this.#losesMajority(node);
    if (refusal !== null) return refuse(refusal);
    if (node === this.#context.self) {
      // A leader does not remove itself: the next one is asked.
      this.#leadership.giveUp(group);
      return WAIT;
    }
    const reason = group.changeMembers({ kind: "remove", id: node });
    return reason === null ? this.#begun(task, group) : refuse(reason);
  }

  /**
   * Why a node may not be removed yet, or null. A group in which the node that takes another's place
   * has no vote yet may need the other for its majority.
   */
  #unfinished(authority: GroupReplica, node: NodeId): string | null {
    const rest = (group: GroupReplica) =>
      group.members
        .filter(({ id }) => id !== node)
        .map(({ id, voter }) => (voter ? `${id}` : `${id}?`))
        .join(" ");
    const behind = this.#groups.filter((group) => rest(group) !== rest(authority));
    const learns = authority.members.find(({ id, voter }) => !voter && id !== node);
    if (behind.length === 0 && learns === undefined) return null;
    const groups = behind.length === 0 ? "0" : behind.map(({ id }) => id).join(", ");
    return (
      `an earlier change of members is still under way in group ${groups}; ` +
      "wait until PAXOS.STATUS shows the same voters in every group, then retry"
    );
  }

  /** Why a group could not go on without a node, or null. */
  #losesMajority(node: NodeId): string | null {
    const { self, outbound } = this.#context;
    for (const group of this.#groups) {
      if (!group.members.some(({ id, voter }) => id === node && voter)) continue;
      const voters = group.members.filter(({ id, voter }) => voter && id !== node);
      if (voters.length === 0)
        return `node ${node} is the last one that votes; add another node first`;
      const live = voters.filter(({ id }) => id === self || outbound.isConnected(id));
      if (live.length > voters.length / 2) continue;
      return (
        `without node ${node} only ${live.length} of ${voters.length} voters can be reached, which ` +
        "is no majority; start the others or add a node first"
      );
    }
    return null;
  }

  #begun(task: Task, group: GroupReplica): Step {
    task.begun = true;
    this.#context.wake(group.id);
    return WAIT;
  }

  #leaderOf(group: GroupReplica | undefined): Step {
    const leader = group?.leader ?? 0;
    return leader === 0 || leader === this.#context.self ? WAIT : { kind: "ask", node: leader };
  }

  #isMember(node: NodeId): boolean {
    return this.#groups[0]?.members.some(({ id }) => id === node) ?? false;
  }
}

/** A change is reported once a restart finds it: this node may be the only one left that knows it. */
function inForce(groups: readonly (GroupReplica | undefined)[]): Step {
  const isDurable = groups.every((group) => group?.membersAreDurable === true);
  return isDurable ? { kind: "answer", reply: OK } : WAIT;
}

function isStatus(args: readonly string[]): boolean {
  return (args[0] ?? "").toLowerCase() === "paxos.status";
}
