/**
 * Promises and accepted values are never forgotten [P1] [P3]: after a promise is durable, the same
 * disk takes nothing of a lower ballot, whatever crashes, and a restart finds the promise again. A
 * value that is known to be chosen may be learned in the ballot it was chosen in, a lower one.
 */
import type { Ballot, GroupId, NodeId, Slot } from "../../base/ids.ts";
import type { Agreement } from "./agreement.ts";
import { markOf } from "./agreement.ts";
import type { Checker, Step } from "./checker.ts";
import { Violation } from "./checker.ts";

export class Memory implements Checker {
  readonly name = "promises and values are not forgotten [P1 P3]";
  readonly #promised = new Map<number, Ballot>();
  readonly #accepted = new Map<number, Map<Slot, { ballot: Ballot; mark: number }>>();
  readonly #chosen: Pick<Agreement, "committed" | "isAccepted">;

  /** `chosen` tells which values are chosen, as of the step before or this one. */
  constructor(chosen: Pick<Agreement, "committed" | "isAccepted">) {
    this.#chosen = chosen;
  }

  onStep(step: Step): void {
    if (step.kind === "durable") this.#durable(step);
    else if (step.kind === "restored") this.#restored(step);
  }

  #durable({ node, commit }: Extract<Step, { kind: "durable" }>): void {
    // What one commit holds came in an order that is not known here: it is held against the ones before.
    const raised = new Map<number, Ballot>();
    for (const { group, slot, ballot, value } of commit.log) {
      const place = node * 65_536 + group;
      const promised = this.#promised.get(place) ?? 0;
      const mark = markOf(value);
      const isChosen = this.#chosen.committed(group, slot) === mark;
      if (ballot < promised && !isChosen && !this.#isKnown(node, { group, slot, ballot, mark })) {
        throw new Violation(
          this.name,
          `[P3] node ${node} accepts slot ${slot} of group ${group} in ballot ${ballot} after it promised ${promised}`,
        );
      }
      let slots = this.#accepted.get(place);
      if (slots === undefined) this.#accepted.set(place, (slots = new Map()));
      const before = slots.get(slot);
      if (before !== undefined && before.ballot > ballot) {
        throw new Violation(
          this.name,
          `[P2] node ${node} goes back to ballot ${ballot} in slot ${slot} of group ${group}`,
        );
      }
      slots.set(slot, { ballot, mark });
      if (!isChosen) raised.set(place, Math.max(raised.get(place) ?? 0, ballot));
    }
    for (const { group, ballot } of commit.promises) {
      const place = node * 65_536 + group;
      const promised = this.#promised.get(place) ?? 0;
      if (ballot < promised) {
        throw new Violation(
          this.name,
          `[P1] node ${node} promises ${ballot} in group ${group} after ${promised}`,
        );
      }
      raised.set(place, Math.max(raised.get(place) ?? 0, ballot));
    }
    for (const [place, ballot] of raised) {
      this.#promised.set(place, Math.max(this.#promised.get(place) ?? 0, ballot));
    }
  }

  /** Whether what comes in a lower ballot than promised is chosen, or on this disk already. */
  #isKnown(
    node: NodeId,
    what: {
      readonly group: GroupId;
      readonly slot: Slot;
      readonly ballot: Ballot;
      readonly mark: number;
    },
  ): boolean {
    const { group, slot, ballot, mark } = what;
    const own = this.#accepted.get(node * 65_536 + group)?.get(slot);
    if (own?.ballot === ballot && own.mark === mark) return true;
    return this.#chosen.isAccepted(group, slot, { ballot, mark, without: node });
  }

  #restored({ node, group, promised }: Extract<Step, { kind: "restored" }>): void {
    const durable = this.#promised.get(node * 65_536 + group) ?? 0;
    if (promised < durable) {
      throw new Violation(
        this.name,
        `[P3] node ${node} restarts group ${group} at ballot ${promised}, its disk had ${durable}`,
      );
    }
  }
}
