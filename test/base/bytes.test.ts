/** The byte primitives: round trips at their borders, malformed input, latin-1 texts, CRC-32C. */
import * as assert from "uvu/assert";
import fc from "fast-check";
import { BugError } from "../../src/base/assert.ts";
import { ByteReader, ByteWriter, latin1 } from "../../src/base/bytes.ts";
import { crc32c } from "../../src/base/crc32c.ts";
import { suite } from "../support/suite.ts";

function written(write: (writer: ByteWriter) => void): Uint8Array {
  const writer = new ByteWriter(1);
  write(writer);
  return writer.take();
}

/** The definition: one bit at a time. */
function slowCrc32c(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

suite("base/bytes", (test) => {
  test("a varint takes a byte for each 7 bits and comes back as it was", () => {
    for (let bits = 0; bits <= 53; bits++) {
      for (const value of [2 ** bits - 1, Math.min(2 ** bits, Number.MAX_SAFE_INTEGER)]) {
        const bytes = written((writer) => writer.varint(value));
        const reader = new ByteReader(bytes);
        assert.is(reader.varint(), value);
        assert.ok(reader.finished());
        assert.is(bytes.length, Math.max(1, Math.ceil(value.toString(2).length / 7)));
      }
    }
  });

  test("a varint that is overlong or above 2^53 - 1 is refused", () => {
    for (const bytes of [
      [0x80, 0x00],
      [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x10],
      [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00],
    ]) {
      const reader = new ByteReader(Uint8Array.from(bytes));
      reader.varint();
      assert.ok(reader.failed(), bytes.join(" "));
    }
  });

  test("any finite number comes back as it was, others are bugs", () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.maxSafeInteger()),
        (value) => {
          const reader = new ByteReader(written((writer) => writer.number(value)));
          assert.is(reader.number() + 0, value + 0);
          assert.ok(reader.finished());
        },
      ),
      { numRuns: 1_000 },
    );
    for (const value of [NaN, Infinity, -Infinity]) {
      assert.throws(
        () => written((writer) => writer.number(value)),
        (thrown: unknown) => thrown instanceof BugError,
      );
    }
  });

  test("texts of any length keep each byte", () => {
    for (const length of [0, 1, 7, 8, 9, 255, 256, 257, 263, 264, 4096, 4352, 4353, 20_000]) {
      const text = Array.from({ length }, (_, index) => String.fromCharCode((index * 7) & 255));
      const bytes = written((writer) => writer.text(text.join("")));
      const reader = new ByteReader(bytes);
      assert.is(reader.text(), text.join(""));
      assert.ok(reader.finished());
      assert.is(latin1(bytes, bytes.length - length, bytes.length), text.join(""));
    }
  });

  test("fixed-size numbers come back as they were, in little-endian order", () => {
    const bytes = written((writer) => {
      writer.u8(255);
      writer.u32(0x01020304);
      writer.f64(-1.5);
      writer.i64(-2n);
      writer.bytes(Uint8Array.of(1, 2));
      writer.putU32(1, 0xf1020304);
    });
    const reader = new ByteReader(bytes);

    assert.equal([...bytes.slice(1, 5)], [4, 3, 2, 0xf1]);
    assert.is(reader.u8(), 255);
    assert.is(reader.u32(), 0xf1020304);
    assert.is(reader.f64(), -1.5);
    assert.is(reader.i64(), -2n);
    assert.equal(reader.bytes(2), Uint8Array.of(1, 2));
    assert.ok(reader.finished());
  });

  test("reading past the end fails once and for all", () => {
    const reads: ((reader: ByteReader) => unknown)[] = [
      (reader) => reader.u32(),
      (reader) => reader.f64(),
      (reader) => reader.i64(),
      (reader) => reader.bytes(4),
      (reader) => reader.text(),
    ];
    for (const read of reads) {
      const reader = new ByteReader(Uint8Array.of(3, 0, 0));
      read(reader);
      assert.ok(reader.failed());
      assert.is(reader.u8(), 0);
      assert.not(reader.finished());
    }
  });

  test("a scratch buffer that one huge value blew up is given back", () => {
    const writer = new ByteWriter();
    writer.bytes(new Uint8Array(5 * 1024 * 1024));
    writer.reset();

    assert.ok(writer.buffer().length <= 64 * 1024);
    assert.is(writer.length, 0);
  });
});

suite("base/crc32c", (test) => {
  test("the checksum of 123456789 is the published one", () => {
    assert.is(crc32c(new TextEncoder().encode("123456789")), 0xe3069283);
  });

  test("the vectors of RFC 3720 B.4 hold", () => {
    assert.is(crc32c(new Uint8Array(32)), 0x8a9136aa);
    assert.is(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
    assert.is(crc32c(Uint8Array.from({ length: 32 }, (_, index) => index)), 0x46dd794e);
    assert.is(crc32c(Uint8Array.from({ length: 32 }, (_, index) => 31 - index)), 0x113fdb5c);
  });

  test("any bytes have the checksum that the definition gives, whole or in two parts", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat({ max: 100 }), (bytes, cut) => {
        const middle = Math.min(cut, bytes.length);
        assert.is(crc32c(bytes), slowCrc32c(bytes));
        assert.is(crc32c(bytes, middle, bytes.length, crc32c(bytes, 0, middle)), slowCrc32c(bytes));
      }),
      { numRuns: 500 },
    );
  });
});
