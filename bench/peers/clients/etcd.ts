/**
 * Locks of etcd. A process has one lease for all its locks, as the session of etcd's own client
 * library: a lease for each lock would cost etcd two more log entries a pair.
 *
 * - `etcd-transaction`: a key is put with that lease if it is not there, and removed if it is ours.
 * - `etcd-lock`: the Lock service, which stands in line in the server.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import {
  credentials,
  loadPackageDefinition,
  type ChannelOptions,
  type requestCallback,
  type ServiceClientConstructor,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { noop } from "cockatiel";
import { Etcd3, type Lease } from "etcd3";
import {
  never,
  OwnerNames,
  retryDelayMs,
  type ConnectOptions,
  type LockClient,
  type LockConnection,
  type Release,
} from "./contract.ts";

/** Else all clients of the process share one TCP connection for each server. */
const OWN_CONNECTION: ChannelOptions = { "grpc.use_local_subchannel_pool": 1 };
const CONNECT_WITHIN_MS = 30_000;
/** Longer than a client process lives. */
const LEASE_SECONDS = 300;

const owners = new OwnerNames();

/** By lease and transaction, asked again and again while somebody has the lock. */
export async function openEtcdTransaction(ports: readonly number[]): Promise<LockClient> {
  return openWithLease(ports, (options, leaseId) =>
    Promise.resolve(new TransactionConnection(options, leaseId)),
  );
}

/**
 * By the Lock service. Two requests for one lock with one lease are one holder to it, so where
 * connections share locks each has a lease of its own.
 */
export async function openEtcdLock(ports: readonly number[]): Promise<LockClient> {
  return openWithLease(ports, async (options, shared, grant) => {
    const leaseId = options.contended ? await grant() : shared;
    const connection = new LockServiceConnection(options, leaseId);
    await connection.ready();
    return connection;
  });
}

async function openWithLease(
  ports: readonly number[],
  connect: (
    options: ConnectOptions,
    leaseId: string,
    grant: () => Promise<string>,
  ) => Promise<LockConnection>,
): Promise<LockClient> {
  const etcd = connectEtcd(ports);
  const leases: Lease[] = [];
  const grant = async (): Promise<string> => {
    // Long enough without being renewed, which would be work for both sides all the time.
    const lease = etcd.lease(LEASE_SECONDS, { autoKeepAlive: false });
    leases.push(lease);
    return lease.grant();
  };
  const leaseId = await grant();
  return {
    connect: (options) => connect(options, leaseId, grant),
    prepare: () => Promise.resolve(),
    close: async () => {
      await Promise.all(leases.map((lease) => lease.revoke()));
      etcd.close();
    },
  };
}

/** A client that repeats nothing by itself: what fails is seen at once. */
export function connectEtcd(ports: readonly number[]): Etcd3 {
  return new Etcd3({
    hosts: ports.map((port) => `127.0.0.1:${port}`),
    grpcOptions: OWN_CONNECTION,
    faultHandling: { host: () => noop, global: noop },
  });
}

class TransactionConnection implements LockConnection {
  readonly #etcd: Etcd3;
  readonly #leaseId: string;

  constructor({ ports }: ConnectOptions, leaseId: string) {
    this.#etcd = connectEtcd(ports);
    this.#leaseId = leaseId;
  }

  async acquire(key: string, stopped = never): Promise<Release | null> {
    const owner = owners.next();
    while (!(await this.#put(key, owner))) {
      await sleep(retryDelayMs());
      if (stopped()) return null;
    }
    return async () => {
      const freed = await this.#etcd
        .if(key, "Value", "==", owner)
        .then(this.#etcd.delete().key(key))
        .commit();
      if (!freed.succeeded) throw new Error(`${key} was no longer held`);
    };
  }

  close(): Promise<void> {
    this.#etcd.close();
    return Promise.resolve();
  }

  async #put(key: string, owner: string): Promise<boolean> {
    const put = this.#etcd.put(key).value(owner).lease(this.#leaseId);
    const { succeeded } = await this.#etcd.if(key, "Create", "==", 0).then(put).commit();
    return succeeded;
  }
}

/** The methods that gRPC makes of the description. */
interface LockService {
  Lock(request: { name: Buffer; lease: string }, done: requestCallback<{ key: Buffer }>): unknown;
  Unlock(request: { key: Buffer }, done: requestCallback<object>): unknown;
}

const LockServiceClient = (
  loadPackageDefinition(
    loadSync(fileURLToPath(new URL("etcd-lock.proto", import.meta.url)), { longs: String }),
  )["v3lockpb"] as { readonly Lock: ServiceClientConstructor }
).Lock;

class LockServiceConnection implements LockConnection {
  readonly #client: InstanceType<ServiceClientConstructor>;
  readonly #service: LockService;
  readonly #leaseId: string;

  constructor({ ports }: ConnectOptions, leaseId: string) {
    const address = `127.0.0.1:${ports[0] ?? NaN}`;
    this.#client = new LockServiceClient(address, credentials.createInsecure(), OWN_CONNECTION);
    this.#service = this.#client as unknown as LockService;
    this.#leaseId = leaseId;
  }

  async ready(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#client.waitForReady(Date.now() + CONNECT_WITHIN_MS, (error) => {
        if (error === undefined) resolve();
        else reject(error);
      });
    });
  }

  async acquire(name: string): Promise<Release> {
    const request = { name: Buffer.from(name), lease: this.#leaseId };
    const { key } = await called<{ key: Buffer }>((done) => this.#service.Lock(request, done));
    return async () => {
      await called<object>((done) => this.#service.Unlock({ key }, done));
    };
  }

  close(): Promise<void> {
    this.#client.close();
    return Promise.resolve();
  }
}

function called<T extends object>(call: (done: requestCallback<T>) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, value) => {
      if (error !== null) reject(error);
      else if (value === undefined) reject(new Error("an answer without a value"));
      else resolve(value);
    });
  });
}
