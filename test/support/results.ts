/**
 * What a test process tells the runner: one JSON line per event, appended at once to the file named
 * by `PAXLOCK_TEST_RESULTS`, so that the count survives a crash, a kill and a `process.exit`.
 */
import { appendFileSync, readFileSync } from "node:fs";

export type TestRecord =
  /** A worker starts on a file; `outputFrom` is the length of its output so far, in bytes. */
  | { readonly kind: "file"; readonly file: string; readonly outputFrom: number }
  /** The worker is done with the file; `leaked` names what the file left open. */
  | {
      readonly kind: "file-end";
      readonly file: string;
      readonly outputTo: number;
      readonly leaked: readonly string[];
    }
  | {
      readonly kind: "suite";
      readonly suite: string;
      readonly declared: number;
      readonly timeoutMs: number;
    }
  | {
      readonly kind: "test";
      readonly suite: string;
      readonly title: string;
      readonly outcome: "passed" | "failed" | "skipped";
    };

const path = process.env["PAXLOCK_TEST_RESULTS"];

/** Appends one record, or does nothing when no runner listens. */
export function record(entry: TestRecord): void {
  if (path !== undefined) appendFileSync(path, `${JSON.stringify(entry)}\n`);
}

/** Reads a results file as it grows. */
export class ResultsReader {
  readonly #path: string;
  #consumed = 0;

  constructor(resultsPath: string) {
    this.#path = resultsPath;
  }

  /** Records that were completed since the last call. */
  take(): TestRecord[] {
    const fresh = readFileSync(this.#path, "utf8").slice(this.#consumed);
    const complete = fresh.slice(0, fresh.lastIndexOf("\n") + 1);
    this.#consumed += complete.length;
    return complete
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as TestRecord);
  }
}

/** What the records of one file add up to. */
export class Tally {
  passed = 0;
  failed = 0;
  skipped = 0;
  declared = 0;
  suites = 0;
  /** The longest time a test of the suites seen may take, in ms. */
  timeoutMs = 0;
  readonly failures: string[] = [];

  add(entry: TestRecord): void {
    if (entry.kind === "suite") {
      this.suites += 1;
      this.declared += entry.declared;
      this.timeoutMs = Math.max(this.timeoutMs, entry.timeoutMs);
    } else if (entry.kind === "test") {
      this[entry.outcome] += 1;
      if (entry.outcome === "failed") this.failures.push(`${entry.suite}: ${entry.title}`);
    }
  }

  /** Tests that were declared and neither passed nor failed: the process ended under them. */
  get unsettled(): number {
    return this.declared - this.passed - this.failed - this.skipped;
  }

  /** Counts something that is not a test but must not pass in silence. */
  fail(why: string): void {
    this.failed += 1;
    this.failures.push(why);
  }

  /** Turns tests that never settled, and files that declare none, into failures. */
  close(): void {
    const { unsettled } = this;
    if (unsettled > 0) {
      this.failed += unsettled;
      this.failures.push(`${unsettled} of ${this.declared} tests had not settled at the end`);
    }
    if (this.suites === 0 && this.failed === 0) this.fail("declares no test");
  }
}
