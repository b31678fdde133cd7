/**
 * Tells RESP3 clients, unasked, what happens to locks that they hold: `lock-lost` when one is theirs no
 * more without their doing, `lock-revoked` when they are asked to let go:
 *
 *     name, key, owner, token, event, reason, database
 *
 * Who has released a lock, an event does not say: a client that deletes what another holds is not told
 * from a holder that lets go, and nobody is told `lock-lost` of it.
 *
 * Events come from this node's own replica, as it applies the groups' logs: `LockFeed` has them for
 * anybody who listens, such as channels. A client hears of the locks of its session.
 */
import type { LockEvent } from "../machine/locks/lock-event.ts";
import type { LockFeed } from "../replica/lock-feed.ts";
import type { LockSession } from "../replica/lock-session.ts";
import type { LockConnection } from "./lock-connection.ts";
import { Frame } from "./pubsub.ts";

export class LockPushes {
  readonly #feed: LockFeed;
  /** Connections that speak RESP3, by the session of their locks. */
  readonly #bySession = new Map<string, LockConnection>();
  #stop: (() => void) | null = null;

  constructor(feed: LockFeed) {
    this.#feed = feed;
  }

  /** A connection uses the session. */
  joined(connection: LockConnection, { id }: LockSession): void {
    if (connection.session.protocol !== 3) {
      this.#forget(connection, id);
      return;
    }
    this.#bySession.set(id, connection);
    this.#stop ??= this.#feed.subscribe((event) => {
      this.#tell(event);
    });
  }

  /** A connection uses the session no more. */
  left(connection: LockConnection, { id }: LockSession): void {
    this.#forget(connection, id);
  }

  #forget(connection: LockConnection, id: string): void {
    if (this.#bySession.get(id) !== connection) return;
    this.#bySession.delete(id);
    if (this.#bySession.size > 0) return;
    this.#stop?.();
    this.#stop = null;
  }

  #tell(event: LockEvent): void {
    const name = nameOf(event);
    if (name === null || event.session === "") return;
    const connection = this.#bySession.get(event.session);
    if (connection?.session.protocol !== 3) return;
    const { key, owner, token, kind, reason, db } = event;
    connection.push(new Frame([name, key, owner, token, kind, reason, db]));
  }
}

/** The first word of the push, null for events that are no news to the holder. */
function nameOf({ kind }: LockEvent): string | null {
  switch (kind) {
    case "expired":
    case "broken":
    case "lost":
      return "lock-lost";
    case "revoked":
      return "lock-revoked";
    case "acquired":
    case "queued":
    case "renewed":
    case "released":
      return null;
  }
}
