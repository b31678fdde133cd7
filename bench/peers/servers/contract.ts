/**
 * A running lock service: the server processes of one system on loopback, with their data below the
 * folder of the run. To add a service: a file here with a {@link Service}, and a case in `systems.ts`.
 */

/** How a service is named and started. */
export interface Service {
  readonly id: ServiceId;
  /** As people call it. */
  readonly name: string;
  /** Debian's packages that are needed and not installed. */
  readonly missing: () => readonly string[];
  /** Name, version and what matters of the settings; asked only when nothing is missing. */
  readonly title: () => string;
  /** Starts all servers and waits until they take requests. */
  readonly start: (directory: string) => Promise<RunningService>;
}

export const SERVICE_IDS = [
  "paxlock",
  "redis-five",
  "redis-five-fsync",
  "redis-fsync",
  "redis-memory",
  "etcd",
  "zookeeper",
] as const;
export type ServiceId = (typeof SERVICE_IDS)[number];

export interface RunningService {
  /** Client ports of all servers. */
  readonly ports: readonly number[];
  /** Of the servers that run. */
  readonly pids: () => readonly number[];
  /** Ends everything by force and waits for it; never rejects for a server that has ended. */
  readonly stop: () => Promise<void>;
}

/** A service of several servers that survives the loss of one. */
export interface Cluster extends RunningService {
  /** Index of the server that leads, or leads most; waits until there is one. */
  readonly leader: () => Promise<number>;
  /** `kill -9`, and waits until the process is gone. */
  readonly kill: (index: number) => Promise<void>;
  /** Starts a killed server again and waits until all servers are well. */
  readonly restart: (index: number) => Promise<void>;
}

/** A service whose servers can be killed. */
export interface ClusterService extends Service {
  readonly start: (directory: string) => Promise<Cluster>;
}

export const START_LIMIT_MS = 60_000;
export const STOP_LIMIT_MS = 20_000;
