/** What a machine offers to those who follow its locks. */
import type { NodeId } from "../base/ids.ts";
import type {
  LockChangeListener,
  LockEvent,
  LockOutcome,
  RequestState,
  SessionView,
} from "../machine/locks/lock-event.ts";
import type { Machine } from "../machine/machine.ts";

export interface LockMachine {
  wantsEvents: boolean;
  onLockChanged: LockChangeListener | null;
  readonly waiterCount: number;
  takeOutcomes(): readonly LockOutcome[];
  takeEvents(): readonly LockEvent[];
  findRequest(session: string, node: NodeId, boot: number, request: number): RequestState;
  sessionViews(): Iterable<SessionView>;
}

const NOTHING: LockMachine = {
  wantsEvents: false,
  onLockChanged: null,
  waiterCount: 0,
  takeOutcomes: () => [],
  takeEvents: () => [],
  findRequest: () => ({ kind: "unknown" }),
  sessionViews: () => [],
};

/** The locks of a machine. */
export function locksOf(machine: Machine): LockMachine {
  return "takeOutcomes" in machine ? (machine as unknown as LockMachine) : NOTHING;
}
