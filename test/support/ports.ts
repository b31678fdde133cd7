/** TCP ports for servers under test. */
import { createServer } from "node:net";

/** Ports that this process was given, and on which nobody may listen yet. */
const given = new Set<number>();

/** Below those that the system gives to connections: one of them could take the port meanwhile. */
const FIRST = 10_000;
const COUNT = 22_000;

/**
 * A loopback port that was free a moment ago, another one each time. Another process may take it
 * first, so a caller that starts a server on it should try again when the server finds it taken.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * COUNT);
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
}

/**
 * The first of `count` loopback ports in a row that were free a moment ago, and so were those
 * `distance` above each.
 */
export async function freePortRange(count: number, distance: number): Promise<number> {
  for (;;) {
    const first = FIRST + Math.floor(Math.random() * (COUNT - count - distance));
    const ports = Array.from({ length: count }, (_, step) => [
      first + step,
      first + step + distance,
    ]);
    if ((await Promise.all(ports.flat().map(isFree))).every(Boolean)) return first;
  }
}

/** Waits until nobody listens on a loopback port. */
export async function untilFree(port: number, limitMs: number): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!(await isFree(port))) {
    if (performance.now() > endMs) throw new Error(`port ${port} is still taken`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => {
      resolve(false);
    });
    server.listen(port, "127.0.0.1", () => {
      server.close(() => {
        resolve(true);
      });
    });
  });
}
