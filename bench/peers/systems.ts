/** What is compared: each a service and a way to take locks of it. */
import type { ClientKind } from "./clients/contract.ts";
import type { ClusterService, Service, ServiceId } from "./servers/contract.ts";
import { etcdService } from "./servers/etcd.ts";
import { paxlockService } from "./servers/paxlock.ts";
import { redisService } from "./servers/redis.ts";
import { zookeeperService } from "./servers/zookeeper.ts";

export interface System {
  readonly id: string;
  /** As in tables and charts, without versions. */
  readonly title: string;
  readonly service: ServiceId;
  readonly client: ClientKind;
  /** Whether one connection goes to all servers, or to one of them. */
  readonly connects: "all" | "one";
  /** Whether what is acknowledged is on the disks of a majority, or of the only server. */
  readonly durable: boolean;
  /** Whether it goes on without pause or loss of locks when one machine is lost. */
  readonly replicated: boolean;
  /** Whether it takes part where workers share few locks. */
  readonly contends: boolean;
  /** Whether it takes part where thousands of connections hold locks. */
  readonly crowds: boolean;
}

/** In the order of the tables. */
export const SYSTEMS: readonly System[] = [
  {
    id: "paxlock-set",
    title: "Paxlock, SET NX PX",
    service: "paxlock",
    client: "redis-script",
    connects: "one",
    durable: true,
    replicated: true,
    contends: true,
    crowds: true,
  },
  {
    id: "paxlock-lock",
    title: "Paxlock, LOCK.ACQUIRE",
    service: "paxlock",
    client: "lock-commands",
    connects: "one",
    durable: true,
    replicated: true,
    contends: true,
    crowds: true,
  },
  {
    id: "paxlock-redlock",
    title: "Paxlock, redlock",
    service: "paxlock",
    client: "redlock",
    connects: "one",
    durable: true,
    replicated: true,
    contends: true,
    crowds: false,
  },
  {
    id: "etcd-transaction",
    title: "etcd, lease + transaction",
    service: "etcd",
    client: "etcd-transaction",
    connects: "one",
    durable: true,
    replicated: true,
    contends: true,
    crowds: true,
  },
  {
    id: "etcd-lock",
    title: "etcd, Lock RPC",
    service: "etcd",
    client: "etcd-lock",
    connects: "one",
    durable: true,
    replicated: true,
    contends: true,
    crowds: false,
  },
  {
    id: "zookeeper",
    title: "ZooKeeper, recipe",
    service: "zookeeper",
    client: "zookeeper",
    connects: "one",
    durable: true,
    replicated: true,
    contends: true,
    crowds: true,
  },
  {
    id: "redlock-five-fsync",
    title: "redlock, 5 Redis, fsync always",
    service: "redis-five-fsync",
    client: "redlock",
    connects: "all",
    durable: true,
    replicated: true,
    contends: true,
    crowds: false,
  },
  {
    id: "redlock-five",
    title: "redlock, 5 Redis, no fsync",
    service: "redis-five",
    client: "redlock",
    connects: "all",
    durable: false,
    replicated: true,
    contends: true,
    crowds: false,
  },
  {
    id: "redlock-fsync",
    title: "redlock, 1 Redis, fsync always",
    service: "redis-fsync",
    client: "redlock",
    connects: "one",
    durable: true,
    replicated: false,
    contends: false,
    crowds: false,
  },
  {
    id: "redis-fsync",
    title: "SET NX PX, 1 Redis, fsync always",
    service: "redis-fsync",
    client: "redis-script",
    connects: "one",
    durable: true,
    replicated: false,
    contends: true,
    crowds: true,
  },
  {
    id: "redis-memory",
    title: "SET NX PX, 1 Redis, no persistence",
    service: "redis-memory",
    client: "redis-script",
    connects: "one",
    durable: false,
    replicated: false,
    contends: false,
    crowds: false,
  },
];

/** The services that survive the loss of a server, to be killed. */
export const CLUSTERS: ReadonlyMap<ServiceId, () => ClusterService> = new Map([
  ["paxlock", () => paxlockService()],
  ["etcd", etcdService],
  ["zookeeper", zookeeperService],
]);

export function serviceOf(id: ServiceId): Service {
  switch (id) {
    case "paxlock":
      return paxlockService();
    case "etcd":
      return etcdService();
    case "zookeeper":
      return zookeeperService();
    case "redis-five":
    case "redis-five-fsync":
    case "redis-fsync":
    case "redis-memory":
      return redisService(id);
  }
}
