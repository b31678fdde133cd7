/** Frames cut from streams of any chunks, and refused when they are damaged. */
import * as fc from "fast-check";
import * as assert from "uvu/assert";
import {
  FRAME_HEADER_BYTES,
  frameHeader,
  FrameReader,
  SIGN_OF_LIFE,
} from "../../src/transport/frame.ts";
import { suite } from "../support/suite.ts";
import { bytesOf, textOf } from "./support.ts";

suite("transport/frame", (test) => {
  test("a frame is length, version, checksum and body, as recorded", () => {
    assert.is(Buffer.from(framed(bytesOf("lock"))).toString("hex"), "0400000001e2486a8a6c6f636b");
    assert.is(Buffer.from(SIGN_OF_LIFE).toString("hex"), "000000000136f519b7");
  });

  test("bodies come out as they went in, however the stream is cut", () => {
    const body = fc.uint8Array({ minLength: 1, maxLength: 300 });
    const cuts = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 });
    fc.assert(
      fc.property(fc.array(body, { maxLength: 10 }), cuts, (bodies, sizes) => {
        const stream = Buffer.concat(bodies.flatMap((each) => [SIGN_OF_LIFE, framed(each)]));
        const reader = new FrameReader();
        const read: Uint8Array[] = [];
        for (let at = 0, turn = 0; at < stream.length; turn += 1) {
          const end = at + (sizes[turn % sizes.length] ?? 1);
          // A copy, as each read of a socket is memory of its own.
          read.push(...readAll(reader, Uint8Array.from(stream.subarray(at, end))));
          at = end;
        }
        assert.is(reader.problem, null);
        assert.equal(
          read.map((each) => [...each]),
          bodies.map((each) => [...each]),
        );
      }),
    );
  });

  test("a body that lies in one chunk is a view into it; one in two has memory of its own", () => {
    const chunk = framed(bytesOf("whole"));
    const [whole] = readAll(new FrameReader(), chunk);
    assert.is(whole?.buffer, chunk.buffer);
    assert.not.ok(Buffer.isBuffer(whole));

    const reader = new FrameReader();
    const stream = framed(bytesOf("in two"));
    const begin = stream.slice(0, 12);
    assert.equal(readAll(reader, begin), []);
    const [gathered] = readAll(reader, stream.slice(12));
    begin.fill(0);
    assert.is(textOf(gathered ?? bytesOf("")), "in two");
  });

  test("a large body in pieces is gathered in memory that grows with what really came", () => {
    const body = new Uint8Array(5_000_000).map((_, index) => index % 253);
    const stream = framed(body);
    const reader = new FrameReader();
    const read: Uint8Array[] = [];
    for (let at = 0; at < stream.length; at += 65_536) {
      read.push(...readAll(reader, stream.slice(at, at + 65_536)));
    }

    assert.is(read.length, 1);
    assert.ok(Buffer.from(body).equals(read[0] ?? bytesOf("")));
    assert.is(read[0]?.buffer.byteLength, body.length);
  });

  test("any changed bit is refused, or makes the reader wait for more", () => {
    const stream = framed(bytesOf("a body"));
    for (let bit = 0; bit < stream.length * 8; bit += 1) {
      const damaged = stream.slice();
      damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const reader = new FrameReader();
      assert.equal(readAll(reader, damaged), [], `bit ${bit}`);
    }
  });

  test("what is wrong with a frame is said, and nothing is read after it", () => {
    const cases: [Uint8Array, string][] = [
      [
        Uint8Array.of(1, 0, 0, 0, 2, 0, 0, 0, 0),
        "a frame of version 2, and this node knows version 1",
      ],
      [
        Uint8Array.of(1, 0, 0, 4, 1, 0, 0, 0, 0),
        "a frame of 67108865 bytes, and 67108864 are the most",
      ],
      [Uint8Array.of(1, 0, 0, 0, 1, 0, 0, 0, 0, 65), "a frame with a wrong checksum"],
    ];
    for (const [bytes, problem] of cases) {
      const reader = new FrameReader();
      assert.equal(readAll(reader, bytes), []);
      assert.is(reader.problem, problem);
      assert.equal(readAll(reader, framed(bytesOf("more"))), []);
    }
  });
});

function framed(body: Uint8Array): Uint8Array {
  const frame = new Uint8Array(FRAME_HEADER_BYTES + body.length);
  frame.set(frameHeader(body));
  frame.set(body, FRAME_HEADER_BYTES);
  return frame;
}

function readAll(reader: FrameReader, chunk: Uint8Array): Uint8Array[] {
  const bodies: Uint8Array[] = [];
  reader.push(chunk);
  for (let body = reader.next(); body !== null; body = reader.next()) bodies.push(body);
  return bodies;
}
