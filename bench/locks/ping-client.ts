/**
 * Sends a PING, waits for its answer and a millisecond, and begins anew, until SIGTERM; then prints
 * {@link PingFigures} as JSON. Started by `listing.ts` with the port and the process of the server; says `pinging` when it is warm.
 */
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { waitedMs } from "../machine.ts";
import { quantile } from "../statistics.ts";
import type { PingFigures } from "./listing.ts";

const PING = "*1\r\n$4\r\nPING\r\n";
const PONG = "+PONG\r\n";
const PAUSE_MS = 1;
const WARM_UP_PINGS = 200;

const server = Number(process.argv[3]);
const times: number[] = [];
const ownTimes: number[] = [];
const stop = new AbortController();
process.once("SIGTERM", () => {
  stop.abort();
});

const socket = connect({ port: Number(process.argv[2]), host: "127.0.0.1", noDelay: true });
let answered: (() => void) | null = null;
socket.on("data", (chunk) => {
  if (chunk.toString("latin1") !== PONG) throw new Error(`PING answered ${chunk.toString()}`);
  answered?.();
});

for (let sent = 0; !stop.signal.aborted; sent += 1) {
  const waitedBefore = waitedMs(process.pid) + waitedMs(server);
  const startedMs = performance.now();
  await new Promise<void>((resolve) => {
    answered = resolve;
    socket.write(PING);
  });
  const tookMs = performance.now() - startedMs;
  if (sent >= WARM_UP_PINGS) {
    times.push(tookMs);
    ownTimes.push(tookMs - (waitedMs(process.pid) + waitedMs(server) - waitedBefore));
  }
  if (sent === WARM_UP_PINGS) console.log("pinging");
  await sleep(PAUSE_MS);
}
const figures: PingFigures = {
  pings: times.length,
  p50Ms: quantile(times, 0.5),
  p99Ms: quantile(times, 0.99),
  longestMs: quantile(times, 1),
  longestOwnMs: quantile(ownTimes, 1),
};
console.log(JSON.stringify(figures));
socket.destroy();
