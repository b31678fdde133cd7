/**
 * A process that makes checkpoints of large values while its disk fills and frees again, for the test
 * of a full disk: what goes wrong there ends a process.
 *
 * `checkpointing-process.ts <folder> <seed> <checkpoints>` prints `refused <reason>` for each write
 * that failed, `lost <what>` when the folder holds something else than what was acknowledged, and at
 * the end `done <acknowledged> <acknowledged on a full disk> <refused>`. The disk is filled by a file
 * beside the folder.
 */
import { closeSync, ftruncateSync, openSync, rmSync, writeSync } from "node:fs";
import { openStorage, type OpenedStorage } from "../../src/storage/lmdb-storage.ts";
import { decodeStateRow } from "../../src/wire/state-codec.ts";
import {
  accepted,
  checkpoint,
  commit,
  logOf,
  META,
  rowsOf,
  SEGMENT_BYTES,
  stored,
  stringRow,
} from "./support.ts";

const [directory = "", seedText = "1", checkpointsText = "100"] = process.argv.slice(2);
const ballast = `${directory}-ballast`;
const ROWS = 16;
const VALUE_BYTES = 900_000;
/** Turns that the disk stays full, and free. */
const PERIOD = 3;

let state = Number(seedText) * 2_654_435_761;

/** A number from 0 up to `below`. */
function draw(below: number): number {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
}

/** Leaves the disk with less than the file system gives, or with some megabytes. */
function fillDisk(): void {
  const file = openSync(ballast, "a");
  let size = 0;
  try {
    for (let step = 1024 * 1024; step >= 1024;) {
      try {
        const written = writeSync(file, new Uint8Array(step));
        size += written;
        if (written < step) step /= 2;
      } catch {
        step /= 2;
      }
    }
    ftruncateSync(file, Math.max(0, size - draw(3) * 1_500_000));
  } finally {
    closeSync(file);
  }
}

/** By row: the turn whose value it has. */
const expected = new Map<number, number>();
let acknowledged = 0;
let acknowledgedFull = 0;
let refused = 0;
let slot = 0;
let full = false;

async function open(): Promise<OpenedStorage> {
  try {
    return await openStorage({ directory, create: META, segmentBytes: SEGMENT_BYTES });
  } catch (thrown) {
    if (!full) throw thrown;
    refuse(thrown);
    rmSync(ballast);
    full = false;
    return open();
  }
}

function refuse(thrown: unknown): void {
  refused += 1;
  console.log(`refused ${thrown instanceof Error ? thrown.message : String(thrown)}`);
}

function value(turn: number): string {
  return String.fromCharCode(97 + (turn % 26)).repeat(VALUE_BYTES);
}

function compare(opened: OpenedStorage): void {
  const { recovery } = opened;
  const found = rowsOf(opened, 0);
  const same =
    found.size === expected.size &&
    [...expected].every(([row, turn]) => {
      const decoded = decodeStateRow(found.get(row) ?? new Uint8Array(0));
      return decoded?.kind === "string" && decoded.value === value(turn);
    });
  if (!same) console.log(`lost rows: ${expected.size} acknowledged, ${found.size} there`);
  const [applied, log] = [recovery.checkpoint(0)?.appliedSlot ?? 0, logOf(opened, 1).length];
  if (applied !== acknowledged) console.log(`lost checkpoint ${acknowledged}: at ${applied}`);
  if (log !== slot) console.log(`lost commits: ${log} of ${slot}`);
}

let opened = await open();
for (let turn = 1; turn <= Number(checkpointsText); turn++) {
  if (turn % PERIOD === 0) {
    if (full) rmSync(ballast);
    else fillDisk();
    full = !full;
  }
  const changes = new Map<number, number | null>();
  for (let count = 1 + draw(6); count > 0; count--) {
    changes.set(draw(ROWS), draw(4) === 0 ? null : turn);
  }
  const rows = [...changes].flatMap(([row, by]) =>
    by === null ? [] : [stringRow(row, value(by))],
  );
  const removed = [...changes].flatMap(([row, by]) => (by === null ? [row] : []));
  try {
    await stored((done) => {
      opened.storage.checkpoint(checkpoint(0, acknowledged + 1, rows, removed), done);
    });
    acknowledged += 1;
    if (full) acknowledgedFull += 1;
    for (const [row, by] of changes) {
      if (by === null) expected.delete(row);
      else expected.set(row, by);
    }
  } catch (thrown) {
    refuse(thrown);
  }
  try {
    await commit(opened.storage, { log: [accepted(1, slot + 1, 1_000)] });
    slot += 1;
  } catch (thrown) {
    refuse(thrown);
  }
  if (turn % 7 === 0) {
    await opened.storage.close();
    opened = await open();
    compare(opened);
  }
}
await opened.storage.close();
console.log(`done ${acknowledged} ${acknowledgedFull} ${refused}`);
