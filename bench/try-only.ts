/**
 * Loaded before a microbenchmark by `--short`: every case is run for a moment only, whatever sampling
 * the file asks for. It shows that the cases work, and no more.
 */
import Benchmark from "benchmark";

interface Sampling {
  minSamples: number;
  minTime: number;
  maxTime: number;
}

type Run = typeof Benchmark.prototype.run;

const run: Run = Benchmark.prototype.run;
Benchmark.prototype.run = function tryOnly(this: Benchmark & Sampling, options): Benchmark {
  this.minSamples = 1;
  this.minTime = 0.001;
  this.maxTime = 0;
  return run.call(this, options);
};
