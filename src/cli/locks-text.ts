/** What `paxlock locks` and `paxlock info` print: who holds and who waits, as tables or as JSON. */
import type {
  LockHolder,
  LockInfo,
  LockIntervention,
  LockOptions,
  LockWaiter,
} from "../client/replies.ts";
import { table } from "./status-text.ts";

/** A lock with the first of those who wait for it. */
export interface ShownLock extends LockInfo {
  readonly key: string;
  readonly queue: readonly LockWaiter[];
}

/** Longer texts of users are cut in tables. */
const CELL_LENGTH_MAX = 48;

/** One row for each holder and waiter, under the key of their lock. */
export function locksText(
  locks: readonly ShownLock[],
  { limit, more }: { readonly limit: number; readonly more: boolean },
): string {
  if (locks.length === 0) return "No locks.\n";
  const rows = locks.flatMap(lockRows);
  const head = ["key", "mode", "who", "state", "token", "for", "left", "data"];
  const waiting = locks.reduce((sum, { waiters }) => sum + waiters, 0);
  const count = `${plural(locks.length, "lock")}, ${waiting} waiting`;
  return [
    ...table(head, rows),
    "",
    more ? `The first ${limit} locks; there are more: raise --limit, or use --match.` : count,
    "",
  ].join("\n");
}

/** One JSON object in one line. Tokens are texts, since programs lose integers above 2^53. */
export function lockJson(lock: ShownLock | null): string {
  return `${JSON.stringify(lock, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value))}\n`;
}

/** What differs when something has happened, and not with time alone. */
export function locksSignature(locks: readonly ShownLock[]): string {
  return JSON.stringify(
    locks.map(({ key, mode, holders, waiters, queue, revoke }) => [
      key,
      mode,
      waiters,
      revoke?.reason ?? null,
      holders.map(({ owner, token, holds }) => [owner, String(token), holds]),
      queue.map(({ owner, position }) => [owner, position]),
    ]),
  );
}

/** All that is known of one lock. */
export function infoText(key: string, lock: ShownLock | null): string {
  if (lock === null) return `${shown(key)} is free: nobody holds it, and nobody waits.\n`;
  const { holders, queue, waiters, revoke, lastBreak, delayMs } = lock;
  const lines = [`${shown(key)}: ${modeText(lock)}`];
  if (holders.length === 0) lines.push("", "Nobody holds it.");
  else {
    const head = ["holder", "token", "holds", "for", "left", "address", "session", "data"];
    lines.push(
      "",
      ...table(
        head,
        holders.map((holder) => holderCells(lock, holder)),
      ),
    );
  }
  if (delayMs > 0) {
    lines.push("", `Nobody gets it for another ${time(delayMs)}: its last holder ended uncleanly.`);
  }
  if (waiters > 0) {
    const head = ["waiter", "mode", "priority", "for", "left", "address", "ticket"];
    lines.push("", ...table(head, queue.map(waiterCells)));
    if (queue.length < waiters) lines.push(`  and ${waiters - queue.length} more`);
  } else lines.push("", "Nobody waits.");
  if (revoke !== null) lines.push("", interventionText("Its holder was asked to let go", revoke));
  if (lastBreak !== null) lines.push("", interventionText("It was broken", lastBreak));
  const options = optionTexts(lock.options);
  if (options.length > 0) lines.push("", `Options: ${options.join(", ")}.`);
  return `${lines.join("\n")}\n`;
}

/** `2 h 5 min`, `3.4 s`, `20 ms`: as exact as a person reads it. */
export function time(ms: number): string {
  if (ms < 1_000) return `${ms} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min ${Math.floor((ms % 60_000) / 1_000)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** Text of users as one cell: no control characters, which a terminal would obey, and not too long. */
export function shown(text: string): string {
  const clean = [...text].map((character) => (/\p{C}/u.test(character) ? "?" : character));
  if (clean.length > CELL_LENGTH_MAX) return `${clean.slice(0, CELL_LENGTH_MAX - 1).join("")}…`;
  return clean.length === 0 ? '""' : clean.join("");
}

function lockRows(lock: ShownLock): string[][] {
  const rows = [
    ...lock.holders.map((holder) => [
      shown(holder.owner),
      holder.holds === 1 ? "holds" : `holds ${holder.holds}×`,
      String(holder.token),
      time(holder.sinceMs),
      left(holder.remainingMs),
      holder.data === "" ? "" : shown(holder.data),
    ]),
    ...lock.queue.map((waiter) => [
      shown(waiter.owner),
      `waits, ${waiter.position}.`,
      "",
      time(waiter.waitedMs),
      time(waiter.remainingMs),
      "",
    ]),
  ];
  const hidden = lock.waiters - lock.queue.length;
  if (hidden > 0) rows.push([`and ${hidden} more wait`, "", "", "", "", ""]);
  if (rows.length === 0) rows.push(["nobody", "", "", "", "", ""]);
  return rows.map((row, index) =>
    index === 0 ? [shown(lock.key), modeText(lock), ...row] : ["", "", ...row],
  );
}

function modeText({ mode, limit, holders }: LockInfo): string {
  if (mode !== "permits") return mode;
  return `permits ${holders.reduce((sum, { permits }) => sum + permits, 0)}/${limit}`;
}

function holderCells({ mode }: LockInfo, holder: LockHolder): string[] {
  const { owner, token, holds, permits, remainingMs, sinceMs, address, session, data } = holder;
  return [
    shown(owner),
    String(token),
    mode === "permits" ? plural(permits, "permit") : String(holds),
    time(sinceMs),
    left(remainingMs),
    address === "" ? "-" : shown(address),
    session === "" ? "-" : shown(session),
    data === "" ? "-" : shown(data),
  ];
}

function waiterCells(waiter: LockWaiter): string[] {
  const { position, owner, mode, priority, waitedMs, remainingMs, address, ticket } = waiter;
  return [
    `${position}. ${shown(owner)}`,
    mode,
    String(priority),
    time(waitedMs),
    time(remainingMs),
    address === "" ? "-" : shown(address),
    ticket === "" ? "-" : shown(ticket),
  ];
}

/** Those that are set. */
function optionTexts({ limit, policy, maxTtlMs, delayMs, maxWaiters }: LockOptions): string[] {
  return [
    ...(limit === 0 ? [] : [`limit ${limit}`]),
    ...(policy === "fifo" ? [] : ["by priority"]),
    ...(maxTtlMs === 0 ? [] : [`leases up to ${time(maxTtlMs)}`]),
    ...(delayMs === 0 ? [] : [`delay ${time(delayMs)}`]),
    ...(maxWaiters === 0 ? [] : [`up to ${plural(maxWaiters, "waiter")}`]),
  ];
}

function interventionText(what: string, { reason, agoMs, by }: LockIntervention): string {
  const who = by === "" ? "" : ` from ${shown(by)}`;
  return `${what} ${time(agoMs)} ago${who}${reason === "" ? "" : `: ${shown(reason)}`}.`;
}

function left(remainingMs: number): string {
  return remainingMs < 0 ? "no end" : time(remainingMs);
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
