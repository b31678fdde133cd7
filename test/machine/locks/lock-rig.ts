/** A machine whose locks are asked for: operations with defaults, and what became of them in words. */
import type { Reply } from "../../../src/base/reply.ts";
import type { LockEvent, LockOutcome } from "../../../src/machine/locks/lock-event.ts";
import type {
  LockAcquireAllOperation,
  LockAcquireOperation,
  LockSetOptionsOperation,
} from "../../../src/machine/locks/lock-operation.ts";
import type { MachineOptions } from "../../../src/machine/machine.ts";
import type { Operation } from "../../../src/machine/operation.ts";
import { Rig } from "../machine-fixture.ts";

export const SHARED = { mode: "shared" } as const;
export const WAIT = { waitMs: 10_000 } as const;

export function permits(
  count: number,
  limit: number,
): Pick<LockAcquireOperation, "mode" | "permits" | "limit"> {
  return { mode: "permits", permits: count, limit };
}

let requests = 0;

/** LOCK.ACQUIRE key owner 1000, from a session of the owner. */
export function asking(
  key: string,
  owner: string,
  more: Partial<LockAcquireOperation> = {},
): LockAcquireOperation {
  requests += 1;
  const common = { kind: "lock-acquire", db: 0, key, owner, session: `of ${owner}` } as const;
  const terms = { ttlMs: 1_000, waitMs: 0, mode: "exclusive", permits: 1, limit: 0 } as const;
  const rest = { priority: 0, reentrant: false, bind: false, delayMs: 0, data: "" } as const;
  const who = { node: 1, boot: 1, request: requests, address: "10.0.0.1:1" };
  return { ...common, ...terms, ...rest, ...who, async: false, claimMs: 500, ...more };
}

/** LOCK.ACQUIREALL. */
export function askingAll(
  keys: readonly string[],
  owner: string,
  more: Partial<LockAcquireAllOperation> = {},
): LockAcquireAllOperation {
  const { async: _, claimMs: __, key: ___, ...claim } = asking("", owner);
  return { ...claim, kind: "lock-acquire-all", keys, provisional: false, ...more };
}

export function releasing(key: string, owner: string, token = "", all = false): Operation {
  return { kind: "lock-release", db: 0, key, owner, token, all };
}

export function renewing(key: string, owner: string, ttlMs: number, token = ""): Operation {
  return { kind: "lock-renew", db: 0, key, owner, ttlMs, token };
}

export function withOptions(
  key: string,
  options: Partial<Omit<LockSetOptionsOperation, "kind" | "key">>,
): Operation {
  const none = { limit: null, policy: null, maxTtlMs: null, delayMs: null, maxWaiters: null };
  return { kind: "lock-set-options", db: 0, key, ...none, ...options };
}

export function ending(session: string, graceMs: number, node = 1, boot = 1): Operation {
  return { kind: "lock-session-end", session, node, boot, graceMs };
}

/** A field of a map reply. */
export function field(reply: Reply, name: string): Reply {
  if (reply === null || typeof reply !== "object" || !("kind" in reply)) return null;
  if (reply.kind !== "map") return null;
  return reply.entries.find(([key]) => key === name)?.[1] ?? null;
}

export function textOf(reply: Reply): string {
  if (reply === null || typeof reply !== "object" || !("kind" in reply)) return String(reply);
  return reply.kind === "error" || reply.kind === "status" ? reply.text : reply.kind;
}

export class LockRig extends Rig {
  outcomes: LockOutcome[] = [];
  events: LockEvent[] = [];

  constructor(options: Partial<MachineOptions> = {}) {
    super(options);
    this.machine.wantsEvents = true;
  }

  override apply(...operations: readonly Operation[]): Reply {
    const reply = super.apply(...operations);
    this.outcomes.push(...this.machine.takeOutcomes());
    this.events.push(...this.machine.takeEvents());
    return reply;
  }

  /** Time goes on, and an entry carries it. */
  after(ms: number): this {
    this.pass(ms).apply();
    return this;
  }

  acquire(key: string, owner: string, more: Partial<LockAcquireOperation> = {}): Reply {
    return this.apply(asking(key, owner, more));
  }

  release(key: string, owner: string): Reply {
    return this.apply(releasing(key, owner));
  }

  info(key: string, name: string): Reply {
    return field(this.read({ kind: "lock-info", db: 0, key }), name);
  }

  /** Who holds a key, and who waits for it, in order: `a+b < c d`. */
  who(key: string): string {
    const holders = this.info(key, "holders");
    const queue = this.read({ kind: "lock-queue", db: 0, key, count: 1_000 });
    return `${owners(holders).join("+")} < ${owners(queue).join(" ")}`;
  }

  /** The answers to those who waited since this was last asked, by owner's session. */
  answers(): string[] {
    const told = this.outcomes.map(({ session, reply, ticket }) => {
      const text = Array.isArray(reply) ? "granted" : textOf(reply);
      return `${ticket === 0 ? session : "ticket"}: ${text}`;
    });
    this.outcomes = [];
    return told;
  }

  /** What happened since this was last asked. */
  news(): string[] {
    const told = this.events.map(({ kind, owner }) => `${kind} ${owner}`);
    this.events = [];
    return told;
  }
}

function owners(maps: Reply): string[] {
  if (!Array.isArray(maps)) return [];
  return (maps as readonly Reply[]).map((one) => String(field(one, "owner")));
}
