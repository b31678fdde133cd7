/** Clients of several replicas that ask for locks, as the server does for its connections. */
import type { GroupId } from "../../src/base/ids.ts";
import type { Reply } from "../../src/base/reply.ts";
import { isError } from "../../src/base/reply.ts";
import type {
  LockAcquireAllOperation,
  LockAcquireOperation,
  LockReleaseOperation,
} from "../../src/machine/locks/lock-operation.ts";
import type { Operation } from "../../src/machine/operation.ts";
import type { LockAll } from "../../src/replica/lock-all.ts";
import type { LockRequest } from "../../src/replica/lock-requests.ts";
import type { LockSession } from "../../src/replica/lock-session.ts";
import type { ClusterWorld, TestNode } from "./cluster-world.ts";
import { Answer } from "./world.ts";

const NOBODY = { session: "", node: 0, boot: 0, request: 0, address: "" } as const;

/** LOCK.ACQUIRE with a lease of a minute that waits for a minute, unless something else is said. */
export function acquire(
  key: string,
  owner: string,
  more: Partial<LockAcquireOperation> = {},
): LockAcquireOperation {
  return {
    kind: "lock-acquire",
    ...NOBODY,
    ...CLAIM,
    key,
    owner,
    async: false,
    claimMs: 10_000,
    ...more,
  };
}

/** LOCK.ACQUIREALL, likewise. */
export function acquireAll(
  keys: readonly string[],
  owner: string,
  more: Partial<LockAcquireAllOperation> = {},
): LockAcquireAllOperation {
  return {
    kind: "lock-acquire-all",
    ...NOBODY,
    ...CLAIM,
    keys,
    owner,
    provisional: false,
    ...more,
  };
}

const CLAIM = {
  db: 0,
  ttlMs: 60_000,
  waitMs: 60_000,
  mode: "exclusive",
  permits: 1,
  limit: 0,
  priority: 0,
  reentrant: false,
  bind: false,
  delayMs: 0,
  data: "",
} as const;

export function release(key: string, owner: string, token = ""): LockReleaseOperation {
  return { kind: "lock-release", db: 0, key, owner, token, all: false };
}

/** A key is in the group that its first character names. */
export function groupOf(key: string): GroupId {
  return Number(key[0]);
}

/** A client's connection to a node. */
export class LockClient {
  readonly node: TestNode;
  #session: LockSession | null = null;

  constructor(node: TestNode) {
    this.node = node;
  }

  get session(): LockSession {
    this.#session ??= this.node.replica.locks.sessions.open(`client of ${this.node.id}`);
    return this.#session;
  }

  /** LOCK.SESSION: the id with which another connection can go on. */
  id(): string {
    this.session.resumable = true;
    return this.session.id;
  }

  /** LOCK.SESSION RESUME. */
  resume(id: string): Answer {
    const answer = new Answer();
    this.#session = this.node.replica.locks.sessions.resume(id, "resumed", answer);
    return answer;
  }

  ask(operation: LockAcquireOperation): LockAnswer {
    const answer = new LockAnswer();
    const what = { group: groupOf(operation.key), operation };
    answer.request = this.node.replica.locks.ask(this.session, what, answer);
    return answer;
  }

  askAll(operation: LockAcquireAllOperation): LockAnswer {
    const answer = new LockAnswer();
    const { session } = this;
    answer.request = this.node.replica.locks.askAll({ session, operation, groupOf }, answer);
    return answer;
  }

  release(key: string, owner: string, token = ""): Answer {
    return this.node.write(groupOf(key), release(key, owner, token));
  }

  close(): void {
    if (this.#session !== null) this.node.replica.locks.sessions.close(this.#session);
  }
}

export class LockAnswer extends Answer {
  request: LockRequest | LockAll | null = null;

  /** What it was told: the token, `nil`, or the code of an error; `-` before that. */
  get told(): string {
    const [reply] = this.replies;
    return reply === undefined ? "-" : told(reply);
  }
}

function told(reply: Reply): string {
  if (reply === null) return "nil";
  if (isError(reply)) return reply.text.split(" ", 1)[0] ?? "";
  if (Array.isArray(reply) && typeof reply[0] === "string") return reply[0];
  if (Array.isArray(reply) && Array.isArray(reply[0])) {
    return (reply[0] as readonly Reply[]).map((pair) => String(pair)).join(" ");
  }
  return JSON.stringify(reply);
}

/** Who holds a key, as the leader of its group sees it; an empty string for nobody. */
export function holderOf(world: ClusterWorld, key: string): string {
  const reply = world.answered(world.leader(groupOf(key)).read(groupOf(key), get(key)));
  return typeof reply === "string" ? reply : "";
}

/** How many wait in a group, as its leader sees it. */
export function waitersOf(world: ClusterWorld, group: GroupId): number {
  return world.leader(group).group(group).machine.waiterCount;
}

function get(key: string): Operation {
  return { kind: "get", db: 0, key };
}
