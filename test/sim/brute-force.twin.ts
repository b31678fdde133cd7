/**
 * The deliberately dumb twin of the linearizability checker: tries every order of every choice of
 * open calls, with the key running out or not before each. For a handful of calls only.
 */
import type { Tolerance } from "../../src/sim/checkers/key-model.ts";
import { ABSENT, mayRunOut, stepKey } from "../../src/sim/checkers/key-model.ts";
import type { Call } from "../../src/sim/history.ts";

/** Whether some order explains every answer. */
export function isLinearizable(key: string, calls: readonly Call[], tolerance: Tolerance): boolean {
  const open = calls.filter(({ returnedMs }) => returnedMs === Infinity);
  const closed = calls.filter(({ returnedMs }) => returnedMs !== Infinity);
  for (let choice = 0; choice < 1 << open.length; choice += 1) {
    const chosen = open.filter((_, index) => (choice & (1 << index)) !== 0);
    for (const order of permutations([...closed, ...chosen])) {
      if (!agreesWithTime(order)) continue;
      for (let ends = 0; ends < 1 << order.length; ends += 1) {
        if (explains(key, order, { ends, tolerance })) return true;
      }
    }
  }
  return false;
}

function* permutations(calls: readonly Call[]): Generator<readonly Call[]> {
  if (calls.length === 0) yield [];
  for (const [index, first] of calls.entries()) {
    const rest = [...calls.slice(0, index), ...calls.slice(index + 1)];
    for (const order of permutations(rest)) yield [first, ...order];
  }
}

function agreesWithTime(order: readonly Call[]): boolean {
  return order.every((call, index) =>
    order.slice(index + 1).every((later) => later.returnedMs >= call.invokedMs),
  );
}

/** Bit n of `ends`: the key runs out before the n-th call. */
function explains(
  key: string,
  order: readonly Call[],
  { ends, tolerance }: { readonly ends: number; readonly tolerance: Tolerance },
): boolean {
  let state = ABSENT;
  for (const [index, call] of order.entries()) {
    if ((ends & (1 << index)) !== 0) {
      const latestMs = Math.min(...order.slice(index).map(({ returnedMs }) => returnedMs));
      if (!mayRunOut(state, latestMs, tolerance)) return false;
      state = ABSENT;
    }
    const after = stepKey(state, call, key, tolerance);
    if (after === null) return false;
    state = after;
  }
  return true;
}
