/** The fencing token of a key rises strictly from grant to grant, seen from inside the machines. */
import { OK } from "../../base/reply.ts";
import { groupOfSlot, hashSlot } from "../../cluster/hash-slot.ts";
import type { Checker, Step } from "./checker.ts";
import { Violation } from "./checker.ts";

export class TokensRise implements Checker {
  readonly name = "tokens rise";
  readonly #groups: number;
  readonly #applied: number[];
  readonly #tokens = new Map<string, bigint>();

  constructor(groups: number) {
    this.#groups = groups;
    this.#applied = Array.from({ length: groups }, () => 0);
  }

  onStep(step: Step): void {
    if (step.kind !== "applied") return;
    const { group, slot, entry, replies, machine } = step;
    // The first replica to apply a slot speaks for all: they are equal.
    if (slot <= (this.#applied[group] ?? 0)) return;
    this.#applied[group] = slot;
    const granted = new Set<string>();
    for (const [index, operation] of entry.operations.entries()) {
      if (operation.kind === "set" && operation.when === "nx" && replies[index] === OK) {
        granted.add(operation.key);
      }
    }
    for (const key of granted) {
      if (groupOfSlot(hashSlot(key), this.#groups) !== group) {
        throw new Violation(this.name, `group ${group} grants ${key}, which is not its own`);
      }
      const context = { nowMs: machine.nowMs, wallMs: entry.wallMs };
      const reply = machine.read({ kind: "lock-token", db: 0, key }, context);
      // Granted and released in one entry.
      if (typeof reply !== "string") continue;
      const token = BigInt(reply);
      const before = this.#tokens.get(key);
      if (before !== undefined && token <= before) {
        throw new Violation(this.name, `the token of ${key} goes from ${before} to ${token}`);
      }
      this.#tokens.set(key, token);
    }
  }
}
