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
  ["@grpc/grpc-js", "etcd's Lock service in the benchmark, which `etcd3` leaves out"],
  ["@grpc/proto-loader", "reads the description of that service"],
  ["@types/benchmark", "types"],
  ["@types/node", "types, of the oldest Node that is supported"],
  ["@types/node-zookeeper-client", "types"],
  ["@types/redis-parser", "types"],
  ["benchmark", "microbenchmarks"],
  ["cockatiel", "turns off the retries of `etcd3` where failover is timed"],
  ["dependency-cruiser", "holds the layers: who may import whom"],
  ["eslint", "lint"],
  [
    "etcd3",
    "etcd's client in the benchmark: little changes in it, but it is the one that etcd's site names",
  ],
  ["fast-check", "property tests: random input, shrunk when it fails"],
  ["hdr-histogram-js", "quantiles of latencies in the benchmark"],
  ["ioredis5", "a client under test: `ioredis` 5, which speaks RESP2"],
  [
    "node-zookeeper-client",
    "ZooKeeper's client in the benchmark: hardly kept up, but the protocol stands still, and the " +
      "one that is (`zookeeper`) compiles C on every installation",
  ],
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
