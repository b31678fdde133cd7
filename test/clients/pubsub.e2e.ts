/**
 * Publish and subscribe through clients as they are: ioredis 5 (RESP2) and 6 (RESP3), node-redis 6. The
 * subscriber is at one node of three, the others do the work.
 */
import { once } from "node:events";
import type { Redis } from "ioredis";
import { Redis as Ioredis6 } from "ioredis";
import { Redis as Ioredis5 } from "ioredis5";
import { createClient } from "redis";
import * as assert from "uvu/assert";
import { groupOfSlot, hashSlot } from "../../src/cluster/hash-slot.ts";
import { withPaxlockCluster, type PaxlockCluster } from "../support/paxlock-cluster.ts";
import { withPaxlock } from "../support/paxlock-process.ts";
import type { RespClient } from "../support/resp-client.ts";
import { suite } from "../support/suite.ts";
import type { RedisClass } from "./ioredis-rules.ts";
import { RECONNECT_MS, until } from "./support.ts";

/** What a subscriber was sent: channel and message, latin-1. */
type Heard = (readonly [channel: string, message: string])[];

/** A subscriber of any library. */
interface Subscriber {
  readonly heard: Heard;
  subscribe(channel: string): Promise<void>;
  unsubscribe(channel: string): Promise<void>;
  psubscribe(pattern: string): Promise<void>;
  close(): void;
}

interface Library {
  readonly name: string;
  open(port: number): Promise<Subscriber>;
}

function ioredis(name: string, Client: RedisClass): Library {
  return {
    name,
    open: async (port) => {
      const client: Redis = new Client({ port, retryStrategy: () => 100 });
      client.on("error", () => undefined);
      await once(client, "ready");
      const heard: Heard = [];
      client.on("messageBuffer", (channel: Buffer, message: Buffer) => {
        heard.push([channel.toString("latin1"), message.toString("latin1")]);
      });
      client.on("pmessageBuffer", (_: string, channel: Buffer, message: Buffer) => {
        heard.push([channel.toString("latin1"), message.toString("latin1")]);
      });
      return {
        heard,
        subscribe: async (channel) => void (await client.subscribe(channel)),
        unsubscribe: async (channel) => void (await client.unsubscribe(channel)),
        psubscribe: async (pattern) => void (await client.psubscribe(pattern)),
        close: () => {
          client.disconnect();
        },
      };
    },
  };
}

const nodeRedis: Library = {
  name: "node-redis",
  open: async (port) => {
    const client = createClient({
      socket: { port, host: "127.0.0.1", reconnectStrategy: () => 100 },
    });
    client.on("error", () => undefined);
    await client.connect();
    const heard: Heard = [];
    const listener = (message: Buffer, channel: Buffer): void => {
      heard.push([channel.toString("latin1"), message.toString("latin1")]);
    };
    return {
      heard,
      subscribe: (channel) => client.subscribe(channel, listener, true),
      unsubscribe: (channel) => client.unsubscribe(channel),
      psubscribe: (pattern) => client.pSubscribe(pattern, listener, true),
      close: () => {
        client.destroy();
      },
    };
  },
};

const LIBRARIES: readonly Library[] = [
  ioredis("ioredis 5", Ioredis5 as unknown as RedisClass),
  ioredis("ioredis 6", Ioredis6),
  nodeRedis,
];

/** Runs `body` with a subscriber of each library in turn. */
async function withEach(
  port: () => number,
  body: (subscriber: Subscriber, name: string) => Promise<void>,
): Promise<void> {
  for (const library of LIBRARIES) {
    const subscriber = await library.open(port());
    try {
      await body(subscriber, library.name);
    } catch (error) {
      throw new Error(`${library.name}: ${String(error)}`, { cause: error });
    } finally {
      subscriber.close();
    }
  }
}

async function publishers(cluster: PaxlockCluster): Promise<RespClient[]> {
  return Promise.all(cluster.ids.map((id) => cluster.node(id).client()));
}

/** Publishes until the subscriber of another node has heard of it: subscriptions take a moment. */
async function heardFrom(
  client: RespClient,
  subscriber: Subscriber,
  channel: string,
): Promise<void> {
  await until(async () => {
    await client.call("PUBLISH", channel, "are you there");
    return subscriber.heard.length > 0;
  });
}

interface Told {
  readonly event: string;
  readonly owner: string;
  readonly token?: string;
  readonly slot: number;
  readonly reason?: string;
}

function told(heard: Heard): readonly Told[] {
  return heard.map(([, message]) => JSON.parse(message) as Told);
}

const brief = ({ event, owner }: Told): string => `${event} ${owner}`;

suite(
  "clients/pubsub",
  (test) => {
    test("a lock's life is told in order, by channel and by pattern, at another node", () =>
      withPaxlockCluster({}, async (cluster) => {
        const [one, two] = await publishers(cluster);
        if (one === undefined || two === undefined) throw new Error("there are three nodes");
        for (const by of ["channel", "pattern"] as const) {
          await withEach(
            () => cluster.node(3).port,
            async ({ heard, subscribe, psubscribe }, name) => {
              const key = `life:${by}:${name}`;
              if (by === "channel") await subscribe(`__lock@0__:${key}`);
              else await psubscribe("__lock@0__:life:*");

              assert.is(await one.call("SET", key, "me\xff", "NX", "PX", "60000"), "OK");
              const waiting = two.call("LOCK.ACQUIRE", key, "you", "60000", "WAIT", "30000");
              // Awaited below, unless something before that fails.
              waiting.catch(() => undefined);
              await until(() => heard.length === 2);
              await one.call("LOCK.RENEW", key, "me\xff", "50000");
              await one.call("LOCK.REVOKE", key, "REASON", 'please "go"');
              assert.is(await one.call("LOCK.RELEASE", key, "me\xff"), 1);
              const grant = (await waiting) as string[];
              await one.call("LOCK.BREAK", key, "REASON", "over");
              await two.call("SET", key, "brief", "PX", "200");

              const expected = [
                "acquired me\xff",
                "queued you",
                "renewed me\xff",
                "revoked me\xff",
                "released me\xff",
                "acquired you",
                "broken you",
                "acquired brief",
                "expired brief",
              ];
              await until(() => heard.length >= expected.length).catch(() => undefined);
              const events = told(heard);
              assert.equal(events.map(brief), expected);
              for (const [channel] of heard) assert.is(channel, `__lock@0__:${key}`);
              const slots = events.map(({ slot }) => slot);
              assert.equal(
                slots,
                [...slots].sort((left, right) => left - right),
              );
              const tokens = events.filter(({ event }) => event === "acquired");
              assert.is(tokens[1]?.token, grant[0]);
              assert.ok(Number(tokens[0]?.token) < Number(tokens[1]?.token));
              assert.ok(Number(tokens[1]?.token) < Number(tokens[2]?.token));
              assert.is(events[1]?.token, undefined);
              assert.is(events[3]?.reason, 'please "go"');
              assert.is(events[6]?.reason, "over");
            },
          );
        }
      }));

    test("what is published at one node is heard at every other, in order, and counted at one's own", () =>
      withPaxlockCluster({}, async (cluster) => {
        const clients = await publishers(cluster);
        await withEach(
          () => cluster.node(2).port,
          async ({ heard, subscribe, psubscribe }, name) => {
            await subscribe(`news:${name}\0`);
            await psubscribe(`n?ws:${name}*`);
            const messages: string[] = [];
            for (let count = 0; count < 100; count += 1) {
              const message = `\xff\0${count}`;
              messages.push(message, message);
              assert.is(await clients[0]?.call("PUBLISH", `news:${name}\0`, message), 0);
            }
            await until(() => heard.length === messages.length);
            assert.equal(
              heard.map(([, message]) => message),
              messages,
            );
            heard.length = 0;
            assert.is(await clients[1]?.call("PUBLISH", `news:${name}\0`, "x"), 2);
            await until(() => heard.length === 2);
          },
        );
      }));

    test("what a script publishes is heard at every node, once and in order, over a failover as well", () =>
      withPaxlockCluster({}, async (cluster) => {
        const script =
          "if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end redis.call('del', KEYS[1]) " +
          "redis.call('publish', KEYS[2], ARGV[1]) return 1";
        // Groups return to the nodes that are to lead them one by one.
        const { groups } = await cluster.until("node 3 leads a group", (view) =>
          view.groups.some(({ leader }) => leader === 3) ? null : "not yet",
        );
        const key = Array.from({ length: 1_000 }, (_, at) => `k${at}`).find((name) => {
          const group = groups[groupOfSlot(hashSlot(name), groups.length)];
          return group?.leader === 3;
        });
        if (key === undefined) throw new Error("no key is in a group of node 3");
        const channel = `unlocked:{${key}}`;
        const unlock = async (client: RespClient | undefined, owner: string): Promise<unknown> => {
          assert.is(await client?.call("SET", key, owner, "NX", "PX", "60000"), "OK");
          return client?.call("EVAL", script, "2", key, channel, owner);
        };
        const subscribers = await Promise.all(
          cluster.ids.flatMap((id) => LIBRARIES.map(({ open }) => open(cluster.node(id).port))),
        );
        try {
          for (const { subscribe } of subscribers) await subscribe(channel);
          const clients = await publishers(cluster);
          const owners: string[] = [];
          for (let count = 0; count < 60; count += 1) {
            const owner = `\xff\0${count}`;
            owners.push(owner);
            assert.is(await unlock(clients[count % clients.length], owner), 1);
            if (count === 30) await cluster.node(3).kill();
            if (count === 30) clients.splice(2);
          }
          await until(() => subscribers.slice(0, 6).every(({ heard }) => heard.length >= 60));
          assert.is(await clients[0]?.call("EVAL", script, "2", key, channel, "x"), 0);
          for (const { heard } of subscribers.slice(0, 6)) {
            assert.equal(
              heard.map(([, message]) => message),
              owners,
            );
          }
        } finally {
          for (const { close } of subscribers) close();
        }
      }));

    test("who has unsubscribed hears nothing, and the connection is of use again", () =>
      withPaxlock({}, async (paxlock) => {
        const client = await paxlock.client();
        await withEach(
          () => paxlock.port,
          async ({ heard, subscribe, unsubscribe }) => {
            await subscribe("a");
            await subscribe("b");
            await unsubscribe("a");
            assert.is(await client.call("PUBLISH", "a", "x"), 0);
            assert.is(await client.call("PUBLISH", "b", "y"), 1);
            await until(() => heard.length === 1);
            assert.equal(heard, [["b", "y"]]);
          },
        );
        await until(async () => {
          const channels = (await client.call("PUBSUB", "CHANNELS")) as readonly string[];
          return channels.length === 0;
        });
      }));

    test("clients subscribe again by themselves when their node comes back", () =>
      withPaxlock({}, async (paxlock) => {
        const subscribers = await Promise.all(LIBRARIES.map(({ open }) => open(paxlock.port)));
        try {
          for (const { subscribe, psubscribe } of subscribers) {
            await subscribe("a");
            await psubscribe("__lock@0__:*");
          }
          await paxlock.restart();
          const client = await paxlock.client();
          await until(async () => {
            const [, count] = (await client.call("PUBSUB", "NUMSUB", "a")) as [string, number];
            return count === LIBRARIES.length;
          }, RECONNECT_MS);
          for (const subscriber of subscribers) await heardFrom(client, subscriber, "a");
        } finally {
          for (const { close } of subscribers) close();
        }
      }));
  },
  { timeoutMs: 90_000 },
);
