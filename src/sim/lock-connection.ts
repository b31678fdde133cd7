/**
 * A client's connection to a simulated node, without a socket: the counterpart of `server/connection`
 * for clients that send one command at a time. What it asks is carried out by the server's own
 * `LockPlans`; what the client sends is received in the order in which it was sent, and its end last.
 */
import type { GroupId } from "../base/ids.ts";
import type { Reply } from "../base/reply.ts";
import type { Operation } from "../machine/operation.ts";
import { isWrite } from "../machine/operation.ts";
import { operationKeys } from "../commands/operation-keys.ts";
import type { ReplySink } from "../replica/batch.ts";
import type { LockSession } from "../replica/lock-session.ts";
import type { Replica } from "../replica/replica.ts";
import type { Blocker } from "../server/connection.ts";
import type { LockConnection } from "../server/lock-connection.ts";
import type { LockPlans } from "../server/lock-plans.ts";
import type { LockAsk } from "./lock-history.ts";
import type { SimProcess } from "./process.ts";

/** Who is told. */
export interface ConnectionUser {
  answered(reply: Reply): void;
  /** The process at the other end is gone. */
  broken(): void;
}

/** The other end. */
export interface ConnectionHost {
  readonly process: SimProcess;
  readonly replica: Replica;
  readonly plans: LockPlans;
  readonly groupOf: (key: string) => GroupId;
  /** The connection is closed. */
  forget(connection: SimConnection): void;
}

export class SimConnection implements LockConnection {
  readonly id: number;
  readonly session: LockConnection["session"];
  onGone: (() => void) | null = null;
  readonly #host: ConnectionHost;
  readonly #user: ConnectionUser;
  readonly #sent: (() => void)[] = [];
  #blocker: Blocker | null = null;
  #blocked = false;
  /** Nothing is told to the client any more. */
  #closed = false;

  constructor(id: number, host: ConnectionHost, user: ConnectionUser) {
    this.id = id;
    this.#host = host;
    this.#user = user;
    const lockSession: LockSession | null = null;
    // Odd ones hear of what they lose.
    this.session = { address: `client:${id}`, protocol: id % 2 === 0 ? 2 : 3, lockSession };
  }

  get closed(): boolean {
    return this.#closed;
  }

  // ── the client's end ────────────────────────────────────────────────────────────────────────

  /** Sends a command; the one before must have been answered. */
  send(ask: LockAsk): void {
    this.#send(() => {
      this.#carryOut(ask);
    });
  }

  /** Somebody sends CLIENT UNBLOCK for this connection. */
  unblock(): void {
    this.#send(() => {
      this.#blocker?.interrupt(null);
    });
  }

  /** Closes it, in the middle of whatever goes on. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#send(() => {
      this.#forget();
    });
  }

  /** The process has died. */
  lost(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#user.broken();
  }

  #send(task: () => void): void {
    const { process } = this.#host;
    this.#sent.push(task);
    const receive = (): void => {
      this.#sent.shift()?.();
    };
    if (this.#sent.length === 1 && process.running) process.enter(receive);
    else process.post(0, receive);
  }

  // ── the server's end ────────────────────────────────────────────────────────────────────────

  reply(reply: Reply): void {
    if (!this.#closed) this.#user.answered(reply);
  }

  defer(
    _: readonly string[],
    finish: ((reply: Reply) => Reply) | undefined,
    __: boolean,
  ): ReplySink {
    return {
      resolve: (reply) => {
        this.reply(finish === undefined ? reply : finish(reply));
      },
    };
  }

  block(finish: ((reply: Reply) => Reply) | undefined): ReplySink {
    this.#blocked = true;
    return {
      resolve: (reply) => {
        this.#blocked = false;
        this.#blocker = null;
        this.reply(finish === undefined ? reply : finish(reply));
      },
    };
  }

  blockedBy(blocker: Blocker): void {
    if (this.#blocked) this.#blocker = blocker;
  }

  push(): void {
    // What is told unasked changes nothing for these clients.
  }

  #forget(): void {
    const blocker = this.#blocker;
    this.#blocker = null;
    this.#blocked = false;
    blocker?.gone();
    const { onGone } = this;
    this.onGone = null;
    if (onGone !== null) onGone();
    this.#host.forget(this);
  }

  /** As the dispatcher does. */
  #carryOut(ask: LockAsk): void {
    switch (ask.kind) {
      case "operation": {
        const [key = ""] = operationKeys(ask.operation);
        this.#submit(this.#host.groupOf(key), ask.operation, ask.finish);
        break;
      }
      case "group":
        this.#submit(ask.group, ask.operation, ask.finish);
        break;
      case "lock-wait":
      case "lock-all":
      case "lock-watch":
      case "lock-ticket":
      case "lock-session":
        this.#host.plans.carryOut(ask, [], this);
        break;
    }
  }

  #submit(
    group: GroupId,
    operation: Operation,
    finish: ((reply: Reply) => Reply) | undefined,
  ): void {
    const { replica } = this.#host;
    const sink = this.defer([], finish, true);
    if (isWrite(operation)) {
      replica.write(group, operation, sink);
      return;
    }
    const reply = replica.tryRead(group, operation);
    if (reply === undefined) replica.read(group, operation, sink);
    else sink.resolve(reply);
  }
}
