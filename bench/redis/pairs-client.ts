/**
 * A process full of `redlock` users: workers that take and free a lock each, over and over.
 *
 * Started by `pairs.ts` with one argument, a {@link PairsOrder} as JSON; prints a
 * {@link PairsResult} as JSON. Every worker has a key of its own, so nobody ever waits for anybody,
 * and any failure is an error of the server.
 */
import { createRequire } from "node:module";
import { Redis } from "ioredis";
import { quantile } from "../statistics.ts";
import type { PairsOrder, PairsResult } from "./pairs.ts";

const LEASE_MS = 30_000;

/** What versions 4 and 5 have in common; neither brings types that resolve in an ES module. */
interface Redlock {
  acquire(resources: readonly string[], leaseMs: number): PromiseLike<object>;
  release(lock: object): PromiseLike<unknown>;
  on(event: "error" | "clientError", listener: (error: Error) => void): void;
}
type RedlockClass = new (
  clients: readonly Redis[],
  settings: { readonly retryCount: number },
) => Redlock;

const order = JSON.parse(process.argv[2] ?? "") as PairsOrder;
const require = createRequire(import.meta.url);

const redis = new Redis({ port: order.port, host: "127.0.0.1" });
const redlock = new (redlockClass())([redis], { retryCount: 0 });
redlock.on("clientError", fail);
redlock.on("error", fail);

const latenciesMs: number[] = [];
let pairsInAll = 0;
const startMs = performance.now() + order.warmUpMs;
const endMs = startMs + order.measureMs;
/** When the last pair that counts was done, or the end of the measurement if that is later. */
let measuredUntilMs = endMs;
let processorBefore = process.cpuUsage();
setTimeout(() => {
  processorBefore = process.cpuUsage();
}, order.warmUpMs);

await Promise.all(Array.from({ length: order.workers }, (_, index) => work(`pair:${index}`)));
const { user, system } = process.cpuUsage(processorBefore);
const result: PairsResult = {
  pairs: latenciesMs.length,
  pairsInAll,
  pairsPerSecond: (latenciesMs.length * 1000) / (measuredUntilMs - startMs),
  p50Ms: quantile(latenciesMs, 0.5),
  p99Ms: quantile(latenciesMs, 0.99),
  clientMicros: (user + system) / latenciesMs.length,
};
console.log(JSON.stringify(result));
redis.disconnect();

async function work(key: string): Promise<void> {
  // On a machine so busy that no pair is done in the time, the first one after it still counts.
  for (let beginMs = performance.now(); beginMs < endMs || latenciesMs.length === 0;) {
    const lock = await redlock.acquire([key], LEASE_MS);
    await redlock.release(lock);
    const nowMs = performance.now();
    pairsInAll += 1;
    if (nowMs >= startMs && (nowMs < endMs || latenciesMs.length === 0)) {
      latenciesMs.push(nowMs - beginMs);
      measuredUntilMs = Math.max(measuredUntilMs, nowMs);
    }
    beginMs = nowMs;
  }
}

function redlockClass(): RedlockClass {
  switch (order.version) {
    case 4:
      return require("redlock4") as RedlockClass;
    case 5:
      return (require("redlock5") as { readonly default: RedlockClass }).default;
  }
}

/** The script that a library tries by its hash first is unknown once; all else is a failure. */
function fail(error: Error): void {
  if (error.message.startsWith("NOSCRIPT")) return;
  console.error(error);
  process.exit(1);
}
