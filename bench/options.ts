/** The command line of `npm run bench`. */
import { parseArgs } from "node:util";

export const SECTIONS = ["redis", "memory", "locks", "micro"] as const;
/** Sections that run only when they are named. */
const NAMED_SECTIONS = ["peers", "profile"] as const;
export type Section = (typeof SECTIONS)[number] | (typeof NAMED_SECTIONS)[number];

export interface BenchOptions {
  readonly sections: readonly Section[];
  /** A smoke run of seconds, whose figures are not judged. */
  readonly short: boolean;
  readonly rounds: number;
  /** Where to write all figures, or null. */
  readonly json: string | null;
  /** Where to draw the comparison with peers, or null. */
  readonly svg: string | null;
  /** Folder on the disk to measure, in which the run makes a folder of its own; null for `.tmp`. */
  readonly directory: string | null;
}

/** Medians of fewer mean nothing. */
const ROUNDS_MIN = 3;
const ROUNDS_MAX = 99;

export const USAGE = `npm run bench -- [redis|memory|locks|micro|peers|profile] [options]

  redis          Paxlock beside redis-server --appendonly yes --appendfsync always
  memory         memory for each held lock, time of a restart with all of them
  locks          clients that wait: hand-offs through three nodes, long queues, LOCK.LIST
  micro          parts alone: bench/micro/*.ts
  peers          Paxlock beside etcd, ZooKeeper, redlock over five Redis, and one Redis;
                 some 20 minutes
  profile        where the server's time goes, with 50 clients and with 50 × pipeline 16
                 (all but peers and profile without one of these words)

  --short        a smoke run of seconds; figures are not judged
  --rounds <n>   rounds of comparisons and of the hand-offs, ${ROUNDS_MIN} to ${ROUNDS_MAX} (default ${ROUNDS_MIN}; with --short 1)
  --json <file>  writes all figures there as well
  --svg <file>   draws the comparison with peers there
  --dir <folder> where data is kept during the run, and profiles after it; choose the disk
                 (default .tmp)
  --help         this text
`;

export type ParsedOptions =
  | { readonly kind: "run"; readonly options: BenchOptions }
  | { readonly kind: "help" }
  | { readonly kind: "wrong"; readonly message: string };

/** Reads the arguments after `npm run bench --`. */
export function parseOptions(args: readonly string[]): ParsedOptions {
  let parsed;
  try {
    parsed = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        short: { type: "boolean", default: false },
        rounds: { type: "string" },
        json: { type: "string" },
        svg: { type: "string" },
        dir: { type: "string" },
        help: { type: "boolean", short: "h", default: false },
      },
    });
  } catch (thrown) {
    return { kind: "wrong", message: thrown instanceof Error ? thrown.message : String(thrown) };
  }
  const { values, positionals } = parsed;
  if (values.help) return { kind: "help" };
  const sections: Section[] = [];
  for (const name of positionals) {
    const section = [...SECTIONS, ...NAMED_SECTIONS].find((known) => known === name);
    if (section === undefined) return { kind: "wrong", message: `unknown benchmark "${name}"` };
    sections.push(section);
  }
  const rounds = values.rounds === undefined ? null : Number(values.rounds);
  if (
    rounds !== null &&
    !(Number.isInteger(rounds) && rounds >= ROUNDS_MIN && rounds <= ROUNDS_MAX)
  ) {
    return { kind: "wrong", message: `--rounds must be ${ROUNDS_MIN} to ${ROUNDS_MAX}` };
  }
  if (values.svg !== undefined && !sections.includes("peers")) {
    return { kind: "wrong", message: "--svg draws what the benchmark of peers measures" };
  }
  return {
    kind: "run",
    options: {
      sections: sections.length === 0 ? SECTIONS : sections,
      short: values.short,
      rounds: rounds ?? (values.short ? 1 : ROUNDS_MIN),
      json: values.json ?? null,
      svg: values.svg ?? null,
      directory: values.dir ?? null,
    },
  };
}
