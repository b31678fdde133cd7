/** The log behind the port: segments that come and go, promises that stay, ends that are torn or rot. */
import {
  copyFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { Prng } from "../../src/base/prng.ts";
import type { LmdbStorage, PeerStart } from "../../src/storage/lmdb-storage.ts";
import { segmentName, segmentNumber } from "../../src/storage/log-segment.ts";
import { suite } from "../support/suite.ts";
import {
  accepted,
  checkpoint,
  commit,
  copyFolder,
  logOf,
  META,
  refusal,
  SEGMENT_BYTES,
  stored,
  stringRow,
  withFolder,
  withStorage,
} from "./support.ts";

function segments(directory: string): number[] {
  return readdirSync(directory)
    .map(segmentNumber)
    .filter((number) => number !== null)
    .sort((a, b) => a - b);
}

/** Commits values of a quarter of a segment to a group until the log has begun `count` more segments. */
async function fill(
  storage: LmdbStorage,
  group: number,
  from: number,
  count: number,
): Promise<number> {
  let slot = from;
  for (let turn = 0; turn < count * 4; turn++) {
    await commit(storage, { log: [accepted(group, slot, SEGMENT_BYTES / 4)] });
    slot += 1;
  }
  return slot;
}

/** Waits until the log has no segment below `first`. */
async function untilDeleted(directory: string, first: number): Promise<void> {
  for (let waitedMs = 0; (segments(directory)[0] ?? 0) < first; waitedMs += 5) {
    assert.ok(waitedMs < 5_000, `segments ${segments(directory).join(" ")}`);
    await sleep(5);
  }
}

/** The end of what was written in a segment. */
function endOf(bytes: Buffer): number {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end -= 1;
  return end;
}

/** A start of another node's folder. */
function peerStart(boot: number): PeerStart {
  return { incarnation: "0a", boot, session: `session-${boot}` };
}

suite(
  "storage/log",
  (test) => {
    test("a log of many segments comes back whole and in order, and goes on in the last one", () =>
      withFolder(async (directory) => {
        await withStorage(directory, async ({ storage }) => {
          await fill(storage, 0, 1, 5);
          assert.ok(storage.statistics().segments >= 5);
        });
        const count = segments(directory).length;
        for (let start = 0; start < 3; start++) {
          await withStorage(directory, async (opened) => {
            assert.equal(
              logOf(opened, 0).map(({ slot }) => slot),
              Array.from({ length: 20 + start }, (_, place) => place + 1),
            );
            await commit(opened.storage, { log: [accepted(0, 21 + start)] });
          });
        }
        assert.ok(segments(directory).length <= count + 1, "a start begins no segment of its own");
      }));

    test("a segment is deleted once every group has cut its records, and not before", () =>
      withFolder(async (directory) => {
        await withStorage(directory, async ({ storage }) => {
          // More than is worth to be carried on: this group holds the first segments back.
          const next = await fill(storage, 0, 1, 3);
          await fill(storage, 1, 1, 3);
          await commit(storage, { state: [checkpoint(1, 12)] });
          await sleep(50);
          assert.is(segments(directory)[0], 1);

          await commit(storage, { state: [checkpoint(0, next - 1)] });
          await untilDeleted(directory, 5);
        });
        await withStorage(directory, (opened) => {
          assert.equal(logOf(opened, 0), []);
          assert.equal(logOf(opened, 1), []);
        });
      }));

    test("promises outlive the segments in which they were made", () =>
      withFolder(async (directory) => {
        await withStorage(directory, async ({ storage }) => {
          await commit(storage, {
            log: [accepted(0, 1)],
            promises: [
              { group: 2, ballot: 513 },
              { group: 3, ballot: 257 },
            ],
          });
          await commit(storage, { promises: [{ group: 3, ballot: 769 }] });
          const next = await fill(storage, 0, 2, 6);
          await commit(storage, { state: [checkpoint(0, next - 1)] });
          await untilDeleted(directory, 4);
        });
        assert.not.ok(existsSync(join(directory, segmentName(1))));
        await withStorage(directory, ({ recovery }) => {
          assert.equal(
            [0, 1, 2, 3].map((group) => recovery.promise(group)),
            [0, 0, 513, 769],
          );
        });
      }));

    test("what a seldom written group needs of an old segment is carried on, so that it can go", () =>
      withFolder(async (directory) => {
        const newer = { ...accepted(2, 7), ballot: 513 };
        await withStorage(directory, async ({ storage }) => {
          await commit(storage, { log: [accepted(2, 7), accepted(2, 8), accepted(0, 1)] });
          await commit(storage, { log: [newer], promises: [{ group: 2, ballot: 513 }] });
          for (let slot = 2; slot < 40; slot++) {
            await commit(storage, {
              log: [accepted(0, slot, SEGMENT_BYTES / 4)],
              state: [checkpoint(0, slot - 1)],
            });
          }
          await untilDeleted(directory, 5);
          assert.ok(storage.statistics().segments < 6);
        });
        await withStorage(directory, (opened) => {
          const log = logOf(opened, 2);
          assert.equal(
            log.find(({ slot }) => slot === 8),
            accepted(2, 8),
          );
          assert.equal(
            log.filter(({ slot }) => slot === 7).at(-1),
            newer,
            "the highest ballot is last",
          );
          assert.is(opened.recovery.promise(2), 513);
        });
      }));

    test("a record that was carried on does not come back in place of a newer one", () =>
      withFolder(async (directory) => {
        const newer = { ...accepted(2, 7), ballot: 513 };
        await withStorage(directory, async ({ storage }) => {
          await commit(storage, { log: [accepted(2, 7), accepted(0, 1)] });
          await fill(storage, 0, 2, 1);
          // In the second segment; the old one is carried on behind it into the third.
          await commit(storage, { log: [newer] });
          await fill(storage, 0, 6, 1);
          await commit(storage, { state: [checkpoint(0, 9)] });
          await fill(storage, 0, 10, 2);
        });
        await withStorage(directory, (opened) => {
          assert.equal(logOf(opened, 2).at(-1), newer);
        });
      }));

    test("a turn larger than a segment is stored, and the log goes on behind it", () =>
      withFolder(async (directory) => {
        await withStorage(directory, async ({ storage }) => {
          await commit(storage, { log: [accepted(0, 1)] });
          await commit(storage, { log: [accepted(0, 2, 5 * SEGMENT_BYTES)] });
          await commit(storage, { log: [accepted(0, 3)] });
        });
        await withStorage(directory, (opened) => {
          assert.equal(logOf(opened, 0), [
            accepted(0, 1),
            accepted(0, 2, 5 * SEGMENT_BYTES),
            accepted(0, 3),
          ]);
        });
      }));

    test("a last turn that was not finished is cut off, and its place is used again", () =>
      withFolder(async (directory) => {
        await withStorage(directory, async ({ storage }) => {
          await commit(storage, { log: [accepted(0, 1)], promises: [{ group: 0, ballot: 257 }] });
        });
        const path = join(directory, segmentName(1));
        const from = endOf(readFileSync(path));
        const whole = `${directory}-whole`;
        await withStorage(directory, async ({ storage }) => {
          await commit(storage, {
            log: [accepted(0, 2, 60)],
            promises: [{ group: 0, ballot: 513 }],
          });
          // As a crash leaves it: a close would record that there are two turns.
          copyFolder(directory, whole);
        });
        const bytes = readFileSync(path);
        const to = endOf(bytes);
        assert.ok(to - from > 80);
        // At every byte: `log-segment.test.ts`.
        for (const cut of [from, from + 1, from + 9, from + 30, from + 80, to - 2, to - 1, to]) {
          rmSync(directory, { recursive: true });
          copyFolder(whole, directory);
          const torn = Buffer.from(bytes).fill(0, cut);
          writeFileSync(path, torn);

          const kept = cut === to ? 2 : 1;
          await withStorage(directory, async (opened) => {
            assert.is(logOf(opened, 0).length, kept, `cut at ${cut} of ${from} to ${to}`);
            assert.is(opened.recovery.promise(0), kept === 2 ? 513 : 257);
            await commit(opened.storage, { log: [accepted(0, 9, 5)] });
          });
          await withStorage(directory, (opened) => {
            assert.is(logOf(opened, 0).at(-1)?.slot, 9);
            assert.is(logOf(opened, 0).length, kept + 1);
          });
        }
      }));

    test("a last turn that went missing after a clean stop refuses the start", () =>
      withFolder(async (directory) => {
        const path = join(directory, segmentName(1));
        await withStorage(directory, async ({ storage }) => {
          await commit(storage, { log: [accepted(0, 1)] });
        });
        const from = endOf(readFileSync(path));
        await withStorage(directory, async ({ storage }) => {
          await commit(storage, { log: [accepted(0, 2)] });
        });
        writeFileSync(path, readFileSync(path).fill(0, from));

        const { code, message } = await refusal(directory);

        assert.is(code, "corrupt");
        assert.match(message, /the log ends with turn 1, turn 2 was written/);
      }));

    test("a flipped bit anywhere in the log refuses the start, names the file, and changes nothing", () =>
      withFolder(async (directory) => {
        await withStorage(directory, async ({ storage }) => {
          await commit(storage, { log: [accepted(0, 1)], promises: [{ group: 1, ballot: 257 }] });
          await fill(storage, 0, 2, 2);
          await commit(storage, {
            log: [accepted(1, 1, 700)],
            promises: [{ group: 1, ballot: 513 }],
          });
        });
        const prng = new Prng("log/flips");
        for (const number of segments(directory)) {
          const path = join(directory, segmentName(number));
          const bytes = readFileSync(path);
          const end = endOf(bytes);
          if (end <= 24) continue;
          for (let round = 0; round < 12; round++) {
            const flipped = Buffer.from(bytes);
            // The first bytes behind the head's check are zeros that mean nothing.
            const at = round === 0 ? end - 1 : prng.below(end);
            if (at >= 24 && at < 32 && end === 24) continue;
            flipped[at] = (flipped[at] ?? 0) ^ (1 << prng.below(8));
            writeFileSync(path, flipped);

            const { code, message } = await refusal(directory);

            assert.is(code, "corrupt", `byte ${at} of segment ${number}`);
            assert.match(message, /damaged at log-\d{10}\.plx, byte \d+: .* restore .* backup/);
            assert.equal(readFileSync(path), flipped);
          }
          writeFileSync(path, bytes);
        }
        await withStorage(directory, (opened) => {
          assert.is(opened.recovery.promise(1), 513);
        });
      }));

    test("a segment that is missing or cut short refuses the start, wherever it was", () =>
      withFolder(async (directory) => {
        await withStorage(directory, async ({ storage }) => {
          await fill(storage, 0, 1, 3);
          await commit(storage, { state: [checkpoint(1, 1)] });
        });
        const written = segments(directory).filter(
          (number) => endOf(readFileSync(join(directory, segmentName(number)))) > 32,
        );
        assert.ok(written.length >= 3, `${written.length} segments`);
        for (const number of written) {
          const path = join(directory, segmentName(number));
          const aside = `${directory}-aside`;
          copyFileSync(path, aside);
          rmSync(path);
          const missing = await refusal(directory);
          copyFileSync(aside, path);
          truncateSync(path, 32);
          const short = await refusal(directory);
          copyFileSync(aside, path);
          assert.equal([missing.code, short.code], ["corrupt", "corrupt"], `segment ${number}`);
          assert.match(missing.message, /log-\d{10}\.plx/);
          assert.match(short.message, /log-\d{10}\.plx/);
        }
        await withStorage(directory, (opened) => {
          assert.is(logOf(opened, 0).length, 12);
        });
      }));

    test("what an interrupted preparation or deletion has left is cleared away", () =>
      withFolder(async (directory) => {
        await withStorage(directory, async ({ storage }) => {
          const next = await fill(storage, 0, 1, 4);
          cpSync(join(directory, segmentName(1)), `${directory}-old`);
          await commit(storage, { state: [checkpoint(0, next - 1)] });
          await untilDeleted(directory, 3);
        });
        cpSync(`${directory}-old`, join(directory, segmentName(1)));
        writeFileSync(join(directory, `${segmentName(99)}.new`), Buffer.alloc(1_000));

        await withStorage(directory, async ({ storage }) => {
          await commit(storage, { log: [accepted(0, 100)] });
          await untilDeleted(directory, 3);
        });
        assert.not.ok(readdirSync(directory).includes(`${segmentName(99)}.new`));
      }));

    test("commits go on while a large checkpoint is being written, and both are there afterwards", () =>
      withFolder(async (directory) => {
        const rows = Array.from({ length: 20_000 }, (_, row) => stringRow(row));
        let during = 0;
        await withStorage(directory, async ({ storage }) => {
          const progress = { checkpointed: false };
          const done = stored((callback) => {
            storage.checkpoint(checkpoint(1, 1, rows), callback);
          }).then(() => {
            progress.checkpointed = true;
          });
          for (let slot = 1; !progress.checkpointed; slot++) {
            await commit(storage, { log: [accepted(0, slot)] });
            during = slot;
          }
          await done;
        });
        assert.ok(during > 3, `${during} commits`);
        await withStorage(directory, (opened) => {
          assert.is(logOf(opened, 0).length, during);
          assert.is(opened.recovery.checkpoint(1)?.appliedSlot, 1);
        });
      }));

    test("each start is counted, and peers are remembered with their newest start", () =>
      withFolder(async (directory) => {
        for (let boot = 1; boot <= 3; boot++) {
          await withStorage(directory, async (opened) => {
            assert.is(opened.boot, boot);
            const { storage } = opened;
            assert.equal([...storage.peerStarts()], boot === 1 ? [] : [[300, peerStart(boot - 1)]]);
            await stored((done) => {
              storage.rememberPeer(300, peerStart(boot), done);
            });
          });
        }
        await refusal(directory, { expect: { nodeId: 9 } });
        await withStorage(directory, ({ boot, meta }) => {
          assert.is(boot, 4, "a start that was refused does not count");
          assert.is(meta.incarnation, META.incarnation);
        });
      }));

    test("the owner is told when a thread dies, and every write fails with the reason", () =>
      withFolder(async (directory) => {
        const deaths: string[] = [];
        const onFatal = (error: Error): void => {
          deaths.push(error.message);
        };
        await withStorage(
          directory,
          async ({ storage }) => {
            await commit(storage, { log: [accepted(0, 1)] });

            await storage.killThread("log-thread");

            assert.is(deaths.length, 1);
            assert.match(deaths[0] ?? "", /the log-thread of the storage has ended/);
            const failure = await commit(storage, { log: [accepted(0, 2)] }).then(
              () => null,
              (thrown: unknown) => thrown,
            );
            assert.instance(failure, Error);
          },
          { onFatal },
        );
        await withStorage(directory, (opened) => {
          assert.is(logOf(opened, 0).length, 1);
        });
      }));
  },
  { timeoutMs: 30_000 },
);
