/** All clients by name. */
import type { ClientKind, LockClient } from "./contract.ts";
import { openLockCommands, openRedisScript } from "./redis.ts";

/**
 * Opens a client on a service with the given ports. Only the library that is asked for is loaded:
 * loading all of them would weigh on the start and the memory of every client process.
 */
export async function openClient(kind: ClientKind, ports: readonly number[]): Promise<LockClient> {
  switch (kind) {
    case "redis-script":
      return openRedisScript();
    case "lock-commands":
      return openLockCommands();
    case "redlock":
      return (await import("./redlock.ts")).openRedlock();
    case "etcd-transaction":
      return (await import("./etcd.ts")).openEtcdTransaction(ports);
    case "etcd-lock":
      return (await import("./etcd.ts")).openEtcdLock(ports);
    case "zookeeper":
      return (await import("./zookeeper.ts")).openZookeeper(ports);
  }
}
