/**
 * How fast entries are applied on one core, and what a held lock weighs.
 *
 * `node --expose-gc --import tsx bench/micro/machine.ts`. Entries carry 50 operations, as a busy
 * leader batches them; they are made beforehand, so that only the machine is measured. 100,000 locks
 * are held and as many keys are free. Without `--expose-gc` the weight is left out.
 */
import Benchmark from "benchmark";
import { NO_ORIGINS } from "../../src/machine/entry.ts";
import { Machine } from "../../src/machine/machine.ts";
import type { Operation, SetOperation } from "../../src/machine/operation.ts";

const BATCH = 50;
const HELD = 100_000;
const WEIGHED = 1_000_000;
const LEASE_MS = 30_000;

type Entries = readonly (readonly Operation[])[];

function entriesOf(first: number, make: (number: number) => Operation): Entries {
  return Array.from({ length: HELD / BATCH }, (_, entry) =>
    Array.from({ length: BATCH }, (__, at) => make(first + entry * BATCH + at)),
  );
}

/** A string as it comes out of a buffer. */
function flat(text: string): string {
  return Buffer.from(text, "latin1").toString("latin1");
}

function lock(number: number, when: SetOperation["when"]): SetOperation {
  return {
    kind: "set",
    db: 0,
    key: flat(`lock:${number}`),
    value: flat(String(number).padStart(20, "owner-")),
    when,
    compare: "",
    expireMode: "after",
    expireMs: LEASE_MS,
    answer: "status",
  };
}

function newMachine(): Machine {
  return new Machine({
    scripts: { compile: () => null, run: () => ({ kind: "done", reply: null }) },
    commands: { parse: () => ({ kind: "reply", reply: null }) },
    owns: () => true,
  });
}

function apply(machine: Machine, operations: readonly Operation[] | undefined): void {
  const entry = {
    nowMs: 0,
    wallMs: 0,
    operations: operations ?? [],
    proposal: null,
    origins: NO_ORIGINS,
  };
  machine.apply(entry, machine.appliedSlot + 1);
}

/** What one call of each case does, and how many operations that is. */
function casesOn(machine: Machine): Readonly<Record<string, [number, (call: number) => void]>> {
  const held = entriesOf(0, (number) => lock(number, "nx"));
  const renewals = entriesOf(0, (number) => lock(number, "xx"));
  const reads = entriesOf(0, (number) => ({ kind: "get", db: 0, key: flat(`lock:${number}`) }));
  const free = entriesOf(HELD, (number) => lock(number, "nx"));
  const unlocks = entriesOf(HELD, (number) => {
    return { kind: "delete", db: 0, keys: [flat(`lock:${number}`)] };
  });
  for (const entry of held) apply(machine, entry);
  const clock = { nowMs: 0, wallMs: 0 };
  return {
    "SET NX PX, held key": [
      BATCH,
      (call) => {
        apply(machine, held[call % held.length]);
      },
    ],
    "SET XX PX, renewal": [
      BATCH,
      (call) => {
        apply(machine, renewals[call % renewals.length]);
      },
    ],
    GET: [
      BATCH,
      (call) => {
        for (const read of reads[call % reads.length] ?? []) machine.read(read, clock);
      },
    ],
    "SET NX PX, then DEL": [
      2 * BATCH,
      (call) => {
        apply(machine, free[call % free.length]);
        apply(machine, unlocks[call % free.length]);
      },
    ],
    "SET NX PX, free key": [
      BATCH,
      (call) => {
        apply(machine, free[call % free.length]);
        if ((call + 1) % free.length !== 0) return;
        // All keys are held now: begin again.
        apply(machine, [{ kind: "flush", db: 0 }]);
        machine.takeCheckpoint(Number.MAX_SAFE_INTEGER);
      },
    ],
  };
}

function measure(): void {
  const suite = new Benchmark.Suite();
  for (const [name, [operations, run]] of Object.entries(casesOn(newMachine()))) {
    let call = 0;
    suite.add(`${name.padEnd(22)}${operations}`, () => {
      run(call);
      call += 1;
    });
  }
  suite.on("cycle", ({ target }: Benchmark.Event) => {
    const name = String(target.name);
    const operations = (target.hz ?? 0) * Number(name.slice(22));
    console.log(name.slice(0, 22), `${(operations / 1e6).toFixed(2)} M/s`.padStart(10));
  });
  suite.run();
}

function weigh(): void {
  const collect = globalThis.gc;
  if (collect === undefined) return;
  collect();
  const before = process.memoryUsage().heapUsed;
  const machine = newMachine();
  for (let number = 0; number < WEIGHED; number += 1) apply(machine, [lock(number, "nx")]);
  machine.takeCheckpoint();
  collect();
  const bytes = (process.memoryUsage().heapUsed - before) / machine.counts(0).keys;
  console.log(`a held lock, one of ${WEIGHED.toLocaleString("en")}: ${bytes.toFixed(0)} bytes`);
}

measure();
weigh();
