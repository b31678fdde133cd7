/**
 * A start in a damaged data folder serves every acknowledged key, or ends with one clear line and a
 * code above 0. It never hangs, never crashes, and is never ready with less than was acknowledged.
 *
 * Two ways: the reading part of a start, in this process, for hundreds of damages of all kinds, each
 * compared with all that the folder held; and the real node for some of them.
 *
 * `DAMAGE_ROUNDS` sets how many damages of each kind, `DAMAGE_STARTS` how many starts of a node,
 * `DAMAGE_SEED` the seed.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { Prng } from "../../src/base/prng.ts";
import { openFolder } from "../../src/storage/folder.ts";
import { StorageOpenError } from "../../src/storage/open-error.ts";
import { scan } from "../../src/storage/recovery.ts";
import { decodeStateRow } from "../../src/wire/state-codec.ts";
import { ManagedProcess } from "../support/managed-process.ts";
import { type Paxlock, paxlockCommand, withPaxlock } from "../support/paxlock-process.ts";
import { freePort } from "../support/ports.ts";
import { RespClient } from "../support/resp-client.ts";
import { suite } from "../support/suite.ts";
import { withTemporaryDirectory } from "../support/temporary-directory.ts";
import { DAMAGES } from "./damages.ts";
import {
  accepted,
  checkpoint,
  commit,
  copyFolder,
  META,
  stored,
  stringRow,
  withStorage,
} from "./support.ts";

const ROUNDS = Number(process.env["DAMAGE_ROUNDS"] ?? 40);
const STARTS = Number(process.env["DAMAGE_STARTS"] ?? 30);
const SEED = process.env["DAMAGE_SEED"] ?? "1";
const LIMIT_MS = 30_000;
const REFUSED = /folder .* is (damaged|no Paxlock data folder).* restore .* backup/;

/** Turns that the folder of a crash has behind its last checkpoint. */
const TAIL = 30;

/**
 * How many turns may be gone from the end of a log whose extent nobody has recorded, since what the
 * damage leaves looks as if a crash had cut the log off there.
 */
const LOOKS_CUT_OFF: Readonly<Record<string, number>> = {
  "a zeroed sector": 1,
  "a zeroed page": Math.ceil(4_096 / 1_500),
  "a sector in another's place": 1,
  "a page in another's place": Math.ceil(4_096 / 1_500),
  "swapped sectors": 1,
  "swapped pages": Math.ceil(4_096 / 1_500),
  "a file that is cut": TAIL,
  "a file that is zeros from somewhere on": TAIL,
};

/**
 * A folder with checkpoints, rows in pages of all kinds, records that are cut and that are not, peers
 * and several segments. `crashed` gets a copy as a crash would leave it, `closed` as a stop does.
 */
async function make(
  incarnation: string,
  { crashed, closed }: { readonly crashed: string; readonly closed: string },
): Promise<void> {
  const create = { ...META, incarnation, clusterId: incarnation };
  await withStorage(
    closed,
    async ({ storage }) => {
      for (let slot = 1; slot <= 120; slot++) {
        const group = slot % META.groups;
        const rows = Array.from({ length: 12 }, (_, row) => stringRow(slot * 12 + row));
        const removed = slot > 40 ? [(slot - 40) * 12 + 1, (slot - 40) * 12 + 7] : [];
        await commit(storage, {
          log: [accepted(group, slot, 1_500), accepted((group + 1) % META.groups, slot, 40)],
          promises: [{ group, ballot: slot * 256 + 1 }],
          state:
            slot % 3 > 0
              ? []
              : [{ ...checkpoint(group, slot, rows, removed), cutThrough: Math.max(0, slot - 60) }],
        });
      }
      await commit(storage, { state: [checkpoint(3, 121, [stringRow(9_999, "x".repeat(9_000))])] });
      await stored((done) => {
        storage.rememberPeer(2, { incarnation: "00ff00ff00ff00ff", boot: 7, session: "0a" }, done);
      });
      for (let slot = 121; slot <= 120 + TAIL; slot++) {
        await commit(storage, { log: [accepted(slot % 2, slot, 1_500)] });
      }
      copyFolder(closed, crashed);
    },
    { create },
  );
}

/** All that a folder holds, by place, read as a start reads it. Rejects with the refusal. */
async function contentsOf(directory: string): Promise<Map<string, string>> {
  const folder = await openFolder({ directory, create: META });
  try {
    const { recovery, boot, peers, promises } = scan(folder);
    const contents = new Map<string, string>([["boot", String(boot)]]);
    for (const [node, start] of peers) contents.set(`peer ${node}`, JSON.stringify(start));
    for (let group = 0; group < recovery.groups; group++) {
      const checkpointed = recovery.checkpoint(group);
      contents.set(`promise ${group}`, String(promises[group]));
      contents.set(`checkpoint ${group}`, String(checkpointed?.appliedSlot));
      contents.set(`meta ${group}`, text(checkpointed?.meta ?? new Uint8Array()));
      recovery.rows(group, (row, bytes) => {
        // As `node/recovery.ts` does.
        if (decodeStateRow(bytes)?.row !== row) throw recovery.damage(`row ${row}`, "misplaced");
        contents.set(`row ${group} ${row}`, text(bytes));
      });
      recovery.log(group, ({ slot, ballot, value }) => {
        contents.set(`log ${group} ${slot}`, `${ballot} ${text(value)}`);
      });
    }
    return contents;
  } finally {
    await folder.close();
  }
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}

/** What a damaged folder has otherwise than the whole one: places in the order of the whole one. */
function difference(
  whole: ReadonlyMap<string, string>,
  found: ReadonlyMap<string, string>,
): string[] {
  const added = [...found.keys()].filter((place) => !whole.has(place));
  return [...whole.keys()].filter((place) => found.get(place) !== whole.get(place)).concat(added);
}

/** The refusal of the folder, or what it holds otherwise than the whole one. */
async function outcome(
  directory: string,
  whole: ReadonlyMap<string, string>,
): Promise<StorageOpenError | string[]> {
  try {
    return difference(whole, await contentsOf(directory));
  } catch (thrown) {
    if (thrown instanceof StorageOpenError) return thrown;
    throw thrown;
  }
}

/** Whether these places are the last few turns, at most `count`, of the folder of a crash. */
function isTail(places: readonly string[], count: number): boolean {
  const slots = Array.from({ length: places.length }, (_, back) => 120 + TAIL - back);
  const expected = slots.map((slot) => `log ${slot % 2} ${slot}`);
  return places.length <= count && expected.every((place) => places.includes(place));
}

/** Fills a node with keys, some of them large, and kills it; the keys and their values. */
async function fill(directory: string): Promise<ReadonlyMap<string, string>> {
  const held = new Map<string, string>();
  await withPaxlock({ directory }, async (paxlock: Paxlock) => {
    for (const part of ["early", "late"]) {
      const client = await paxlock.client();
      for (let number = 0; number < 300; number++) {
        const value = number % 100 === 99 ? "v".repeat(20_000) : `me-${number}`;
        assert.is(await client.call("SET", `${part}:${number}`, value), "OK");
        held.set(`${part}:${number}`, value);
      }
      // Checkpoints come with a stop; what follows stays in the log.
      if (part === "early") await paxlock.restart();
    }
    await paxlock.kill("SIGKILL");
  });
  return held;
}

/** What a start in the folder comes to: null when it serves all keys, else the line it ended with. */
async function start(directory: string, held: ReadonlyMap<string, string>): Promise<string | null> {
  const port = await freePort();
  const node = new ManagedProcess(
    paxlockCommand(["serve", "--port", String(port), "--dir", directory]),
  );
  try {
    for (let waitedMs = 0; node.exit === null; waitedMs += 20) {
      assert.ok(waitedMs < LIMIT_MS, "a start ends or serves in time");
      if (/"msg":"[^"]*ready/.test(node.stdout)) {
        await checkAll(port, held);
        return null;
      }
      await sleep(20);
    }
    assert.is(node.exit.signal, null, node.describe());
    assert.is(node.exit.code, 1, node.describe());
    const lines = node.stderr.split("\n").filter((line) => line !== "");
    assert.is(lines.length, 1, node.describe());
    return lines[0] ?? "";
  } finally {
    if (node.exit === null) await node.end("SIGKILL");
  }
}

async function checkAll(port: number, held: ReadonlyMap<string, string>): Promise<void> {
  const client = await RespClient.connect({ port });
  try {
    assert.is(await client.call("DBSIZE"), held.size);
    for (const [key, value] of held) assert.is(await client.call("GET", key), value, key);
    assert.is(await client.call("SET", "one more", "key"), "OK");
  } finally {
    client.close();
  }
}

suite(
  "storage/damage",
  (test) => {
    test(`damage of every kind is refused, or means nothing (${ROUNDS} places each, seed ${SEED})`, () =>
      withTemporaryDirectory(async (scratch) => {
        const [closed, crashed, other] = ["closed", "crashed", "other"].map((name) =>
          join(scratch, name),
        ) as [string, string, string];
        await make("0123456789abcdef", { closed, crashed });
        await make("fedcba9876543210", { closed: other, crashed: join(scratch, "unused") });
        const directory = join(scratch, "victim");
        const wrong: string[] = [];
        for (const [source, extentIsRecorded] of [
          [closed, true],
          [crashed, false],
        ] as const) {
          const whole = await contentsOf(source);
          assert.ok(whole.size > 400, `${whole.size} values`);
          for (const [kind, damage] of Object.entries(DAMAGES)) {
            const prng = new Prng(`damage/${SEED}/${kind}`);
            let refused = 0;
            for (let round = 0; round < ROUNDS; round++) {
              copyFolder(source, directory);
              const place = damage({ directory, other, prng });

              const result = await outcome(directory, whole);

              rmSync(directory, { recursive: true });
              if (result instanceof StorageOpenError) {
                refused += 1;
                assert.match(result.message, REFUSED, `${kind}: ${place}: ${result.message}`);
                continue;
              }
              const excused = extentIsRecorded ? 0 : (LOOKS_CUT_OFF[kind] ?? 0);
              if (isTail(result, excused)) continue;
              wrong.push(`${kind} of ${source}, ${place}: ${result.slice(0, 5).join(", ")}`);
            }
            if (refused < ROUNDS / 8) wrong.push(`${kind}: ${refused} of ${ROUNDS} were refused`);
          }
        }
        assert.equal(wrong, []);
      }));

    test(`a node in a damaged folder serves all keys, or ends with one line (${STARTS} starts, seed ${SEED})`, () =>
      withTemporaryDirectory(async (scratch) => {
        const [whole, other, directory] = ["whole", "other", "victim"].map((name) =>
          join(scratch, name),
        ) as [string, string, string];
        const held = await fill(whole);
        await fill(other);
        const prng = new Prng(`damage/${SEED}/starts`);
        let refused = 0;
        // What looks as if a crash had cut the log off is none of this: this log has no recorded extent.
        const kinds = Object.keys(DAMAGES).filter((kind) => LOOKS_CUT_OFF[kind] === undefined);
        for (let round = 0; round < STARTS; round++) {
          copyFolder(whole, directory);
          const kind = kinds[round % kinds.length] ?? "";
          const place = DAMAGES[kind]?.({ directory, other, prng });

          const line = await start(directory, held);

          rmSync(directory, { recursive: true });
          if (line === null) continue;
          refused += 1;
          assert.match(line, REFUSED, `${kind}: ${place ?? ""}: ${line}`);
        }
        assert.ok(refused > STARTS / 4, `${refused} of ${STARTS} starts were refused`);
      }));
  },
  { timeoutMs: 600_000 },
);
