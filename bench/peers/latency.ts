/** Quantiles of latencies, kept in a histogram so that a long run takes no more memory than a short. */
import { build, type Histogram } from "hdr-histogram-js";

/** Of one kind of step, in ms. */
export interface Latency {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
}

const MICROS_MAX = 600_000_000;

/** Records times to the microsecond with three digits. */
export class LatencyRecorder {
  readonly #histogram: Histogram = build({
    bitBucketSize: 32,
    lowestDiscernibleValue: 1,
    highestTrackableValue: MICROS_MAX,
    numberOfSignificantValueDigits: 3,
  });

  get count(): number {
    return this.#histogram.totalCount;
  }

  /** Times below a microsecond count as one, times above ten minutes as ten minutes. */
  record(ms: number): void {
    const micros = Math.round(ms * 1000);
    this.#histogram.recordValue(Math.min(MICROS_MAX, Math.max(1, micros)));
  }

  /** NaN in every quantile when nothing was recorded. */
  result(): Latency {
    const { totalCount, maxValue } = this.#histogram;
    const ms = (percentile: number): number =>
      totalCount === 0 ? NaN : this.#histogram.getValueAtPercentile(percentile) / 1000;
    return {
      count: totalCount,
      p50Ms: ms(50),
      p99Ms: ms(99),
      p999Ms: ms(99.9),
      maxMs: totalCount === 0 ? NaN : maxValue / 1000,
    };
  }
}
