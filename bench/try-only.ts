/**
 * Loaded before a microbenchmark by `--short`: every case is run for a moment only, whatever sampling
 * the file asks for. It shows that the cases work, and no more.
 */
import Benchmark from "benchmark";

type Run = typeof Benchmark.prototype.run;

const tryOnly = { minSamples: 1, minTime: 0.001, maxTime: 0 };
const run: Run = Benchmark.prototype.run;
Benchmark.prototype.run = function runOnce(
  this: Benchmark & { readonly options: object },
  options,
): Benchmark {
  // The run begins by setting every property to what the options say.
  Object.assign(this.options, tryOnly);
  Object.assign(this, tryOnly);
  return run.call(this, options);
};
