/** Turn values and promises as bytes: the round trip, every truncation, every bit flip, goldens. */
import * as assert from "uvu/assert";
import fc from "fast-check";
import { ByteWriter } from "../../src/base/bytes.ts";
import type { AcceptedRecord, PromiseRecord } from "../../src/base/ports.ts";
import { decodePromise, decodeTurn, writePromise, writeTurn } from "../../src/wire/log-codec.ts";
import { golden, released } from "../support/golden.ts";
import { suite } from "../support/suite.ts";
import { bitFlips, truncations } from "./damage.ts";

const record = fc.record(
  {
    group: fc.nat({ max: 4096 }),
    slot: fc.maxSafeNat(),
    ballot: fc.maxSafeNat(),
    value: fc.uint8Array({ maxLength: 200 }),
  },
  { noNullPrototype: true },
);

const goldenRecords: readonly AcceptedRecord[] = [
  { group: 0, slot: 1, ballot: 257, value: released("log-v1/entry") },
  { group: 7, slot: 2 ** 40, ballot: 2 ** 53 - 1, value: Uint8Array.of(1, 2, 3) },
  { group: 7, slot: 2 ** 40 + 1, ballot: 2 ** 53 - 1, value: new Uint8Array(0) },
];

const small: readonly AcceptedRecord[] = [
  { group: 3, slot: 300, ballot: 257, value: Uint8Array.of(9, 8, 7) },
  { group: 0, slot: 1, ballot: 257, value: new Uint8Array(0) },
];

function pack(sequence: number, records: readonly AcceptedRecord[]): Uint8Array {
  const writer = new ByteWriter(1);
  writeTurn(writer, sequence, records);
  return writer.take();
}

function encodePromise(promise: PromiseRecord): Uint8Array {
  const writer = new ByteWriter(1);
  writePromise(writer, promise);
  return writer.take();
}

suite("wire/log-codec", (test) => {
  test("a turn comes back as it was", () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.array(record, { maxLength: 10 }), (sequence, records) => {
        assert.equal(decodeTurn(pack(sequence, records)), { sequence, records });
      }),
      { numRuns: 300 },
    );
  });

  test("a promise comes back as it was", () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.maxSafeNat(), (group, ballot) => {
        assert.equal(decodePromise(encodePromise({ group, ballot })), { group, ballot });
      }),
    );
  });

  test("a turn cut off at any byte is refused", () => {
    for (const part of truncations(pack(5, small))) {
      assert.type(decodeTurn(part), "string");
    }
  });

  test("a turn with any single bit flipped is refused", () => {
    for (const [flipped, bit] of bitFlips(pack(5, small))) {
      assert.type(decodeTurn(flipped), "string", `bit ${bit}`);
    }
  });

  test("a promise cut off or with any single bit flipped is refused", () => {
    const bytes = encodePromise({ group: 3, ballot: 70_000 });

    for (const part of truncations(bytes)) assert.type(decodePromise(part), "string");
    for (const [flipped, bit] of bitFlips(bytes)) {
      assert.type(decodePromise(flipped), "string", `bit ${bit}`);
    }
  });

  test("a damaged record is named by group and slot", () => {
    const bytes = pack(5, small).slice();
    bytes[bytes.indexOf(9)] = 10;

    assert.match(String(decodeTurn(bytes)), /record 1 of 2 \(group 3, slot 300\)/);
  });

  test("a newer format is refused by its number", () => {
    const bytes = pack(5, small).slice();
    bytes[0] = 2;

    assert.match(String(decodeTurn(bytes)), /format 2, .* reads 1/);
  });

  test("a turn behind other bytes has checks of its own", () => {
    const writer = new ByteWriter(1);
    writer.u32(7);
    writeTurn(writer, 5, small);

    assert.equal(writer.take().slice(4), pack(5, small));
  });

  test("a large turn is whole", () => {
    const value = Uint8Array.from({ length: 300_000 }, (_, index) => index & 0xff);
    const records = [1, 2, 3].map((slot) => ({ group: 1, slot, ballot: 257, value }));

    assert.equal(decodeTurn(pack(9, records).slice()), { sequence: 9, records });
    assert.equal(decodeTurn(pack(10, small).slice()), { sequence: 10, records: small });
  });

  test("the golden turn and promise of version 1 are read as they were meant, and written alike", () => {
    const turn = golden("log-v1/turn", () => pack(2 ** 33, goldenRecords));
    const promise = golden("log-v1/promise", () => encodePromise({ group: 7, ballot: 65_793 }));

    assert.equal(decodeTurn(turn), { sequence: 2 ** 33, records: goldenRecords });
    assert.equal(pack(2 ** 33, goldenRecords), turn);
    assert.equal(decodePromise(promise), { group: 7, ballot: 65_793 });
    assert.equal(encodePromise({ group: 7, ballot: 65_793 }), promise);
  });
});
