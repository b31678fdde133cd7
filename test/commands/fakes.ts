/** A session and a server for commands to work on, without sockets, clocks or groups. */
import type { Plan, ServerPort, Session, SlowEntry } from "../../src/commands/contract.ts";
import type { Reply } from "../../src/base/reply.ts";
import { publish } from "../../src/commands/pubsub.ts";
import { planCommand } from "../../src/commands/table.ts";

export type FakeSession = { -readonly [Field in keyof Session]: Session[Field] };

/** A session that has just been accepted and needs no password. */
export function fakeSession(changes: Partial<FakeSession> = {}): FakeSession {
  return {
    id: 7,
    address: "127.0.0.1:50007",
    localAddress: "127.0.0.1:6379",
    connectedAtMs: 1_000,
    lastCommandAtMs: 61_000,
    lastCommand: "",
    protocol: 2,
    db: 0,
    name: "",
    libraryName: "",
    libraryVersion: "",
    user: "default",
    authenticated: true,
    noEvict: false,
    noTouch: false,
    replyMode: "on",
    blocked: false,
    channels: 0,
    patterns: 0,
    inputBytes: 11,
    outputBytes: 22,
    commandsProcessed: 3,
    ...changes,
  };
}

export interface FakeServer extends ServerPort {
  readonly killed: number[];
  readonly settings: Map<string, string>;
  readonly log: SlowEntry[];
}

/** A server with 8 groups, a fixed clock, the given sessions, and no password. */
export function fakeServer(
  changes: Partial<ServerPort> = {},
  sessions: readonly Session[] = [],
): FakeServer {
  const killed: number[] = [];
  const settings = new Map([
    ["maxclients", "10000"],
    ["save", ""],
    ["appendonly", "yes"],
    ["timeout", "0"],
  ]);
  const log: SlowEntry[] = [];
  return {
    version: "0.1.0",
    nodeId: 1,
    nodes: () => 3,
    runId: "ab".repeat(20),
    groups: 8,
    startedAtMs: 0,
    monotonicMs: () => 121_000,
    wallMicroseconds: () => 1_700_000_000_000_123n,
    random: () => 5,
    groupOf: (key) => key.length % 8,
    sessions: () => sessions,
    pubsub: {
      channels: () => [],
      channelCount: () => 0,
      subscribers: () => 0,
      patternCount: () => 0,
      publish: () => 0,
      leaveAll: () => undefined,
    },
    locks: {
      unblock: () => false,
      endSession: () => undefined,
      statistics: () => ({ requests: 2, watchers: 3, sessions: 4, chores: 5, waiters: 6 }),
    },
    kill: (id) => {
      killed.push(id);
    },
    statistics: () => ({
      connectionsReceived: 1,
      connectionsRejected: 2,
      commandsProcessed: 3,
      inputBytes: 4,
      outputBytes: 5,
      errorReplies: 6,
      expiredKeys: 7,
      keyspaceHits: 8,
      keyspaceMisses: 9,
      scriptsCached: 10,
      commits: 4,
      commitMicroseconds: 1000,
    }),
    groupStatistics: () => [
      {
        group: 0,
        appliedSlot: 12,
        chosenSlot: 13,
        ballot: "1.1",
        leader: 1,
        logBytes: 99,
        keyspace: new Map([
          [3, [1, 0, 0]],
          [0, [2, 1, 1000]],
        ]),
      },
      {
        group: 1,
        appliedSlot: 1,
        chosenSlot: 1,
        ballot: "1.1",
        leader: 2,
        logBytes: 0,
        keyspace: new Map([[0, [4, 3, 3000]]]),
      },
    ],
    resetStatistics: () => undefined,
    memory: () => ({ resident: 3_000_000, heap: 2_000_000, peak: 4_000_000 }),
    processId: () => 4242,
    cpuSeconds: () => ({ user: 1.5, system: 0.25 }),
    port: 6379,
    directory: "paxlock-data",
    configFile: "",
    password: () => "",
    config: () => settings,
    setConfig: (pairs) => {
      for (const [name, value] of pairs) settings.set(name, value);
      return null;
    },
    slowLog: () => log,
    resetSlowLog: () => {
      log.length = 0;
    },
    script: (sha) => (sha === "a".repeat(40) ? "return 1" : null),
    sha1: (text) => text.length.toString(16).padStart(40, "0"),
    lastCheckpointSeconds: () => 1_700_000_000,
    killed,
    settings,
    log,
    ...changes,
  };
}

/** Plans a command written as words. */
export function plan(
  line: string | readonly string[],
  session: Session = fakeSession(),
  server: ServerPort = fakeServer(),
): Plan {
  return planCommand(typeof line === "string" ? words(line) : line, session, server);
}

/** The words of a line; `''` is an empty word. */
export function words(line: string): readonly string[] {
  return line.split(" ").map((word) => (word === "''" ? "" : word));
}

/** The reply of a command that is answered at once; fails for any other plan. */
export function replyOf(
  line: string | readonly string[],
  session: Session = fakeSession(),
  server: ServerPort = fakeServer(),
): Reply {
  const planned = plan(line, session, server);
  if (planned.kind === "publish") return publish(planned, server);
  if (planned.kind !== "reply") throw new Error(`${String(line)}: planned as ${planned.kind}`);
  return planned.reply;
}

/** The text of an error or status reply, or the reply itself. */
export function textOf(reply: Reply): unknown {
  if (typeof reply === "object" && reply !== null && "text" in reply) return reply.text;
  return reply;
}
