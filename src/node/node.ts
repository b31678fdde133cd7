/**
 * The composition root: puts storage, machines, Paxos groups, replica, links to other nodes and front
 * door together, and takes them apart again in the reverse order.
 */
import { randomBytes } from "node:crypto";
import type { AddressInfo } from "node:net";
import { Prng } from "../base/prng.ts";
import { groupOfSlot, hashSlot } from "../cluster/hash-slot.ts";
import { REDIS_VERSION } from "../commands/redis-version.ts";
import { scriptCommands } from "../commands/script-commands.ts";
import type { Configuration } from "../config/configuration.ts";
import { Settings } from "../config/settings.ts";
import { VERSION } from "../config/version.ts";
import { createLuaEngine } from "../machine/script/engine.ts";
import type { Member } from "../paxos/members.ts";
import { Replica } from "../replica/replica.ts";
import { Dispatcher } from "../server/dispatcher.ts";
import { LockChannels } from "../server/lock-channels.ts";
import { LockPlans } from "../server/lock-plans.ts";
import { Server } from "../server/server.ts";
import { createServerPort } from "../server/server-port.ts";
import type { PeerListener } from "../transport/listener.ts";
import type { PeerTransport } from "../transport/peer-transport.ts";
import { createTransport, foundingMembers, listenToPeers, logEvent } from "./cluster.ts";
import { systemClock, systemScheduler } from "./clock.ts";
import { loadLua } from "./load-lua.ts";
import type { Logger } from "./log.ts";
import type { DataFolder } from "./data-folder.ts";
import { openDataFolder, storageError } from "./data-folder.ts";
import type { MachineParts } from "./recovery.ts";
import { newMachine, recoverGroup } from "./recovery.ts";
import { folderRefusesWrites, listenError } from "./start-error.ts";

/** How long a stopping node waits for clients to take their last replies. */
const STOP_GRACE_MS = 2_000;

/** A node that serves. */
export interface RunningNode {
  /** The first address it listens on. */
  readonly address: string;
  readonly port: number;
  readonly directory: string;
  readonly version: string;
  readonly groups: number;
  /** Accepts nothing more, answers what is in flight, syncs, closes. May be called again. */
  stop(): Promise<void>;
  /**
   * Resolves once the node has stopped, by {@link stop} or SHUTDOWN; rejects when it cannot go on, and
   * the process should end.
   */
  readonly stopped: Promise<void>;
}

/**
 * Starts a node and resolves when it serves.
 *
 * Rejects with a `StartError` for what a person can mend; nothing is left open or changed then.
 */
export async function startNode(configuration: Configuration, log: Logger): Promise<RunningNode> {
  const settings = new Settings(configuration);
  settings.onChange((values) => {
    log.level = values.logLevel;
  });
  const server = new Server({ clock: systemClock, scheduler: systemScheduler, settings });
  // The port comes first: if it is taken, the data folder has not been touched.
  const addresses = await listen(server, configuration);
  const port = addresses[0]?.port ?? configuration.port;
  const { promise: stopped, resolve: resolveStopped, reject: rejectStopped } = deferred();
  // Whoever runs the node looks at it once it serves; until then nobody does.
  stopped.catch(() => undefined);
  let folder: DataFolder;
  let peerListener: PeerListener | null = null;
  try {
    peerListener = await listenToPeers(configuration, log);
    // Without its threads the storage takes no write ever again: only a new process does.
    folder = await openDataFolder(configuration, rejectStopped);
  } catch (thrown) {
    await server.stopAccepting();
    server.destroyConnections();
    peerListener?.close();
    throw thrown;
  }
  const { storage, meta } = folder;
  const groups = meta.groups;
  const scripts = createLuaEngine(await loadLua(), { redisVersion: REDIS_VERSION });
  const machine: MachineParts = {
    groups,
    scripts,
    commands: scriptCommands,
    owns: (group, key) => groupOfSlot(hashSlot(key), groups) === group,
  };
  let transport: PeerTransport | null = null;
  let replica: Replica;
  try {
    const members = foundingMembers(configuration, folder);
    if (peerListener !== null) {
      transport = createTransport({ configuration, folder, listener: peerListener, log });
    }
    replica = new Replica({
      self: meta.nodeId,
      boot: folder.boot,
      cluster: meta.clusterId,
      version: VERSION,
      storage,
      transport,
      clock: systemClock,
      scheduler: systemScheduler,
      timings: {
        tickMs: configuration.tickMs,
        requestTimeoutMs: configuration.requestTimeoutMs,
        sessionGraceMs: configuration.sessionGraceMs,
        sessionTimeoutMs: configuration.sessionTimeoutMs,
      },
      newMachine: (group) => newMachine(machine, group),
      newSessionId: () => randomBytes(16).toString("hex"),
      onAnswered: () => {
        server.flush();
      },
      onStorage: (reason) => {
        if (reason === null) log.info("the disk takes writes again");
        else log.error({ err: reason }, "a disk write failed; writes are refused until it works");
      },
      onEvent: (event) => {
        logEvent(log, event);
      },
      onPublished: (channel, message) => {
        server.pubsub.deliver(channel, message);
      },
      compiles: (sha, body) => scripts.compile(sha, body) === null,
    });
    recoverGroups(replica, { configuration, folder, machine, members });
    transport?.setPeers(configuration.peers);
    await started(replica, configuration.directory);
    transport?.start(replica);
  } catch (thrown) {
    await server.stopAccepting();
    server.destroyConnections();
    if (transport !== null) await transport.close();
    peerListener?.close();
    await storage.close();
    throw storageError(thrown);
  }
  const locks = new LockPlans({
    replica,
    scheduler: systemScheduler,
    groupOf: (key) => groupOfSlot(hashSlot(key), groups),
  });
  new LockChannels(server.pubsub, replica.locks.feed);
  const serverPort = createServerPort({
    clock: systemClock,
    settings,
    server,
    replica,
    groups,
    storage,
    locks,
    port: () => port,
  });
  let stopping = false;
  const stop = (): Promise<void> => {
    if (!stopping) {
      stopping = true;
      stopInOrder().then(resolveStopped, rejectStopped);
    }
    return stopped;
  };
  const stopInOrder = async (): Promise<void> => {
    await server.stopAccepting();
    await new Promise<void>((resolve) => {
      replica.locks.stop(resolve);
    });
    const failure = await new Promise<Error | null>((resolve) => {
      replica.stop(resolve);
    });
    server.flush();
    await server.drained(STOP_GRACE_MS);
    await transport?.close();
    await storage.close();
    server.destroyConnections();
    if (failure !== null) throw failure;
  };
  const dispatcher = new Dispatcher({
    replica,
    port: serverPort,
    pubsub: server.pubsub,
    locks,
    counters: server.counters,
    shutdown: (asker) => {
      server.closeLast(asker);
      void stop();
    },
    warn: (text, address) => {
      log.warn({ address }, text);
    },
  });
  server.serve((args, connection) => {
    dispatcher.dispatch(args, connection);
  });
  return {
    address: addresses[0]?.address ?? "",
    port,
    directory: configuration.directory,
    version: VERSION,
    groups,
    stop,
    stopped,
  };
}

/** Rebuilds all groups; throws when what the folder holds turns out to be damaged. */
function recoverGroups(
  replica: Replica,
  parts: {
    readonly configuration: Configuration;
    readonly folder: DataFolder;
    readonly machine: MachineParts;
    readonly members: readonly Member[];
  },
): void {
  const { configuration, folder, machine, members } = parts;
  const { meta, recovery, boot } = folder;
  // Other nodes, and other starts of this one, wait for other times.
  const random = new Prng(`${meta.incarnation}/${boot}`);
  for (let id = 0; id < meta.groups; id += 1) {
    replica.addGroup(
      recoverGroup({
        id,
        self: meta.nodeId,
        recovery,
        machine,
        initialMembers: members,
        random,
        paxos: {
          heartbeatTicks: configuration.heartbeatTicks,
          electionTicksMin: configuration.electionTicksMin,
          electionTicksMax: configuration.electionTicksMax,
          leaseMs: configuration.leaderLeaseMs,
        },
      }),
    );
  }
}

/** Resolves when every group serves; rejects when the disk does not take the first commits. */
function started(replica: Replica, directory: string): Promise<void> {
  return new Promise((resolve, reject) => {
    replica.start((failure) => {
      if (failure === null) resolve();
      else reject(folderRefusesWrites(directory, failure));
    });
  });
}

async function listen(server: Server, configuration: Configuration): Promise<AddressInfo[]> {
  const { port, bind } = configuration;
  try {
    if (bind.length !== 1 || bind[0] !== "*") return await server.listen(port, bind);
    return await listenEverywhere(server, port);
  } catch (thrown) {
    throw listenError(thrown, { address: bind.join(", "), port });
  }
}

/** Both address families through one socket, or IPv4 alone where the system has no IPv6. */
async function listenEverywhere(server: Server, port: number): Promise<AddressInfo[]> {
  try {
    return await server.listen(port, ["::"]);
  } catch (thrown) {
    const code = (thrown as { readonly code?: unknown }).code;
    if (code !== "EAFNOSUPPORT" && code !== "EADDRNOTAVAIL") throw thrown;
    return server.listen(port, ["0.0.0.0"]);
  }
}

function deferred(): {
  promise: Promise<void>;
  resolve: () => void;
  reject: (reason: unknown) => void;
} {
  let resolve: () => void = () => undefined;
  let reject: (reason: unknown) => void = () => undefined;
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
