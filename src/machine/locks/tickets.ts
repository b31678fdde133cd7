/** LOCK.TICKET and LOCK.CANCEL: requests whose client did not stay to wait [L10]. */
import type { MapReply, Reply } from "../../base/reply.ts";
import type { Keyspace } from "../keyspace/keyspace.ts";
import type { Grant } from "./grant.ts";
import { grantOf, remainingOf, tokenOf } from "./grant.ts";
import type { Asker, LockTicketOperation } from "./lock-operation.ts";
import type { Holder, Ticket, Waiter } from "./lock-records.ts";
import { lockOf } from "./lock-facts.ts";
import { formatToken } from "./lock-token.ts";
import { dismiss } from "./waiting.ts";

/** LOCK.TICKET claims what was granted, LOCK.CANCEL gives it back; both tell what has become of it. */
export function ticket(keyspace: Keyspace, operation: LockTicketOperation): Reply {
  const { locks, nowMs } = keyspace;
  const waiter = locks.waiters.find(operation.ticket);
  if (waiter?.async === true) {
    if (nowMs > waiter.deadlineMs) dismiss(keyspace, waiter, null, "timed-out");
    else if (operation.kind === "lock-cancel") dismiss(keyspace, waiter, null, "cancelled");
    else return pending(keyspace, waiter);
  }
  const found = locks.tickets.byNumber.get(operation.ticket);
  if (found === undefined) return null;
  if (found.state === "granted") endClaim(keyspace, found, operation);
  else if (nowMs > found.deadlineMs) {
    locks.tickets.forget(found);
    return null;
  } else if (found.state === "claimed" && operation.kind === "lock-ticket") {
    // Whoever is told of the grant may rely on it.
    const holder = grantOfTicket(keyspace, found)?.holder ?? null;
    if (holder !== null) locks.holders.disown(holder);
  }
  return shown(keyspace, found);
}

/** What was granted is claimed, or given back before it was. */
function endClaim(keyspace: Keyspace, found: Ticket, { kind, claimer }: LockTicketOperation): void {
  // A lease or a session that is over takes the ticket along.
  keyspace.lookup(found.db, found.key);
  if (found.state !== "granted") return;
  if (keyspace.nowMs > found.deadlineMs) endUnclaimed(keyspace, found);
  else if (kind === "lock-cancel") giveUp(keyspace, found, "cancelled");
  else {
    const holder = holderOf(keyspace, found);
    if (holder !== null) {
      letGo(keyspace, holder);
      claimFor(keyspace, holder, claimer);
    }
    keyspace.locks.tickets.end(found, "claimed");
  }
}

/** From now on the grant is that of the request that claims it, if there is one. */
function claimFor(keyspace: Keyspace, holder: Holder, claimer: Asker | undefined): void {
  const { locks } = keyspace;
  const had = holder.session.length + holder.address.length;
  const growth = claimer === undefined ? 0 : claimer.session.length + claimer.address.length - had;
  // A claim is never refused for want of room; it cannot be taken back then.
  const isFull = growth > 0 && keyspace.growthRefusal(growth) !== null;
  if (claimer === undefined || isFull) locks.holders.disown(holder);
  else locks.holders.claimedBy(holder, claimer);
}

/** A grant that nobody has claimed in time is given back. */
export function endUnclaimed(keyspace: Keyspace, found: Ticket): void {
  giveUp(keyspace, found, "lost");
}

function giveUp(keyspace: Keyspace, found: Ticket, state: "lost" | "cancelled"): void {
  const holder = holderOf(keyspace, found);
  if (holder !== null) letGo(keyspace, holder);
  keyspace.locks.tickets.end(found, state);
  if (holder !== null) keyspace.locks.endHolder(holder, "released");
}

/** The ticket has nothing to do with the holder any more. */
function letGo(keyspace: Keyspace, holder: Holder): void {
  keyspace.locks.holders.change(holder);
  holder.ticket = null;
}

/** The holder that has the ticket. */
function holderOf({ locks }: Keyspace, found: Ticket): Holder | null {
  const lock = locks.find(found.db, found.key);
  if (lock === null) return null;
  const holder = lock.mode === "exclusive" ? lock.extras : lock.crowd?.get(found.owner);
  return holder?.ticket === found ? holder : null;
}

/** What the ticket was granted, as long as it is held. */
function grantOfTicket(keyspace: Keyspace, found: Ticket): Grant | null {
  const item = keyspace.lookup(found.db, found.key);
  const grant = grantOf(item, item === null ? null : lockOf(item), found.owner);
  if (grant === null) return null;
  return tokenOf(grant) === formatToken(found.tokenEpoch, found.tokenCounter) ? grant : null;
}

function pending({ nowMs }: Keyspace, waiter: Waiter): MapReply {
  const { lock, owner, arrivedMs, deadlineMs } = waiter;
  return {
    kind: "map",
    entries: [
      ["state", "pending"],
      ["key", lock.key],
      ["owner", owner],
      ["position", (lock.queue?.placeOf(waiter) ?? 0) + 1],
      ["waited-ms", Math.max(0, nowMs - arrivedMs)],
      ["remaining-ms", Math.max(0, deadlineMs - nowMs)],
    ],
  };
}

function shown(keyspace: Keyspace, found: Ticket): MapReply {
  const { state, key, owner } = found;
  const entries: [Reply, Reply][] = [
    ["state", state],
    ["key", key],
    ["owner", owner],
  ];
  if (state !== "claimed") return { kind: "map", entries };
  const grant = grantOfTicket(keyspace, found);
  // 0 ms are left of a grant that was claimed and has ended since.
  entries.push(["token", formatToken(found.tokenEpoch, found.tokenCounter)]);
  entries.push(["remaining-ms", grant === null ? 0 : remainingOf(keyspace, grant)]);
  entries.push(["holds", grant === null ? 0 : (grant.holder?.holds ?? 1)]);
  return { kind: "map", entries };
}
