/**
 * Replicas that have applied the same slots are equal: same stamp, same answers, same digest, also
 * one that began from a checkpoint or a snapshot. Digests read every key, so they are compared at
 * every so many slots, and at the end.
 */
import type { GroupId, Slot } from "../../base/ids.ts";
import type { Reply } from "../../base/reply.ts";
import type { Checker, Step, WorldView } from "./checker.ts";
import { Violation } from "./checker.ts";

/** Slots between two digests of a group. */
const DIGEST_EVERY = 16;

interface Facts {
  readonly nowMs: number;
  readonly replies: readonly Reply[];
  readonly digest: string | null;
}

/** Whether two answers are the same; shapes and texts, not objects. */
export function sameReply(one: Reply, other: Reply): boolean {
  if (one === other) return true;
  if (typeof one !== "object" || typeof other !== "object") return false;
  if (one === null || other === null) return false;
  if (Array.isArray(one)) {
    const others = other as readonly Reply[];
    return (
      Array.isArray(other) &&
      one.length === others.length &&
      one.every((item: Reply, index) => sameReply(item, others[index] ?? null))
    );
  }
  if (!("kind" in one) || !("kind" in other) || one.kind !== other.kind) return false;
  if ("text" in one && "text" in other) return one.text === other.text;
  return !("text" in one || "text" in other);
}

export class SameState implements Checker {
  readonly name = "replicas are equal";
  readonly #facts: Map<Slot, Facts>[];
  /** How many digests were compared with an earlier one. */
  compared = 0;

  constructor(groups: number) {
    this.#facts = Array.from({ length: groups }, () => new Map<Slot, Facts>());
  }

  onStep(step: Step): void {
    if (step.kind !== "applied") return;
    const { group, slot, entry, replies, machine, node } = step;
    const facts = this.#of(group);
    const known = facts.get(slot);
    const digest = slot % DIGEST_EVERY === 0 ? machine.digest() : null;
    if (known === undefined) {
      facts.set(slot, { nowMs: entry.nowMs, replies, digest });
      return;
    }
    const same =
      known.nowMs === entry.nowMs &&
      known.replies.length === replies.length &&
      known.replies.every((reply, index) => sameReply(reply, replies[index] ?? null));
    if (!same) {
      throw new Violation(
        this.name,
        `node ${node} answers slot ${slot} of group ${group} otherwise`,
      );
    }
    if (digest === null) return;
    this.compared += 1;
    if (digest !== known.digest) {
      throw new Violation(
        this.name,
        `node ${node} has digest ${digest} after slot ${slot} of group ${group}, another had ${known.digest ?? "none"}`,
      );
    }
  }

  /** Compares whatever stands at the same slot now. */
  onState(world: WorldView): void {
    const digests = new Map<string, { readonly node: number; readonly digest: string }>();
    for (const node of world.nodes) {
      for (const { id, machine } of node.groups) {
        const place = `group ${id} slot ${machine.appliedSlot}`;
        const digest = machine.digest();
        const known = digests.get(place);
        if (known === undefined) {
          digests.set(place, { node: node.id, digest });
          continue;
        }
        this.compared += 1;
        if (known.digest !== digest) {
          throw new Violation(
            this.name,
            `${place} is ${digest} on node ${node.id} and ${known.digest} on node ${known.node}`,
          );
        }
      }
    }
  }

  #of(group: GroupId): Map<Slot, Facts> {
    return this.#facts[group] ?? new Map<Slot, Facts>();
  }
}
