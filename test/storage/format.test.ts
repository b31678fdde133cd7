/** The folder's own values: round trips, damage, goldens. */
import * as assert from "uvu/assert";
import { ByteWriter } from "../../src/base/bytes.ts";
import {
  decodeCheckpoint,
  decodeFolderMeta,
  encodeFolderMeta,
  readOrderedKey,
  writeCheckpointHead,
  type CheckpointHead,
} from "../../src/storage/format.ts";
import { golden } from "../support/golden.ts";
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
    assert.equal(decodeFolderMeta(Uint8Array.of(2, 255, 255)), { kind: "newer", format: 2 });
  });

  test("a checkpoint comes back as it was; a flipped bit in its head is refused", () => {
    const head = { group: 3, appliedSlot: 2 ** 40, cutThrough: 2 ** 40 - 1 };
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

  test("the golden values of version 1 are read as they were meant, and written alike", () => {
    const head = { group: 2, appliedSlot: 1_000_000, cutThrough: 999_000 };
    const folder = golden("folder-v1/meta", () => encodeFolderMeta(META));
    const checkpoint = golden("folder-v1/checkpoint", () =>
      encodeCheckpoint(head, Uint8Array.of(9)),
    );

    assert.equal(decodeFolderMeta(folder), { kind: "meta", meta: META });
    assert.equal(encodeFolderMeta(META), folder);
    assert.equal(decodeCheckpoint(checkpoint)?.head, head);
    assert.equal(encodeCheckpoint(head, Uint8Array.of(9)), checkpoint);
  });
});
