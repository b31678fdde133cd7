/**
 * Random pages of the data file and of the log are overwritten with random bytes: a start serves every acknowledged
 * key, or ends with one clear line and a code above 0. It is never ready with fewer keys.
 *
 * `DAMAGE_PAGES` sets how many pages, `DAMAGE_SEED` the seed.
 */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { Prng } from "../../src/base/prng.ts";
import { ManagedProcess } from "../support/managed-process.ts";
import { type Paxlock, paxlockCommand, withPaxlock } from "../support/paxlock-process.ts";
import { freePort } from "../support/ports.ts";
import { RespClient } from "../support/resp-client.ts";
import { suite } from "../support/suite.ts";
import { withTemporaryDirectory } from "../support/temporary-directory.ts";

const PAGES = Number(process.env["DAMAGE_PAGES"] ?? 40);
const SEED = process.env["DAMAGE_SEED"] ?? "1";
const PAGE_BYTES = 4096;
const LIMIT_MS = 30_000;

/** Fills a node with keys, some of them large, and kills it; the keys and their values. */
async function fill(directory: string): Promise<ReadonlyMap<string, string>> {
  const held = new Map<string, string>();
  await withPaxlock({ directory }, async (paxlock: Paxlock) => {
    const client = await paxlock.client();
    const set = async (key: string, value: string): Promise<void> => {
      assert.is(await client.call("SET", key, value), "OK");
      held.set(key, value);
    };
    for (let number = 0; number < 300; number++) await set(`early:${number}`, `me-${number}`);
    // Checkpoints come with a stop; what follows stays in the log.
    await paxlock.restart();
    const again = await paxlock.client();
    for (let number = 0; number < 300; number++) {
      const value = number % 100 === 0 ? "v".repeat(20_000) : `me-${number}`;
      assert.is(await again.call("SET", `late:${number}`, value), "OK");
      held.set(`late:${number}`, value);
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

function usedPages(path: string): number {
  const bytes = readFileSync(path);
  let pages = Math.ceil(bytes.length / PAGE_BYTES);
  while (pages > 0 && bytes.subarray((pages - 1) * PAGE_BYTES).every((byte) => byte === 0))
    pages -= 1;
  return pages;
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
    test(`a start on a file with a damaged page serves all keys or refuses (seed ${SEED})`, () =>
      withTemporaryDirectory(async (scratch) => {
        const whole = join(scratch, "whole");
        const held = await fill(whole);
        const prng = new Prng(`damage/${SEED}`);
        const files = readdirSync(whole).filter((name) => /^(data\.mdb|log-.*\.plx)$/.test(name));
        // Of each file the pages up to the last that holds anything: a segment is zeros behind it.
        const places = files.flatMap((name) =>
          Array.from({ length: usedPages(join(whole, name)) }, (_, page) => ({ name, page })),
        );
        const refusals = new Map<string, string>();
        for (let round = 0; round < PAGES; round++) {
          const { name, page } = prng.pick(places);
          const directory = join(scratch, `round-${round}`);
          mkdirSync(directory);
          for (const file of files) copyFileSync(join(whole, file), join(directory, file));
          const bytes = readFileSync(join(directory, name));
          for (let at = page * PAGE_BYTES; at < (page + 1) * PAGE_BYTES; at += 4) {
            bytes.writeUInt32LE(prng.next(), at);
          }
          writeFileSync(join(directory, name), bytes);

          const line = await start(directory, held);

          if (line === null) continue;
          refusals.set(`${name} ${page}`, line);
          assert.match(
            line,
            /folder .* is (damaged|no Paxlock data folder).* restore .* backup/,
            line,
          );
        }
        assert.ok(refusals.size > PAGES / 8, "some pages hold what is needed");
        assert.ok(refusals.size < PAGES, "some pages are free, or another is still read");
      }));
  },
  { timeoutMs: 600_000 },
);
