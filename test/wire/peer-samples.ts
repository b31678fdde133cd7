/** Peer messages to encode: a generator for each kind, and fixed samples. */
import fc from "fast-check";
import { isWrite } from "../../src/machine/operation.ts";
import type { PaxosMessage } from "../../src/paxos/messages.ts";
import type { AcceptedEntry } from "../../src/paxos/records.ts";
import type { PeerMessage, SnapshotRow } from "../../src/wire/peer-messages.ts";
import { goldenReply, reply, text } from "./reply-samples.ts";
import { operation } from "./samples.ts";

type Fields = Readonly<Record<string, fc.Arbitrary<unknown>>>;

const plain = { noNullPrototype: true };

const counted = fc.nat({ max: 2 ** 31 - 1 });
const slot = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 2 ** 50 }));
const slotOrNone = fc.oneof(fc.constant(0), slot);
const ballot = fc
  .tuple(fc.integer({ min: 1, max: 2 ** 40 }), fc.integer({ min: 1, max: 255 }))
  .map(([round, node]) => round * 256 + node);
const ballotOrNone = fc.oneof(fc.constant(0), ballot);
const bytes = fc.uint8Array({ maxLength: 40 });
const ms = fc
  .double({ noNaN: true, noDefaultInfinity: true })
  .map((value) => (Object.is(value, -0) ? 0 : value));
const sequence = fc.maxSafeNat();

/** A page of entries from a slot on, and the slot after the last. */
const page = fc
  .tuple(slot, fc.array(fc.tuple(fc.nat({ max: 300 }), ballot, bytes), { maxLength: 5 }))
  .map(([from, parts]) => {
    const entries: AcceptedEntry[] = [];
    let next = from;
    for (const [gap, of, value] of parts) {
      entries.push({ slot: next + gap, ballot: of, value });
      next += gap + 1;
    }
    return { from, entries, next };
  });

/** The fields of each kind; a kind without a generator does not compile. */
const consensusFields: { readonly [Kind in PaxosMessage["kind"]]: Fields } = {
  probe: { ballot },
  "probe-ack": { ballot, granted: fc.boolean(), promised: ballotOrNone, chosen: slotOrNone },
  prepare: { ballot, from: slot, released: ballotOrNone },
  promise: { ballot },
  accept: { ballot, slot, value: bytes, chosen: slotOrNone },
  accepted: { ballot, slot },
  heartbeat: { ballot, round: counted, sentMs: ms, chosen: slotOrNone },
  "heartbeat-ack": { ballot, round: counted, sentMs: ms, chosen: slotOrNone },
  nack: {
    ballot,
    reason: fc.constantFrom("ballot", "lease", "cut"),
    promised: ballotOrNone,
    cut: slotOrNone,
  },
  learn: { from: slot },
  learned: { chosen: slotOrNone, cut: slotOrNone },
  handover: { ballot },
};

/** All kinds of consensus message. */
export const consensusKinds = Object.keys(consensusFields) as PaxosMessage["kind"][];

/** Any message of one kind. */
export function consensusOf(kind: PaxosMessage["kind"]): fc.Arbitrary<PaxosMessage> {
  const parts = fc.record({ kind: fc.constant(kind), ...consensusFields[kind] }, plain);
  const whole = fc.tuple(parts, page, fc.boolean()).map(([rest, { from, entries, next }, more]) => {
    if (kind === "promise") return { ...rest, from, entries, next: more ? next : 0 };
    return kind === "learned" ? { ...rest, from, entries } : rest;
  });
  return whole as unknown as fc.Arbitrary<PaxosMessage>;
}

const rows: fc.Arbitrary<readonly SnapshotRow[]> = fc
  .uniqueArray(fc.tuple(fc.maxSafeNat(), bytes), { maxLength: 5, selector: ([row]) => row })
  .map((pairs) =>
    pairs
      .sort(([left], [right]) => left - right)
      .map(([row, content]) => ({ row, bytes: content })),
  );

const group = fc.nat({ max: 1023 });

const peerFields: { readonly [Kind in PeerMessage["kind"]]: Fields } = {
  paxos: { group, message: fc.oneof(...consensusKinds.map(consensusOf)) },
  forward: { group, boot: sequence, attempt: sequence, deadlineMs: ms.map(Math.abs), operation },
  forwarded: {
    group,
    boot: sequence,
    sequence,
    attempt: sequence,
    outcome: fc.constantFrom("reply", "refused"),
    reply,
    leader: fc.nat({ max: 255 }),
  },
  "snapshot-request": { group, slot: slotOrNone },
  "snapshot-chunk": { group, transfer: sequence, appliedSlot: slot, rows, last: fc.boolean() },
  "snapshot-ack": { group, transfer: sequence, index: counted },
  admin: { id: sequence, args: fc.array(text, { maxLength: 4 }) },
  "admin-reply": { id: sequence, reply },
  publish: { channel: text, message: text },
};

/** All kinds of peer message. */
export const peerKinds = Object.keys(peerFields) as PeerMessage["kind"][];

/** Any message of one kind. */
export function peerMessageOf(kind: PeerMessage["kind"]): fc.Arbitrary<PeerMessage> {
  const parts = fc.record({ kind: fc.constant(kind), ...peerFields[kind] }, plain);
  if (kind === "forward") {
    const whole = fc.tuple(parts, sequence, sequence, fc.boolean()).map(([rest, a, b, read]) => ({
      ...rest,
      sequence: Math.max(a, b),
      floor: Math.min(a, b),
      read: read && !isWrite((rest as unknown as { operation: never }).operation),
    }));
    return whole as unknown as fc.Arbitrary<PeerMessage>;
  }
  if (kind === "snapshot-chunk") {
    const whole = fc.tuple(parts, fc.nat({ max: 3 }), bytes).map(([rest, index, meta]) => ({
      ...rest,
      index,
      meta: index === 0 ? meta : new Uint8Array(0),
    }));
    return whole as unknown as fc.Arbitrary<PeerMessage>;
  }
  return parts as unknown as fc.Arbitrary<PeerMessage>;
}

export const peerMessage: fc.Arbitrary<PeerMessage> = fc.oneof(...peerKinds.map(peerMessageOf));

const VALUE = Uint8Array.of(2, 0, 0, 0, 0);

const ballots = { ballot: 5 * 256 + 3, promised: 9 * 256 + 255 };

/** One message of each kind and each of its choices: the content of the golden body. */
export const goldenBody: readonly PeerMessage[] = [
  ...(
    [
      { kind: "probe", ballot: ballots.ballot },
      { kind: "probe-ack", ...ballots, granted: false, chosen: 1_000_000 },
      { kind: "probe-ack", ballot: ballots.ballot, promised: 0, granted: true, chosen: 0 },
      { kind: "prepare", ballot: ballots.ballot, from: 1, released: 0 },
      { kind: "prepare", ballot: ballots.ballot, from: 77, released: ballots.promised },
      {
        kind: "promise",
        ballot: ballots.ballot,
        from: 70,
        entries: [
          { slot: 70, ballot: 257, value: VALUE },
          { slot: 75, ballot: ballots.ballot, value: new Uint8Array(0) },
        ],
        next: 90,
      },
      { kind: "promise", ballot: ballots.ballot, from: 70, entries: [], next: 0 },
      { kind: "accept", ballot: ballots.ballot, slot: 2 ** 40, value: VALUE, chosen: 2 ** 40 - 1 },
      { kind: "accepted", ballot: ballots.ballot, slot: 2 ** 40 },
      { kind: "heartbeat", ballot: ballots.ballot, round: 300, sentMs: 86_400_000.25, chosen: 9 },
      { kind: "heartbeat-ack", ballot: ballots.ballot, round: 300, sentMs: 0.5, chosen: 8 },
      { kind: "nack", ...ballots, reason: "ballot", cut: 0 },
      { kind: "nack", ...ballots, reason: "lease", cut: 5 },
      { kind: "nack", ...ballots, reason: "cut", cut: 50 },
      { kind: "learn", from: 41 },
      {
        kind: "learned",
        from: 41,
        entries: [{ slot: 41, ballot: 257, value: VALUE }],
        chosen: 90,
        cut: 20,
      },
      { kind: "handover", ballot: ballots.ballot },
    ] as const satisfies readonly PaxosMessage[]
  ).map((message, index) => ({ kind: "paxos", group: index, message }) as const),
  {
    kind: "forward",
    group: 1_023,
    boot: 7,
    sequence: 123_456,
    attempt: 1,
    floor: 123_400,
    read: false,
    deadlineMs: 4_999.75,
    operation: { kind: "delete", db: 0, keys: ["lock:orders"] },
  },
  {
    kind: "forward",
    group: 0,
    boot: 7,
    sequence: 0,
    attempt: 300,
    floor: 0,
    read: true,
    deadlineMs: 0,
    operation: { kind: "get", db: 15, key: "k" },
  },
  {
    kind: "forwarded",
    group: 3,
    boot: 7,
    sequence: 123_456,
    attempt: 1,
    outcome: "reply",
    reply: goldenReply,
    leader: 0,
  },
  {
    kind: "forwarded",
    group: 3,
    boot: 7,
    sequence: 123_457,
    attempt: 2,
    outcome: "refused",
    reply: { kind: "error", text: "TRYAGAIN not the leader" },
    leader: 255,
  },
  { kind: "snapshot-request", group: 2, slot: 500 },
  {
    kind: "snapshot-chunk",
    group: 2,
    transfer: 9,
    index: 0,
    appliedSlot: 600,
    meta: Uint8Array.of(1, 2, 3),
    rows: [
      { row: 1, bytes: Uint8Array.of(4, 5) },
      { row: 2 ** 53 - 1, bytes: Uint8Array.of(6) },
    ],
    last: false,
  },
  {
    kind: "snapshot-chunk",
    group: 2,
    transfer: 9,
    index: 1,
    appliedSlot: 600,
    meta: new Uint8Array(0),
    rows: [],
    last: true,
  },
  { kind: "snapshot-ack", group: 2, transfer: 9, index: 1 },
  { kind: "admin", id: 12, args: ["HANDOVER", "3", ""] },
  { kind: "admin-reply", id: 12, reply: { kind: "status", text: "OK" } },
  { kind: "publish", channel: "news", message: "\xff\0" },
];
