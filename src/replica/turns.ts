/**
 * One turn of the replica: proposes what has gathered, moves records to the disk, lets what is for
 * others leave, applies what is chosen, and answers.
 *
 *     listed groups ─▶ propose ─▶ effects ─┬─▶ records ─▶ disk ─▶ stored ─▶ effects …
 *                                          ├─▶ messages ─▶ outbound, when their records are stored
 *                                          └─▶ commits ─▶ apply ─▶ answers
 */
import { present, unreachable } from "../base/assert.ts";
import type { Scheduler } from "../base/ports.ts";
import type { SendEffect } from "../paxos/effects.ts";
import type { DiskQueue, Marks } from "./disk-queue.ts";
import type { Expiry } from "./expiry.ts";
import type { Decided, GroupReplica } from "./group-replica.ts";
import type { ReplicaEvent } from "./options.ts";
import type { Outbound } from "./outbound.ts";
import type { SnapshotReceiver } from "./snapshot-receiver.ts";

interface Chosen extends Decided {
  readonly group: GroupReplica;
}

/** What a turn works with. */
export interface TurnParts {
  readonly disk: DiskQueue;
  readonly outbound: Outbound;
  readonly expiry: Expiry;
  readonly receiver: SnapshotReceiver;
  readonly isStopping: () => boolean;
  readonly onEvent: (event: ReplicaEvent) => void;
  /** Called at the end of each turn, when answers were given. */
  readonly onTurn: () => void;
}

export class Turns {
  readonly #scheduler: Scheduler;
  #parts: TurnParts | null = null;
  /** Groups that have something to propose or effects to run. */
  #listed: GroupReplica[] = [];
  /** Chosen entries to apply, in order per group. */
  readonly #chosen: Chosen[] = [];
  /** Groups whose newest entries clients of other nodes wait for. */
  readonly #awaited = new Set<GroupReplica>();
  #scheduled = false;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** Before the first turn: its parts themselves ask for turns. */
  connect(parts: TurnParts): void {
    this.#parts = parts;
  }

  /** Gives a group its part in the next turn. */
  list(group: GroupReplica): void {
    this.#listNow(group);
    this.schedule();
  }

  schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#scheduler.defer(() => {
      this.#scheduled = false;
      this.#run(this.#connected);
    });
  }

  /** A commit is durable: the next one is handed over before its slots are applied. */
  stored(marks: Marks): void {
    const parts = this.#connected;
    for (const [group, mark] of marks) {
      parts.outbound.stored(group.id, mark);
      group.paxos.stored(mark);
      this.#collect(group, parts);
      this.#listNow(group);
    }
    this.#run(parts);
  }

  get #connected(): TurnParts {
    return present(this.#parts, "the parts of a turn are there before the first");
  }

  #listNow(group: GroupReplica): void {
    if (group.listed) return;
    group.listed = true;
    this.#listed.push(group);
  }

  #run(parts: TurnParts): void {
    const { disk, outbound } = parts;
    if (disk.gaveUp) return;
    this.#proposeAndCollect(parts);
    disk.commitIfIdle();
    // What others wait for leaves before the entries are applied, which takes longer.
    outbound.flush();
    this.#applyChosen(parts);
    outbound.flush();
    parts.onTurn();
  }

  #proposeAndCollect(parts: TurnParts): void {
    const listed = this.#listed;
    this.#listed = [];
    for (const group of listed) {
      group.listed = false;
      if (group.alone || !parts.disk.sick) group.propose();
      group.serveReads();
      this.#collect(group, parts);
      group.forwards.flush();
    }
  }

  #collect(group: GroupReplica, parts: TurnParts): void {
    for (const effect of group.paxos.takeEffects()) {
      switch (effect.kind) {
        case "persist":
          parts.disk.add(group, effect);
          break;
        case "commit": {
          const { slot, value, members } = effect;
          this.#chosen.push({ group, slot, value, members });
          break;
        }
        case "role": {
          const leader = group.leader;
          group.roleChanged(effect);
          parts.expiry.watch(group);
          if (group.leader !== leader) {
            parts.onEvent({ kind: "leader", group: group.id, leader: group.leader });
          }
          break;
        }
        case "send":
          send(group, effect, parts);
          break;
        case "needSnapshot":
          if (!parts.isStopping()) parts.receiver.needed(group, effect.from, effect.slot);
          break;
        default:
          unreachable(effect);
      }
    }
  }

  #applyChosen(parts: TurnParts): void {
    const { expiry } = parts;
    const chosen = this.#chosen;
    for (let index = 0; index < chosen.length; index += 1) {
      const decided = present(chosen[index], "within bounds");
      const { group } = decided;
      group.apply(decided);
      if (group.isAwaited) this.#awaited.add(group);
      // The window moved: what waits may be proposed, and new deadlines may have come.
      if (!group.idle) this.list(group);
      expiry.watch(group);
    }
    chosen.length = 0;
    if (this.#awaited.size === 0) return;
    for (const group of this.#awaited) {
      group.tellChosen();
      this.#collect(group, parts);
    }
    this.#awaited.clear();
  }
}

function send(group: GroupReplica, effect: SendEffect, { disk, outbound }: TurnParts): void {
  // Who does not answer heartbeats is not made leader, and need not be.
  if (effect.message.kind === "heartbeat-ack" && disk.sick) return;
  outbound.consensus(group.id, effect);
}
