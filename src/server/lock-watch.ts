/**
 * LOCK.WATCH: answers with the state of a lock as soon as it is newer than the version that the client
 * knows; the version is the slot up to which the group's log had been applied for a state.
 *
 * This node hears of changes as it applies the log. Whether something has changed before, it knows for
 * a while; where it does not, it answers at once, and the client looks for itself. The state itself is
 * always read from whoever has all that was acknowledged; and that nothing has changed is said only when
 * this node has applied all of that, so a node that is cut off from the others answers an error.
 */
import type { GroupId, Millis } from "../base/ids.ts";
import type { Scheduler } from "../base/ports.ts";
import type { ErrorReply, Reply } from "../base/reply.ts";
import { isError } from "../base/reply.ts";
import type { LockPlan } from "../commands/contract.ts";
import type { Operation } from "../machine/operation.ts";
import type { ReplySink } from "../replica/batch.ts";
import type { Replica } from "../replica/replica.ts";
import type { Blocker } from "./connection.ts";

export interface LockWaitParts {
  readonly replica: Replica;
  readonly scheduler: Scheduler;
  readonly groupOf: (key: string) => GroupId;
}

const NOTHING: Operation = { kind: "delete", db: 0, keys: [] };

/** How often it is looked whether this node has applied what was read elsewhere, and how many times. */
const CATCH_UP_MS: Millis = 20;
const CATCH_UP_LOOKS = 25;

type WatchPlan = Extract<LockPlan, { kind: "lock-watch" }>;

export class LockWatch implements Blocker {
  readonly #replica: Replica;
  readonly #scheduler: Scheduler;
  readonly #plan: WatchPlan;
  readonly #group: GroupId;
  #sink: ReplySink | null;
  #stopWatching: () => void = () => undefined;
  #stopTimer: () => void = () => undefined;
  /** It has changed: what is read now is the answer. */
  #reading = false;
  /** The time is over: what is read now says whether nothing has changed. */
  #ending = false;

  /** Begins at once; `sink` gets `[version, state]`, nil when nothing has changed in time, or an error. */
  constructor(parts: LockWaitParts, plan: WatchPlan, sink: ReplySink) {
    this.#replica = parts.replica;
    this.#scheduler = parts.scheduler;
    this.#plan = plan;
    this.#group = parts.groupOf(plan.operation.key);
    this.#sink = sink;
    const { operation, version, waitMs } = plan;
    const { locks } = this.#replica;
    this.#stopWatching = locks.watch(this.#group, operation, () => {
      // What this node applies late may be in the version that the client has.
      if (locks.appliedSlot(this.#group) > version) this.#readAndAnswer();
    });
    if (version === 0 || locks.mayHaveChanged(this.#group, operation, version)) {
      this.#readAndAnswer();
      return;
    }
    this.#stopTimer = parts.scheduler.after(waitMs, () => {
      this.#timeOver();
    });
    // Whoever cannot be told in the end is told so now.
    this.#replica.readBehindWrites(this.#group, operation, {
      resolve: (reply) => {
        if (isError(reply) && !this.#reading && !this.#ending) this.#end(reply);
      },
    });
  }

  interrupt(error: ErrorReply | null): void {
    if (error !== null) this.#end(error);
    else if (!this.#reading) this.#timeOver();
  }

  gone(): void {
    this.#end(null);
  }

  /** Says that nothing has changed only where this node knows it. */
  #timeOver(): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#stopTimer();
    // A change that was acknowledged elsewhere may not have come here yet.
    this.#replica.readBehindWrites(this.#group, this.#plan.operation, {
      resolve: (reply) => {
        if (isError(reply)) {
          if (!this.#reading) this.#end(reply);
        } else this.#endWhenApplied(reply, CATCH_UP_LOOKS);
      },
    });
  }

  /** Ends without news when all before `state` is applied here; with the state if that takes too long. */
  #endWhenApplied(state: Reply, looks: number): void {
    if (this.#sink === null || this.#reading) return;
    if ((slotOf(state) ?? 0) <= this.#replica.locks.appliedSlot(this.#group)) this.#end(null);
    else if (looks === 0) this.#end(state);
    else {
      this.#stopTimer = this.#scheduler.after(CATCH_UP_MS, () => {
        this.#endWhenApplied(state, looks - 1);
      });
    }
  }

  #readAndAnswer(): void {
    if (this.#reading) return;
    this.#reading = true;
    this.#stopWatching();
    this.#stopTimer();
    this.#readNow();
  }

  #readNow(): void {
    this.#replica.readBehindWrites(this.#group, this.#plan.operation, {
      resolve: (reply) => {
        if (slotOf(reply) === 0) this.#writeNothing();
        else this.#end(reply);
      },
    });
  }

  /** Version 0 stands for none: a group without an entry gets one, so that the client can go on from it. */
  #writeNothing(): void {
    this.#replica.write(this.#group, NOTHING, {
      resolve: (reply) => {
        if (isError(reply)) this.#end(reply);
        else this.#readNow();
      },
    });
  }

  #end(reply: Reply): void {
    this.#stopWatching();
    this.#stopTimer();
    const sink = this.#sink;
    this.#sink = null;
    if (sink !== null) sink.resolve(reply);
  }
}

function slotOf(state: Reply): number | null {
  if (!Array.isArray(state)) return null;
  const [slot] = state as readonly Reply[];
  return typeof slot === "number" ? slot : null;
}
