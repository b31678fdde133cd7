/** The fencing token of a key rises strictly from grant to grant, seen from inside the machines. */
import { OK } from "../../base/reply.ts";
import { groupOfSlot, hashSlot } from "../../cluster/hash-slot.ts";
import type { Checker, Step } from "./checker.ts";
import { Violation } from "./checker.ts";

export class TokensRise implements Checker {
  readonly name = "tokens rise";
  readonly #groups: number;
  readonly #applied: number[];
  readonly #grants = new Map<string, { readonly owner: string; readonly token: bigint }>();

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
    const granted = new Map<string, string>();
    for (const [index, operation] of entry.operations.entries()) {
      if (operation.kind === "set" && operation.when === "nx" && replies[index] === OK) {
        granted.set(operation.key, operation.value);
      }
    }
    for (const [key, owner] of granted) {
      if (groupOfSlot(hashSlot(key), this.#groups) !== group) {
        throw new Violation(this.name, `group ${group} grants ${key}, which is not its own`);
      }
      const context = { nowMs: machine.nowMs, wallMs: entry.wallMs };
      // Released in the same entry, or a repeat of an operation whose grant is over.
      if (machine.read({ kind: "get", db: 0, key }, context) !== owner) continue;
      const reply = machine.read({ kind: "lock-token", db: 0, key }, context);
      if (typeof reply !== "string") {
        throw new Violation(this.name, `${key} is held without a token`);
      }
      this.#granted(key, owner, BigInt(reply));
    }
  }

  #granted(key: string, owner: string, token: bigint): void {
    const before = this.#grants.get(key);
    const isRepeat = before?.owner === owner;
    if (before !== undefined && (isRepeat ? token !== before.token : token <= before.token)) {
      throw new Violation(this.name, `the token of ${key} goes from ${before.token} to ${token}`);
    }
    this.#grants.set(key, { owner, token });
  }
}
