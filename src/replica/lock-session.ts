/** One client's connection, as the groups of its locks see it. */
import type { GroupId } from "../base/ids.ts";
import type { Reply } from "../base/reply.ts";

/** What a session asks of the requests that have no answer yet. */
export interface SessionRequest {
  /** Whether the answer may take long. */
  readonly waits: boolean;
  /** Nobody waits for it any more: it ends, and what it got is given back. */
  abandon(): void;
  /** Its client may come back: the end of the session decides. */
  orphan(): void;
  /** Its client is told `reply`, and may go on with the request elsewhere. */
  hand(reply: Reply): void;
  /** Ends the wait with `reply`. */
  interrupt(reply: Reply): void;
}

/** In whose name a connection asks for locks. */
export class LockSession {
  /** 32 hexadecimal digits. */
  readonly id: string;
  /** Of the client, for those who look. */
  readonly address: string;
  /** Its id was told to the client, who may come back with it. */
  resumable = false;
  /** It has ended, or another connection of this node has taken it over. */
  closed = false;
  /** Groups in which something may belong to it beside what waits. */
  readonly touched = new Set<GroupId>();
  /** Its requests that have no answer yet. */
  readonly requests = new Set<SessionRequest>();
  /** Its requests for keys of several groups that are not over yet. */
  readonly alls = new Set<Pick<SessionRequest, "abandon" | "interrupt">>();

  /** By group: what it has asked there and has no answer of yet, and what has to come after that. */
  readonly #open = new Map<GroupId, { count: number; readonly behind: (() => void)[] }>();

  constructor(id: string, address: string) {
    this.id = id;
    this.address = address;
  }

  /** An operation is on its way to the group. */
  asked(group: GroupId): void {
    const open = this.#open.get(group);
    if (open === undefined) this.#open.set(group, { count: 1, behind: [] });
    else open.count += 1;
  }

  /** The group has answered an operation, or nobody waits for that any more: it comes no more. */
  replied(group: GroupId): void {
    const open = this.#open.get(group);
    if (open === undefined) return;
    open.count -= 1;
    if (open.count > 0) return;
    this.#open.delete(group);
    for (const task of open.behind) task();
  }

  /**
   * Does what must not overtake the operations that are on their way to the group, at once where there
   * are none. What is lost on the way is sent again, and may come behind what was sent after it.
   */
  behind(group: GroupId, task: () => void): void {
    const open = this.#open.get(group);
    if (open === undefined) task();
    else open.behind.push(task);
  }
}
