/**
 * 1,500 clients wait for 15 locks through three nodes; while the locks go from hand to hand one node
 * is killed for good, and another is stopped twice and goes on: once with a majority beside it, once
 * without.
 *
 * The clients of the killed node are gone with it: those in a queue, and who held a lock, cost the
 * others the session timeout at most, as every lock is bound. All others must be granted their lock,
 * each in its place of the queue as LOCK.QUEUE showed it before the first was granted.
 */
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { withPaxlockCluster, type PaxlockCluster } from "../support/paxlock-cluster.ts";
import { RespClient } from "../support/resp-client.ts";
import { RespError, type RespValue } from "../support/resp3-reader.ts";
import { suite } from "../support/suite.ts";

const CLIENTS = 1_500;
const LOCKS = 15;
const WAITERS = CLIENTS / LOCKS;
const NODES = [1, 2, 3] as const;
const KILLED = 1;
const STOPPED = 2;
const SPARED = 3;
/** A lock is kept so long: all hundred turns of one take some seconds. */
const HOLD_MS = 20;
/** Longer than all of it: nothing ends by its own time. */
const LEASE_MS = 300_000;
const WAIT_MS = 300_000;
const CONNECTED_AT_ONCE = 100;
const RETRY_MS = 50;
/** Shorter than the session timeout, after which the node's clients would be given up. */
const STOPPED_MS = 1_500;
const ALL_SERVED_MS = 90_000;
const PROGRESS_MS = 40_000;

/** What the clients of a lock have seen, in the order they saw it. */
class Lock {
  readonly key: string;
  /** As LOCK.QUEUE showed it, the next one first. */
  order: readonly string[] = [];
  readonly granted: { readonly owner: string; readonly token: bigint }[] = [];
  readonly faults: string[] = [];
  #holder: string | null = null;

  constructor(key: string) {
    this.key = key;
  }

  enter(owner: string, token: bigint): void {
    if (this.#holder !== null) {
      this.faults.push(`${this.key}: ${owner} was granted it while ${this.#holder} held it`);
    }
    const last = this.granted.at(-1);
    if (last !== undefined && token <= last.token) {
      this.faults.push(`${this.key}: token ${token} of ${owner} after ${last.token}`);
    }
    this.#holder = owner;
    this.granted.push({ owner, token });
  }

  leave(owner: string): void {
    if (this.#holder === owner) this.#holder = null;
  }
}

type Ending = "served" | "gone" | "refused";

class Client {
  readonly node: number;
  readonly owner: string;
  readonly lock: Lock;
  /** Null while it waits or holds. */
  ending: Ending | null = null;
  /** What it was answered instead of a grant. */
  refusal: RespValue = null;
  readonly #connection: RespClient;

  constructor(connection: RespClient, place: { node: number; owner: string; lock: Lock }) {
    this.#connection = connection;
    this.node = place.node;
    this.owner = place.owner;
    this.lock = place.lock;
  }

  /** Waits for its turn, has it, and is done; ends early when its node is gone. */
  async run(): Promise<void> {
    const { lock, owner } = this;
    try {
      const grant = await this.#connection.call(
        ...["LOCK.ACQUIRE", lock.key, owner, LEASE_MS, "WAIT", WAIT_MS, "BIND"],
      );
      if (!Array.isArray(grant)) {
        this.refusal = grant;
        this.ending = "refused";
        return;
      }
      lock.enter(owner, BigInt(String(grant[0])));
      await sleep(HOLD_MS);
      lock.leave(owner);
      await this.#release();
      this.ending = "served";
    } catch {
      // The connection has ended, and with it whatever was bound to it.
      lock.leave(owner);
      this.ending = "gone";
    } finally {
      this.#connection.close();
    }
  }

  /** Until it is known to be released: an answer that was lost may have been a 1. */
  async #release(): Promise<void> {
    for (;;) {
      const reply = await this.#connection.call("LOCK.RELEASE", this.lock.key, this.owner);
      if (reply === 1 || reply === 0) return;
      if (!(reply instanceof RespError)) throw new Error(`released: ${String(reply)}`);
      await sleep(RETRY_MS);
    }
  }
}

async function connectClients(cluster: PaxlockCluster, locks: readonly Lock[]): Promise<Client[]> {
  const clients: Client[] = [];
  while (clients.length < CLIENTS) {
    const some = Array.from({ length: CONNECTED_AT_ONCE }, async (_, each) => {
      const index = clients.length + each;
      const node = NODES[Math.floor(index / LOCKS) % NODES.length] ?? SPARED;
      const lock = locks[index % LOCKS];
      if (lock === undefined) throw new Error("there is no such lock");
      const port = cluster.clientPort(node);
      const connection = await RespClient.connect({ port, timeoutMs: WAIT_MS });
      return new Client(connection, { node, owner: `client-${index}-of-${node}`, lock });
    });
    clients.push(...(await Promise.all(some)));
  }
  return clients;
}

/** The owners that wait, the next one first. */
async function queueOf(client: RespClient, key: string): Promise<string[]> {
  const queue = await client.call("LOCK.QUEUE", key, "COUNT", CLIENTS);
  if (!Array.isArray(queue)) throw new Error(`LOCK.QUEUE answered ${String(queue)}`);
  return queue.map((waiter) => {
    const fields = waiter as RespValue[];
    return String(fields[fields.indexOf("owner") + 1]);
  });
}

/** Waits until `met`; what `describe` says then is the error otherwise. */
async function until(
  met: () => boolean | Promise<boolean>,
  { limitMs, describe }: { limitMs: number; describe: () => string },
): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!(await met())) {
    if (performance.now() > endMs) throw new Error(`not within ${limitMs} ms: ${describe()}`);
    await sleep(20);
  }
}

suite(
  "cluster/lock storm",
  (test) => {
    test("1,500 clients wait for 15 locks; a node dies, another stops and goes on: order is kept, none is lost", async () => {
      await withPaxlockCluster({}, async (cluster) => {
        const locks = Array.from({ length: LOCKS }, (_, index) => new Lock(`storm:${index}`));
        const gate = await RespClient.connect({ port: cluster.clientPort(SPARED) });
        for (const { key } of locks) {
          const grant = await gate.call("LOCK.ACQUIRE", key, "gate", LEASE_MS);
          assert.ok(Array.isArray(grant), String(grant));
        }
        const clients = await connectClients(cluster, locks);
        const running = clients.map(async (client) => client.run());
        for (const lock of locks) {
          await until(
            async () => {
              lock.order = await queueOf(gate, lock.key);
              return lock.order.length === WAITERS;
            },
            {
              limitMs: PROGRESS_MS,
              describe: () => `${lock.key} has ${lock.order.length} waiters`,
            },
          );
        }
        const served = (): number => locks.reduce((sum, { granted }) => sum + granted.length, 0);
        const describe = (): string => {
          const open = clients.filter(({ node, ending }) => node !== KILLED && ending === null);
          return `${served()} were granted, ${open.length} still wait: ${open
            .slice(0, 20)
            .map(({ owner, lock }) => `${owner} for ${lock.key}`)
            .join(", ")}`;
        };

        for (const { key } of locks) assert.is(await gate.call("LOCK.RELEASE", key, "gate"), 1);
        await until(() => served() > CLIENTS / 10, { limitMs: PROGRESS_MS, describe });
        cluster.node(STOPPED).signal("SIGSTOP");
        await sleep(STOPPED_MS);
        cluster.node(STOPPED).signal("SIGCONT");
        await until(() => served() > CLIENTS / 4, { limitMs: PROGRESS_MS, describe });
        await cluster.node(KILLED).kill("SIGKILL");
        const servedAtKill = served();
        await sleep(100);
        cluster.node(STOPPED).signal("SIGSTOP");
        await sleep(STOPPED_MS);
        cluster.node(STOPPED).signal("SIGCONT");
        const survivors = clients.filter(({ node }) => node !== KILLED);
        await until(() => survivors.every(({ ending }) => ending !== null), {
          limitMs: ALL_SERVED_MS,
          describe,
        });
        await Promise.all(running);

        const refused = survivors.filter(({ ending }) => ending !== "served");
        assert.equal(
          refused.map(({ owner, ending, refusal }) => `${owner} ${ending ?? ""} ${show(refusal)}`),
          [],
        );
        assert.ok(servedAtKill < CLIENTS / 2, `all but over when the node died: ${servedAtKill}`);
        const alive = new Set(survivors.map(({ owner }) => owner));
        for (const lock of locks) {
          assert.equal(lock.faults, []);
          assert.equal(
            lock.granted.map(({ owner }) => owner).filter((owner) => alive.has(owner)),
            lock.order.filter((owner) => alive.has(owner)),
            `the order of ${lock.key}`,
          );
        }
        // Nothing stays of those who are gone.
        await until(async () => (await gate.call("DBSIZE")) === 0, {
          limitMs: PROGRESS_MS,
          describe: () => "locks of the dead are held",
        });
        for (const { key } of locks) assert.equal(await queueOf(gate, key), []);
        gate.close();
      });
    });
  },
  { timeoutMs: 300_000 },
);

function show(value: RespValue): string {
  return value instanceof RespError ? value.message : String(value);
}
