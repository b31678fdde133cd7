/**
 * Random entries go to the machine and to its dumb twin: every reply must be equal, and so must the
 * rows that checkpoints bring to disk. Now and then the machine is thrown away and restored from
 * those rows (some entries behind, which it then replays); its digest must be the old one's.
 *
 * `MACHINE_TWIN_ENTRIES` sets how many entries, `MACHINE_TWIN_SEED` the seed.
 */
import * as assert from "uvu/assert";
import { Prng } from "../../src/base/prng.ts";
import { isError } from "../../src/base/reply.ts";
import type { Machine } from "../../src/machine/machine.ts";
import type { Entry } from "../../src/machine/entry.ts";
import { suite } from "../support/suite.ts";
import { MachineTwin } from "../twin/machine.twin.ts";
import { Disk, localEntry, newMachine } from "./machine-fixture.ts";
import { RandomOperations } from "./random-operations.ts";

const ENTRIES = Number(process.env["MACHINE_TWIN_ENTRIES"] ?? 40_000);
const SEED = process.env["MACHINE_TWIN_SEED"] ?? "1";
/** So few that most keys which are due wait for a touch or for their turn. */
const LIMITS = { expiredPerEntryMax: 2 };
/** Room for about four keys, for ten, and for all there are. */
const STATE_BYTES_MAX = [1_100, 2_800, 2 ** 30];
/** One machine per swarm. */
const ENTRIES_PER_RUN = 1_000;

suite(
  "machine/twin",
  (test) => {
    test(`replies, rows and restored states equal those of the twin (seed ${SEED})`, () => {
      let errors = 0;
      let replies = 0;
      for (let run = 0; run * ENTRIES_PER_RUN < ENTRIES; run += 1) {
        const counts = new Run(new Prng(`${SEED}/${run}`), run).go();
        errors += counts.errors;
        replies += counts.replies;
      }

      assert.ok(replies > ENTRIES, "entries carry operations");
      assert.ok(errors > 0 && errors < replies / 4, "some operations fail, most do not");
    });
  },
  { timeoutMs: 24 * 3_600_000 },
);

class Run {
  readonly #prng: Prng;
  readonly #operations: RandomOperations;
  readonly #name: string;
  readonly #twin: MachineTwin;
  readonly #options: { limits: typeof LIMITS; stateBytesMax: number };
  readonly #disk = new Disk();
  /** Entries since the last checkpoint. */
  #log: { slot: number; entry: Entry }[] = [];
  #machine: Machine;
  #nowMs = 0;
  #wallMs = 1_700_000_000_000;
  #errors = 0;
  #replies = 0;

  constructor(prng: Prng, run: number) {
    this.#prng = prng;
    this.#operations = new RandomOperations(prng);
    this.#name = `seed ${SEED}, run ${run}`;
    const stateBytesMax = prng.pick(STATE_BYTES_MAX);
    this.#options = { limits: LIMITS, stateBytesMax };
    this.#twin = new MachineTwin({ ...LIMITS, stateBytesMax });
    this.#machine = newMachine(this.#options);
  }

  go(): { errors: number; replies: number } {
    for (let step = 0; step < ENTRIES_PER_RUN; step += 1) {
      this.#nowMs += this.#prng.pick([0, 0, 1, 1, 2, 7]);
      this.#wallMs += this.#prng.between(-3, 5);
      this.#operations.wallMs = this.#wallMs;
      this.#apply(step + 1);
      this.#read();
      if (this.#prng.chance(1, 10)) this.#checkpoint();
      if (this.#prng.chance(1, 30)) this.#restore();
    }
    this.#drain();
    return { errors: this.#errors, replies: this.#replies };
  }

  #apply(slot: number): void {
    const count = this.#prng.below(6);
    const operations = Array.from({ length: count }, () => this.#operations.any());
    const entry = localEntry({ nowMs: this.#nowMs, wallMs: this.#wallMs, operations });
    this.#log.push({ slot, entry });

    const expected = this.#twin.apply(entry);
    const actual = this.#machine.apply(entry, slot);

    this.#replies += count;
    this.#errors += actual.filter(isError).length;
    this.#same(actual, expected, { slot, entry });
    this.#same(this.#machine.nextDeadlineMs(), this.#twin.nextDeadlineMs(), "next deadline");
    this.#same(this.#machine.stateBytes, this.#twin.bytes(), "bytes of the state");
  }

  #read(): void {
    const operation = this.#operations.read();
    const clock = { nowMs: this.#nowMs + this.#prng.below(4), wallMs: this.#wallMs };

    const expected = this.#twin.read(operation, clock);
    const actual = this.#machine.read(operation, clock);

    this.#same(actual, expected, operation);
  }

  #checkpoint(): void {
    this.#disk.write(this.#machine, this.#prng.pick([0, 3, 1_000]));
    this.#log = [];
    const { meta } = this.#disk;
    const live = this.#disk.sorted().filter((row) => {
      const db = row.kind === "string" ? meta?.flushedBelow[row.db] : meta?.scriptsFlushedBelow;
      return row.row >= (db ?? 0);
    });
    this.#same(live, this.#twin.rows(), "rows on disk");
  }

  #restore(): void {
    const restored = this.#disk.restore(this.#options);
    for (const { slot, entry } of this.#log) restored.apply(entry, slot);
    this.#same(restored.digest(), this.#machine.digest(), "digest after a restore");
    this.#same(restored.stateBytes, this.#machine.stateBytes, "bytes after a restore");
    this.#machine = restored;
    // What the restored machine owes the disk is what the log brings, and it begins from the disk.
    this.#log = [...this.#log];
  }

  /** In the end the disk holds live rows only. */
  #drain(): void {
    while (this.#machine.dirtyRows() > 0) this.#disk.write(this.#machine);
    this.#same(this.#disk.sorted(), this.#twin.rows(), "rows on disk in the end");
  }

  #same(actual: unknown, expected: unknown, context: unknown): void {
    try {
      assert.equal(actual, expected);
    } catch (thrown) {
      console.error(this.#name, context);
      throw thrown;
    }
  }
}
