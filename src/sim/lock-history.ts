/** What clients of the lock engine asked and were told, with the true times. */
import type { NodeId } from "../base/ids.ts";
import type { Reply } from "../base/reply.ts";
import type { Plan } from "../commands/contract.ts";
import type {
  LockAcquireAllOperation,
  LockAcquireOperation,
} from "../machine/locks/lock-operation.ts";
import type { Outcome } from "./history.ts";

/** What simulated connections carry out: what commands of locks become. */
export type LockAsk = Extract<
  Plan,
  {
    readonly kind:
      | "operation"
      | "group"
      | "lock-wait"
      | "lock-all"
      | "lock-watch"
      | "lock-ticket"
      | "lock-session";
  }
>;

/** One command of one client. */
export interface LockCall {
  /** From 1, in the order of invocation. */
  readonly id: number;
  readonly client: number;
  readonly node: NodeId;
  /** The number of the connection; a call ends with it. */
  readonly connection: number;
  readonly ask: LockAsk;
  readonly invokedMs: number;
  /** `Infinity` while there is no answer, and for ever when the outcome is unknown. */
  returnedMs: number;
  outcome: Outcome;
  reply: Reply;
  /** The wait was ended by CLIENT UNBLOCK: what came before is undone, and the answer is nil. */
  interrupted: boolean;
}

/** The claim of a call that asks for locks, or null. */
export function claimOf({ ask }: LockCall): LockAcquireOperation | LockAcquireAllOperation | null {
  return ask.kind === "lock-wait" || ask.kind === "lock-all" ? ask.operation : null;
}

/** The keys of a claim. */
export function keysOfClaim(
  claim: LockAcquireOperation | LockAcquireAllOperation,
): readonly string[] {
  return claim.kind === "lock-acquire" ? [claim.key] : claim.keys;
}

const QUEUED = /^\{?(?:mix|rw|sem|all|dead):/;

/** Whether the lock engine's clients use the key. */
export const isQueued = (key: string): boolean => QUEUED.test(key);

/** Whether old and new clients use the key. */
export const isMixed = (key: string): boolean => key.startsWith("mix:");

/** How many permits a lock has, where nobody changes that; 0 where somebody does. */
export function fixedLimit(key: string): number {
  return key === "sem:0" ? 2 : 0;
}

/** What a grant tells of one key. */
export interface ToldGrant {
  readonly key: string;
  readonly token: string;
}

/** The grants that an answer tells of; none for nil, errors and tickets. */
export function grantsOf(call: LockCall): readonly ToldGrant[] {
  const claim = claimOf(call);
  const { reply } = call;
  if (claim === null || call.outcome !== "answered" || !isArray(reply)) return [];
  const [first] = reply;
  if (claim.kind === "lock-acquire") {
    return typeof first === "string" ? [{ key: claim.key, token: first }] : [];
  }
  if (first === undefined || !isArray(first)) return [];
  return first.map((pair) => {
    const [key, token] = isArray(pair) ? pair : [];
    return { key: String(key), token: String(token) };
  });
}

export function isArray(reply: Reply): reply is readonly Reply[] {
  return Array.isArray(reply);
}

/** A field of a map reply; undefined where there is none. */
export function fieldOf(reply: Reply, name: string): Reply | undefined {
  if (typeof reply !== "object" || reply === null || !("kind" in reply)) return undefined;
  if (reply.kind !== "map") return undefined;
  return reply.entries.find(([field]) => field === name)?.[1];
}
