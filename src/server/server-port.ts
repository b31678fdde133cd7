/** What server commands (INFO, CONFIG, CLIENT LIST…) may see and do: the running node behind a port. */
import { createHash, randomBytes, randomInt } from "node:crypto";
import { groupOfSlot, hashSlot } from "../cluster/hash-slot.ts";
import type { Clock } from "../base/ports.ts";
import type { GroupStatistics, ServerPort } from "../commands/contract.ts";
import type { Settings } from "../config/settings.ts";
import { VERSION } from "../config/version.ts";
import { describeBallot } from "../paxos/ballot.ts";
import type { Replica } from "../replica/replica.ts";
import type { LockPlans } from "./lock-plans.ts";
import { lockPort } from "./lock-plans.ts";
import type { Server } from "./server.ts";

const DATABASES = 16;

/** What INFO shows of the storage. */
export interface StorageView {
  statistics(): StorageStatistics;
  logBytes(group: number): number;
}

export interface StorageStatistics {
  readonly commits: number;
  readonly totalCommitUs: number;
}

export interface ServerPortOptions {
  readonly clock: Clock;
  readonly settings: Settings;
  readonly server: Server;
  readonly replica: Replica;
  readonly groups: number;
  readonly storage: StorageView;
  readonly locks: LockPlans;
  /** The port in use; known once the node listens. */
  readonly port: () => number;
}

export function createServerPort(options: ServerPortOptions): ServerPort {
  const { clock, settings, server, replica, groups } = options;
  const configuration = settings.configuration;
  // The wall clock in microseconds: its milliseconds, refined by the steady clock between them.
  const wallMicroseconds = (): bigint =>
    BigInt(clock.wallMs()) * 1000n + BigInt(Math.floor((clock.monotonicMs() % 1) * 1000));
  // What CONFIG RESETSTAT has set to zero; the machines go on counting.
  let baseline = { expiredKeys: 0, keyspaceHits: 0, keyspaceMisses: 0 };
  const machineTotals = (): typeof baseline => {
    const totals = { expiredKeys: 0, keyspaceHits: 0, keyspaceMisses: 0 };
    for (const { machine } of replica.groups) {
      totals.expiredKeys += machine.expiredKeys;
      totals.keyspaceHits += machine.keyspaceHits;
      totals.keyspaceMisses += machine.keyspaceMisses;
    }
    return totals;
  };
  return {
    version: VERSION,
    runId: randomBytes(20).toString("hex"),
    groups,
    nodeId: replica.self,
    nodes: () => Math.max(1, replica.groups[0]?.members.length ?? 0),
    startedAtMs: clock.monotonicMs(),
    monotonicMs: () => clock.monotonicMs(),
    wallMicroseconds,
    random: () => randomInt(0x1_0000_0000),
    groupOf: (key) => groupOfSlot(hashSlot(key), groups),
    *sessions() {
      for (const connection of server.connections()) yield connection.session;
    },
    locks: lockPort(replica, {
      connection: (id) => server.connection(id),
      plans: options.locks,
    }),
    pubsub: {
      channels: () => server.pubsub.channels(),
      channelCount: () => server.pubsub.channelCount,
      subscribers: (channel) => server.pubsub.subscribers(channel),
      patternCount: () => server.pubsub.patternCount,
      publish: (channel, message) =>
        replica.publish(channel, message) ? server.pubsub.deliver(channel, message) : null,
      leaveAll: ({ id }) => {
        const connection = server.connection(id);
        if (connection !== undefined) server.pubsub.leaveAll(connection);
      },
    },
    kill: (id) => {
      server.connection(id)?.kill();
    },
    statistics: () => {
      const storage = options.storage.statistics();
      const counters = server.counters;
      const totals = machineTotals();
      return {
        connectionsReceived: counters.connectionsReceived,
        connectionsRejected: counters.connectionsRejected,
        commandsProcessed: counters.commandsProcessed,
        inputBytes: counters.inputBytes,
        outputBytes: counters.outputBytes,
        errorReplies: counters.errorReplies,
        expiredKeys: totals.expiredKeys - baseline.expiredKeys,
        keyspaceHits: totals.keyspaceHits - baseline.keyspaceHits,
        keyspaceMisses: totals.keyspaceMisses - baseline.keyspaceMisses,
        scriptsCached: replica.scriptCount,
        commits: storage.commits,
        commitMicroseconds: Math.floor(storage.totalCommitUs),
      };
    },
    groupStatistics: () =>
      replica.groups.map((group): GroupStatistics => {
        const keyspace = new Map<number, readonly [number, number, number]>();
        for (let db = 0; db < DATABASES; db += 1) {
          const { keys, withDeadline, averageTtlMs } = group.counts(db);
          if (keys > 0) keyspace.set(db, [keys, withDeadline, averageTtlMs]);
        }
        return {
          group: group.id,
          appliedSlot: group.machine.appliedSlot,
          chosenSlot: group.paxos.chosenSlot,
          ballot: group.paxos.ballot === 0 ? "-" : describeBallot(group.paxos.ballot),
          leader: group.leader,
          logBytes: options.storage.logBytes(group.id),
          keyspace,
        };
      }),
    resetStatistics: () => {
      server.counters.reset();
      baseline = machineTotals();
    },
    memory: () => {
      const usage = process.memoryUsage();
      return {
        resident: usage.rss,
        heap: usage.heapUsed,
        // maxRSS is in kibibytes.
        peak: process.resourceUsage().maxRSS * 1024,
      };
    },
    processId: () => process.pid,
    cpuSeconds: () => {
      const { user, system } = process.cpuUsage();
      return { user: user / 1e6, system: system / 1e6 };
    },
    get port() {
      return options.port();
    },
    directory: configuration.directory,
    configFile: configuration.configFile,
    password: () => settings.values.password,
    config: () => settings.parameters(options.port()),
    setConfig: (pairs) => settings.set(pairs),
    slowLog: () => server.slowLog.entries(),
    resetSlowLog: () => {
      server.slowLog.reset();
    },
    script: (sha) => replica.scriptBody(sha),
    sha1: createSha1(),
    lastCheckpointSeconds: () => Math.floor(replica.lastCheckpointWallMs / 1000),
  };
}

/** EVAL sends the same few bodies again and again: their hashes are kept, as many as fit. */
const HASHES_KEPT_MAX = 256;
const HASHED_TEXT_KEPT_MAX = 16 * 1024;

function createSha1(): (text: string) => string {
  const known = new Map<string, string>();
  return (text) => {
    let sha = known.get(text);
    if (sha !== undefined) return sha;
    sha = createHash("sha1").update(text, "latin1").digest("hex");
    if (text.length > HASHED_TEXT_KEPT_MAX) return sha;
    if (known.size >= HASHES_KEPT_MAX) known.clear();
    known.set(text, sha);
    return sha;
  };
}
