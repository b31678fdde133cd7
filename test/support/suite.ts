/**
 * The only door to uvu: test files import this, never uvu itself.
 *
 * It closes uvu's holes: there are no hooks that can fail silently, no forgotten `.run()`, no
 * committed `.only`, no test that hangs for ever, and a suite or a file that declares nothing fails.
 * Build fixtures inside a test or with a `with…` helper. `ONLY=regex` focuses, and is refused in CI.
 */
import { inspect } from "node:util";
import { suite as uvuSuite } from "uvu";
import { missingPrograms, type Program } from "./programs.ts";
import { record } from "./results.ts";

export type Body = () => void | Promise<void>;

/** Declares one test. A title states the rule in the present tense. */
export type Test = (title: string, body: Body) => void;

export interface SuiteOptions {
  /** Bound on each test, in ms. @default 5000 */
  readonly timeoutMs?: number;
  /** Programs without which the tests are skipped, or fail when `CI` is set. */
  readonly needs?: Program | readonly Program[];
}

interface LedgerEntry {
  readonly name: string;
  declared: number;
  settled: number;
}

const ledger: LedgerEntry[] = [];
const only = process.env["ONLY"] ? new RegExp(process.env["ONLY"]) : undefined;
if (only && process.env["CI"]) throw new Error("ONLY is for local use, not for CI");

/** Declares and runs one suite. */
export function suite(
  name: string,
  declare: (test: Test) => void,
  { timeoutMs = 5_000, needs = [] }: SuiteOptions = {},
): void {
  const inner = uvuSuite(name);
  const entry: LedgerEntry = { name, declared: 0, settled: 0 };
  ledger.push(entry);
  const missing = missingPrograms(typeof needs === "string" ? [needs] : needs);
  const skipAll = missing.length > 0 && !process.env["CI"];
  let skipped = 0;
  declare((title, body) => {
    if (skipAll || (only && !only.test(`${name} ${title}`))) {
      skipped += 1;
      record({ kind: "test", suite: name, title, outcome: "skipped" });
      inner.skip(title, body);
      return;
    }
    entry.declared += 1;
    inner(title, async () => {
      let outcome: "passed" | "failed" = "failed";
      try {
        if (missing.length > 0) throw new Error(missing.join(", "));
        await withDeadline(body, timeoutMs);
        outcome = "passed";
      } catch (thrown) {
        throw thrown instanceof Error ? thrown : new Error(`threw ${inspect(thrown)}`);
      } finally {
        entry.settled += 1;
        record({ kind: "test", suite: name, title, outcome });
      }
    });
  });
  if (entry.declared + skipped === 0) throw new Error(`suite "${name}" declares no test`);
  if (skipAll) console.log(`suite "${name}" skipped: ${missing.join(", ")}`);
  record({ kind: "suite", suite: name, declared: entry.declared + skipped, timeoutMs });
  inner.run();
}

async function withDeadline(body: Body, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`timed out after ${timeoutMs} ms`));
    }, timeoutMs);
  });
  try {
    await Promise.race([body(), deadline]);
  } finally {
    clearTimeout(timer);
  }
}

process.on("exit", () => {
  for (const { name, declared, settled } of ledger) {
    if (settled === declared) continue;
    process.exitCode = 1;
    console.error(
      `suite "${name}": ${settled} of ${declared} tests settled before the process ended`,
    );
  }
});
