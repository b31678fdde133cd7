/**
 * What one key is to its clients: a value that is written, locked, counted, and that may run out.
 *
 * A key may run out only after its lease has passed on the true clock, counted from the moment at
 * which its client *asked*; when it does after that is the cluster's business, since a lease may
 * outlive its end. So a state carries the earliest end, and the search may let the key run out at
 * any moment from then on.
 */
import type { Reply } from "../../base/reply.ts";
import { isError, OK } from "../../base/reply.ts";
import type { Action, Call } from "../history.ts";
import { isMixed } from "../lock-history.ts";

export interface KeyState {
  readonly value: string | null;
  /** True time before which the key cannot run out; `Infinity` without a lease. */
  readonly endMs: number;
  /** The lease's length and when it was asked for, for what PTTL may answer. */
  readonly ttlMs: number;
  readonly fromMs: number;
}

export const ABSENT: KeyState = { value: null, endMs: Infinity, ttlMs: 0, fromMs: 0 };

/** How far apart group time and true time may run. */
export interface Tolerance {
  readonly driftPpm: number;
}

/** Two stamps, each rounded down. */
const ROUNDING_MS = 2;

/** Whether the key may have run out at some moment up to `nowMs`. */
export function mayRunOut(state: KeyState, nowMs: number, { driftPpm }: Tolerance): boolean {
  if (state.value === null || state.endMs === Infinity) return false;
  const earlyMs = (state.ttlMs * driftPpm) / 1_000_000 + ROUNDING_MS;
  return nowMs >= state.endMs - earlyMs;
}

/** Whether an action leaves every state as it is. */
export function onlyReads(action: Action): boolean {
  return (
    action.kind === "get" ||
    action.kind === "get-all" ||
    action.kind === "ttl" ||
    action.kind === "token"
  );
}

/**
 * The state after `call` took effect on `key` in `state`, or null when its answer cannot have been
 * given there. A call without an answer may have had any.
 */
export function stepKey(
  state: KeyState,
  call: Call,
  key: string,
  tolerance: Tolerance,
): KeyState | null {
  const { action } = call;
  switch (action.kind) {
    case "acquire":
      if (state.value !== null) return answers(call, null) ? state : null;
      if (succeeded(call)) return leased(action.owner, call, action.ttlMs);
      // Nobody passes those who wait, of whom this model knows nothing.
      return isMixed(key) ? state : null;
    case "lock":
      if (call.outcome === "answered" && call.reply === null) return state;
      if (state.value !== null) return call.outcome === "answered" ? null : state;
      if (call.outcome === "answered") return leased(action.owner, call, action.ttlMs);
      // What was granted to one who is gone is given back, nobody knows when.
      return { ...leased(action.owner, call, action.ttlMs), endMs: -Infinity };
    case "renew":
      if (state.value !== action.owner) return answers(call, null) ? state : null;
      return succeeded(call) ? leased(action.owner, call, action.ttlMs) : null;
    case "break":
      if (state.value === null) return answers(call, 0) ? state : null;
      return answers(call, 1) ? ABSENT : null;
    case "release":
    case "unlock":
      if (state.value !== action.owner) return answers(call, 0) ? state : null;
      return answers(call, 1) ? ABSENT : null;
    case "extend":
      if (state.value !== action.owner) return answers(call, 0) ? state : null;
      return answers(call, 1) ? leased(action.owner, call, action.ttlMs) : null;
    case "expire":
      if (state.value === null) return answers(call, 0) ? state : null;
      return answers(call, 1) ? leased(state.value, call, action.ttlMs) : null;
    case "add":
      return added(state, call, action.by);
    case "put":
      return succeeded(call) ? unleased(action.value) : null;
    case "get":
      return answers(call, state.value) ? state : null;
    case "get-all": {
      if (call.outcome !== "answered") return state;
      const { reply } = call;
      return Array.isArray(reply) && reply[action.keys.indexOf(key)] === state.value ? state : null;
    }
    case "ttl":
      return call.outcome !== "answered" || ttlFits(state, call, tolerance) ? state : null;
    case "token":
      if (call.outcome !== "answered") return state;
      return (typeof call.reply === "string") === (state.value !== null) ? state : null;
  }
}

/** Whether the call may have had this answer: it had, or nobody knows. */
function answers(call: Call, expected: Reply): boolean {
  return call.outcome !== "answered" || call.reply === expected;
}

/** Whether the call may have been answered with OK. */
function succeeded({ outcome, reply }: Call): boolean {
  if (outcome !== "answered" || reply === OK) return true;
  return typeof reply === "object" && reply !== null && !isError(reply);
}

function added(state: KeyState, call: Call, by: number): KeyState | null {
  const sum = Number(state.value ?? "0") + by;
  if (call.outcome === "answered" && Number(call.reply) !== sum) return null;
  return state.value === null ? unleased(String(sum)) : { ...state, value: String(sum) };
}

function unleased(value: string): KeyState {
  return { value, endMs: Infinity, ttlMs: 0, fromMs: 0 };
}

function leased(value: string, call: Call, ttlMs: number): KeyState {
  const fromMs = call.askedMs ?? call.invokedMs;
  return { value, endMs: fromMs + ttlMs, ttlMs, fromMs };
}

/** At most the whole lease is left, and at least what true time since the asking has not used up. */
function ttlFits(state: KeyState, call: Call, { driftPpm }: Tolerance): boolean {
  const { reply } = call;
  if (state.value === null) return reply === -2;
  if (state.endMs === Infinity) return reply === -1;
  if (typeof reply !== "number" || reply < 0 || reply > state.ttlMs) return false;
  const passedMs = (call.returnedMs - state.fromMs) * (1 + driftPpm / 1_000_000);
  return reply >= state.ttlMs - passedMs - ROUNDING_MS;
}
