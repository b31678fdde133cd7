/**
 * A node that knows that a request of its client was granted tells the client so: nobody is told that
 * the outcome is not known, or to ask again, of what its node has applied, or got with a snapshot, and
 * what is held still.
 */
import type { GroupId, Slot } from "../../base/ids.ts";
import type { LockCall } from "../lock-history.ts";
import { claimOf } from "../lock-history.ts";
import type { Checker, Step } from "./checker.ts";
import { Violation } from "./checker.ts";
import type { LockModel } from "./lock-model.ts";

interface Grant {
  readonly group: GroupId;
  readonly slot: Slot;
  readonly key: string;
}

export class LockDelivered implements Checker {
  readonly name = "what is granted is told";
  readonly #models: () => readonly LockModel[];
  /** By owner: the grant of a wait. */
  readonly #grants = new Map<string, Grant>();
  /** By owner: how many requests it has made; of several, nobody can tell which was granted. */
  readonly #asked = new Map<string, number>();
  /** By node and group: how far it knows the log. */
  readonly #reached = new Map<string, Slot>();

  constructor(models: () => readonly LockModel[]) {
    this.#models = models;
  }

  onStep(step: Step): void {
    if (step.kind === "applied") {
      this.#reached.set(`${step.node}/${step.group}`, step.slot);
      for (const { granted, ticket } of step.outcomes) {
        const [first] = granted;
        if (first === undefined || ticket !== 0) continue;
        this.#grants.set(first.owner, { group: step.group, slot: step.slot, key: first.key });
      }
    } else if (step.kind === "restored") {
      this.#reached.set(`${step.node}/${step.group}`, step.appliedSlot);
    } else if (step.kind === "asked") {
      const owner = claimOf(step.call)?.owner;
      if (owner !== undefined) this.#asked.set(owner, (this.#asked.get(owner) ?? 0) + 1);
    } else if (step.kind === "told") {
      this.#told(step.call);
    }
  }

  #told(call: LockCall): void {
    const { ask, outcome, reply, node, interrupted } = call;
    // Without a reply the connection broke: there was nobody to tell.
    if (ask.kind !== "lock-wait" || interrupted || reply === null || outcome === "answered") return;
    const { owner } = ask.operation;
    const grant = this.#grants.get(owner);
    if (grant === undefined || this.#asked.get(owner) !== 1) return;
    if ((this.#reached.get(`${node}/${grant.group}`) ?? 0) < grant.slot) return;
    const holders = this.#models()[grant.group]?.holders.get(grant.key) ?? [];
    if (!holders.some((holder) => holder.owner === owner && holder.request !== 0)) return;
    throw new Violation(
      this.name,
      `${owner} is told ${JSON.stringify(reply)}, while node ${node} knows that it holds ${grant.key}`,
    );
  }
}
