/** The handshake's bytes, and whose calls become links. */
import * as fc from "fast-check";
import * as assert from "uvu/assert";
import type { HandshakeMessage, Identity } from "../../src/transport/handshake.ts";
import { dials, encodeHandshake, HandshakeReader } from "../../src/transport/handshake.ts";
import { golden } from "../support/golden.ts";
import { suite } from "../support/suite.ts";

/** Records as literals are, so that they compare equal. */
const PLAIN = { noNullPrototype: true };
const word = fc.string({ unit: "grapheme-ascii", maxLength: 40 });
const node = fc.integer({ min: 1, max: 255 });
const identities: fc.Arbitrary<Identity> = fc.record(
  {
    node,
    clusterId: word,
    incarnation: word,
    boot: fc.nat(),
    session: word,
    initialMembers: word,
    groups: fc.nat(),
    leaseMs: fc.oneof(fc.nat(), fc.constant(0.5)),
    release: word,
  },
  PLAIN,
);
const messages: fc.Arbitrary<HandshakeMessage> = fc.oneof(
  fc.record(
    {
      kind: fc.constantFrom("hello", "link", "knock"),
      to: node,
      identity: identities,
    },
    PLAIN,
  ),
  fc.record({ kind: fc.constant("refusal" as const), code: word, reason: word }, PLAIN),
  fc.constant({ kind: "confirm" } as const),
);

suite("transport/handshake", (test) => {
  test("what is said is heard, however the bytes are cut, and what follows is left over", () => {
    fc.assert(
      fc.property(messages, fc.nat(), fc.uint8Array({ maxLength: 9 }), (message, cut, rest) => {
        const bytes = Buffer.concat([encode(message), rest]);
        const at = cut % (bytes.length - rest.length);
        const reader = new HandshakeReader();
        reader.push(bytes.subarray(0, at));
        assert.equal(reader.next(), { state: "more" });
        reader.push(bytes.subarray(at));
        assert.equal(reader.next(), { state: "message", message });
        assert.equal([...reader.rest()], [...rest]);
      }),
    );
  });

  test("a hello and a refusal of version 1 have the bytes that were recorded", () => {
    const hello: HandshakeMessage = {
      kind: "hello",
      to: 2,
      identity: {
        node: 1,
        clusterId: "paxlock",
        incarnation: "0123456789abcdef",
        boot: 300,
        session: "fedcba98",
        initialMembers: "1=a:7379,2=b:7379,3=[::1]:7379",
        groups: 8,
        leaseMs: 600,
        release: "0.1.0",
      },
    };
    const refusal: HandshakeMessage = { kind: "refusal", code: "cluster", reason: "wrong one" };
    for (const [name, message] of [
      ["hello", hello],
      ["refusal", refusal],
    ] as const) {
      const bytes = golden(`handshake-v1/${name}`, () => encodeHandshake(message, 1, 2));
      assert.equal([...encodeHandshake(message, 1, 2)], [...bytes]);
      const reader = new HandshakeReader();
      reader.push(bytes);
      assert.equal(reader.next(), { state: "message", message });
    }
  });

  test("a changed bit is never taken for a message", () => {
    fc.assert(
      fc.property(messages, fc.nat(), (message, place) => {
        const bytes = encode(message);
        const bit = place % (bytes.length * 8);
        bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        const reader = new HandshakeReader();
        reader.push(bytes);
        assert.is.not(reader.next().state, "message");
      }),
    );
  });

  test("any bytes after the magic are read without an exception", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        const reader = new HandshakeReader();
        reader.push(Buffer.concat([Buffer.from("PAXLPEER\x01"), bytes]));
        reader.next();
      }),
    );
  });

  test("the number of the caller is the byte after kind and version, for who looks on", () => {
    const bytes = encodeHandshake({ kind: "confirm" }, 7, 9);

    assert.equal([...bytes.subarray(8, 12)], [1, 5, 7, 9]);
  });

  test("text of another node is fit for a line of the log", () => {
    const reason = "one\r\ntwo\x1b[31m\xff";
    const reader = new HandshakeReader();
    reader.push(encodeHandshake({ kind: "refusal", code: "x", reason }, 1, 2));

    assert.equal(reader.next(), {
      state: "message",
      message: { kind: "refusal", code: "x", reason: "one??two?[31m?" },
    });
  });

  test("of any two nodes exactly one makes the links, and both know which", () => {
    fc.assert(
      fc.property(identities, identities, (one, other) => {
        fc.pre(one.node !== other.node);
        assert.is(dials(one, other), !dials(other, one));
      }),
    );
  });

  test("a node that joins makes the links with the members, else the lower number does", () => {
    const founder = { initialMembers: "1=a:1" };

    assert.ok(dials(identity({ node: 1, ...founder }), identity({ node: 2, ...founder })));
    assert.ok(dials(identity({ node: 9 }), identity({ node: 2, ...founder })));
    assert.ok(dials(identity({ node: 8 }), identity({ node: 9 })));
  });
});

function identity(fields: Partial<Identity>): Identity {
  return {
    node: 1,
    clusterId: "blue",
    incarnation: "",
    boot: 1,
    session: "",
    initialMembers: "",
    groups: 1,
    leaseMs: 1,
    release: "",
    ...fields,
  };
}

function encode(message: HandshakeMessage): Uint8Array {
  const from = "identity" in message ? message.identity.node : 1;
  return encodeHandshake(message, from, "to" in message ? message.to : 1);
}
