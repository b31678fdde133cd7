/** `npm run sim`: runs seeds, reports, and ends with a code that says what was found. */
import { execFileSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { VERSION } from "../config/version.ts";
import { describeFault } from "./faults.ts";
import type { Flags } from "./options.ts";
import { readFlags, USAGE } from "./options.ts";
import type { Failed, Passed } from "./outcome.ts";
import { EXIT, minimise, runOnce } from "./outcome.ts";
import type { RunOptions } from "./simulation.ts";
import { swarmLines } from "./swarm.ts";
import { Tally } from "./tally.ts";
import { TRACE_HEADER } from "./trace.ts";

/** Below so many runs a kind of event that did not happen is chance. */
const RUNS_TO_BE_VARIED = 100;

function print(...lines: readonly string[]): void {
  for (const line of lines) process.stdout.write(`${line}\n`);
}

function commit(): string {
  try {
    return execFileSync("git", ["rev-parse", "HEAD"], { encoding: "utf8", stdio: "pipe" }).trim();
  } catch {
    return "unknown";
  }
}

/** The seed of one of several runs; of a single one, the seed itself. */
function seedOf(seed: string, run: number, runs: number): string {
  return runs === 1 ? seed : `${seed}-${run}`;
}

function replayLine(seed: string, overrides: readonly string[]): string {
  return ["npm run sim --", `--seed=${seed}`, ...overrides].join(" ");
}

function printFailure(failed: Failed, options: RunOptions, flags: Flags): void {
  print("", `FAILED ${failed.reason}`);
  if (failed.stack !== "") print(failed.stack);
  print(`at ${failed.atMs.toFixed(3)} ms`, ...failed.nodes);
  print(TRACE_HEADER, ...failed.trace);
  print(`replay: ${replayLine(options.seed, flags.overrides)}`);
  if (!flags.minimise) return;
  const small = minimise(options, failed);
  print(`made smaller in ${small.tries} runs; what is left of ${failed.faults.length} faults:`);
  print(...small.faults.map((fault) => `  ${describeFault(fault)}`));
  const kinds = small.kinds.length === 0 ? "none" : small.kinds.join(",");
  const overrides = flags.overrides.filter((flag) => !/^--(faults|without)=/.test(flag));
  overrides.push(`--faults=${kinds}`);
  if (small.without.size > 0) overrides.push(`--without=${[...small.without].join(",")}`);
  print(`replay of the smaller one: ${replayLine(options.seed, overrides)}`);
}

function runSeed(options: RunOptions, flags: Flags): Passed | number {
  const outcome = runOnce(options);
  if (outcome.kind === "failed") {
    print(...swarmLines(outcome.swarm));
    printFailure(outcome, options, flags);
    return outcome.exit;
  }
  if (!flags.twice) return outcome;
  const again = runOnce({ ...options, trace: "off" });
  if (again.kind === "passed" && again.digest === outcome.digest) return outcome;
  print(`FAILED seed ${options.seed} ran differently the second time`);
  print(`replay: ${replayLine(options.seed, flags.overrides)} --twice`);
  return EXIT.nondeterminism;
}

function summary(total: Tally, runs: number, elapsedMs: number): void {
  const perSecond = Math.round((total.of("operations") * 1000) / Math.max(1, elapsedMs));
  print("", `${runs} runs in ${(elapsedMs / 1000).toFixed(1)} s`, ...total.lines());
  print(`  ${"operations per second".padEnd(26)}${String(perSecond).padStart(14)}`);
}

function main(args: readonly string[]): number {
  const flags = readFlags(args);
  if (typeof flags === "string") {
    print(flags === "" ? USAGE : `${flags}\n\n${USAGE}`);
    return flags === "" ? EXIT.ok : EXIT.usage;
  }
  const seed = flags.seed ?? String(randomInt(2 ** 47));
  print(`paxlock ${VERSION} simulator, commit ${commit()}`, `seed ${seed}`);
  if (flags.overrides.length > 0) print(`given ${flags.overrides.join(" ")}`);
  const total = new Tally();
  const startedMs = performance.now();
  const endMs = flags.minutes === null ? Infinity : startedMs + flags.minutes * 60_000;
  let done = 0;
  for (let run = 1; run <= flags.runs && performance.now() < endMs; run += 1) {
    const options: RunOptions = {
      seed: seedOf(seed, run, flags.runs),
      given: flags.given,
      without: flags.without,
      trace: flags.trace,
      write: print,
    };
    const outcome = runSeed(options, flags);
    if (typeof outcome === "number") return outcome;
    if (flags.runs === 1) print(...swarmLines(outcome.swarm), `digest ${outcome.digest}`);
    total.merge(outcome.tally);
    done += 1;
  }
  summary(total, done, performance.now() - startedMs);
  const missing = total.missing();
  if (done < RUNS_TO_BE_VARIED || flags.overrides.length > 0 || missing.length === 0)
    return EXIT.ok;
  print(`FAILED nothing of this happened in ${done} runs: ${missing.join(", ")}`);
  return EXIT.correctness;
}

process.exitCode = main(process.argv.slice(2));
