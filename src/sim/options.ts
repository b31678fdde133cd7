/** The flags of `npm run sim`. */
import { parseArgs } from "node:util";
import type { FaultKind, Swarm } from "./swarm.ts";
import { DRIFT_BEYOND, FAULT_KINDS } from "./swarm.ts";
import type { TraceLevel } from "./trace.ts";

export interface Flags {
  /** Null: one is drawn from the system. */
  readonly seed: string | null;
  readonly runs: number;
  /** Ends with the run that is on its way then; null for no limit. */
  readonly minutes: number | null;
  readonly given: Partial<Swarm>;
  readonly without: ReadonlySet<number>;
  readonly trace: TraceLevel;
  /** Run everything twice and compare the digests. */
  readonly twice: boolean;
  /** Whether a failing run is made small. */
  readonly minimise: boolean;
  /** The flags that change what a run does, as they were given. */
  readonly overrides: readonly string[];
}

export const USAGE = `npm run sim -- [flags]

  --seed=TEXT        decides everything; a git hash will do. Default: drawn, and printed first
  --runs=N           runs, each with a seed of its own made from --seed. Default 1
  --minutes=N        stop beginning runs after so many minutes
  --nodes=N          3 or 5, or any number from 1 to 9
  --groups=N         groups, 1 to 16
  --ticks=N          virtual milliseconds under faults
  --clients=N        clients, 1 to 1000
  --lock-clients=N   clients that wait for locks, 0 to 1000
  --faults=A,B       of network, disk, clock, crash, pause, handover, members; or none
  --without=N,N      leave out planned faults by number
  --drift=beyond     clocks drift further than assumed: runs must fail
  --trace=LEVEL      full, short or off. Default off
  --twice            run each seed twice and compare
  --no-minimise      do not make a failing run smaller

Exit codes: 0 ok, 10 correctness, 11 liveness, 12 crash, 13 nondeterminism, 2 usage.`;

/** Reads the flags, or says what is wrong with them. */
export function readFlags(args: readonly string[]): Flags | string {
  let values: Record<string, string | boolean | undefined>;
  try {
    values = parseArgs({
      args: [...args],
      strict: true,
      options: {
        seed: { type: "string" },
        runs: { type: "string" },
        minutes: { type: "string" },
        nodes: { type: "string" },
        groups: { type: "string" },
        ticks: { type: "string" },
        clients: { type: "string" },
        "lock-clients": { type: "string" },
        faults: { type: "string" },
        without: { type: "string" },
        drift: { type: "string" },
        trace: { type: "string" },
        twice: { type: "boolean" },
        "no-minimise": { type: "boolean" },
        help: { type: "boolean" },
      },
    }).values;
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
  if (values["help"] === true) return "";
  return new Reader(values).read();
}

class Reader {
  readonly #values: Readonly<Record<string, string | boolean | undefined>>;
  #problem: string | null = null;
  readonly #overrides: string[] = [];

  constructor(values: Readonly<Record<string, string | boolean | undefined>>) {
    this.#values = values;
  }

  read(): Flags | string {
    const given: { -readonly [Name in keyof Swarm]?: Swarm[Name] } = {};
    const numbers = {
      nodes: this.#number("nodes", 1, 9, true),
      groups: this.#number("groups", 1, 16, true),
      ticks: this.#number("ticks", 100, 100_000_000, true),
      clients: this.#number("clients", 1, 1_000, true),
      lockClients: this.#number("lock-clients", 0, 1_000, true),
    };
    for (const name of ["nodes", "groups", "ticks", "clients", "lockClients"] as const) {
      const value = numbers[name];
      if (value !== null) given[name] = value;
    }
    const faults = this.#faults();
    if (faults !== null) given.faults = faults;
    if (this.#choice("drift", ["beyond"], true) === "beyond") {
      given.driftPpm = 20_000;
      given.driftFactor = DRIFT_BEYOND;
    }
    const flags: Flags = {
      seed: this.#text("seed"),
      runs: this.#number("runs", 1, 10_000_000, false) ?? 1,
      minutes: this.#number("minutes", 1, 100_000, false),
      given,
      without: new Set(this.#list("without").map(Number)),
      trace: (this.#choice("trace", ["full", "short", "off"], false) ?? "off") as TraceLevel,
      twice: this.#values["twice"] === true,
      minimise: this.#values["no-minimise"] !== true,
      overrides: this.#overrides,
    };
    return this.#problem ?? flags;
  }

  #text(name: string): string | null {
    const value = this.#values[name];
    if (value === "") this.#problem ??= `--${name} is empty`;
    return typeof value === "string" ? value : null;
  }

  #number(name: string, least: number, most: number, overrides: boolean): number | null {
    const text = this.#text(name);
    if (text === null) return null;
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < least || value > most) {
      this.#problem ??= `--${name} is a whole number from ${least} to ${most}, not '${text}'`;
    }
    if (overrides) this.#overrides.push(`--${name}=${text}`);
    return value;
  }

  #choice(name: string, choices: readonly string[], overrides: boolean): string | null {
    const text = this.#text(name);
    if (text === null) return null;
    if (!choices.includes(text)) {
      this.#problem ??= `--${name} is ${choices.join(" or ")}, not '${text}'`;
    }
    if (overrides) this.#overrides.push(`--${name}=${text}`);
    return text;
  }

  #list(name: string): readonly string[] {
    const text = this.#text(name);
    if (text === null) return [];
    this.#overrides.push(`--${name}=${text}`);
    return text.split(",");
  }

  #faults(): readonly FaultKind[] | null {
    if (this.#text("faults") === null) return null;
    const names = this.#list("faults");
    if (names.length === 1 && names[0] === "none") return [];
    for (const name of names) {
      if (FAULT_KINDS.some((kind) => kind === name)) continue;
      this.#problem ??= `--faults is none or some of ${FAULT_KINDS.join(",")}, not '${name}'`;
    }
    return FAULT_KINDS.filter((kind) => names.includes(kind));
  }
}
