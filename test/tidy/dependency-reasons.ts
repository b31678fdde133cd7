/** Why each npm package is there. `docs.test.ts` compares the names with `package.json`. */

/** What `npm install --omit=dev` brings. */
export const DEPENDENCY_REASONS: ReadonlyMap<string, string> = new Map([
  ["ioredis", "the connection of `paxlock/client`: protocol, TLS, greeting"],
  ["lmdb", "the database: atomic commits, read views, recovery after a crash"],
  ["pino", "structured logs"],
  ["pino-pretty", "the same logs for people, where standard output is a terminal"],
  ["wasmoon-lua5.1", "Lua 5.1 as WebAssembly; its `.wasm` alone is used, by its C API"],
]);

/** What building, testing and measuring needs. */
export const DEV_DEPENDENCY_REASONS: ReadonlyMap<string, string> = new Map([
  ["@types/benchmark", "types"],
  ["@types/node", "types, of the oldest Node that is supported"],
  ["@types/redis-parser", "types"],
  ["benchmark", "microbenchmarks"],
  ["dependency-cruiser", "holds the layers: who may import whom"],
  ["eslint", "lint"],
  ["fast-check", "property tests: random input, shrunk when it fails"],
  ["ioredis5", "a client under test: `ioredis` 5, which speaks RESP2"],
  ["prettier", "format"],
  ["redis", "a client under test (node-redis)"],
  ["redis-parser", "the oracle of the request decoder, and its rival in the benchmark"],
  ["redis-semaphore", "a lock library under test"],
  ["redlock4", "a lock library under test: `redlock` 4"],
  ["redlock5", "a lock library under test: `redlock` 5"],
  ["tsx", "runs TypeScript in tests and benchmarks"],
  ["typescript", "compiler and type checks"],
  ["typescript-eslint", "lint rules that know types, floating promises first"],
  ["uvu", "test runner"],
]);
