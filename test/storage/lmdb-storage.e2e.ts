/** The storage in real processes: killed, traced, without room, twice on one folder, for long. */
import * as assert from "uvu/assert";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { decodeStateRow } from "../../src/wire/state-codec.ts";
import { ManagedProcess } from "../support/managed-process.ts";
import { suite } from "../support/suite.ts";
import {
  accepted,
  checkpoint,
  commit,
  logOf,
  META,
  metaBytes,
  refusal,
  rowsOf,
  SEGMENT_BYTES,
  stringRow,
  withFolder,
  withStorage,
} from "./support.ts";

const ROUNDS = 25;
const COMMITS = 20_000;
const script = fileURLToPath(new URL("committing-process.ts", import.meta.url));

function committing(directory: string, commits: number, bytes = 100): ManagedProcess {
  const args = ["--import", "tsx", script, directory, String(commits), String(bytes)];
  return new ManagedProcess({ command: process.execPath, args });
}

/** The number in the last complete line of this kind, or 0. */
function last(kind: string, output: string): number {
  const lines = output.match(new RegExp(`^${kind} \\d+(?=\\n)`, "gm")) ?? [];
  return Number(lines.at(-1)?.split(" ")[1] ?? 0);
}

/**
 * Asserts that the folder holds commits 1 to n whole, for one n, and returns it; and that each
 * checkpoint is whole, whichever commit it stands for.
 */
async function wholeCommits(directory: string): Promise<number> {
  return withStorage(directory, (opened) => {
    const { recovery } = opened;
    const groups = Array.from({ length: META.groups }, (_, group) => group);
    const newest = Math.max(...groups.map((group) => recovery.promise(group)));
    for (const group of groups) {
      const promise = recovery.promise(group);
      if (promise === 0) continue;
      assert.ok(newest - promise < META.groups, "no group lacks a commit");
      const log = logOf(opened, group);
      assert.equal(
        log,
        log.map(({ slot, value }) => accepted(group, slot, value.length)),
      );
      assert.is(log.at(-1)?.slot, promise);
      log.forEach(({ slot }, place) => {
        assert.is(slot, promise - (log.length - 1 - place) * META.groups, "in order, without gaps");
      });
      assert.ok(log.length >= Math.min(50, Math.ceil(promise / META.groups)));
      const checkpointed = recovery.checkpoint(group);
      if (checkpointed === null) continue;
      const { appliedSlot } = checkpointed;
      assert.ok(appliedSlot <= promise);
      assert.equal(Uint8Array.from(checkpointed.meta), metaBytes(appliedSlot));
      const rows = rowsOf(opened, group);
      assert.is([...rows.keys()].at(-1), appliedSlot);
      for (const [row, bytes] of rows) assert.equal(decodeStateRow(bytes), stringRow(row));
    }
    return newest;
  });
}

suite(
  "storage/lmdb-storage in processes",
  (test) => {
    test(`every acknowledged commit survives kill -9, whole and in order (${ROUNDS} rounds)`, () =>
      withFolder(async (directory) => {
        let acknowledged = 0;
        for (let round = 0; round < ROUNDS; round++) {
          const child = committing(directory, 0);
          await child.until(() => (last("done", child.stdout) > acknowledged ? true : null));
          await sleep((round * 7) % 60);
          await child.end("SIGKILL");
          const [begun, done] = [last("begin", child.stdout), last("done", child.stdout)];

          const found = await wholeCommits(directory);

          assert.ok(found >= done, `commit ${done} was acknowledged, the last one is ${found}`);
          assert.ok(found <= begun, `commit ${found} was never begun`);
          acknowledged = found;
        }
        assert.ok(acknowledged > ROUNDS);
      }));

    test("a folder that another process has open is refused, and is free once that one is killed", () =>
      withFolder(async (directory) => {
        const child = committing(directory, 0);
        await child.until(() => (last("done", child.stdout) > 0 ? true : null));

        const { code, message } = await refusal(directory);
        const second = committing(directory, 1);
        const exit = await second.waitForExit(20_000);
        const before = last("done", child.stdout);
        await child.until(() => (last("done", child.stdout) > before ? true : null));
        await child.end("SIGKILL");

        assert.is(code, "locked");
        assert.match(message, new RegExp(`in use by process ${child.pid};`));
        assert.is(exit.code, 1);
        assert.match(second.stdout, /refused locked/);
        assert.ok((await wholeCommits(directory)) > before);
      }));

    test(`the data folder stays bounded over ${COMMITS} commits of 1 KB`, () =>
      withFolder(async (directory) => {
        await withStorage(directory, async ({ storage }) => {
          let early = 0;
          for (let slot = 1; slot <= COMMITS; slot++) {
            const group = slot % META.groups;
            const state =
              slot >= 400 && slot % 400 < META.groups ? [checkpoint(group, slot - 8)] : [];
            await commit(storage, { log: [accepted(group, slot, 1_000)], state });
            if (slot === COMMITS / 4) early = storage.statistics().fileBytes;
          }
          const { fileBytes, segments } = storage.statistics();
          // A few segments more or less may be ready, or wait for their deletion.
          const bound = early + 8 * SEGMENT_BYTES;
          assert.ok(fileBytes <= bound, `${early} bytes grew to ${fileBytes}`);
          assert.ok(fileBytes < 8 * 1024 * 1024, `${fileBytes} bytes`);
          assert.ok(segments < 20, `${segments} segments`);
        });
        await withStorage(directory, (opened) => {
          const slots = logOf(opened, 1).map(({ slot }) => slot);
          assert.is(slots.at(-1), COMMITS - META.groups + 1);
          assert.ok(slots.length < 300);
        });
      }));

    test("checkpoints that a full disk refuses end there: LMDB never meets it, and nothing is lost", () =>
      withFolder(async (directory) => {
        if (!mountSmallDisk(directory, "60m")) return;
        const checkpointing = fileURLToPath(new URL("checkpointing-process.ts", import.meta.url));
        try {
          let refusals = 0;
          for (const seed of ["1", "2"]) {
            const child = new ManagedProcess({
              command: process.execPath,
              args: ["--import", "tsx", checkpointing, `${directory}-${seed}`, seed, "60"],
            });
            const exit = await child.waitForExit(60_000);

            // LMDB and its package write there what went wrong, before the process ends or not.
            assert.is(child.stderr, "", `seed ${seed}`);
            assert.is(exit.code, 0, `seed ${seed}`);
            assert.not.match(child.stdout, /^lost/m);
            const lines = child.stdout.split("\n");
            const refused = lines.filter((line) => line.startsWith("refused"));
            for (const line of refused) assert.match(line, /ENOSPC: no space left on device/);
            const [, done, doneFull] = /^done (\d+) (\d+)/m.exec(child.stdout) ?? [];
            assert.ok(Number(done) > 30 && Number(doneFull) > 5, child.stdout);
            refusals += refused.length;
            rmSync(`${directory}-${seed}`, { recursive: true });
            rmSync(`${directory}-${seed}-ballast`, { force: true });
          }
          assert.ok(refusals > 0, "the disk was full");
        } finally {
          spawnSync("umount", ["-l", dirname(directory)]);
        }
      }));

    test("a full disk fails the commit with the reason, and the same commit works once there is room", () =>
      withFolder(async (directory) => {
        if (!mountSmallDisk(directory, "24m")) return;
        try {
          const child = committing(directory, 0, 20_000);
          await child.until(() =>
            /^failed no space left on the device/m.test(child.stdout) ? true : null,
          );
          // A segment that could not be prepared gives its space back, for some commits more.
          // Again and again with nothing done in between: a segment that could not be prepared gives its
          // space back, for some commits more.
          const full =
            /(?<=\n)(?:failed no space left on the device .*\n(?:(?:checkpoint|begin) .*\n)*){8}$/;
          await child.until(() => (full.test(child.stdout.slice(-10_000)) ? true : null), 60_000);
          const done = last("done", child.stdout);

          spawnSync("mount", ["-o", "remount,size=96m", dirname(directory)]);
          await child.until(() => (last("done", child.stdout) > done + 10 ? true : null));
          await child.end("SIGKILL");

          assert.ok((await wholeCommits(directory)) > done + 10);
        } finally {
          spawnSync("umount", ["-l", dirname(directory)]);
        }
      }));

    if (spawnSync("strace", ["-V"]).status === 0) {
      test("a commit is acknowledged when one write to the log is followed by one flush, no sooner", () =>
        withFolder(async (directory) => {
          const trace = join(dirname(directory), "trace");
          const calls = "trace=write,writev,pwrite64,pwritev,pwritev2,fdatasync,fsync";
          const child = new ManagedProcess({
            command: "strace",
            args: ["-f", "-y", "-s", "24", "-e", calls, "-o", trace].concat([
              process.execPath,
              "--import",
              "tsx",
              script,
              directory,
              "20",
            ]),
          });
          await child.waitForExit(60_000);

          const commits = tracedCommits(readFileSync(trace, "utf8"));

          assert.is(commits.length, 20);
          for (const events of commits) assert.is(events.join(" "), "log flush");
        }));
    }
  },
  { timeoutMs: 180_000 },
);

/** Mounts a disk of that size where the data folder is going to be; says so when that is forbidden. */
function mountSmallDisk(directory: string, size: string): boolean {
  const place = dirname(directory);
  mkdirSync(place, { recursive: true });
  const options = ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", place];
  if (spawnSync("mount", options).status === 0) return true;
  console.log("not shown: a full disk (mounting a small one needs root)");
  return false;
}

/**
 * What each commit of a traced process did to the segment in use between `begin` and `done`: `log` for
 * bytes written, `flush` for a finished fdatasync. The segment that is prepared meanwhile has another
 * name until it is ready, and is the second one.
 */
function tracedCommits(trace: string): string[][] {
  const commits: string[][] = [];
  let events: string[] | null = null;
  /** Threads with an fdatasync of the segment under way: strace tells begin and end apart. */
  const flushing = new Set<string>();
  for (const line of trace.split("\n")) {
    const thread = line.split(" ")[0] ?? "";
    if (/write\(1<.*"begin /.test(line)) events = [];
    if (/write\(1<.*"done /.test(line) && events !== null) {
      commits.push(events);
      events = null;
    }
    const ofSegment = /\(\d+<[^>]*log-0000000001\.plx>/.test(line);
    if (ofSegment && / (?:writev|pwrite64|pwritev2?)\(/.test(line)) events?.push("log");
    if (ofSegment && / fdatasync\(/.test(line)) {
      if (/= 0$/.test(line)) events?.push("flush");
      else flushing.add(thread);
    }
    if (/<\.\.\. fdatasync resumed>\)\s+= 0/.test(line) && flushing.delete(thread)) {
      events?.push("flush");
    }
  }
  return commits;
}
