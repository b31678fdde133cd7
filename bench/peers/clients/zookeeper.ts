/**
 * Locks of ZooKeeper by its recipe: an ephemeral sequential node below the lock's node; whose is the
 * first has the lock, and everybody else watches the node before his own.
 */
import { once } from "node:events";
import zookeeper, { type Client, type Event } from "node-zookeeper-client";
import type { ConnectOptions, LockClient, LockConnection, Release } from "./contract.ts";

const { CreateMode, Exception } = zookeeper;

const SESSION_MS = 30_000;
/** Up to so long the library waits before it tries the next server. */
const SPIN_MS = 100;
const CONNECT_WITHIN_MS = 30_000;
/** Of one transaction that makes nodes. */
const CREATED_AT_ONCE = 500;

/** Makes the lock's nodes over a connection of its own. */
export async function openZookeeper(ports: readonly number[]): Promise<LockClient> {
  const control = await connectZookeeper(ports);
  return {
    connect: async ({ ports: own }: ConnectOptions) =>
      new ZookeeperConnection(await connectZookeeper(own)),
    prepare: async (keys) => {
      for (let begin = 0; begin < keys.length; begin += CREATED_AT_ONCE) {
        await createNodes(control, keys.slice(begin, begin + CREATED_AT_ONCE).map(nodeOf));
      }
    },
    close: () => closeZookeeper(control),
  };
}

function nodeOf(key: string): string {
  return `/${key}`;
}

async function connectZookeeper(ports: readonly number[]): Promise<Client> {
  const client = zookeeper.createClient(ports.map((port) => `127.0.0.1:${port}`).join(","), {
    sessionTimeout: SESSION_MS,
    spinDelay: SPIN_MS,
  });
  const connected = once(client, "connected", { signal: AbortSignal.timeout(CONNECT_WITHIN_MS) });
  client.connect();
  await connected;
  return client;
}

async function closeZookeeper(client: Client): Promise<void> {
  const ended = once(client, "disconnected", { signal: AbortSignal.timeout(CONNECT_WITHIN_MS) });
  client.close();
  await ended;
}

async function createNodes(client: Client, paths: readonly string[]): Promise<void> {
  const transaction = client.transaction();
  for (const path of paths) transaction.create(path, CreateMode.PERSISTENT);
  await new Promise<void>((resolve, reject) => {
    transaction.commit((error) => {
      if (error === null) resolve();
      else reject(new Error("nodes were not made", { cause: error }));
    });
  });
}

class ZookeeperConnection implements LockConnection {
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  async acquire(key: string): Promise<Release> {
    const lock = nodeOf(key);
    const own = await this.#create(`${lock}/holder-`);
    const name = own.slice(lock.length + 1);
    for (;;) {
      const before = predecessor(await this.#children(lock), name);
      if (before === null) return () => this.#remove(own);
      await this.#untilGone(`${lock}/${before}`);
    }
  }

  close(): Promise<void> {
    return closeZookeeper(this.#client);
  }

  #create(path: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#client.create(path, CreateMode.EPHEMERAL_SEQUENTIAL, (error, created) => {
        if (error) reject(error as Error);
        else resolve(created);
      });
    });
  }

  #children(path: string): Promise<string[]> {
    return new Promise((resolve, reject) => {
      this.#client.getChildren(path, (error, children) => {
        if (error) reject(error as Error);
        else resolve(children);
      });
    });
  }

  /** Watches a node; one that is gone already leaves no watch behind, since it is asked for by data. */
  #untilGone(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const changed = (event: Event): void => {
        if (event.getType() === zookeeper.Event.NODE_DELETED) resolve();
        else reject(new Error(`${path}: ${event.toString()}`));
      };
      this.#client.getData(path, changed, (error) => {
        if (!error) return;
        if ("code" in error && error.code === Exception.NO_NODE) resolve();
        else reject(error as Error);
      });
    });
  }

  #remove(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#client.remove(path, (error) => {
        if (error) reject(error as Error);
        else resolve();
      });
    });
  }
}

/** The child that is next before `name`, or null when it is the first. Names end in a number. */
export function predecessor(children: readonly string[], name: string): string | null {
  let before: string | null = null;
  for (const child of children) {
    if (child < name && (before === null || child > before)) before = child;
  }
  return before;
}
