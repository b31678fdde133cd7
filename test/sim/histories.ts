/** Builders for hand-made histories. */
import type { Reply } from "../../src/base/reply.ts";
import { OK } from "../../src/base/reply.ts";
import type { Action, Call } from "../../src/sim/history.ts";

let nextId = 1;

/** A call from `invokedMs` to `returnedMs`; `Infinity`: its outcome is unknown. */
export function call(
  invokedMs: number,
  returnedMs: number,
  { reply = null, client = 1, ...action }: Action & { reply?: Reply; client?: number },
): Call {
  const id = nextId;
  nextId += 1;
  return {
    id,
    client,
    node: 1,
    group: 0,
    action,
    invokedMs,
    returnedMs,
    outcome: returnedMs === Infinity ? "unknown" : "answered",
    reply,
  };
}

export const KEY = "lock:0";

export const acquired = (owner: string, ttlMs: number): Action & { reply: Reply } => ({
  kind: "acquire",
  key: KEY,
  owner,
  ttlMs,
  reply: OK,
});

export const refused = (owner: string): Action & { reply: Reply } => ({
  kind: "acquire",
  key: KEY,
  owner,
  ttlMs: 100,
  reply: null,
});

export const released = (owner: string, reply: 0 | 1): Action & { reply: Reply } => ({
  kind: "release",
  key: KEY,
  owner,
  reply,
});

export const read = (value: string | null): Action & { reply: Reply } => ({
  kind: "get",
  key: KEY,
  reply: value,
});
