/** Sessions end with their connection or their node, after a grace in which they may come back [L9]. */
import type { Millis } from "../../base/ids.ts";
import type { Reply } from "../../base/reply.ts";
import type { Keyspace } from "../keyspace/keyspace.ts";
import type {
  LockNodeLostOperation,
  LockSessionAttachOperation,
  LockSessionEndOperation,
} from "./lock-operation.ts";
import type { Session } from "./lock-records.ts";
import { dismiss } from "./waiting.ts";

/** A session that is there, and not one whose time is over. */
function find(keyspace: Keyspace, id: string): Session | null {
  const session = keyspace.locks.sessions.find(id);
  if (session === null || session.deadlineMs === 0) return session;
  if (keyspace.nowMs <= session.deadlineMs) return session;
  endSession(keyspace, session);
  return null;
}

/** A connection has closed. */
export function sessionEnd(keyspace: Keyspace, operation: LockSessionEndOperation): Reply {
  const session = find(keyspace, operation.session);
  if (session?.node !== operation.node || session.boot !== operation.boot) return 0;
  letEnd(keyspace, session, operation.graceMs);
  return 1;
}

/** A client has come back. */
export function sessionAttach(keyspace: Keyspace, operation: LockSessionAttachOperation): Reply {
  const session = find(keyspace, operation.session);
  if (session === null) return 0;
  keyspace.locks.sessions.setEnd(session, 0);
  keyspace.locks.sessions.move(session, operation.node, operation.boot);
  return 1;
}

/** A node is gone, or has started anew. */
export function nodeLost(keyspace: Keyspace, operation: LockNodeLostOperation): Reply {
  const lost: Session[] = [];
  keyspace.locks.sessions.rows.visitAfter(0, (session) => {
    if (session.node === operation.node && session.boot <= operation.boot) lost.push(session);
    return true;
  });
  let count = 0;
  for (const session of lost) {
    if (find(keyspace, session.session) === null) continue;
    letEnd(keyspace, session, operation.graceMs);
    count += 1;
  }
  return count;
}

function letEnd(keyspace: Keyspace, session: Session, graceMs: Millis): void {
  if (graceMs === 0) {
    endSession(keyspace, session);
    return;
  }
  const endsMs = keyspace.nowMs + graceMs;
  const { deadlineMs } = session;
  keyspace.locks.sessions.setEnd(session, deadlineMs === 0 ? endsMs : Math.min(deadlineMs, endsMs));
}

/** Cancels what waits and frees what is bound, in order of row id; the session is then forgotten. */
export function endSession(keyspace: Keyspace, session: Session): void {
  const { locks } = keyspace;
  // Nothing of it is due by itself any more, also where nothing belonged to it.
  locks.sessions.setEnd(session, 0);
  const waiters = [];
  for (let waiter = session.waiters; waiter !== null; waiter = waiter.next) waiters.push(waiter);
  for (const waiter of waiters.sort((a, b) => a.row - b.row)) {
    dismiss(keyspace, waiter, null, "cancelled");
  }
  const holders = [];
  for (let holder = session.holders; holder !== null; holder = holder.next) holders.push(holder);
  for (const holder of holders.sort((a, b) => a.row - b.row)) {
    // Freeing one may have freed others.
    if (holder.boundTo === session) locks.endHolder(holder, "lost");
  }
}
