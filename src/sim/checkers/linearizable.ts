/**
 * Each key's history is linearizable: there is one order of its calls that agrees with the true
 * times (a call that had returned before another began comes first) and explains every answer.
 *
 * The search is that of Wing and Gong as improved by Lowe: it walks through the returns in time
 * order and keeps every *configuration* that is still possible, a state of the key and the set of
 * calls that have taken effect though they have not returned. At a return it lets pending calls take
 * effect until the returning one has. Three things keep the number of configurations near one:
 * a call that changes nothing takes effect as soon as its answer fits, for it stands in nobody's
 * way; a configuration that was reached twice is visited once; and of the calls whose outcome the
 * client never learned, only those are kept open that some replica has applied. An open call may
 * take effect at any time after it was sent, or never.
 */
import type { Call } from "../history.ts";
import { keysOf } from "../history.ts";
import type { Checker } from "./checker.ts";
import { Violation } from "./checker.ts";
import type { KeyState, Tolerance } from "./key-model.ts";
import { ABSENT, mayRunOut, onlyReads, stepKey } from "./key-model.ts";

/** Calls pending at once on one key: bits of a mask. Beyond, the key is left unjudged and counted. */
const PENDING_MAX = 30;

/** Configurations visited for one key; beyond, it is left unjudged and counted. */
const VISITS_MAX = 50_000;

/** How long before its first apply an open call is taken to have had its effect, at the first try. */
const GUESS_MS = 20;

export type Verdict =
  | { readonly kind: "linearizable" }
  | { readonly kind: "undecided"; readonly why: string }
  /** No order explains the answer of `call`. */
  | { readonly kind: "wrong"; readonly call: Call; readonly states: readonly KeyState[] };

interface Configuration {
  readonly state: KeyState;
  /** The pending calls that have taken effect, by place. */
  readonly done: number;
}

/** Judges the calls of one key. Those that never returned have `returnedMs` Infinity. */
export function judge(key: string, calls: readonly Call[], tolerance: Tolerance): Verdict {
  return new Search(key, tolerance).run(calls);
}

class Search {
  readonly #key: string;
  readonly #tolerance: Tolerance;
  readonly #places: (Call | null)[] = [];
  #configurations: Configuration[] = [{ state: ABSENT, done: 0 }];
  readonly #seen = new Set<string>();
  #next: Configuration[] = [];
  #visits = 0;

  constructor(key: string, tolerance: Tolerance) {
    this.#key = key;
    this.#tolerance = tolerance;
  }

  run(calls: readonly Call[]): Verdict {
    const begins = calls.slice().sort((one, other) => one.invokedMs - other.invokedMs);
    const ends = calls
      .filter(({ returnedMs }) => returnedMs !== Infinity)
      .sort((one, other) => one.returnedMs - other.returnedMs || one.id - other.id);
    let begun = 0;
    for (const call of ends) {
      for (; begun < begins.length; begun += 1) {
        const next = begins[begun];
        // What begins at the very moment of a return may still come before it.
        if (next === undefined || next.invokedMs > call.returnedMs) break;
        if (!this.#begin(next)) return { kind: "undecided", why: "too many calls at once" };
      }
      const before = this.#configurations;
      if (!this.#end(call)) return { kind: "undecided", why: "too many possibilities" };
      if (this.#configurations.length === 0) {
        return { kind: "wrong", call, states: before.map(({ state }) => state) };
      }
    }
    return { kind: "linearizable" };
  }

  #begin(call: Call): boolean {
    const free = this.#places.indexOf(null);
    if (free >= 0) this.#places[free] = call;
    else if (this.#places.length < PENDING_MAX) this.#places.push(call);
    else return false;
    return true;
  }

  #end(call: Call): boolean {
    const place = this.#places.indexOf(call);
    if (this.#seen.size > 0) this.#seen.clear();
    this.#next = [];
    for (const configuration of this.#configurations) {
      if (!this.#visit(configuration, place, call.returnedMs)) return false;
    }
    this.#places[place] = null;
    this.#configurations = this.#next;
    this.#freeOpen();
    return true;
  }

  /** Goes on from a configuration until the call at `place` has taken effect, in every way possible. */
  #visit(from: Configuration, place: number, nowMs: number): boolean {
    const done = this.#takeFree(from);
    const { state } = from;
    const bit = 1 << place;
    const isSettled = (done & bit) !== 0;
    // Nearly always there is one configuration, and the returning call fits at once.
    if (isSettled && this.#configurations.length === 1 && this.#seen.size === 0) {
      this.#next.push({ state, done: done & ~bit });
      return true;
    }
    const name = `${done}/${state.value ?? ""}/${state.endMs}`;
    if (this.#seen.has(name)) return true;
    this.#seen.add(name);
    this.#visits += 1;
    if (this.#visits > VISITS_MAX) return false;
    if (isSettled) {
      this.#next.push({ state, done: done & ~bit });
      return true;
    }
    for (let index = 0; index < this.#places.length; index += 1) {
      const pending = this.#places[index] ?? null;
      if (pending === null || (done & (1 << index)) !== 0 || onlyReads(pending.action)) continue;
      const after = stepKey(state, pending, this.#key, this.#tolerance);
      // Without effect: of use only to a call whose time is over.
      if (after === null || (after === state && index !== place)) continue;
      if (!this.#visit({ state: after, done: done | (1 << index) }, place, nowMs)) return false;
    }
    if (!mayRunOut(state, nowMs, this.#tolerance)) return true;
    return this.#visit({ state: ABSENT, done }, place, nowMs);
  }

  /** Lets every pending call take effect that has its answer and changes nothing here. */
  #takeFree({ state, done: before }: Configuration): number {
    let done = before;
    for (let index = 0; index < this.#places.length; index += 1) {
      const pending = this.#places[index] ?? null;
      if (pending?.outcome !== "answered" || (done & (1 << index)) !== 0) continue;
      if (stepKey(state, pending, this.#key, this.#tolerance) === state) done |= 1 << index;
    }
    return done;
  }

  /** An open call that has taken effect in every possible world needs no place any more. */
  #freeOpen(): void {
    let everywhere = -1;
    for (const { done } of this.#configurations) everywhere &= done;
    for (const [index, call] of this.#places.entries()) {
      const bit = 1 << index;
      if (call === null || call.returnedMs !== Infinity || (everywhere & bit) === 0) continue;
      this.#places[index] = null;
      this.#configurations = this.#configurations.map(({ state, done }) => ({
        state,
        done: done & ~bit,
      }));
    }
  }
}

export class Linearizable implements Checker {
  readonly name = "each key is linearizable";
  readonly #tolerance: Tolerance;
  readonly #wasApplied: (call: Call) => boolean;
  readonly #appliedMs: (call: Call) => number | null;
  /** Keys with a verdict, and those left unjudged. */
  judged = 0;
  undecided = 0;

  /**
   * `wasApplied`: whether a replica may have applied a call of which its client knows nothing;
   * `appliedMs`: when one first did, or null where nobody can tell.
   */
  constructor(
    tolerance: Tolerance,
    wasApplied: (call: Call) => boolean,
    appliedMs: (call: Call) => number | null = () => null,
  ) {
    this.#tolerance = tolerance;
    this.#wasApplied = wasApplied;
    this.#appliedMs = appliedMs;
  }

  onHistory(history: readonly Call[]): void {
    for (const [key, calls] of this.#byKey(history)) {
      const verdict = this.#judge(key, calls);
      if (verdict.kind === "linearizable") this.judged += 1;
      else if (verdict.kind === "undecided") this.undecided += 1;
      else throw new Violation(this.name, describe(key, verdict.call, verdict.states));
    }
  }

  /**
   * First with every open call near the time at which it was applied: an order that is found so is
   * an order. Only when there is none are open calls taken for what clients know of them.
   */
  #judge(key: string, calls: readonly Call[]): Verdict {
    const guessed = calls.map((call): Call => {
      const appliedMs = call.outcome === "answered" ? null : this.#appliedMs(call);
      if (appliedMs === null) return call;
      const invokedMs = Math.max(call.invokedMs, appliedMs - GUESS_MS);
      // The entry may have been stamped long before: its lease counts from the asking.
      return { ...call, invokedMs, returnedMs: appliedMs, askedMs: call.invokedMs };
    });
    const verdict = judge(key, guessed, this.#tolerance);
    return verdict.kind === "linearizable" ? verdict : judge(key, calls, this.#tolerance);
  }

  #byKey(history: readonly Call[]): Map<string, Call[]> {
    const keys = new Map<string, Call[]>();
    for (const call of history) {
      if (call.outcome === "refused") continue;
      if (call.outcome !== "answered" && (onlyReads(call.action) || !this.#wasApplied(call))) {
        continue;
      }
      for (const key of keysOf(call.action)) {
        const calls = keys.get(key);
        if (calls === undefined) keys.set(key, [call]);
        else calls.push(call);
      }
    }
    return keys;
  }
}

function describe(key: string, call: Call, states: readonly KeyState[]): string {
  const { action, reply, client, id, invokedMs, returnedMs, node } = call;
  const times = `${invokedMs.toFixed(3)} to ${returnedMs.toFixed(3)} ms`;
  const answer = typeof reply === "object" ? JSON.stringify(reply) : String(reply);
  const possible = states
    .slice(0, 4)
    .map(({ value, endMs }) => `${value ?? "absent"}${endMs === Infinity ? "" : ` until ${endMs}`}`)
    .join(" or ");
  return `call ${id} of client ${client} on node ${node} (${times}): ${action.kind} ${key} answered ${answer}, where the key was ${possible}`;
}
