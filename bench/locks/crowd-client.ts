/**
 * A process full of clients that wait in line: each takes its lock with LOCK.ACQUIRE and WAIT, keeps
 * it, releases it, and stands in line again, over a connection of its own.
 *
 * Started by `crowd.ts` with one argument, a {@link CrowdOrder} as JSON; prints {@link BEGIN} and
 * {@link END} around the time that is measured, then {@link CrowdFigures} as JSON. All clients of a
 * lock are in this one process, so one clock sees a release and the grant that follows.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import RedisParser from "redis-parser";
import { encodeCommand } from "../../test/support/resp-client.ts";
import { quantile } from "../statistics.ts";
import { BEGIN, END, type CrowdFigures, type CrowdOrder, type HandOffTimes } from "./crowd.ts";

const LEASE_MS = 60_000;
const WAIT_MS = 120_000;
/** Connections opened at once: a crowd that comes at a moment would overflow the listen queue. */
const CONNECTED_AT_ONCE = 100;

const order = JSON.parse(process.argv[2] ?? "") as CrowdOrder;

/** A lock as its clients see it. */
class Lock {
  readonly key: string;
  #token = 0n;
  #holder: Client | null = null;
  /** Who released it last, and when; null before the first release. */
  #released: { readonly port: number; readonly atMs: number } | null = null;

  constructor(key: string) {
    this.key = key;
  }

  granted(client: Client, token: bigint): void {
    if (this.#holder !== null) throw new Error(`two clients hold ${this.key}`);
    if (token <= this.#token) throw new Error(`${this.key}: token ${token} after ${this.#token}`);
    this.#holder = client;
    this.#token = token;
    const released = this.#released;
    if (!measuring || released === null) return;
    const times = released.port === client.port ? sameNodeMs : otherNodeMs;
    times.push(performance.now() - released.atMs);
  }

  released(client: Client): void {
    this.#holder = null;
    this.#released = { port: client.port, atMs: performance.now() };
  }
}

class Client {
  readonly port: number;
  turns = 0;
  readonly #lock: Lock;
  readonly #socket: Socket;
  readonly #acquire: string;
  readonly #release: string;
  #holdsSinceMs: number | null = null;

  constructor(port: number, { lock, owner }: { readonly lock: Lock; readonly owner: string }) {
    this.port = port;
    this.#lock = lock;
    this.#acquire = encodeCommand(["LOCK.ACQUIRE", lock.key, owner, LEASE_MS, "WAIT", WAIT_MS]);
    this.#release = encodeCommand(["LOCK.RELEASE", lock.key, owner]);
    const parser = new RedisParser({
      returnReply: (reply: unknown) => {
        this.#answered(reply);
      },
      returnError: fail,
      returnFatalError: fail,
    });
    this.#socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.#socket.on("error", fail);
    this.#socket.on("data", (chunk) => {
      parser.execute(chunk);
    });
  }

  async connected(): Promise<void> {
    await once(this.#socket, "connect");
  }

  ask(): void {
    this.#socket.write(this.#acquire);
  }

  #answered(reply: unknown): void {
    if (this.#holdsSinceMs === null) this.#granted(reply);
    else this.#released(reply);
  }

  #granted(reply: unknown): void {
    if (!Array.isArray(reply)) throw new Error(`LOCK.ACQUIRE answered ${String(reply)}`);
    this.#lock.granted(this, BigInt(String(reply[0])));
    this.#holdsSinceMs = performance.now();
    if (order.holdMs > 0) setTimeout(this.#letGo, order.holdMs);
    else this.#letGo();
  }

  readonly #letGo = (): void => {
    if (measuring) {
      this.turns += 1;
      heldMs += performance.now() - (this.#holdsSinceMs ?? NaN);
    }
    this.#lock.released(this);
    this.#socket.write(this.#release);
  };

  #released(reply: unknown): void {
    if (reply !== 1) throw new Error(`LOCK.RELEASE answered ${String(reply)}`);
    this.#holdsSinceMs = null;
    if (order.restMsMax === 0) this.ask();
    else
      setTimeout(() => {
        this.ask();
      }, Math.random() * order.restMsMax);
  }
}

const sameNodeMs: number[] = [];
const otherNodeMs: number[] = [];
let measuring = false;
let heldMs = 0;

const locks = Array.from({ length: order.locks }, (_, index) => new Lock(`${order.name}:${index}`));
const clients: Client[] = [];
while (clients.length < order.clients) {
  const next = Math.min(CONNECTED_AT_ONCE, order.clients - clients.length);
  const some = Array.from({ length: next }, (_, index) => newClient(clients.length + index));
  await Promise.all(some.map(async (client) => client.connected()));
  clients.push(...some);
}
// At random times, so that the clients of a lock stand in its queue whatever their node.
for (const client of clients) {
  setTimeout(
    () => {
      client.ask();
    },
    Math.random() * (order.warmUpMs / 2),
  );
}
await sleep(order.warmUpMs);

const processorBefore = process.cpuUsage();
const beganMs = performance.now();
measuring = true;
process.stdout.write(BEGIN);
await sleep(order.measureMs);
measuring = false;
const seconds = (performance.now() - beganMs) / 1000;
const { user, system } = process.cpuUsage(processorBefore);
process.stdout.write(END);

const turns = clients.map((client) => client.turns);
const handOffs = turns.reduce((sum, count) => sum + count, 0);
if (handOffs === 0) fail(new Error("nobody was granted a lock in the time measured"));
const figures: CrowdFigures = {
  handOffs,
  seconds,
  heldMs: heldMs / handOffs,
  sameNode: timesOf(sameNodeMs),
  otherNode: timesOf(otherNodeMs),
  fewestTurns: Math.min(...turns),
  mostTurns: Math.max(...turns),
  clientMicros: (user + system) / handOffs,
};
process.stdout.write(`${JSON.stringify(figures)}\n`, () => process.exit(0));

function newClient(index: number): Client {
  const lock = locks[index % locks.length];
  const port = order.ports[Math.floor(index / locks.length) % order.ports.length];
  if (port === undefined || lock === undefined) throw new Error("there is no node or no lock");
  return new Client(port, { lock, owner: `client-${index}` });
}

function timesOf(values: readonly number[]): HandOffTimes {
  return { count: values.length, p50Ms: quantile(values, 0.5), p99Ms: quantile(values, 0.99) };
}

function fail(error: Error): void {
  console.error(error);
  process.exit(1);
}
