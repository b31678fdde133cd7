/**
 * No acknowledged write is lost and no refused one happens: a write that was answered is in an
 * applied entry by then, one that was refused never is.
 */
import type { Operation } from "../../machine/operation.ts";
import type { Action, Call } from "../history.ts";
import { changes } from "../history.ts";
import type { Checker, Step } from "./checker.ts";
import { Violation } from "./checker.ts";

/** What tells one write from all others, or null for those that nothing tells apart. */
function identityOfOperation(operation: Operation): string | number | null {
  if (operation.kind === "set") return operation.value;
  if (operation.kind === "mset") return operation.values[0] ?? null;
  if (operation.kind === "increment") return Number(operation.by);
  if (operation.kind === "expire") return `${operation.key}~${operation.expireMs}`;
  if (operation.kind === "lock-release") return `-${operation.owner}`;
  if (operation.kind === "lock-renew") return `~${operation.owner}/${operation.ttlMs}`;
  if (operation.kind === "lock-break") return `!${operation.reason}`;
  if (operation.kind !== "eval") return null;
  const [owner = "", ttlMs] = operation.args;
  return ttlMs === undefined ? `-${owner}` : `~${owner}/${ttlMs}`;
}

function identityOfAction(action: Action): string | number | null {
  switch (action.kind) {
    case "acquire":
      return action.owner;
    case "put":
      return action.value;
    case "add":
      return action.by;
    case "lock":
      return granted(action.owner);
    case "release":
    case "unlock":
      return `-${action.owner}`;
    case "extend":
    case "renew":
      return `~${action.owner}/${action.ttlMs}`;
    case "break":
      return `!${action.reason}`;
    case "expire":
      return `${action.key}~${action.ttlMs}`;
    case "get":
    case "get-all":
    case "ttl":
    case "token":
      return null;
  }
}

/** A request for a lock has its effect when it is granted. */
function granted(owner: string): string {
  return `+${owner}`;
}

/** Sent again as they are, or not unique: that one of two was refused says nothing about the other. */
const REPEATABLE: ReadonlySet<Action["kind"]> = new Set<Action["kind"]>([
  "release",
  "unlock",
  "expire",
]);

export class Acknowledged implements Checker {
  readonly name = "what is acknowledged is applied, what is refused is not";
  /** When each write was first applied by anybody, true time. */
  readonly #applied = new Map<string | number, number>();
  readonly #highest: number[];

  constructor(groups: number) {
    this.#highest = Array.from({ length: groups }, () => 0);
  }

  /** When the write of a call was first applied, or null when it never was. */
  appliedMs(call: Call): number | null {
    const identity = identityOfAction(call.action);
    return identity === null ? null : (this.#applied.get(identity) ?? null);
  }

  onStep(step: Step): void {
    if (step.kind === "applied") {
      if (step.slot <= (this.#highest[step.group] ?? 0)) return;
      this.#highest[step.group] = step.slot;
      for (const [index, operation] of step.entry.operations.entries()) {
        const identity = identityOfOperation(operation);
        if (identity !== null) this.#note(identity, step.nowMs);
        if (operation.kind !== "lock-acquire" || !Array.isArray(step.replies[index])) continue;
        this.#note(granted(operation.owner), step.nowMs);
      }
      for (const outcome of step.outcomes) {
        for (const { owner } of outcome.granted) this.#note(granted(owner), step.nowMs);
      }
    } else if (step.kind === "returned") {
      const { call } = step;
      if (call.outcome !== "answered" || !changes(call.action)) return;
      if (call.action.kind === "lock" && call.reply === null) return;
      if (this.appliedMs(call) === null) {
        throw new Violation(this.name, `call ${call.id} is answered but no replica has applied it`);
      }
    }
  }

  #note(identity: string | number, nowMs: number): void {
    if (!this.#applied.has(identity)) this.#applied.set(identity, nowMs);
  }

  onHistory(history: readonly Call[]): void {
    for (const call of history) {
      if (call.outcome !== "refused" || REPEATABLE.has(call.action.kind)) continue;
      if (this.appliedMs(call) !== null) {
        throw new Violation(this.name, `call ${call.id} was refused and is applied all the same`);
      }
    }
  }
}
