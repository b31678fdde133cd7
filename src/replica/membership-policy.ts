/**
 * Carries changes of membership through: operators change group 0, and the leader of every other group
 * follows what group 0 says, one step at a time, so that a change that was interrupted finishes by
 * itself.
 */
import type { GroupReplica } from "./group-replica.ts";
import type { LeadershipPolicy } from "./leadership-policy.ts";
import { CAUGHT_UP_SLOTS } from "./leadership-policy.ts";
import type { ReplicaContext } from "./context.ts";

export class MembershipPolicy {
  readonly #context: ReplicaContext;
  readonly #groups: readonly GroupReplica[];
  readonly #leadership: LeadershipPolicy;

  constructor(
    context: ReplicaContext,
    groups: readonly GroupReplica[],
    leadership: LeadershipPolicy,
  ) {
    this.#context = context;
    this.#groups = groups;
    this.#leadership = leadership;
  }

  /** The next step of each group that this node leads. */
  run(): void {
    const authority = this.#groups[0];
    if (authority === undefined) return;
    for (const group of this.#groups) {
      if (!group.leads) continue;
      if (this.#step(group, authority)) this.#context.wake(group.id);
    }
  }

  #step(group: GroupReplica, authority: GroupReplica): boolean {
    if (group !== authority) {
      const missing = authority.members.find(
        ({ id }) => !group.members.some((member) => member.id === id),
      );
      if (missing !== undefined) {
        const { id, address } = missing;
        return group.changeMembers({ kind: "add", id, address }) === null;
      }
    }
    const ready = group.members.find(({ id, voter }) => !voter && this.#hasCaughtUp(group, id));
    if (ready !== undefined) {
      return group.changeMembers({ kind: "promote", id: ready.id }) === null;
    }
    if (group === authority) return false;
    const extra = group.members.find(
      ({ id }) => !authority.members.some((member) => member.id === id),
    );
    if (extra === undefined) return false;
    if (extra.id === this.#context.self) return this.#leadership.giveUp(group);
    return group.changeMembers({ kind: "remove", id: extra.id }) === null;
  }

  #hasCaughtUp({ paxos }: GroupReplica, node: number): boolean {
    const chosen = paxos.chosenAt(node);
    // A node that has said nothing yet knows of nothing.
    return chosen > 0 && paxos.chosenSlot - chosen <= CAUGHT_UP_SLOTS;
  }
}
