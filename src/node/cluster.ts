/** What a node needs to be one of several: its links, whom it was founded with, and its log lines. */
import { formatPeers } from "../base/address.ts";
import { assert } from "../base/assert.ts";
import type { Configuration } from "../config/configuration.ts";
import { VERSION } from "../config/version.ts";
import type { Member } from "../paxos/members.ts";
import type { ReplicaEvent } from "../replica/options.ts";
import type { PeerListener } from "../transport/listener.ts";
import { listenForPeers } from "../transport/listener.ts";
import { PeerTransport } from "../transport/peer-transport.ts";
import { loadPeerTls } from "../transport/tls.ts";
import { decodeGroupMeta } from "../wire/state-codec.ts";
import type { DataFolder } from "./data-folder.ts";
import type { Logger } from "./log.ts";
import { listenError, StartError } from "./start-error.ts";

/** Takes the port for other nodes, or null for a node on its own. */
export async function listenToPeers(
  { peerBind }: Configuration,
  log: Logger,
): Promise<PeerListener | null> {
  if (peerBind === null) return null;
  try {
    return await listenForPeers(peerBind, (error) => {
      log.warn({ err: error }, "a connection of another node could not be taken");
    });
  } catch (thrown) {
    throw listenError(thrown, {
      address: peerBind.host,
      port: peerBind.port,
      portOption: "--peer-bind",
      addressOption: "--peer-bind",
    });
  }
}

/** The links to other nodes; they are made once it is started. */
export function createTransport(parts: {
  readonly configuration: Configuration;
  readonly folder: DataFolder;
  readonly listener: PeerListener;
  readonly log: Logger;
}): PeerTransport {
  const { configuration, folder, listener, log } = parts;
  const { meta, storage, boot } = folder;
  const loaded = configuration.peerTls === null ? null : loadPeerTls(configuration.peerTls);
  if (loaded?.ok === false) throw new StartError("bad-option", loaded.message);
  return new PeerTransport({
    listener,
    identity: {
      node: meta.nodeId,
      clusterId: meta.clusterId,
      incarnation: meta.incarnation,
      boot,
      initialMembers: meta.initialMembers,
      groups: meta.groups,
      leaseMs: configuration.leaderLeaseMs,
      release: VERSION,
    },
    acquaintances: {
      get: (node) => storage.peerStarts().get(node),
      remember: (node, start, done) => {
        storage.rememberPeer(node, start, done);
      },
    },
    tls: loaded?.tls ?? null,
    queueBytesMax: configuration.peerQueueBytesMax,
    log: {
      info: (line) => {
        log.info(line);
      },
      warn: (line) => {
        log.warn(line);
      },
    },
  });
}

/**
 * Who is a member of every group before its first change of membership. Throws a {@link StartError}
 * when the folder and the options do not go together.
 */
export function foundingMembers(
  configuration: Configuration,
  folder: DataFolder,
): readonly Member[] {
  const { peers, join, directory } = configuration;
  const { meta, recovery } = folder;
  const known = knownMembers(recovery.checkpoint(0)?.meta ?? null);
  const isClusters = meta.initialMembers !== "" || known.some(({ id }) => id !== meta.nodeId);
  if (peers.length === 0) {
    if (!isClusters) return [{ id: meta.nodeId, voter: true, address: "" }];
    const names = meta.initialMembers === "" ? "other nodes" : meta.initialMembers;
    throw new StartError(
      "bad-option",
      `the data folder ${directory} is of node ${meta.nodeId} of a cluster (${names}); give its nodes with --peers`,
    );
  }
  if (meta.initialMembers !== "") {
    return meta.initialMembers.split(",").map(foundingMember);
  }
  if (join || isClusters) return [];
  throw new StartError(
    "bad-option",
    `the data folder ${directory} is of a node on its own; start it without --peers, choose an empty folder with --dir to found ${formatPeers(peers)}, or give --join yes to be added to a running cluster`,
  );
}

/** One of `1=host:port,2=host:port`, as {@link formatPeers} writes them. */
function foundingMember(text: string): Member {
  const equals = text.indexOf("=");
  const id = Number(text.slice(0, equals));
  assert(equals > 0 && Number.isInteger(id), "the folder names the nodes it was founded with");
  return { id, voter: true, address: text.slice(equals + 1) };
}

function knownMembers(meta: Uint8Array | null): readonly Member[] {
  return meta === null ? [] : (decodeGroupMeta(meta)?.members ?? []);
}

/** One line for what operators of a cluster want to see. */
export function logEvent(log: Logger, event: ReplicaEvent): void {
  switch (event.kind) {
    case "leader": {
      const { group, leader } = event;
      if (leader === 0) log.info({ group }, "no node leads the group");
      else log.info({ group, leader }, "a node leads the group");
      return;
    }
    case "members": {
      const { group, members } = event;
      log.info({ group, members }, "the group has other members");
      return;
    }
    case "bad-body":
      log.warn({ from: event.from, reason: event.reason }, "a message of a node is not understood");
      return;
    case "snapshot": {
      const { group, from, state, detail } = event;
      log.info({ group, from, detail }, `a snapshot of the group is ${state}`);
    }
  }
}
