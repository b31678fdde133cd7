/**
 * INFO: the fields of Redis that clients and dashboards read, as far as there is something to tell,
 * and a section of Paxlock's own. A field that would have to be made up is left out.
 */
import { clientType } from "./client-list.ts";
import type { CommandSpec, Plan, ServerPort } from "./contract.ts";
import { answer } from "./plans.ts";
import { REDIS_VERSION } from "./redis-version.ts";
import { NO_KEYS } from "./spec.ts";

type Field = readonly [name: string, value: string | number];

interface Section {
  /** As headed; asked for in lower case. */
  readonly title: string;
  readonly fields: (server: ServerPort) => readonly Field[];
}

const SECONDS_PER_DAY = 86_400;

/** In the order in which they are printed. All of them are in `default`. */
const SECTIONS: readonly Section[] = [
  { title: "Server", fields: serverFields },
  { title: "Clients", fields: clientFields },
  { title: "Memory", fields: memoryFields },
  { title: "Persistence", fields: persistenceFields },
  { title: "Stats", fields: statisticsFields },
  { title: "Replication", fields: replicationFields },
  { title: "CPU", fields: cpuFields },
  { title: "Cluster", fields: () => [["cluster_enabled", 0]] },
  { title: "Keyspace", fields: keyspaceFields },
  { title: "Paxlock", fields: paxlockFields },
];

function planInfo(args: readonly string[], server: ServerPort): Plan {
  const asked = args.slice(1).map((name) => name.toLowerCase());
  const everything =
    asked.length === 0 || asked.some((name) => /^(default|all|everything)$/.test(name));
  const parts: string[] = [];
  for (const { title, fields } of SECTIONS) {
    if (!everything && !asked.includes(title.toLowerCase())) continue;
    const lines = fields(server).map(([name, value]) => `${name}:${value}\r\n`);
    parts.push(`# ${title}\r\n${lines.join("")}`);
  }
  return answer({ kind: "verbatim", format: "txt", text: parts.join("\r\n") });
}

function serverFields(server: ServerPort): readonly Field[] {
  const uptime = Math.floor((server.monotonicMs() - server.startedAtMs) / 1000);
  return [
    ["redis_version", REDIS_VERSION],
    ["redis_mode", "standalone"],
    // Integers have 64 bits on every machine; some clients look for the field.
    ["arch_bits", 64],
    ["process_id", server.processId()],
    ["run_id", server.runId],
    ["tcp_port", server.port],
    ["server_time_usec", String(server.wallMicroseconds())],
    ["uptime_in_seconds", uptime],
    ["uptime_in_days", Math.floor(uptime / SECONDS_PER_DAY)],
    ["config_file", server.configFile],
  ];
}

function clientFields(server: ServerPort): readonly Field[] {
  let connected = 0;
  let blocked = 0;
  let subscribed = 0;
  for (const session of server.sessions()) {
    connected += 1;
    if (clientType(session) === "pubsub") subscribed += 1;
    if (session.blocked) blocked += 1;
  }
  return [
    ["connected_clients", connected],
    ["maxclients", server.config().get("maxclients") ?? "0"],
    ["blocked_clients", blocked],
    ["tracking_clients", 0],
    ["pubsub_clients", subscribed],
  ];
}

function memoryFields(server: ServerPort): readonly Field[] {
  const { resident, heap, peak } = server.memory();
  return [
    ["used_memory", heap],
    ["used_memory_human", human(heap)],
    ["used_memory_rss", resident],
    ["used_memory_rss_human", human(resident)],
    ["used_memory_peak", peak],
    ["used_memory_peak_human", human(peak)],
    ["number_of_cached_scripts", server.statistics().scriptsCached],
    ["maxmemory", 0],
    ["maxmemory_human", "0B"],
    ["maxmemory_policy", "noeviction"],
    ["mem_fragmentation_ratio", (resident / Math.max(heap, 1)).toFixed(2)],
  ];
}

/** Every write is on disk when it is answered, which `aof_enabled` stands for. */
function persistenceFields(server: ServerPort): readonly Field[] {
  return [
    ["loading", 0],
    ["async_loading", 0],
    ["rdb_last_save_time", server.lastCheckpointSeconds()],
    ["aof_enabled", 1],
  ];
}

function statisticsFields(server: ServerPort): readonly Field[] {
  const statistics = server.statistics();
  return [
    ["total_connections_received", statistics.connectionsReceived],
    ["total_commands_processed", statistics.commandsProcessed],
    ["total_net_input_bytes", statistics.inputBytes],
    ["total_net_output_bytes", statistics.outputBytes],
    ["rejected_connections", statistics.connectionsRejected],
    ["expired_keys", statistics.expiredKeys],
    ["evicted_keys", 0],
    ["keyspace_hits", statistics.keyspaceHits],
    ["keyspace_misses", statistics.keyspaceMisses],
    ["pubsub_channels", server.pubsub.channelCount()],
    ["pubsub_patterns", server.pubsub.patternCount()],
    ["total_error_replies", statistics.errorReplies],
  ];
}

function replicationFields(server: ServerPort): readonly Field[] {
  return [
    ["role", "master"],
    ["connected_slaves", 0],
    ["master_replid", server.runId],
    ["master_repl_offset", 0],
  ];
}

function cpuFields(server: ServerPort): readonly Field[] {
  const { user, system } = server.cpuSeconds();
  return [
    ["used_cpu_sys", system.toFixed(6)],
    ["used_cpu_user", user.toFixed(6)],
  ];
}

/** One line for each database that has keys, summed over the groups. */
function keyspaceFields(server: ServerPort): readonly Field[] {
  const totals = new Map<number, { keys: number; leased: number; leftMs: number }>();
  for (const { keyspace } of server.groupStatistics()) {
    for (const [db, [keys, leased, averageLeftMs]] of keyspace) {
      const total = totals.get(db) ?? { keys: 0, leased: 0, leftMs: 0 };
      total.keys += keys;
      total.leased += leased;
      total.leftMs += averageLeftMs * leased;
      totals.set(db, total);
    }
  }
  return [...totals]
    .sort(([left], [right]) => left - right)
    .map(([db, { keys, leased, leftMs }]) => {
      const average = leased === 0 ? 0 : Math.floor(leftMs / leased);
      return [`db${db}`, `keys=${keys},expires=${leased},avg_ttl=${average}`];
    });
}

function paxlockFields(server: ServerPort): readonly Field[] {
  const statistics = server.statistics();
  const averageCommit =
    statistics.commits === 0 ? 0 : Math.round(statistics.commitMicroseconds / statistics.commits);
  const groups = server.groupStatistics();
  const locks = server.locks.statistics();
  const fields: Field[] = [
    ["paxlock_version", server.version],
    ["node_id", server.nodeId],
    ["nodes", server.nodes()],
    ["groups", server.groups],
    ["groups_led", groups.filter(({ leader }) => leader === server.nodeId).length],
    ["groups_without_leader", groups.filter(({ leader }) => leader === 0).length],
    ["directory", server.directory],
    ["lock_sessions", locks.sessions],
    ["lock_requests_waiting", locks.requests],
    ["lock_watchers", locks.watchers],
    ["lock_chores", locks.chores],
    ["lock_waiters", locks.waiters],
    ["disk_commits", statistics.commits],
    ["disk_commit_usec_avg", averageCommit],
  ];
  for (const group of groups) {
    let keys = 0;
    for (const [count] of group.keyspace.values()) keys += count;
    fields.push([
      `group${group.group}`,
      `leader=${group.leader},ballot=${group.ballot},applied_slot=${group.appliedSlot},chosen_slot=${group.chosenSlot},log_bytes=${group.logBytes},keys=${keys}`,
    ]);
  }
  return fields;
}

/** Bytes as Redis prints them for people: `2.64M`. */
function human(bytes: number): string {
  const units = ["B", "K", "M", "G", "T"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(2)}${units[unit] ?? ""}`;
}

export const infoSpec = {
  name: "info",
  arity: -1,
  flags: ["loading", "stale"],
  categories: ["dangerous"],
  keys: NO_KEYS,
  tips: ["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
  group: "server",
  summary: "Returns figures of the server, by sections",
  since: "1.0.0",
  complexity: "O(N) in the number of connections and groups",
  history: [["7.0.0", "Takes several sections."]],
  arguments: [{ name: "section", type: "string", optional: true, multiple: true }],
  plan: (args, _, server) => planInfo(args, server),
} as const satisfies CommandSpec;
