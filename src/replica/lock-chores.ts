/**
 * Operations that this node owes the groups: a withdrawn request, a session that ended, a grant given
 * back. Nobody waits for their answers, so they are sent again until the group has carried them out.
 *
 * All of them may be carried out twice. Those that undo what a client has asked for wait until that was
 * answered: operations that were lost on the way to a leader are sent again, and overtaken by later ones.
 */
import type { GroupId } from "../base/ids.ts";
import { LOCK_CHORES_MAX } from "../base/limits.ts";
import type { Reply } from "../base/reply.ts";
import { isError } from "../base/reply.ts";
import type { LockWrite } from "../machine/locks/lock-operation.ts";
import type { ReplySink } from "./batch.ts";
import type { ReplicaContext } from "./context.ts";
import type { LockSession } from "./lock-session.ts";

/** How a chore is done: who is told, and behind whose operations it goes. */
export interface ChoreWay {
  readonly done: ((reply: Reply) => void) | null;
  readonly behind: Pick<LockSession, "behind"> | null;
}

/** Puts an operation on its way to its group. */
export type WriteOperation = (group: GroupId, operation: LockWrite, sink: ReplySink) => void;

/** An operation on its way, or due again. */
export class LockChore implements ReplySink {
  readonly group: GroupId;
  readonly operation: LockWrite;
  readonly #chores: LockChores;
  readonly #done: ((reply: Reply) => void) | null;
  /** It has lost its sense: whatever becomes of what is on its way, it is not sent again. */
  cancelled = false;
  /** To be done when it is carried out or given up. */
  readonly behind: (() => void)[] = [];

  constructor(
    chores: LockChores,
    what: { readonly group: GroupId; readonly operation: LockWrite },
    done: ((reply: Reply) => void) | null,
  ) {
    this.#chores = chores;
    this.group = what.group;
    this.operation = what.operation;
    this.#done = done;
  }

  resolve(reply: Reply): void {
    if (!mayHaveFailed(reply)) {
      this.#chores.left(this);
      if (this.#done !== null) this.#done(reply);
    } else if (this.cancelled) {
      this.#chores.left(this);
    } else {
      this.#chores.again(this);
    }
  }
}

export class LockChores {
  readonly #context: ReplicaContext;
  readonly #write: WriteOperation;
  readonly #open = new Set<LockChore>();
  /** In the order in which they come due. */
  readonly #waiting: { readonly chore: LockChore; readonly dueTick: number }[] = [];
  #whenDone: (() => void) | null = null;

  constructor(context: ReplicaContext, write: WriteOperation) {
    this.#context = context;
    this.#write = write;
  }

  /** How many are not carried out yet. */
  get size(): number {
    return this.#open.size;
  }

  /** Whether so much is owed that no more may be begun that would have to be ended. */
  get full(): boolean {
    return this.#open.size >= LOCK_CHORES_MAX;
  }

  /**
   * Sees to it that the group carries out `operation`; `done` is told its answer. It goes behind what
   * the session `behind` has asked there before.
   */
  do(
    group: GroupId,
    operation: LockWrite,
    how: ((reply: Reply) => void) | null | ChoreWay = null,
  ): LockChore {
    const { done, behind } =
      typeof how === "object" && how !== null ? how : { done: how, behind: null };
    const chore = new LockChore(this, { group, operation }, done);
    this.#open.add(chore);
    if (behind === null) this.#write(group, operation, chore);
    else
      behind.behind(group, () => {
        if (chore.cancelled) this.left(chore);
        else this.#write(group, operation, chore);
      });
    return chore;
  }

  /**
   * Does `task` when the ends of the session that are on their way to the group are carried out or given
   * up. Those that begin later go behind the task, so it does not wait for them.
   */
  behindEndsOf(session: string, group: GroupId, task: () => void): void {
    let left = 0;
    const oneLess = (): void => {
      left -= 1;
      if (left === 0) task();
    };
    for (const chore of this.#open) {
      const { operation } = chore;
      if (chore.group !== group || operation.kind !== "lock-session-end") continue;
      if (operation.session !== session) continue;
      left += 1;
      chore.behind.push(oneLess);
    }
    if (left === 0) task();
  }

  /** Gives up what was not carried out for a session: it goes on, here. */
  cancelEndsOf(session: string): void {
    for (const chore of this.#open) {
      const { operation } = chore;
      if (operation.kind === "lock-session-end" && operation.session === session) {
        chore.cancelled = true;
      }
    }
  }

  /** Sends what is due again. */
  tick(): void {
    const waiting = this.#waiting;
    let due = 0;
    for (; due < waiting.length; due += 1) {
      const item = waiting[due];
      if (item === undefined || item.dueTick > this.#context.tick) break;
    }
    if (due === 0) return;
    for (const { chore } of waiting.splice(0, due)) {
      if (chore.cancelled) this.left(chore);
      else this.#write(chore.group, chore.operation, chore);
    }
  }

  /** The chore could not be carried out, or nobody knows whether it was. */
  again(chore: LockChore): void {
    const dueTick = this.#context.tick + Math.max(1, Math.ceil(this.#context.requestTicks / 10));
    this.#waiting.push({ chore, dueTick });
  }

  left(chore: LockChore): void {
    this.#open.delete(chore);
    for (const task of chore.behind) task();
    this.#tellIfDone();
  }

  /** Calls `task` once, when nothing is owed any more; at once where that is so. */
  whenDone(task: () => void): void {
    this.#whenDone = task;
    this.#tellIfDone();
  }

  #tellIfDone(): void {
    if (this.#open.size > 0 || this.#whenDone === null) return;
    const task = this.#whenDone;
    this.#whenDone = null;
    task();
  }
}

const AGAIN = ["UNKNOWN", "TRYAGAIN", "CLUSTERDOWN", "MISCONF"];

/** Whether an answer does not tell that the operation was executed. */
export function mayHaveFailed(reply: Reply): boolean {
  if (!isError(reply)) return false;
  const [code = ""] = reply.text.split(" ", 1);
  return AGAIN.includes(code);
}

/** Whether an answer says that nobody knows whether the operation was, or will be, executed. */
export function isUnknown(reply: Reply): boolean {
  return isError(reply) && reply.text.startsWith("UNKNOWN ");
}
