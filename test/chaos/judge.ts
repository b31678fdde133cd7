/**
 * What the clients saw is judged: by the guarded resource, and by those checkers of the simulator
 * that need nothing but the clients' history.
 */
import { Exclusion } from "../../src/sim/checkers/exclusion.ts";
import { Linearizable } from "../../src/sim/checkers/linearizable.ts";
import type { Step } from "../../src/sim/checkers/checker.ts";
import type { Call } from "../../src/sim/history.ts";
import type { GuardedResource } from "./guarded-resource.ts";
import type { History } from "./history.ts";

/** What the cluster assumes of clocks; those of one machine differ by nothing. */
const DRIFT_PPM = 1_000;

/** Keys whose history leaves too much open to be judged in time; more of them would blind us. */
const UNDECIDED_SHARE_MAX = 0.1;

export interface Verdict {
  /** Keys whose whole history was found linearizable. */
  readonly keys: number;
  readonly undecided: number;
}

/** Fails when a promise was broken. */
export function judge(
  history: Pick<History, "calls" | "steps">,
  resource: GuardedResource,
): Verdict {
  const { violations } = resource;
  if (violations.length > 0) throw new Error(`at the guarded resource:\n${violations.join("\n")}`);
  const exclusion = new Exclusion(DRIFT_PPM, () => true);
  for (const step of history.steps) {
    if (!cameTooLate(step)) exclusion.onStep(step);
  }
  const observed = observations(history.calls);
  const linearizable = new Linearizable({ driftPpm: DRIFT_PPM }, (call) =>
    mayCount(call, observed),
  );
  linearizable.onHistory(history.calls);
  const { judged, undecided } = linearizable;
  const share = undecided / (judged + undecided);
  if (share > UNDECIDED_SHARE_MAX) throw new Error(`${undecided} keys undecided, ${judged} judged`);
  return { keys: judged, undecided };
}

/**
 * A grant whose answer came when its lease may have ended: the client does not hold the lock, and
 * somebody else may.
 */
function cameTooLate(step: Step): boolean {
  if (step.kind !== "returned" || step.call.outcome !== "answered") return false;
  const { action, invokedMs, returnedMs } = step.call;
  return action.kind === "acquire" && invokedMs + action.ttlMs <= returnedMs;
}

/** Every value that somebody has read. */
function observations(calls: readonly Call[]): ReadonlySet<string> {
  const values = new Set<string>();
  for (const { action, outcome, reply } of calls) {
    if (action.kind === "get" && outcome === "answered" && typeof reply === "string") {
      values.add(`${action.key}=${reply}`);
    }
  }
  return values;
}

/**
 * Whether a write without a known outcome may have to explain an answer. A plain write that nobody
 * has read explains nothing: its key knows no other commands than writing and reading. All others
 * stay open to the end.
 */
function mayCount({ action }: Call, observed: ReadonlySet<string>): boolean {
  if (action.kind !== "put") return true;
  return action.keys.some((key) => observed.has(`${key}=${action.value}`));
}
