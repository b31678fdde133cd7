/** A cycle of waiting owners is broken: one of them is refused. */
import type { Reply } from "../../base/reply.ts";
import { deadlock } from "../errors.ts";
import type { Keyspace } from "../keyspace/keyspace.ts";
import type { LockVictimOperation } from "./lock-operation.ts";
import { dismiss } from "./waiting.ts";

/** Refuses the waiter if it still waits. */
export function refuseVictim(keyspace: Keyspace, operation: LockVictimOperation): Reply {
  const { locks, nowMs } = keyspace;
  const { cycle } = operation;
  const waiter = locks.waiters.find(operation.waiter);
  if (waiter === null || locks.isOver(waiter)) return 0;
  const { db, key } = waiter.lock;
  locks.addDeadlock({ atMs: nowMs, db, key, cycle });
  dismiss(keyspace, waiter, deadlock(cycle), "deadlock");
  return 1;
}
