/** What has become of a request, for a node that has put in a snapshot and so has seen no outcome. */
import type { Keyspace } from "../keyspace/keyspace.ts";
import type { Grant } from "./grant.ts";
import { grantedKeys, grantReply, grantsReply } from "./grant.ts";
import type { RequestState } from "./lock-event.ts";
import type { LockWithdrawOperation } from "./lock-operation.ts";
import { waiterOf } from "./release.ts";

/** Looks at the applied state only. */
export function findRequest(
  keyspace: Keyspace,
  asked: Pick<LockWithdrawOperation, "session" | "node" | "boot" | "request">,
): RequestState {
  if (waiterOf(keyspace, asked) !== null) return { kind: "waiting" };
  const { session, node, boot, request } = asked;
  const grants: Grant[] = [];
  let owner = "";
  let isAll = false;
  for (const holder of keyspace.locks.holders.ofRequest(session, node, boot, request)) {
    const { lock } = holder;
    const { item, extras, key } = lock;
    if (item === null) continue;
    if (holder === lock.reader && keyspace.locks.holders.readerOf(lock) === null) continue;
    owner = holder === extras ? item.value : holder.owner;
    isAll = holder.all;
    grants.push({ key, item, holder });
  }
  const [first] = grants;
  if (first === undefined) return { kind: "unknown" };
  const reply = isAll
    ? grantsReply(keyspace, grants, first.holder?.provisional ?? false)
    : grantReply(keyspace, first);
  return { kind: "granted", reply, granted: grantedKeys(grants, owner) };
}
