/**
 * What clients of the lock engine are told, in true time: from the answer until a client lets go, or
 * its lease, counted from when it asked, has run out, nobody else is told that a lock is theirs which
 * does not go with that. Readers share, a writer is alone, permits never add up to more than there are;
 * and who is told later, having asked after the other was told, has a higher token.
 *
 * Locks that are bound to a session end with it, which their client may be the last to hear: of those
 * only the tokens are judged.
 */
import type { LockMode } from "../../machine/locks/lock-operation.ts";
import type { LockCall } from "../lock-history.ts";
import { claimOf, fixedLimit, grantsOf, keysOfClaim } from "../lock-history.ts";
import type { Checker, Step } from "./checker.ts";
import { Violation } from "./checker.ts";

interface Hold {
  readonly owner: string;
  mode: LockMode;
  readonly permits: number;
  /** True time up to which the client may act. */
  untilMs: number;
}

interface Told {
  readonly atMs: number;
  readonly token: bigint;
  readonly owner: string;
}

/** What one owner has asked of a key, all its calls together. */
interface Asked {
  /** The earliest end that any of its leases may have. */
  untilMs: number;
  bound: boolean;
  calls: number;
}

export class LockTold implements Checker {
  readonly name = "locks go together as clients are told, by time and token";
  readonly #slowest: number;
  readonly #holds = new Map<string, Hold[]>();
  readonly #asked = new Map<string, Asked>();
  readonly #brokenMs = new Map<string, number>();
  /** By key: what was told, each with a higher token than those before. */
  readonly #told = new Map<string, Told[]>();

  /** Clients' clocks may be slow by as much. */
  constructor(driftPpm: number) {
    this.#slowest = 1 - (2 * driftPpm) / 1_000_000;
  }

  onStep(step: Step): void {
    if (step.kind === "applied") this.#break(step);
    else if (step.kind === "asked") this.#ask(step.call);
    else if (step.kind === "told") this.#tell(step.call);
  }

  /** Who asked for a lock to be broken may have done so long before it was granted. */
  #break({ entry, nowMs }: Extract<Step, { kind: "applied" }>): void {
    for (const operation of entry.operations) {
      if (operation.kind !== "lock-break") continue;
      this.#holds.delete(operation.key);
      this.#brokenMs.set(operation.key, nowMs);
    }
  }

  #ask(call: LockCall): void {
    const { ask, invokedMs } = call;
    const claim = claimOf(call);
    if (claim !== null) {
      for (const key of keysOfClaim(claim)) {
        const own = this.#askedBy(key, claim.owner);
        const endless = claim.ttlMs === 0;
        if (!endless) own.untilMs = Math.min(own.untilMs, this.#endMs(invokedMs, claim.ttlMs));
        own.bound ||= claim.bind;
        own.calls += 1;
        const hold = this.#holdOf(key, claim.owner);
        // Who reads and would write reads on, for as long as it was told, until it is told more.
        if (hold === undefined || (hold.mode === "shared" && claim.mode === "exclusive")) continue;
        hold.untilMs = Math.min(hold.untilMs, own.untilMs);
        hold.mode = claim.mode;
      }
    } else if (ask.kind === "operation") {
      const { operation } = ask;
      if (operation.kind === "lock-release") {
        this.#letGo(operation.key, operation.owner);
      } else if (operation.kind === "lock-renew") {
        const hold = this.#holdOf(operation.key, operation.owner);
        if (hold === undefined) return;
        hold.untilMs = Math.min(hold.untilMs, this.#endMs(invokedMs, operation.ttlMs));
      }
    }
  }

  #tell(call: LockCall): void {
    const claim = claimOf(call);
    if (claim === null) return;
    for (const { key, token } of grantsOf(call)) {
      const own = this.#askedBy(key, claim.owner);
      this.#judgeToken(call, { key, owner: claim.owner, token: BigInt(token) }, own);
      if (own.bound || own.untilMs <= call.returnedMs) continue;
      // It may have been taken away on the way.
      if ((this.#brokenMs.get(key) ?? -Infinity) >= call.invokedMs) continue;
      const { owner, mode, permits } = claim;
      const hold: Hold = { owner, mode, permits, untilMs: own.untilMs };
      this.#judge(call, key, hold);
      this.#letGo(key, owner);
      this.#holds.set(key, [...(this.#holds.get(key) ?? []), hold]);
    }
  }

  #judge(call: LockCall, key: string, hold: Hold): void {
    const others = (this.#holds.get(key) ?? []).filter(
      ({ owner, untilMs }) => owner !== hold.owner && untilMs > call.returnedMs,
    );
    const clash = others.find(({ mode }) => mode !== hold.mode || mode === "exclusive");
    if (clash !== undefined) {
      throw new Violation(
        this.name,
        `${hold.owner} is told it has ${key} ${hold.mode}, which ${clash.owner} holds ${clash.mode} for ${(clash.untilMs - call.returnedMs).toFixed(1)} ms more`,
      );
    }
    const limit = fixedLimit(key);
    if (hold.mode !== "permits" || limit === 0) return;
    const used = others.reduce((sum, { permits }) => sum + permits, hold.permits);
    if (used > limit) {
      throw new Violation(this.name, `${used} permits of ${limit} of ${key} are held`);
    }
  }

  #judgeToken(
    call: LockCall,
    grant: { readonly key: string; readonly owner: string; readonly token: bigint },
    own: Asked,
  ): void {
    const { key, owner, token } = grant;
    const told = this.#told.get(key) ?? [];
    this.#told.set(key, told);
    // Who asks again is answered with what it has.
    const before = own.calls > 1 ? undefined : told.findLast(({ atMs }) => atMs < call.invokedMs);
    if (before !== undefined && before.owner !== owner && token <= before.token) {
      throw new Violation(
        this.name,
        `the token of ${key} goes from ${before.token} of ${before.owner} to ${token} of ${owner}`,
      );
    }
    const last = told.at(-1);
    if (last === undefined || token > last.token) {
      told.push({ atMs: call.returnedMs, token, owner });
    }
  }

  #askedBy(key: string, owner: string): Asked {
    const name = `${key} ${owner}`;
    const known = this.#asked.get(name);
    if (known !== undefined) return known;
    const asked: Asked = { untilMs: Infinity, bound: false, calls: 0 };
    this.#asked.set(name, asked);
    return asked;
  }

  #holdOf(key: string, owner: string): Hold | undefined {
    return this.#holds.get(key)?.find((hold) => hold.owner === owner);
  }

  #letGo(key: string, owner: string): void {
    const holds = this.#holds.get(key);
    if (holds === undefined) return;
    this.#holds.set(
      key,
      holds.filter((hold) => hold.owner !== owner),
    );
  }

  #endMs(fromMs: number, ttlMs: number): number {
    return fromMs + ttlMs * this.#slowest - 1;
  }
}
