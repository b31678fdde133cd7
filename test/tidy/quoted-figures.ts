/**
 * Figures that the README quotes from code, comments and tests, each with the words around it on
 * both sides. When one side changes, the test that reads this list says so.
 */

export interface QuotedFigure {
  /** As it stands in the README. */
  readonly readme: string;
  readonly file: string;
  /** As it stands in the file; line ends and comment stars count as spaces. */
  readonly source: string;
}

const CRASH = "test/crash/crash.e2e.ts";
const LIMITS = "src/base/limits.ts";
const SIMULATION = "test/paxos/simulation.test.ts";

export const QUOTED_FIGURES: readonly QuotedFigure[] = [
  { readme: "With Node 20.12 or later", file: "package.json", source: '"node": ">=20.12"' },
  {
    readme: "40,000 entries",
    file: "test/machine/machine.twin.test.ts",
    source: 'process.env["MACHINE_TWIN_ENTRIES"] ?? 40_000',
  },
  { readme: "50 rounds, 24", file: CRASH, source: 'process.env["CRASH_ROUNDS"] ?? 50' },
  { readme: "24 connections", file: CRASH, source: "const WORKERS = 24;" },
  { readme: "`CRASH_SEED`", file: CRASH, source: 'process.env["CRASH_SEED"]' },
  {
    readme: "25 rounds on the storage alone",
    file: "test/storage/lmdb-storage.e2e.ts",
    source: "const ROUNDS = 25;",
  },
  { readme: "1,200 and 400 seeds", file: SIMULATION, source: "nodes: 3, seeds: 1_200" },
  { readme: "1,200 and 400 seeds", file: SIMULATION, source: "nodes: 5, seeds: 400" },
  { readme: "700 and 300 with members", file: SIMULATION, source: "changing: true, seeds: 700" },
  { readme: "700 and 300 with members", file: SIMULATION, source: "growing: true, seeds: 300" },
  { readme: "some 10 ms after its end", file: LIMITS, source: "EXPIRY_INTERVAL_MS = 10;" },
  { readme: "every 500 ms", file: LIMITS, source: "STORAGE_RETRY_MS = 500;" },
  { readme: "after 5 seconds", file: LIMITS, source: "STORAGE_PATIENCE_MS = 5_000;" },
  { readme: "every 5 seconds", file: LIMITS, source: "TIME_CARRIED_INTERVAL_MS = 5_000;" },
  { readme: "up to 5 seconds more", file: LIMITS, source: "TIME_CARRIED_INTERVAL_MS = 5_000;" },
  {
    readme: "at most 1 GB a node",
    file: LIMITS,
    source: "NODE_STATE_BYTES_MAX = 1024 * 1024 * 1024;",
  },
  { readme: "at most 2^52 ms", file: LIMITS, source: "EXPIRE_MS_MAX = 2 ** 52;" },
  {
    readme: "at most 2 ms late",
    file: "src/machine/keyspace/item.ts",
    source: "it lives at least its 5 ms and at most 2 ms more",
  },
  {
    readme: "a commit of 200 bytes takes 84 µs in a file of written zeros",
    file: "src/storage/log-thread.ts",
    source: "a commit of 200 bytes takes 84 µs in a file of written zeros",
  },
  {
    readme: "costs the main thread some 14 µs, through Node's own pool 22 µs",
    file: "src/storage/log-thread.ts",
    source: "costs the main thread some 14 µs, through Node's own pool 22 µs",
  },
  {
    readme: "9.8 million commands a second here and 1.9 there",
    file: "src/resp/decoder.ts",
    source: "pipelines of 500 came to 9.8 million commands a second here and 1.9 there",
  },
  {
    readme: "with a key of 20 bytes and a uuid, 4.6 and 2.4",
    file: "src/resp/decoder.ts",
    source: "with a key of 20 bytes and a uuid to 4.6 and 2.4",
  },
  {
    readme: "some 75 KB",
    file: "src/machine/script/lua-vm.ts",
    source: "(an *image*, some 75 KB)",
  },
  {
    readme: "takes about 1 µs",
    file: "src/machine/script/lua-vm.ts",
    source: "copies its image back, which takes about 1 µs",
  },
  {
    readme: "took 16 µs for a compare-and-delete",
    file: "src/machine/script/lua-module.ts",
    source: "costs 16 µs per compare-and-delete",
  },
  {
    readme: "The node says it is Redis 8.4.0",
    file: "src/commands/redis-version.ts",
    source: 'REDIS_VERSION = "8.4.0"',
  },
  {
    readme: "16 for how often its key changed group, 48 for the group's count of grants",
    file: "src/machine/state.ts",
    source: "16 bits of group changes and 48 of the group's grant counter",
  },
  {
    readme: "0 stopped in order, 1 could not start or go on, 2 wrong option, 70 a bug",
    file: "src/cli/help.ts",
    source: "0 stopped in order, 1 could not start or go on, 2 wrong option, 70 bug",
  },
  {
    readme: "redis-server --appendonly yes --appendfsync always",
    file: "bench/lock-server.ts",
    source: '"--appendonly", "yes", "--appendfsync", "always"',
  },
  { readme: "in three rounds or more", file: "bench/options.ts", source: "ROUNDS_MIN = 3;" },
  {
    readme: "random keys of a million",
    file: "bench/redis/measurements.ts",
    source: "keyspace: 1_000_000",
  },
];

/** Text with every run of spaces, line ends and comment stars as one space. */
export function unbroken(text: string): string {
  return text.replace(/\s*\n\s*(\*|\/\/)(?!\/)\s?/g, " ").replace(/\s+/g, " ");
}
