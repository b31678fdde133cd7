/** The folder's own values: round trips, damage, goldens. */
import * as assert from "uvu/assert";
import { ByteWriter } from "../../src/base/bytes.ts";
import {
  decodeBoot,
  decodeCheckpoint,
  decodeFolderMeta,
  decodeLogHead,
  decodePeer,
  encodeBoot,
  encodeFolderMeta,
  encodeLogHead,
  encodePeer,
  readOrderedKey,
  writeCheckpointHead,
  type CheckpointHead,
} from "../../src/storage/format.ts";
import { golden, released } from "../support/golden.ts";
import { suite } from "../support/suite.ts";
import { bitFlips, truncations } from "../wire/damage.ts";
import { META } from "./support.ts";

function encodeCheckpoint(head: CheckpointHead, meta: Uint8Array): Uint8Array {
  const writer = new ByteWriter();
  writeCheckpointHead(writer, head);
  writer.bytes(meta);
  return writer.take();
}

suite("storage/format", (test) => {
  test("the identity of a folder comes back as it was; cut off or flipped it is refused", () => {
    const bytes = encodeFolderMeta(META);

    assert.equal(decodeFolderMeta(bytes), { kind: "meta", meta: META });
    for (const part of truncations(bytes)) assert.is(decodeFolderMeta(part), null);
    for (const [flipped, bit] of bitFlips(bytes)) {
      assert.is.not(decodeFolderMeta(flipped)?.kind, "meta", `bit ${bit}`);
    }
  });

  test("a later format is told by its number, whatever follows", () => {
    assert.equal(decodeFolderMeta(Uint8Array.of(3, 255, 255)), { kind: "newer", format: 3 });
  });

  test("the folder's own values come back as they were; cut off or flipped they are refused", () => {
    const check = <T>(
      value: T,
      encode: (value: T) => Uint8Array,
      decode: (bytes: Uint8Array) => T | null,
    ): void => {
      const bytes = encode(value);
      assert.equal(decode(bytes), value);
      for (const part of truncations(bytes)) assert.is(decode(part), null);
      for (const [flipped, bit] of bitFlips(bytes)) assert.is(decode(flipped), null, `bit ${bit}`);
    };
    check(1_000, encodeBoot, decodeBoot);
    check(
      { firstSegment: 3, firstSequence: 1_000, lastSequence: 2 ** 40 },
      encodeLogHead,
      decodeLogHead,
    );
    check({ node: 300, incarnation: "00ff", boot: 300, session: "ff" }, encodePeer, decodePeer);
  });

  test("a checkpoint comes back as it was; a flipped bit in its head is refused", () => {
    const head = { group: 3, appliedSlot: 2 ** 40, cutThrough: 2 ** 40 - 1, side: 1 as const };
    const meta = Uint8Array.of(1, 2, 3);
    const bytes = encodeCheckpoint(head, meta);

    assert.equal(decodeCheckpoint(bytes)?.head, head);
    assert.equal(Uint8Array.from(decodeCheckpoint(bytes)?.meta ?? []), meta);
    for (const [flipped, bit] of bitFlips(bytes)) {
      if (bit < (bytes.length - meta.length) * 8) assert.is(decodeCheckpoint(flipped), null);
    }
  });

  test("keys of numbers sort as the numbers do", () => {
    const numbers = [0, 1, 255, 256, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1];
    const keys = numbers.map((number) => {
      const writer = new ByteWriter();
      writer.ordered(number);
      return writer.take();
    });

    assert.equal(keys.map(readOrderedKey), numbers);
    assert.equal([...keys].sort(Buffer.compare), keys);
    assert.is(readOrderedKey(new Uint8Array(8).fill(255)), null);
  });

  test("a folder of format 1, never released, is told by its number", () => {
    assert.equal(decodeFolderMeta(released("folder-v1/meta")), { kind: "older", format: 1 });
    assert.is(decodeCheckpoint(released("folder-v1/checkpoint")), null);
  });

  test("the golden values of format 2 are read as they were meant, and written alike", () => {
    const head = { group: 2, appliedSlot: 1_000_000, cutThrough: 999_000, side: 1 as const };
    const same = <T>(
      name: string,
      value: T,
      encode: (value: T) => Uint8Array,
      decode: (bytes: Uint8Array) => unknown,
    ): void => {
      const bytes = golden(`folder-v2/${name}`, () => encode(value));
      assert.equal(decode(bytes), value);
      assert.equal(encode(value), bytes);
    };
    const members = { ...META, initialMembers: "1=a.example:7379,2=b.example:7379" };

    same(
      "meta",
      { kind: "meta", meta: members },
      ({ meta }) => encodeFolderMeta(meta),
      decodeFolderMeta,
    );
    same("boot", 1_000, encodeBoot, decodeBoot);
    same(
      "log",
      { firstSegment: 3, firstSequence: 1_000, lastSequence: 2_000 },
      encodeLogHead,
      decodeLogHead,
    );
    const start = { incarnation: "fedcba9876543210", boot: 1_000, session: "0123456789abcdef" };
    same("peer-start", { node: 2, ...start }, encodePeer, decodePeer);
    assert.equal(
      decodePeer(released("folder-v2/peer")),
      { node: 2, incarnation: start.incarnation, boot: 0, session: "" },
      "a value of the first builds, without the start",
    );
    const checkpoint = golden("folder-v2/checkpoint", () =>
      encodeCheckpoint(head, Uint8Array.of(9)),
    );
    assert.equal(decodeCheckpoint(checkpoint)?.head, head);
    assert.equal(encodeCheckpoint(head, Uint8Array.of(9)), checkpoint);
  });
});
