/**
 * Mutual exclusion as clients live it, in true time: from the moment the answer to an acquire is
 * there until the client lets go, or its lease, counted from when it *asked*, has run out, nobody
 * else is told that the lock is theirs. Fencing tokens say the same by order: a later holder's token
 * is higher, and one grant has one token.
 */
import type { Call } from "../history.ts";
import type { Checker, Step } from "./checker.ts";
import { Violation } from "./checker.ts";

interface Hold {
  readonly owner: string;
  readonly client: number;
  /** True time up to which the client may act. */
  untilMs: number;
}

interface Grant {
  readonly owner: string;
  readonly token: bigint;
}

export class Exclusion implements Checker {
  readonly name = "one holder at a time, by time and token";
  readonly #slowest: number;
  readonly #isLock: (key: string) => boolean;
  readonly #holds = new Map<string, Hold>();
  /** When each lock was last broken. */
  readonly #brokenMs = new Map<string, number>();
  readonly #grants = new Map<string, Grant>();

  /**
   * Clients' clocks may be slow by as much: they use a lease a little shorter, as Redlock says.
   * `isLock`: only owners change the lease of such a key.
   */
  constructor(driftPpm: number, isLock: (key: string) => boolean) {
    this.#slowest = 1 - (2 * driftPpm) / 1_000_000;
    this.#isLock = isLock;
  }

  onStep(step: Step): void {
    if (step.kind === "applied") this.#break(step);
    else if (step.kind === "invoked") this.#invoked(step.call);
    else if (step.kind === "returned" && step.call.outcome === "answered")
      this.#answered(step.call);
  }

  /** Who asked for a lock to be broken may have done so long before it was granted. */
  #break({ entry, nowMs }: Extract<Step, { kind: "applied" }>): void {
    for (const operation of entry.operations) {
      if (operation.kind !== "lock-break") continue;
      this.#holds.delete(operation.key);
      this.#brokenMs.set(operation.key, nowMs);
    }
  }

  #invoked({ action, invokedMs }: Call): void {
    if (action.kind === "release" || action.kind === "unlock") {
      const hold = this.#holds.get(action.key);
      if (hold?.owner === action.owner) this.#holds.delete(action.key);
    } else if (action.kind === "extend" || action.kind === "renew") {
      // A shorter lease may replace the longer one from now on.
      const hold = this.#holds.get(action.key);
      if (hold?.owner !== action.owner) return;
      hold.untilMs = Math.min(hold.untilMs, this.#endMs(invokedMs, action.ttlMs));
    }
  }

  #answered(call: Call): void {
    const { action, reply, invokedMs, returnedMs } = call;
    switch (action.kind) {
      case "acquire":
      case "lock":
        if (reply !== null && this.#isLock(action.key)) this.#acquired(call, action);
        break;
      case "extend":
      case "renew": {
        const hold = this.#holds.get(action.key);
        if (hold?.owner !== action.owner) break;
        if (reply !== 0 && reply !== null) hold.untilMs = this.#endMs(invokedMs, action.ttlMs);
        else if (hold.untilMs > returnedMs) this.#lost(call, hold);
        break;
      }
      case "token":
        if (typeof reply === "string") this.#token(call, action.key, BigInt(reply));
        break;
      case "release":
      case "unlock":
      case "break":
      case "expire":
      case "add":
      case "put":
      case "get":
      case "get-all":
      case "ttl":
        break;
    }
  }

  #acquired(call: Call, action: Extract<Call["action"], { kind: "acquire" | "lock" }>): void {
    const { key, owner, ttlMs } = action;
    const { invokedMs, returnedMs, client } = call;
    const untilMs = this.#endMs(invokedMs, ttlMs);
    // The answer came too late to be of use, and the client knows.
    if (untilMs <= returnedMs) return;
    // It may have been taken away on the way.
    if ((this.#brokenMs.get(key) ?? -Infinity) >= invokedMs) return;
    const hold = this.#holds.get(key);
    if (hold !== undefined && hold.untilMs > returnedMs) {
      throw new Violation(
        this.name,
        `client ${client} is told it has ${key}, which client ${hold.client} holds for ${(hold.untilMs - returnedMs).toFixed(1)} ms more`,
      );
    }
    this.#holds.set(key, { owner, client, untilMs });
  }

  /** A token read by a holder while it surely held. */
  #token(call: Call, key: string, token: bigint): void {
    const hold = this.#holds.get(key);
    if (hold?.client !== call.client || hold.untilMs <= call.returnedMs) return;
    const before = this.#grants.get(key);
    if (before !== undefined && before.owner !== hold.owner && token <= before.token) {
      throw new Violation(this.name, `the token of ${key} goes from ${before.token} to ${token}`);
    }
    if (before?.owner === hold.owner && token !== before.token) {
      throw new Violation(this.name, `one grant of ${key} has ${before.token} and ${token}`);
    }
    this.#grants.set(key, { owner: hold.owner, token });
  }

  #lost(call: Call, hold: Hold): void {
    throw new Violation(
      this.name,
      `client ${call.client} cannot extend ${hold.owner}, which it holds for ${(hold.untilMs - call.returnedMs).toFixed(1)} ms more`,
    );
  }

  #endMs(fromMs: number, ttlMs: number): number {
    return fromMs + ttlMs * this.#slowest - 1;
  }
}
