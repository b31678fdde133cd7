/** Segments as bytes: what was written comes back, what was not finished is told from what was damaged. */
import * as assert from "uvu/assert";
import fc from "fast-check";
import { ByteWriter } from "../../src/base/bytes.ts";
import {
  frameSeed,
  readSegment,
  SEGMENT_HEAD_BYTES,
  segmentName,
  segmentNumber,
  writeFrame,
  writeSegmentHead,
  type FrameContent,
  type ReadSegment,
} from "../../src/storage/log-segment.ts";
import { golden } from "../support/golden.ts";
import { suite } from "../support/suite.ts";
import { bitFlips } from "../wire/damage.ts";
import { accepted } from "./support.ts";

const SEED = frameSeed("0123456789abcdef");
const SEGMENT = 7;
const SECTOR = 512;

/** Frame n has one record of `sizes[n]` bytes, and every second one a promise. */
function frames(sizes: readonly number[]): FrameContent[] {
  return sizes.map((size, place) => ({
    sequence: 100 + place,
    records: [accepted(1, place + 1, size)],
    promises: place % 2 === 0 ? [] : [{ group: 0, ballot: 257 + place }],
  }));
}

/** A segment of `length` bytes, and where each of its frames begins. */
function segmentOf(
  contents: readonly FrameContent[],
  length = 16_384,
): { readonly bytes: Uint8Array; readonly starts: number[]; readonly end: number } {
  const writer = new ByteWriter();
  writeSegmentHead(writer, SEGMENT);
  const starts = contents.map((content) => {
    const position = writer.length;
    writeFrame(writer, { seed: SEED, segment: SEGMENT, position }, content);
    return position;
  });
  const bytes = new Uint8Array(Math.max(length, writer.length));
  bytes.set(writer.written());
  return { bytes, starts, end: writer.length };
}

function read(bytes: Uint8Array): { readonly found: FrameContent[]; readonly end: ReadSegment } {
  const found: FrameContent[] = [];
  const source = { bytes, seed: SEED, segment: SEGMENT, sequence: 100 };
  const end = readSegment(source, ({ sequence, records, promises }) => {
    const copies = records.map((record) => ({ ...record, value: Uint8Array.from(record.value) }));
    found.push({ sequence, records: copies, promises });
  });
  return { found, end };
}

suite("storage/log-segment", (test) => {
  test("frames come back in order, with nothing but zeros behind them", () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 3_000 }), { maxLength: 8 }), (sizes) => {
        const written = frames(sizes);
        const { bytes, end } = segmentOf(written, 64 * 1024);

        const { found, end: told } = read(bytes);

        assert.equal(found, written);
        assert.equal(told, {
          position: end,
          nextSequence: 100 + sizes.length,
          rest: { kind: "zeros" },
        });
      }),
      { numRuns: 100 },
    );
  });

  test("a last frame of which only a beginning was written is unfinished, at every byte", () => {
    for (const size of [0, 40, 700, 2_000]) {
      const written = frames([300, size]);
      const { bytes, starts, end } = segmentOf(written);
      const [, last = 0] = starts;
      for (let cut = last; cut < end; cut++) {
        for (const torn of [bytes.slice(), bytes.slice(0, cut)]) {
          torn.fill(0, Math.min(cut, torn.length));
          const { found, end: told } = read(torn);
          assert.equal(found, written.slice(0, 1), `cut at ${cut}`);
          assert.is(told.position, last);
          assert.is(told.rest.kind, cut === last ? "zeros" : "unfinished", `cut at ${cut}`);
        }
      }
    }
  });

  test("a last frame that lacks any of its sectors is unfinished", () => {
    const { bytes, starts, end } = segmentOf(frames([300, 3_000]));
    const [, last = 0] = starts;
    const sectors: [number, number][] = [];
    for (let from = last; from < end;) {
      const to = Math.min(end, from - (from % SECTOR) + SECTOR);
      sectors.push([from, to]);
      from = to;
    }
    assert.ok(sectors.length >= 6);
    for (let lacking = 1; lacking < 2 ** sectors.length; lacking++) {
      const torn = bytes.slice();
      sectors.forEach(([from, to], place) => {
        if ((lacking & (1 << place)) !== 0) torn.fill(0, from, to);
      });

      const { found, end: told } = read(torn);

      assert.is(found.length, 1);
      assert.is(told.position, last);
      const nothing = lacking === 2 ** sectors.length - 1;
      assert.is(told.rest.kind, nothing ? "zeros" : "unfinished", `lacking ${lacking}`);
    }
  });

  test("the first frame of a segment that was made with it is unfinished at every byte, too", () => {
    const { bytes, end } = segmentOf(frames([600]));
    for (let cut = 1; cut < end; cut++) {
      const torn = bytes.slice(0, cut);

      const { found, end: told } = read(torn);

      assert.equal(found, []);
      const headOnly = cut === SEGMENT_HEAD_BYTES || (cut >= 24 && cut < SEGMENT_HEAD_BYTES);
      if (!headOnly) assert.is(told.rest.kind, "unfinished", `cut at ${cut}`);
      else assert.is.not(told.rest.kind, "damaged", `cut at ${cut}`);
    }
  });

  test("a flipped bit is damage wherever it is in what was written, also in the last frame", () => {
    const { bytes, starts, end } = segmentOf(frames([30, 700, 40]), 2_048);
    for (const [flipped, bit] of bitFlips(bytes.slice(0, end))) {
      const whole = bytes.slice();
      whole.set(flipped);

      const { found, end: told } = read(whole);

      assert.is(told.rest.kind, "damaged", `bit ${bit}`);
      const frame = starts.findLastIndex((start) => start <= bit / 8);
      assert.is(found.length, Math.max(0, frame), `bit ${bit}`);
    }
  });

  test("anything behind an unfinished frame makes it damage", () => {
    const { bytes, starts, end } = segmentOf(frames([300, 2_000, 10]));
    const [, second = 0, third = 0] = starts;
    // The second frame lacks a sector, and the third is there.
    const lacking = bytes.slice();
    lacking.fill(0, 1_024, 1_536);
    assert.ok(second < 1_024 && third > 1_536);
    assert.is(read(lacking).end.rest.kind, "damaged");
    // The same with its head: how long it was is not known, but the third is found.
    const headless = bytes.slice();
    headless.fill(0, second, 512);
    assert.is(read(headless).end.rest.kind, "damaged");
    headless.fill(0, third, end);
    assert.is(read(headless).end.rest.kind, "unfinished");
  });

  test("a frame of another place, segment or folder is none", () => {
    const { bytes, starts, end } = segmentOf(frames([20, 20]));
    const [first = 0, second = 0] = starts;
    const moved = bytes.slice();
    moved.copyWithin(first, second, end);
    assert.is(read(moved).found.length, 0);
    const other = readSegment({ bytes, seed: SEED + 1, segment: SEGMENT, sequence: 100 }, () => {
      throw new Error("a frame of another folder was read");
    });
    assert.is(other.rest.kind, "damaged");
  });

  test("a turn that is missing is damage, and told", () => {
    const written = frames([20, 20, 20]);
    const { bytes } = segmentOf(written.filter(({ sequence }) => sequence !== 101));

    const { found, end } = read(bytes);

    assert.is(found.length, 1);
    assert.is(end.rest.kind, "damaged");
    assert.match("reason" in end.rest ? end.rest.reason : "", /turn 101 is missing, turn 102/);
  });

  test("names of segments tell their numbers, and sort as they do", () => {
    assert.is(segmentName(12), "log-0000000012.plx");
    assert.is(segmentNumber(segmentName(12)), 12);
    assert.is(segmentNumber("log-12.plx"), null);
    assert.is(segmentNumber("log-0000000012.plx.new"), null);
  });

  test("the golden segment of version 1 is read as it was meant, and written alike", () => {
    const written = frames([3, 0]);
    const { bytes, end } = segmentOf(written);
    const kept = golden("log-segment-v1/segment", () => bytes.slice(0, end));

    assert.equal(kept, bytes.slice(0, end));
    assert.equal(read(kept).found, written);
  });
});
