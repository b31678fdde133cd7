/**
 * How fast the messages between nodes become bytes and are read back, and an entry of forwarded
 * operations is applied, on one core.
 *
 * `node --import tsx bench/micro/peer.ts`. Each body holds eight messages of one kind, one for each of
 * eight groups, as a busy node sends them in one turn.
 */
import { ByteWriter } from "../../src/base/bytes.ts";
import { OK } from "../../src/base/reply.ts";
import { NO_ORIGINS } from "../../src/machine/entry.ts";
import type { Operation } from "../../src/machine/operation.ts";
import { encodeEntry } from "../../src/wire/entry-codec.ts";
import { decodePeerBody, encodePeerBody } from "../../src/wire/peer-codec.ts";
import type { PeerMessage } from "../../src/wire/peer-messages.ts";
import { measureCases, type Case } from "../measure.ts";

const GROUPS = 8;
const BALLOT = 258 * 256 + 2;
const SLOT = 1_234_567;

const acquire: Operation = {
  kind: "set",
  db: 0,
  key: "lock:orders:12345678",
  value: "123e4567-e89b-12d3-a456-426614174000",
  when: "nx",
  compare: "",
  expireMode: "after",
  expireMs: 30_000,
  answer: "status",
};

function entryOf(count: number): Uint8Array {
  return encodeEntry({
    nowMs: 86_400_000,
    wallMs: 1_790_000_000_000,
    operations: Array.from({ length: count }, () => acquire),
    proposal: { node: 2, boot: 12, number: SLOT, after: 0 },
    origins: NO_ORIGINS,
  });
}

function accept(group: number, value: Uint8Array): PeerMessage {
  const message = { kind: "accept", ballot: BALLOT, slot: SLOT, value, chosen: SLOT - 1 } as const;
  return { kind: "paxos", group, message };
}

const single = entryOf(1);
const batch = entryOf(50);

/** The message of one group, by name. */
const messages: Readonly<Record<string, (group: number) => PeerMessage>> = {
  "accept of one SET": (group) => accept(group, single),
  "accept of 50 SET": (group) => accept(group, batch),
  accepted: (group) => {
    return { kind: "paxos", group, message: { kind: "accepted", ballot: BALLOT, slot: SLOT } };
  },
  heartbeat: (group) => {
    const message = { kind: "heartbeat", ballot: BALLOT, round: 9_000, chosen: SLOT } as const;
    return { kind: "paxos", group, message: { ...message, sentMs: 86_400_000.25 } };
  },
  "forward of a SET": (group) => {
    const place = { group, boot: 12, sequence: SLOT, attempt: 1, floor: SLOT - 40 };
    return { kind: "forward", ...place, read: false, deadlineMs: 5_000, operation: acquire };
  },
  "forwarded OK": (group) => {
    const place = { group, boot: 12, sequence: SLOT, attempt: 1 };
    return { kind: "forwarded", ...place, outcome: "reply", reply: OK, leader: 0 };
  },
};

function casesOf(name: string, messageOf: (group: number) => PeerMessage): Case[] {
  const list = Array.from({ length: GROUPS }, (_, group) => messageOf(group));
  const writer = new ByteWriter();
  encodePeerBody(writer, list);
  const bytes = writer.take();
  if (typeof decodePeerBody(bytes) === "string") throw new Error("the body was not read");
  const size = `${((bytes.length - 2) / GROUPS).toFixed(0)} bytes`;
  return [
    {
      name: `encode ${name}, ${size}`,
      operations: GROUPS,
      run: () => {
        writer.reset();
        encodePeerBody(writer, list);
      },
    },
    { name: `decode ${name}`, operations: GROUPS, run: () => decodePeerBody(bytes) },
  ];
}

console.log(
  measureCases(Object.entries(messages).flatMap(([name, messageOf]) => casesOf(name, messageOf))),
);
