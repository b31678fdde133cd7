/** The workloads of a comparison of peers, on lock services of a few lines. */
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import type { LockClient, Release } from "../../bench/peers/clients/contract.ts";
import type { ClientOrder, HeldStep, Step, StepResult } from "../../bench/peers/order.ts";
import { runOutage } from "../../bench/peers/outage.ts";
import type { RunningService, Service } from "../../bench/peers/servers/contract.ts";
import { Services } from "../../bench/peers/services.ts";
import { runOrder } from "../../bench/peers/workloads.ts";
import { suite } from "../support/suite.ts";

/** A service whose locks are taken by `acquire`; it counts the connections that are open. */
class FakeClient implements LockClient {
  connections = 0;
  connectionsMax = 0;
  readonly prepared: string[] = [];
  readonly #acquire: (key: string) => Promise<Release>;

  constructor(acquire: (key: string) => Promise<Release>) {
    this.#acquire = acquire;
  }

  connect(): ReturnType<LockClient["connect"]> {
    this.connections += 1;
    this.connectionsMax = Math.max(this.connectionsMax, this.connections);
    return Promise.resolve({
      acquire: this.#acquire,
      close: () => {
        this.connections -= 1;
        return Promise.resolve();
      },
    });
  }

  prepare(keys: readonly string[]): Promise<void> {
    this.prepared.push(...keys);
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Locks that are kept, with a queue each. */
function queueingLocks(): (key: string) => Promise<Release> {
  const tails = new Map<string, Promise<void>>();
  return async (key) => {
    const before = tails.get(key) ?? Promise.resolve();
    let done = (): void => undefined;
    tails.set(
      key,
      new Promise((resolve) => {
        done = resolve;
      }),
    );
    await before;
    await sleep(1);
    return () => {
      done();
      return sleep(1);
    };
  };
}

/** Grants whatever is asked for after a time. */
function grantsAfter(ms: number): (key: string) => Promise<Release> {
  return async () => {
    await sleep(ms);
    return () => Promise.resolve();
  };
}

async function run(client: LockClient, ...steps: readonly Step[]): Promise<StepResult[]> {
  const order: ClientOrder = {
    client: "redis-script",
    targets: [[1], [2], [3]],
    firstTarget: 1,
    serverPids: [process.pid],
    name: "test",
    steps,
  };
  const results: StepResult[] = [];
  await runOrder(client, order, (result) => results.push(result));
  return results;
}

async function failureOf(running: Promise<unknown>): Promise<string> {
  try {
    await running;
  } catch (thrown) {
    return String(thrown);
  }
  return "nothing failed";
}

const MOMENT = { warmUpMs: 20, measureMs: 150 } as const;
const HELD: HeldStep = { kind: "held", connections: 4, everyMs: 50, holdMs: 100, ...MOMENT };

suite("benchmark workloads", (test) => {
  test("pairs go over one connection to each server, on keys that were prepared", async () => {
    const asked = new Set<string>();
    const locks = queueingLocks();
    const client = new FakeClient((key) => {
      asked.add(key);
      return locks(key);
    });

    const [result] = await run(client, { kind: "pairs", workers: 8, ...MOMENT });

    assert.is(client.connectionsMax, 3);
    assert.is(client.connections, 0, "all are closed");
    assert.ok([...asked].every((key) => client.prepared.includes(key)));
    assert.ok(result !== undefined && result.pairs > 8 && result.fewestTurns > 0);
    assert.ok(result.seconds >= 0.149);
    assert.ok(result.acquire.p50Ms >= 0.9, "a millisecond that was waited is seen");
  });

  test("who shares locks has a connection of his own, and everybody has his turn", async () => {
    const client = new FakeClient(queueingLocks());
    const step = { kind: "contended", workers: 12, locks: 3, holdMs: 2, ...MOMENT } as const;

    const [first, second] = await run(client, step, { ...step, holdMs: 0 });

    assert.is(client.connectionsMax, 12);
    assert.ok(first !== undefined && second !== undefined);
    assert.ok(second.mostTurns - second.fewestTurns <= 1, "a queue is fair");
    assert.ok(first.acquire.p50Ms > 3 * 2, "three others keep the lock before it is one's turn");
  });

  test("a lock that two workers hold at once ends the run", async () => {
    const client = new FakeClient(grantsAfter(1));
    const step = { kind: "contended", workers: 2, locks: 1, holdMs: 20, ...MOMENT } as const;
    assert.match(await failureOf(run(client, step)), "two workers hold test-0-0");
  });

  test("a refused release ends the run", async () => {
    for (const step of [{ kind: "pairs", workers: 1, ...MOMENT } as const, HELD]) {
      const client = new FakeClient(() =>
        Promise.resolve(() => Promise.reject(new Error("not held"))),
      );
      assert.not.match(await failureOf(run(client, step)), "nothing failed");
    }
  });

  test("where no pair is done in the time, the first one after it counts", async () => {
    const client = new FakeClient(grantsAfter(300));
    const [result] = await run(client, { kind: "pairs", workers: 1, ...MOMENT });
    assert.is(result?.pairs, 1);
    assert.ok((result?.seconds ?? 0) > 0.2);
  });

  test("connections that hold locks take them by the clock and keep them for their time", async () => {
    const client = new FakeClient(grantsAfter(0));
    const [result] = await run(client, { ...HELD, warmUpMs: 150, measureMs: 500 });
    assert.ok(result !== undefined);
    // Four connections, each taking a lock every 50 ms: 80 in a second, eight of them held.
    const perSecond = result.acquire.count / result.seconds;
    assert.ok(perSecond > 40 && perSecond <= 90, `${perSecond} taken in a second`);
    assert.ok(result.heldAtEnd >= 4 && result.heldAtEnd <= 12, `${result.heldAtEnd} held`);
  });

  test("what a slow service cannot be asked for is missed, and waiting counts from when it was due", async () => {
    const client = new FakeClient(grantsAfter(120));
    const [result] = await run(client, { ...HELD, warmUpMs: 150, measureMs: 500 });
    assert.ok(result !== undefined && result.missed > 0);
    assert.ok(result.acquire.p50Ms >= 119);
  });

  test("the gap of an outage is as long as locks could not be had", async () => {
    let downUntilMs = 0;
    const client = new FakeClient(async () => {
      if (performance.now() < downUntilMs) throw new Error("down");
      await sleep(1);
      return () => Promise.resolve();
    });
    let tellKilled = (): void => undefined;
    const killed = new Promise<void>((resolve) => {
      tellKilled = resolve;
    });

    const { gapsMs, failed } = await runOutage(
      client,
      { client: "redis-script", targets: [[1], [2]], name: "test", workers: 3 },
      {
        ready: () => {
          downUntilMs = performance.now() + 400;
          tellKilled();
        },
        killed,
      },
    );

    assert.is(gapsMs.length, 3);
    for (const gapMs of gapsMs) assert.ok(gapMs >= 390, `${gapMs} ms`);
    assert.ok(failed > 3);
    assert.is(client.connections, 0, "connections that were given up are closed");
  });
});

suite("benchmark services", (test) => {
  test("one that does not start is told, and the others go on", async () => {
    const stopped: string[] = [];
    const service = (id: Service["id"], start: () => Promise<RunningService>): Service => ({
      id,
      name: id,
      missing: () => [],
      title: () => id,
      start,
    });
    const running = (id: string) => (): Promise<RunningService> =>
      Promise.resolve({
        ports: [1],
        pids: () => [process.pid],
        stop: () => {
          stopped.push(id);
          return Promise.resolve();
        },
      });
    const told: string[] = [];

    const services = await Services.start(
      [
        service("etcd", () => Promise.reject(new Error("broken"))),
        service("paxlock", running("paxlock")),
      ],
      {
        directory: "unused",
        atOnce: false,
        failed: (id, thrown) => told.push(`${id}: ${String(thrown)}`),
      },
    );
    await services.stop();

    assert.equal(told, ["etcd: Error: broken"]);
    assert.is(services.get("etcd"), null);
    assert.is.not(services.get("paxlock"), null);
    assert.equal(stopped, ["paxlock"]);
  });
});
