/** What clients publish, on its way to other nodes: with links and a clock of ticks that the test holds. */
import * as assert from "uvu/assert";
import { PUBLISHED_BYTES_PER_TICK_MAX, VALUE_BYTES_MAX } from "../../src/base/limits.ts";
import { Broadcast } from "../../src/replica/broadcast.ts";
import type { ReplicaContext } from "../../src/replica/context.ts";
import type { PeerMessage } from "../../src/wire/peer-messages.ts";
import { suite } from "../support/suite.ts";

interface Stage {
  readonly broadcast: Broadcast;
  readonly sent: (readonly [number, PeerMessage])[];
  readonly heard: (readonly [string, string])[];
  readonly linked: Set<number>;
  tick: number;
  wakes: number;
}

/** Node 2 of three. */
function stage(): Stage {
  const sent: (readonly [number, PeerMessage])[] = [];
  const heard: (readonly [string, string])[] = [];
  // No transport has a link to its own node; none may be asked for one either.
  const linked = new Set([1, 2, 3]);
  const context = {
    self: 2,
    get tick() {
      return made.tick;
    },
    outbound: {
      isConnected: (to: number) => linked.has(to),
      add: (to: number, message: PeerMessage) => {
        sent.push([to, message]);
      },
    },
    wake: () => {
      made.wakes += 1;
    },
  };
  const broadcast = new Broadcast(context as unknown as ReplicaContext, {
    members: () => [{ id: 1 }, { id: 2 }, { id: 3 }],
    onPublished: (channel, message) => {
      heard.push([channel, message]);
    },
  });
  const made: Stage = { broadcast, sent, heard, linked, tick: 1, wakes: 0 };
  return made;
}

suite("replica/broadcast", (test) => {
  test("a message goes to all other nodes that there is a link to, once, and leaves this turn", () => {
    const made = stage();
    assert.ok(made.broadcast.publish("c", "\xff"));
    const message = { kind: "publish", channel: "c", message: "\xff" } as const;
    assert.equal(made.sent, [
      [1, message],
      [3, message],
    ]);
    assert.is(made.wakes, 1);
    made.linked.delete(1);
    made.broadcast.publish("c", "\xff");
    assert.equal(made.sent.slice(2), [[3, message]]);
    assert.equal(made.heard, []);
  });

  test("what another node sends is told here and sent no further", () => {
    const { broadcast, heard, sent } = stage();
    broadcast.received({ kind: "publish", channel: "c", message: "m" });
    assert.equal(heard, [["c", "m"]]);
    assert.equal(sent, []);
  });

  test("past the bytes of a tick nothing is sent until the next", () => {
    const made = stage();
    const large = "x".repeat(VALUE_BYTES_MAX);
    let taken = 0;
    while (made.broadcast.publish("c", large)) taken += 1;
    assert.is(taken, Math.ceil(PUBLISHED_BYTES_PER_TICK_MAX / (2 * VALUE_BYTES_MAX)));
    assert.is(made.sent.length, 2 * taken);
    assert.not(made.broadcast.publish("c", ""));
    made.tick += 1;
    assert.ok(made.broadcast.publish("c", ""));
    // A node on its own sends nothing, however much is published.
    made.linked.clear();
    for (let count = 0; count < 100; count += 1) assert.ok(made.broadcast.publish("c", large));
  });
});
