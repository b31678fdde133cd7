/**
 * What carrying out a plan for locks needs of a connection: a place for the answer, and to be told of
 * its end. `Connection` is one; the simulator has connections without sockets.
 */
import type { Reply } from "../base/reply.ts";
import type { ReplySink } from "../replica/batch.ts";
import type { LockSession } from "../replica/lock-session.ts";
import type { Blocker } from "./connection.ts";
import type { Frame } from "./pubsub.ts";

export interface LockConnection {
  readonly session: {
    readonly address: string;
    readonly protocol: 2 | 3;
    /** In whose name it asks for locks; null before it does. */
    lockSession: LockSession | null;
  };
  /** Called once, when nothing can be told to the client any more. */
  onGone: (() => void) | null;
  /** Answers the command at once. */
  reply(reply: Reply, args: readonly string[]): void;
  /** Keeps the place of the answer; `fresh` is one that takes memory of its own. */
  defer(
    args: readonly string[],
    finish: ((reply: Reply) => Reply) | undefined,
    fresh: boolean,
  ): ReplySink;
  /** Keeps the place of the answer, and holds up what the client sends behind it. */
  block(finish: ((reply: Reply) => Reply) | undefined): ReplySink;
  /** Says by what the wait of {@link block} can be ended; nothing when it is over. */
  blockedBy(blocker: Blocker): void;
  /** Sends a message between the replies. */
  push(frame: Frame): void;
}
