/**
 * The handshake: who a node is, in bytes, and whether two nodes may talk.
 *
 *     dialer                                acceptor
 *        │── hello ────────────────────────────▶│ verifies the dialer
 *        │◀──── link · knock · refusal ─────────│
 *        │ verifies the acceptor                │
 *        │── confirm (or refusal) ─────────────▶│ both are linked: frames both ways
 *
 * Everybody dials whom it has no link with, but of two nodes only the calls of one become links
 * ({@link dials}), so that two that dial at once never end up with two links or none. The call of
 * the other one is a knock: it is verified and closed, and answered by a call back at once.
 *
 * | field | bytes |
 * |---|---|
 * | magic | 8: `PAXLPEER` |
 * | version, kind, from, to | u8 each; `to` is the node that the sender believes to talk to |
 * | length | u32, little endian: bytes of the body |
 * | body | hello, link, knock: the {@link Identity}; refusal: code and reason; confirm: none |
 * | checksum | u32, little endian: CRC-32C of all before |
 *
 * Magic, version, kind and the form of a refusal stay as they are in all versions.
 */
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { crc32c } from "../base/crc32c.ts";
import type { Millis, NodeId } from "../base/ids.ts";
import { PEER_HANDSHAKE_BYTES_MAX } from "../base/limits.ts";

export const HANDSHAKE_VERSION = 1;

/** What a node says about itself. */
export interface Identity {
  readonly node: NodeId;
  readonly clusterId: string;
  /** Random text drawn when the data folder was made. */
  readonly incarnation: string;
  /** Counts the starts of the data folder; durable before the transport starts. */
  readonly boot: number;
  /** Random text drawn by the process: tells copies of one data folder apart. */
  readonly session: string;
  /** The members that founded the cluster, canonical; empty: this node joins or has joined later. */
  readonly initialMembers: string;
  readonly groups: number;
  /** All nodes must have the same, or there could be two leaders. */
  readonly leaseMs: Millis;
  /** The version of Paxlock, for people. */
  readonly release: string;
}

/** Why two nodes do not talk. Texts name both nodes by number, so that they read well on either. */
export interface Refusal {
  readonly code: RefusalCode;
  /** What is wrong and what to do, without a full stop. */
  readonly reason: string;
}

export const REFUSAL_CODES = [
  "version",
  "cluster",
  "node",
  "itself",
  "same-id",
  "groups",
  "lease",
  "peers",
  "incarnation",
  "older-state",
  "copy",
  "unknown",
  "removed",
  "tls",
  "certificate",
  "storage",
] as const;

export type RefusalCode = (typeof REFUSAL_CODES)[number];

export type IdentityKind = "hello" | "link" | "knock";

export type HandshakeMessage =
  | { readonly kind: IdentityKind; readonly to: NodeId; readonly identity: Identity }
  | { readonly kind: "refusal"; readonly code: string; readonly reason: string }
  | { readonly kind: "confirm" };

const MAGIC = "PAXLPEER";
const KINDS = ["hello", "link", "knock", "refusal", "confirm"] as const;
const VERSION_PLACE = MAGIC.length;
const LENGTH_PLACE = VERSION_PLACE + 4;
const HEADER_BYTES = LENGTH_PLACE + 4;
const CHECKSUM_BYTES = 4;

/** Characters of a reason that are taken from another node. */
const REASON_LENGTH_MAX = 1024;

/** The bytes of a message from `from` to `to`; zeros stand for a node whose number is not known. */
export function encodeHandshake(message: HandshakeMessage, from: NodeId, to: NodeId): Uint8Array {
  const body = new ByteWriter();
  switch (message.kind) {
    case "hello":
    case "link":
    case "knock":
      writeIdentity(body, message.identity);
      break;
    case "refusal":
      body.text(message.code);
      body.text(printable(message.reason));
      break;
    case "confirm":
      break;
  }
  const writer = new ByteWriter();
  for (let index = 0; index < MAGIC.length; index += 1) writer.u8(MAGIC.charCodeAt(index));
  writer.u8(HANDSHAKE_VERSION);
  writer.u8(KINDS.indexOf(message.kind) + 1);
  writer.u8(from);
  writer.u8(to);
  writer.u32(body.length);
  for (const byte of body.take()) writer.u8(byte);
  writer.u32(crc32c(writer.buffer(), 0, writer.length));
  return writer.take();
}

/** What a stream that should begin with a handshake begins with. */
export type HandshakeRead =
  | { readonly state: "more" }
  | { readonly state: "message"; readonly message: HandshakeMessage }
  /** Another version; `from` is the number of its node. */
  | { readonly state: "version"; readonly version: number; readonly from: NodeId }
  /** It is no handshake at all, or a damaged one. */
  | { readonly state: "garbage"; readonly problem: string };

/** Gathers the messages of a handshake from chunks of any size. */
export class HandshakeReader {
  #bytes: Uint8Array = new Uint8Array(0);

  push(chunk: Uint8Array): void {
    const joined = new Uint8Array(this.#bytes.length + chunk.length);
    joined.set(this.#bytes);
    joined.set(chunk, this.#bytes.length);
    this.#bytes = joined;
  }

  /** What came after the last message: the first frames. */
  rest(): Uint8Array {
    return this.#bytes;
  }

  /** The next message; it is taken away. */
  next(): HandshakeRead {
    const bytes = this.#bytes;
    for (let index = 0; index < Math.min(MAGIC.length, bytes.length); index += 1) {
      if (bytes[index] !== MAGIC.charCodeAt(index)) return garbage("something else");
    }
    if (bytes.length < HEADER_BYTES) return { state: "more" };
    const version = bytes[VERSION_PLACE] as number;
    const kind = KINDS[(bytes[VERSION_PLACE + 1] as number) - 1];
    const from = bytes[VERSION_PLACE + 2] as number;
    const to = bytes[VERSION_PLACE + 3] as number;
    // The refusal of another version can be read: its form never changes.
    if (version !== HANDSHAKE_VERSION && kind !== "refusal") {
      return { state: "version", version, from };
    }
    const length = new ByteReader(bytes.subarray(LENGTH_PLACE)).u32();
    if (length > PEER_HANDSHAKE_BYTES_MAX) return garbage("a handshake that is too long");
    const end = HEADER_BYTES + length;
    if (bytes.length < end + CHECKSUM_BYTES) return { state: "more" };
    if (crc32c(bytes, 0, end) !== new ByteReader(bytes.subarray(end)).u32()) {
      return garbage("a handshake with a wrong checksum");
    }
    const message = kind === undefined ? null : decodeBody(kind, bytes.subarray(HEADER_BYTES, end));
    if (message === null) return garbage("a handshake that makes no sense");
    this.#bytes = bytes.subarray(end + CHECKSUM_BYTES);
    if (message.kind === "refusal" || message.kind === "confirm") {
      return { state: "message", message };
    }
    const identity = { ...message.identity, node: from };
    return { state: "message", message: { kind: message.kind, to, identity } };
  }
}

function garbage(problem: string): HandshakeRead {
  return { state: "garbage", problem };
}

function decodeBody(kind: (typeof KINDS)[number], bytes: Uint8Array): HandshakeMessage | null {
  const reader = new ByteReader(bytes);
  switch (kind) {
    case "hello":
    case "link":
    case "knock": {
      const identity = readIdentity(reader);
      return reader.finished() ? { kind, to: 0, identity } : null;
    }
    case "refusal": {
      const code = printable(reader.text().slice(0, REASON_LENGTH_MAX));
      const reason = printable(reader.text().slice(0, REASON_LENGTH_MAX));
      return reader.finished() ? { kind, code, reason } : null;
    }
    case "confirm":
      return reader.finished() ? { kind } : null;
  }
}

/** The fields but the number, which stands in the header. */
function writeIdentity(writer: ByteWriter, identity: Identity): void {
  writer.text(identity.clusterId);
  writer.text(identity.incarnation);
  writer.varint(identity.boot);
  writer.text(identity.session);
  writer.text(identity.initialMembers);
  writer.varint(identity.groups);
  writer.number(identity.leaseMs);
  writer.text(identity.release);
}

function readIdentity(reader: ByteReader): Identity {
  return {
    node: 0,
    clusterId: printable(reader.text()),
    incarnation: printable(reader.text()),
    boot: reader.varint(),
    session: printable(reader.text()),
    initialMembers: printable(reader.text()),
    groups: reader.varint(),
    leaseMs: reader.number(),
    release: printable(reader.text()),
  };
}

/** Text of another node, fit for a line of a log. */
function printable(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, "?");
}

/** What is known of a node before it calls, or is called. */
export interface Acquaintance {
  /** It is among the peers. */
  readonly member: boolean;
  /** It was among the peers and no longer is. */
  readonly removed: boolean;
  /** Of its data folder, as remembered. */
  readonly incarnation: string | null;
  /** The highest number of a start that was seen of that folder, or 0. */
  readonly boot: number;
  /** The session of that start; empty: not known. */
  readonly session: string;
}

/** Whether of two nodes that may talk, it is the calls of `one` that become links. */
export function dials(one: Identity, other: Identity): boolean {
  // The running cluster may not know yet where a node that joins is to be reached.
  const joins = one.initialMembers === "";
  return joins === (other.initialMembers === "") ? one.node < other.node : joins;
}

/**
 * Why `self` and `other` may not talk, or null when they may. `expected` is the node that the
 * caller dialled, for whichever of the two is called: a wrong address ends here.
 */
export function refusalOf(
  self: Identity,
  other: Identity,
  call: {
    readonly expected: NodeId;
    readonly called: NodeId;
    readonly known: Acquaintance;
  },
): Refusal | null {
  return (
    refuseCluster(self, other) ??
    refuseNumber(self, other, call) ??
    refuseSettings(self, other) ??
    refuseMember(self, other, call.known) ??
    refusePast(other, call.known)
  );
}

function refuseCluster(self: Identity, other: Identity): Refusal | null {
  if (self.clusterId === other.clusterId) return null;
  return {
    code: "cluster",
    reason: `node ${other.node} belongs to cluster "${other.clusterId}", node ${self.node} to cluster "${self.clusterId}"; correct the address in --peers, or give new nodes the same --cluster-id`,
  };
}

function refuseNumber(
  self: Identity,
  other: Identity,
  { expected, called }: { readonly expected: NodeId; readonly called: NodeId },
): Refusal | null {
  if (self.session === other.session) {
    return {
      code: "itself",
      reason: `the address of node ${expected} leads back to node ${self.node} itself; correct it in --peers`,
    };
  }
  if (expected !== called) {
    return {
      code: "node",
      reason: `the address of node ${expected} leads to node ${called}; correct it in --peers, or --node-id there`,
    };
  }
  if (self.node === other.node) {
    return {
      code: "same-id",
      reason: `two nodes run as node ${self.node}; give each a --node-id of its own`,
    };
  }
  return null;
}

function refuseSettings(self: Identity, other: Identity): Refusal | null {
  if (self.groups !== other.groups) {
    return {
      code: "groups",
      reason: `node ${other.node} has ${other.groups} groups, node ${self.node} has ${self.groups}; make a new data folder with the same --groups as the cluster`,
    };
  }
  if (self.leaseMs !== other.leaseMs) {
    return {
      code: "lease",
      reason: `node ${other.node} has --leader-lease ${other.leaseMs}ms, node ${self.node} ${self.leaseMs}ms; give all nodes the same, with all of them stopped`,
    };
  }
  const founded = self.initialMembers !== "" && other.initialMembers !== "";
  if (founded && self.initialMembers !== other.initialMembers) {
    return {
      code: "peers",
      reason: `node ${other.node} was founded with --peers ${other.initialMembers}, node ${self.node} with ${self.initialMembers}; start the wrong one with an empty data folder and the right list, or with --join yes to be added`,
    };
  }
  return null;
}

function refuseMember(self: Identity, other: Identity, known: Acquaintance): Refusal | null {
  if (known.removed) {
    return {
      code: "removed",
      reason: `node ${other.node} has been removed from the cluster of node ${self.node}; stop it, or add it under a new number with an empty data folder, --join yes and PAXOS.ADDNODE`,
    };
  }
  if (known.member || other.initialMembers === "" || self.initialMembers === "") return null;
  return {
    code: "unknown",
    reason: `node ${self.node} knows of no node ${other.node} in its cluster; start new nodes with an empty data folder and --join yes, and add them with PAXOS.ADDNODE`,
  };
}

function refusePast(other: Identity, known: Acquaintance): Refusal | null {
  if (known.incarnation === null) return null;
  if (known.incarnation !== other.incarnation) {
    return {
      code: "incarnation",
      reason: `node ${other.node} comes with an empty or other data folder and may have forgotten promises; if two nodes run as node ${other.node}, stop one, and if its data is lost, add it under a new number with --join yes and PAXOS.ADDNODE and remove node ${other.node}`,
    };
  }
  if (other.boot < known.boot) {
    return {
      code: "older-state",
      reason: `node ${other.node} comes with start ${other.boot} of its data folder, and start ${known.boot} was met before: ${twoPasts(other.node)}`,
    };
  }
  if (other.boot === known.boot && other.session !== known.session && known.session !== "") {
    return {
      code: "copy",
      reason: `node ${other.node} comes with start ${other.boot} of its data folder, and another process was met with the same start: ${twoPasts(other.node)}`,
    };
  }
  return null;
}

/** How a folder comes to have two pasts, and what to do. */
function twoPasts(node: NodeId): string {
  return `an older copy of the folder was restored, which may have forgotten promises, or two processes run from copies of it; if there are two, stop the one with the older copy; if not, stop node ${node}, empty its folder, add it under a new number with --join yes and PAXOS.ADDNODE, and remove node ${node} with PAXOS.REMOVENODE`;
}
