/**
 * Nobody is forgotten: once the cluster is healed, every client of the lock engine is answered at the
 * latest when its wait and the time of a request are over; and what is due in a group comes about.
 */
import type { LockCall } from "../lock-history.ts";
import { claimOf } from "../lock-history.ts";
import type { Checker, Step } from "./checker.ts";
import { Violation } from "./checker.ts";

/** What a node needs beyond: the ticks by which it counts, disks and the network. */
const SLACK_MS = 700;

export class LockAnswers implements Checker {
  readonly name = "every wait is answered in its time [L3]";
  readonly #requestTimeoutMs: number;
  readonly #groups: number;
  readonly #rate: number;
  readonly #open = new Set<LockCall>();

  constructor(options: {
    readonly requestTimeoutMs: number;
    readonly groups: number;
    readonly driftPpm: number;
  }) {
    this.#requestTimeoutMs = options.requestTimeoutMs;
    this.#groups = options.groups;
    this.#rate = 1 + (2 * options.driftPpm) / 1_000_000;
  }

  onStep(step: Step): void {
    if (step.kind === "asked") this.#open.add(step.call);
    else if (step.kind === "told") this.#open.delete(step.call);
  }

  /** Called now and then after healing. `overdueMs`: by how much the groups are behind with what is due. */
  look(nowMs: number, healedMs: number, overdueMs: number): void {
    for (const call of this.#open) {
      const dueMs = Math.max(call.invokedMs, healedMs) + this.#patienceMs(call) * this.#rate;
      if (nowMs <= dueMs + SLACK_MS) continue;
      throw new Violation(
        this.name,
        `call ${call.id} of client ${call.client} on node ${call.node}, ${call.ask.kind}, has waited since ${call.invokedMs.toFixed(1)} ms`,
      );
    }
    if (nowMs < healedMs + this.#requestTimeoutMs + SLACK_MS || overdueMs <= SLACK_MS * 2) return;
    throw new Violation(
      this.name,
      `something that was due ${overdueMs.toFixed(0)} ms ago has not ended in its group`,
    );
  }

  #patienceMs(call: LockCall): number {
    const requestMs = this.#requestTimeoutMs;
    const claim = claimOf(call);
    if (claim !== null) {
      // One group after the other, then all of them once more.
      const requests = call.ask.kind === "lock-all" ? this.#groups + 2 : 1;
      return claim.waitMs + requests * requestMs;
    }
    if (call.ask.kind === "lock-ticket" || call.ask.kind === "lock-watch") {
      return call.ask.waitMs + 2 * requestMs;
    }
    return 2 * requestMs;
  }
}
