/**
 * What clients asked and were told, with the true times: the history that checkers judge.
 */
import type { GroupId, NodeId } from "../base/ids.ts";
import type { Reply } from "../base/reply.ts";

/** What a client asks. Owners and values are unique in a run, and so are amounts and lengths. */
export type Action =
  | {
      readonly kind: "acquire";
      readonly key: string;
      readonly owner: string;
      readonly ttlMs: number;
    }
  | { readonly kind: "release"; readonly key: string; readonly owner: string }
  | {
      readonly kind: "extend";
      readonly key: string;
      readonly owner: string;
      readonly ttlMs: number;
    }
  | { readonly kind: "expire"; readonly key: string; readonly ttlMs: number }
  | { readonly kind: "add"; readonly key: string; readonly by: number }
  | { readonly kind: "put"; readonly keys: readonly string[]; readonly value: string }
  | { readonly kind: "get"; readonly key: string }
  | { readonly kind: "get-all"; readonly keys: readonly string[] }
  | { readonly kind: "ttl"; readonly key: string }
  | { readonly kind: "token"; readonly key: string }
  /** LOCK.ACQUIRE, exclusive: answers a grant or nil, in the end. */
  | {
      readonly kind: "lock";
      readonly key: string;
      readonly owner: string;
      readonly ttlMs: number;
      readonly waitMs: number;
    }
  /** LOCK.RELEASE. */
  | { readonly kind: "unlock"; readonly key: string; readonly owner: string }
  /** LOCK.RENEW: answers a grant or nil. */
  | {
      readonly kind: "renew";
      readonly key: string;
      readonly owner: string;
      readonly ttlMs: number;
    }
  /** LOCK.BREAK; every reason is another one. */
  | { readonly kind: "break"; readonly key: string; readonly reason: string };

/** How a call ended. `unknown`: it may or may not have taken effect, and may still. */
export type Outcome = "pending" | "answered" | "refused" | "unknown";

/** One operation of one client. */
export interface Call {
  /** From 1, in the order of invocation. */
  readonly id: number;
  readonly client: number;
  readonly node: NodeId;
  readonly group: GroupId;
  readonly action: Action;
  /** True time when it was handed to a node. */
  readonly invokedMs: number;
  /** From when its lease counts, where a checker has moved `invokedMs`. */
  readonly askedMs?: number;
  /** True time of the answer; `Infinity` while there is none, and for ever when the outcome is unknown. */
  returnedMs: number;
  outcome: Outcome;
  reply: Reply;
}

/** The keys of an action. */
export function keysOf(action: Action): readonly string[] {
  return "keys" in action ? action.keys : [action.key];
}

/** Whether an action can change anything. */
export function changes(action: Action): boolean {
  switch (action.kind) {
    case "acquire":
    case "release":
    case "extend":
    case "expire":
    case "add":
    case "put":
    case "lock":
    case "unlock":
    case "renew":
    case "break":
      return true;
    case "get":
    case "get-all":
    case "ttl":
    case "token":
      return false;
  }
}
