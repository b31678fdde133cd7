/**
 * Cursors over all groups, for SCAN and LOCK.LIST.
 *
 * They go through one group after the other. A cursor is the row to go on after and the group,
 * `row * GROUPS_MAX + group`, so that it means the same on every node and after a restart; it is 0 only
 * at the beginning and at the end, since every later group and every later row is above 0.
 */
import type { GroupId } from "../base/ids.ts";
import { GROUPS_MAX } from "../base/limits.ts";
import type { ErrorReply, Reply } from "../base/reply.ts";
import { errorReply } from "../base/reply.ts";

/** Groups a cursor can name. */
const CURSOR_GROUPS = BigInt(GROUPS_MAX);

const UINT64 = 2n ** 64n;

const INVALID_CURSOR = errorReply("ERR invalid cursor");

/** What a cursor that this server never gave stands for: there is nothing behind it. */
export const END_OF_CURSOR: Reply = ["0", []];

/** Where to go on. */
export interface CursorPlace {
  readonly group: GroupId;
  /** The row to go on after; 0 to begin. */
  readonly row: number;
}

/** Reads a cursor of a cluster with so many groups; null for one that this server never gave. */
export function parseCursor(argument: string, groups: number): CursorPlace | ErrorReply | null {
  const cursor = parseUnsigned(argument);
  if (cursor === null) return INVALID_CURSOR;
  const group = Number(cursor % CURSOR_GROUPS);
  const row = cursor / CURSOR_GROUPS;
  if (group >= groups || row > BigInt(Number.MAX_SAFE_INTEGER)) return null;
  return { group, row: Number(row) };
}

/** From a group's `[next row or 0, items]` to the answer, whose cursor leads on to the next group. */
export function finishPage(reply: Reply, group: GroupId, groups: number): Reply {
  if (!Array.isArray(reply)) return reply;
  const [next, items] = reply as readonly Reply[];
  const row = typeof next === "number" ? next : 0;
  if (row !== 0) return [String(BigInt(row) * CURSOR_GROUPS + BigInt(group)), items ?? []];
  return [group + 1 < groups ? String(group + 1) : "0", items ?? []];
}

/** As C's `strtoul` reads it, on which Redis relies: a sign wraps around, a zero byte ends it. */
function parseUnsigned(argument: string): bigint | null {
  const [text = ""] = argument.split("\0", 1);
  if (!/^[+-]?[0-9]*$/.test(text) || text.length > 40) return null;
  const digits = text.replace(/^[+-]/, "");
  if (digits === "") return text === "" ? 0n : null;
  const value = BigInt(digits);
  if (value >= UINT64) return null;
  return text.startsWith("-") ? (UINT64 - value) % UINT64 : value;
}
