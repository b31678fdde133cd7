/** Peer bodies as bytes: the round trip of every kind, damaged bytes, the golden body. */
import * as assert from "uvu/assert";
import fc from "fast-check";
import { BugError } from "../../src/base/assert.ts";
import { ByteWriter } from "../../src/base/bytes.ts";
import { GROUPS_MAX, PEER_BODY_MESSAGES_MAX } from "../../src/base/limits.ts";
import type { PaxosMessage } from "../../src/paxos/messages.ts";
import { decodePeerBody, encodePeerBody } from "../../src/wire/peer-codec.ts";
import type { ForwardMessage, PeerMessage } from "../../src/wire/peer-messages.ts";
import { golden } from "../support/golden.ts";
import { suite } from "../support/suite.ts";
import { bitFlips, truncations } from "./damage.ts";
import {
  consensusKinds,
  consensusOf,
  goldenBody,
  peerKinds,
  peerMessage,
  peerMessageOf,
} from "./peer-samples.ts";

function encode(...messages: readonly PeerMessage[]): Uint8Array {
  const writer = new ByteWriter(1);
  encodePeerBody(writer, messages);
  return writer.take();
}

function consensus(message: PaxosMessage): PeerMessage {
  return { kind: "paxos", group: 3, message };
}

const forward: ForwardMessage = {
  kind: "forward",
  group: 3,
  boot: 12,
  sequence: 1_000_000,
  attempt: 1,
  floor: 999_990,
  read: false,
  deadlineMs: 5_000,
  operation: {
    kind: "set",
    db: 0,
    key: "k".repeat(20),
    value: "v".repeat(36),
    when: "nx",
    compare: "",
    expireMode: "after",
    expireMs: 30_000,
    answer: "status",
  },
};

const ballot = 258 * 256 + 2;

suite("wire/peer-codec", (test) => {
  for (const kind of consensusKinds) {
    test(`a consensus message of kind ${kind} comes back as it was`, () => {
      fc.assert(
        fc.property(consensusOf(kind), (message) => {
          assert.equal(decodePeerBody(encode(consensus(message))), [consensus(message)]);
        }),
        { numRuns: 100 },
      );
    });
  }

  for (const kind of peerKinds) {
    test(`a message of kind ${kind} comes back as it was`, () => {
      fc.assert(
        fc.property(peerMessageOf(kind), (message) => {
          assert.equal(decodePeerBody(encode(message)), [message]);
        }),
        { numRuns: 100 },
      );
    });
  }

  test("the messages of a body come back in their order", () => {
    fc.assert(
      fc.property(fc.array(peerMessage, { maxLength: 12 }), (messages) => {
        assert.equal(decodePeerBody(encode(...messages)), messages);
      }),
    );
  });

  test("a body is appended to what the writer holds", () => {
    const writer = new ByteWriter(1);
    writer.u32(7);
    encodePeerBody(writer, goldenBody);

    assert.equal(writer.take().slice(4), encode(...goldenBody));
  });

  test("values, rows and meta are copied when written, and views into the body when read", () => {
    const value = Uint8Array.of(1, 2, 3);
    const bytes = encode(consensus({ kind: "accept", ballot, slot: 1, value, chosen: 0 }));
    value[0] = 9;

    const [message] = decodePeerBody(bytes) as PeerMessage[];

    assert.ok(message?.kind === "paxos" && message.message.kind === "accept");
    assert.equal(message.message.value, Uint8Array.of(1, 2, 3));
    assert.is(message.message.value.buffer, bytes.buffer);
  });

  test("frequent messages are short", () => {
    const slot = 1_000_000;
    const sizes = {
      accept: encode(
        consensus({ kind: "accept", ballot, slot, value: new Uint8Array(100), chosen: slot - 1 }),
      ).length,
      accepted: encode(consensus({ kind: "accepted", ballot, slot })).length,
      heartbeat: encode(
        consensus({ kind: "heartbeat", ballot, round: 10_000, sentMs: 1e6 + 0.25, chosen: slot }),
      ).length,
      forward: encode(forward).length,
    };

    assert.ok(sizes.accept <= 100 + 15, `accept ${sizes.accept}`);
    assert.ok(sizes.accepted <= 11, `accepted ${sizes.accepted}`);
    assert.ok(sizes.heartbeat <= 21, `heartbeat ${sizes.heartbeat}`);
    assert.ok(sizes.forward <= 56 + 25, `forward ${sizes.forward}`);
  });

  test("a body cut off at any byte is refused with a reason", () => {
    for (const part of truncations(encode(...goldenBody))) {
      assert.match(String(decodePeerBody(part)), /cut off|empty|ends before|malformed/);
    }
  });

  test("a body with any single bit flipped is refused or is another well-formed body", () => {
    for (const [flipped] of bitFlips(encode(...goldenBody))) {
      const decoded = decodePeerBody(flipped);
      if (typeof decoded === "string") continue;
      assert.equal(decodePeerBody(encode(...decoded)), decoded);
    }
  });

  test("random bytes never throw, and what decodes encodes to an equal body", () => {
    const random = fc.uint8Array({ maxLength: 60 }).map((tail) => Uint8Array.from([1, 1, ...tail]));
    fc.assert(
      fc.property(random, (bytes) => {
        const decoded = decodePeerBody(bytes);
        if (typeof decoded === "string") return;
        assert.equal(decodePeerBody(encode(...decoded)), decoded);
      }),
      { numRuns: 5_000 },
    );
  });

  test("bytes after the last message are refused", () => {
    const bytes = Uint8Array.from([...encode(forward), 0]);

    assert.match(String(decodePeerBody(bytes)), /1 bytes are left after the last message/);
  });

  test("an unknown version and an unknown kind are refused by their numbers", () => {
    const newer = encode(forward);
    newer[0] = 2;
    const unknown = encode(forward);
    unknown[2] = 99;

    assert.match(String(decodePeerBody(newer)), /format 2, .* reads 1/);
    assert.match(String(decodePeerBody(unknown)), /message 1 has the kind 99/);
  });

  test("a count larger than the bytes could hold is refused before anything is allocated", () => {
    const messages = Uint8Array.of(1, 0xff, 0xff, 0xff, 0x7f, 0);
    assert.match(String(decodePeerBody(messages)), /claims more messages/);

    // The count of entries of a promise, which is the last but one byte of it.
    const promise = encode(consensus({ kind: "promise", ballot, from: 1, entries: [], next: 0 }));
    const many = Uint8Array.from([...promise.slice(0, -2), 0xff, 0xff, 0xff, 0x7f, 0]);
    assert.match(String(decodePeerBody(many)), /malformed/);
  });

  test("more messages than a body may hold are refused, and are a bug of who writes them", () => {
    const ack = { kind: "snapshot-ack", group: 0, transfer: 0, index: 0 } as const;
    const most = new Array<PeerMessage>(PEER_BODY_MESSAGES_MAX).fill(ack);
    const bytes = encode(...most);
    assert.is((decodePeerBody(bytes) as PeerMessage[]).length, PEER_BODY_MESSAGES_MAX);

    const writer = new ByteWriter();
    writer.u8(1);
    writer.varint(PEER_BODY_MESSAGES_MAX + 1);
    for (let left = PEER_BODY_MESSAGES_MAX + 1; left > 0; left--) writer.bytes(bytes.slice(4, 8));
    assert.match(String(decodePeerBody(writer.take())), /claims 65537 messages/);
    assert.throws(
      () => encode(...most, ack),
      (thrown: unknown) => thrown instanceof BugError,
    );
  });

  test("what no node says is refused: it would end its receiver or keep it busy", () => {
    const value = new Uint8Array(0);
    const page = { from: 5, entries: [{ slot: 7, ballot, value }] };
    const bad: PeerMessage[] = [
      consensus({ kind: "accepted", ballot: 0, slot: 1 }),
      consensus({ kind: "accepted", ballot: 256, slot: 1 }),
      consensus({ kind: "accepted", ballot: 255, slot: 1 }),
      consensus({ kind: "accepted", ballot: 2 ** 53 - 1, slot: 1 }),
      consensus({ kind: "accepted", ballot, slot: 0 }),
      consensus({ kind: "accepted", ballot, slot: 2 ** 53 - 1 }),
      consensus({ kind: "learn", from: 0 }),
      consensus({ kind: "probe-ack", ballot, granted: true, promised: 512, chosen: 0 }),
      consensus({ kind: "promise", ballot, ...page, next: 7 }),
      consensus({ kind: "promise", ballot, from: 5, entries: [], next: 4 }),
      consensus({ ...page, kind: "learned", from: 2 ** 53 - 9, entries: [], chosen: 1, cut: 0 }),
      { kind: "snapshot-request", group: GROUPS_MAX, slot: 1 },
      { ...forward, read: true },
    ];
    for (const message of bad) {
      assert.match(String(decodePeerBody(encode(message))), /malformed/, JSON.stringify(message));
    }
  });

  test("time that is over is sent as none", () => {
    assert.equal(decodePeerBody(encode({ ...forward, deadlineMs: -3.5 })), [
      { ...forward, deadlineMs: 0 },
    ]);
  });

  test("a leader above 255, rows out of order, a page out of order are bugs of who writes them", () => {
    const value = new Uint8Array(0);
    const entries = [
      { slot: 7, ballot, value },
      { slot: 6, ballot, value },
    ];
    const rows = [
      { row: 2, bytes: value },
      { row: 2, bytes: value },
    ];
    const chunk = { kind: "snapshot-chunk", group: 0, transfer: 1, appliedSlot: 1 } as const;
    const bad: PeerMessage[] = [
      {
        kind: "forwarded",
        group: 0,
        boot: 0,
        sequence: 0,
        attempt: 0,
        outcome: "reply",
        reply: 1,
        leader: 256,
      },
      { ...chunk, index: 0, meta: value, rows, last: true },
      { ...chunk, index: 1, meta: Uint8Array.of(1), rows: [], last: true },
      consensus({ kind: "learned", from: 5, entries, chosen: 9, cut: 0 }),
      { ...forward, floor: forward.sequence + 1 },
    ];
    for (const message of bad) {
      assert.throws(
        () => encode(message),
        (thrown: unknown) => thrown instanceof BugError,
      );
    }
  });

  test("the golden body of version 1 is read as it was meant, and written alike", () => {
    const bytes = golden("peer-v1/body", () => encode(...goldenBody));

    assert.equal(decodePeerBody(bytes), goldenBody);
    assert.equal(encode(...goldenBody), bytes);
    assert.equal(new Set(goldenBody.map(({ kind }) => kind)), new Set(peerKinds));
    const consensusSeen = goldenBody.flatMap((message) =>
      message.kind === "paxos" ? [message.message.kind] : [],
    );
    assert.equal(new Set(consensusSeen), new Set(consensusKinds));
  });
});
