/** Measures small pieces of code with `benchmark`, for the files of `bench/micro`. */
import Benchmark from "benchmark";
import { table } from "./report.ts";

/** Something to run over and over. */
export interface Case {
  readonly name: string;
  /** How many operations one run is; the figures are per operation. */
  readonly operations: number;
  readonly run: () => void;
}

/** Runs the cases one after the other on this thread and gives a table of them. */
export function measureCases(cases: readonly Case[]): string {
  const rows: string[][] = [];
  const suite = new Benchmark.Suite();
  for (const { name, run } of cases) suite.add(name, run, { minSamples: 20, maxTime: 1 });
  suite.on("cycle", ({ target }: Benchmark.Event) => {
    const { name, operations } = cases[rows.length] ?? { name: "", operations: NaN };
    // What throws is left without a figure by the library, in silence.
    const failure = (target as { readonly error?: unknown }).error;
    if (failure !== undefined) throw new Error(`${name} failed`, { cause: failure });
    const perSecond = (target.hz ?? NaN) * operations;
    rows.push([name, `${(perSecond / 1e6).toFixed(3)} M/s`, `${(1e6 / perSecond).toFixed(2)} µs`]);
  });
  suite.run();
  return table(["", "rate", "each"], rows);
}
