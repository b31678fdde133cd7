/** What RESP3 clients are told of their locks unasked: who, of what, and in which words. */
import * as assert from "uvu/assert";
import type { Reply } from "../../src/base/reply.ts";
import type { LockEvent, LockEventKind } from "../../src/machine/locks/lock-event.ts";
import type { LockListener } from "../../src/replica/lock-feed.ts";
import { LockFeed } from "../../src/replica/lock-feed.ts";
import { LockSession } from "../../src/replica/lock-session.ts";
import type { LockConnection } from "../../src/server/lock-connection.ts";
import { LockPushes } from "../../src/server/lock-events.ts";
import type { Frame } from "../../src/server/pubsub.ts";
import { suite } from "../support/suite.ts";

/** A feed whose events the test makes. */
class HeldFeed extends LockFeed {
  readonly listeners = new Set<LockListener>();

  constructor() {
    super(() => []);
  }

  override subscribe(listener: LockListener): () => void {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  }

  emit(kind: LockEventKind, changes: Partial<LockEvent> = {}): void {
    const event: LockEvent = {
      kind,
      slot: 7,
      db: 0,
      key: "k",
      owner: "me",
      token: "12",
      position: 0,
      session: "s1",
      reason: "",
      ...changes,
    };
    for (const listener of this.listeners) listener(event);
  }
}

interface Client {
  readonly connection: LockConnection;
  readonly told: (readonly Reply[])[];
  protocol: 2 | 3;
}

function client(protocol: 2 | 3 = 3): Client {
  const told: (readonly Reply[])[] = [];
  const made: Client = { told, protocol, connection: undefined as unknown as LockConnection };
  const connection = {
    session: {
      get protocol() {
        return made.protocol;
      },
    },
    push: ({ reply }: Frame) => {
      told.push(reply.items);
    },
  };
  return Object.assign(made, { connection: connection as unknown as LockConnection });
}

const session = (id = "s1"): LockSession => new LockSession(id, "somewhere");

suite("server/lock-events", (test) => {
  test("a client is told when its lock is its no more without its doing, and when to let go", () => {
    const feed = new HeldFeed();
    const pushes = new LockPushes(feed);
    const { connection, told } = client();
    pushes.joined(connection, session());
    for (const kind of ["acquired", "queued", "renewed", "released"] as const) feed.emit(kind);
    assert.equal(told, []);

    feed.emit("expired");
    feed.emit("lost", { key: "\xff", token: "13" });
    feed.emit("broken", { reason: "over" });
    feed.emit("broken");
    feed.emit("revoked", { reason: "please" });
    feed.emit("revoked");
    assert.equal(told, [
      ["lock-lost", "k", "me", "12", "expired", "", 0],
      ["lock-lost", "\xff", "me", "13", "lost", "", 0],
      ["lock-lost", "k", "me", "12", "broken", "over", 0],
      ["lock-lost", "k", "me", "12", "broken", "", 0],
      ["lock-revoked", "k", "me", "12", "revoked", "please", 0],
      ["lock-revoked", "k", "me", "12", "revoked", "", 0],
    ]);
  });

  test("a push tells what happened from why, and the same key of two databases apart", () => {
    const feed = new HeldFeed();
    const pushes = new LockPushes(feed);
    const { connection, told } = client();
    pushes.joined(connection, session());
    feed.emit("broken", { reason: "expired", db: 3 });
    assert.equal(told, [["lock-lost", "k", "me", "12", "broken", "expired", 3]]);
  });

  test("nobody hears of locks of others, or of nobody's", () => {
    const feed = new HeldFeed();
    const pushes = new LockPushes(feed);
    const [one, two] = [client(), client()];
    pushes.joined(one.connection, session("s1"));
    pushes.joined(two.connection, session("s2"));
    feed.emit("lost", { session: "s2" });
    feed.emit("lost", { session: "s3" });
    feed.emit("lost", { session: "" });
    assert.equal(one.told, []);
    assert.is(two.told.length, 1);
  });

  test("events are asked for only while a client of RESP3 has a session", () => {
    const feed = new HeldFeed();
    const pushes = new LockPushes(feed);
    const [old, one, two] = [client(2), client(), client()];
    pushes.joined(old.connection, session("s0"));
    assert.is(feed.listeners.size, 0);
    pushes.joined(one.connection, session("s1"));
    pushes.joined(two.connection, session("s2"));
    assert.is(feed.listeners.size, 1);
    pushes.left(one.connection, session("s1"));
    pushes.left(old.connection, session("s0"));
    assert.is(feed.listeners.size, 1);
    pushes.left(two.connection, session("s2"));
    assert.is(feed.listeners.size, 0);
    pushes.joined(one.connection, session("s1"));
    assert.is(feed.listeners.size, 1);
    feed.emit("lost");
    assert.is(one.told.length, 1);
  });

  test("whoever took a session over is told, and not the one who had it, who may leave late", () => {
    const feed = new HeldFeed();
    const pushes = new LockPushes(feed);
    const [before, after] = [client(), client()];
    pushes.joined(before.connection, session());
    pushes.joined(after.connection, session());
    pushes.left(before.connection, session());
    feed.emit("lost");
    assert.equal(before.told, []);
    assert.is(after.told.length, 1);
    pushes.left(after.connection, session());
    assert.is(feed.listeners.size, 0);
  });

  test("a client that goes back to RESP2 is told nothing", () => {
    const feed = new HeldFeed();
    const pushes = new LockPushes(feed);
    const one = client();
    pushes.joined(one.connection, session());
    one.protocol = 2;
    feed.emit("lost");
    assert.equal(one.told, []);
    pushes.joined(one.connection, session());
    assert.is(feed.listeners.size, 0);
  });
});
