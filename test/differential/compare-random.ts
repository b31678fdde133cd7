/**
 * Runs random programs on both servers until one differs, and prints what was compared.
 *
 * `DIFFERENTIAL_TIMES=50` runs fifty times as many as `npm test` does; `DIFFERENTIAL_SEED=1` repeats
 * a run whose seed was printed, and `DIFFERENTIAL_SEED=random` goes where no run has been. `npm test`
 * takes the same programs each time, so that a difference it finds was made by the change at hand.
 */
import fc from "fast-check";
import type { Program } from "./program.ts";
import { runProgram, type RunOptions, type Sides } from "./run-program.ts";

const SEED = 20_261_120;

const times = Number(process.env["DIFFERENTIAL_TIMES"] ?? "1");

/** What random programs begin with, by `DIFFERENTIAL_SEED`. */
export function chosenSeed(): number {
  const given = process.env["DIFFERENTIAL_SEED"] ?? String(SEED);
  return given === "random" ? Date.now() % 2 ** 31 : Number(given);
}

/** How many programs to compare where `npm test` compares `programs`. */
export function programCount(programs: number): number {
  return Math.ceil(programs * times);
}

/** Milliseconds for a suite whose runs take as long as `ms` out of the box. */
export function timeLimit(ms: number): number {
  return ms * Math.max(1, times);
}

/** A lease that could not be told on a busy machine is tried again so many times. */
const ATTEMPTS_MAX = 5;

/** Looking for a smaller program that differs takes no longer. */
const SHRINKING_MS = 20_000;

export interface RandomOptions extends RunOptions {
  readonly name: string;
  readonly programs: number;
}

/** Fails at the first program whose answers differ, cut down to what is needed for it. */
export async function compareRandom(
  sides: Sides,
  arbitrary: fc.Arbitrary<Program>,
  options: RandomOptions,
): Promise<void> {
  const seed = chosenSeed();
  const tally = new Tally(options.name, seed);
  let firstFailureAt = Infinity;
  const property = fc.asyncProperty(arbitrary, async (program) => {
    if (performance.now() > firstFailureAt + SHRINKING_MS) return;
    const difference = await tally.run(sides, program, options);
    if (difference === null) return;
    firstFailureAt = Math.min(firstFailureAt, performance.now());
    throw new Error(difference);
  });
  try {
    await fc.assert(property, {
      seed,
      numRuns: programCount(options.programs),
      includeErrorInReport: true,
    });
  } finally {
    tally.print();
  }
}

class Tally {
  readonly #name: string;
  readonly #seed: number;
  readonly #startedAt = performance.now();
  readonly #meant = new Map<string, number>();
  #programs = 0;
  #commands = 0;
  #doubtful = 0;
  #late = 0;

  constructor(name: string, seed: number) {
    this.#name = name;
    this.#seed = seed;
  }

  async run(sides: Sides, program: Program, options: RunOptions): Promise<string | null> {
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
      const { difference, meant, doubtful, late, commands } = await runProgram(
        sides,
        program,
        options,
      );
      this.#commands += commands;
      this.#late += late;
      if (doubtful) {
        this.#doubtful += 1;
        continue;
      }
      this.#programs += 1;
      if (meant !== null) this.#meant.set(meant.title, (this.#meant.get(meant.title) ?? 0) + 1);
      return difference;
    }
    return null;
  }

  print(): void {
    const seconds = ((performance.now() - this.#startedAt) / 1000).toFixed(1);
    console.log(
      `differential ${this.#name}: seed ${this.#seed}, ${this.#programs} programs, ` +
        `${Math.round(this.#commands)} commands in ${seconds} s` +
        (this.#doubtful > 0 ? `, ${this.#doubtful} too slow to tell` : "") +
        (this.#late > 0 ? `, ${this.#late} looks at keys not gone yet` : ""),
    );
    for (const [title, count] of this.#meant) console.log(`  ended ${count} times: ${title}`);
  }
}
