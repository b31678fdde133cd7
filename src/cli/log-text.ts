/** What `paxlock log dump` prints of one group: its promise, its checkpoint, its log records. */
import { unreachable } from "../base/assert.ts";
import type { GroupId, Slot } from "../base/ids.ts";
import type { AcceptedRecord, Recovery } from "../base/ports.ts";
import type { OperationOrigin, Proposal } from "../machine/entry.ts";
import type { Operation } from "../machine/operation.ts";
import { describeBallot } from "../paxos/ballot.ts";
import type { Member } from "../paxos/membership.ts";
import { decodeMembers, isMembersValue } from "../paxos/members.ts";
import { decodeGroupMeta } from "../wire/state-codec.ts";
import { decodeEntry, entryFault } from "../wire/entry-codec.ts";

/** The head of a group: what is known of it beside its log. */
export interface GroupHead {
  readonly kind: "group";
  readonly group: GroupId;
  /** `round.node`, `-` for none. */
  readonly promised: string;
  /** The newest checkpoint, or null. */
  readonly checkpoint: CheckpointLine | null;
}

/** What the head of a checkpoint says. */
export interface CheckpointLine {
  /** It stands for every entry up to here. */
  readonly slot: Slot;
  /** Group time of the last of them. */
  readonly nowMs: number;
  readonly rows: number;
  /** Grants so far: the lower part of the last fencing token. */
  readonly grants: number;
  /** As of `slot`. */
  readonly members: readonly Member[];
}

/** One record of the log. */
export interface RecordLine {
  readonly kind: "record";
  readonly group: GroupId;
  readonly slot: Slot;
  readonly ballot: string;
  readonly bytes: number;
  readonly value: RecordValue;
}

/** What the value of a record says. */
export type RecordValue =
  /** Fills a gap. */
  | { readonly kind: "no-op" }
  | { readonly kind: "members"; readonly members: readonly Member[] }
  | {
      readonly kind: "entry";
      /** Group time and the leader's wall clock. */
      readonly nowMs: number;
      readonly wall: string;
      /** `node.boot.number`, ` after ` the number it builds on; null from a node alone. */
      readonly proposal: string | null;
      readonly operations: readonly string[];
    }
  | { readonly kind: "unreadable"; readonly reason: string };

export type DumpLine = GroupHead | RecordLine;

/** Which part of a folder is printed. */
export interface DumpRange {
  /** Null: all groups. */
  readonly group: GroupId | null;
  readonly from: Slot;
}

/** Calls `visit` with everything in range, group by group, records in the order written. */
export function dump(
  recovery: Recovery,
  { group: only, from }: DumpRange,
  visit: (line: DumpLine) => void,
): void {
  for (let group = 0; group < recovery.groups; group += 1) {
    if (only !== null && only !== group) continue;
    visit({
      kind: "group",
      group,
      promised: describeBallot(recovery.promise(group)),
      checkpoint: checkpointLine(recovery, group),
    });
    recovery.log(group, (record) => {
      if (record.slot >= from) visit(recordLine(record));
    });
  }
}

function checkpointLine(recovery: Recovery, group: GroupId): CheckpointLine | null {
  const checkpoint = recovery.checkpoint(group);
  if (checkpoint === null) return null;
  const meta = decodeGroupMeta(checkpoint.meta);
  if (meta === null) throw recovery.damage(`the checkpoint of group ${group}`, "it is malformed");
  const { machine, members } = meta;
  return {
    slot: checkpoint.appliedSlot,
    nowMs: machine.nowMs,
    rows: machine.storedRows,
    grants: machine.tokenCounter,
    members,
  };
}

function recordLine({ group, slot, ballot, value }: AcceptedRecord): RecordLine {
  return {
    kind: "record",
    group,
    slot,
    ballot: describeBallot(ballot),
    bytes: value.length,
    value: valueOf(value),
  };
}

function valueOf(bytes: Uint8Array): RecordValue {
  if (bytes.length === 0) return { kind: "no-op" };
  if (isMembersValue(bytes)) {
    const members = decodeMembers(bytes);
    return members === null
      ? { kind: "unreadable", reason: "the membership is malformed" }
      : { kind: "members", members };
  }
  const entry = decodeEntry(bytes);
  if (entry === null) return { kind: "unreadable", reason: entryFault(bytes) ?? "" };
  const { nowMs, wallMs, proposal, operations, origins } = entry;
  const originOf = new Map(origins.map((origin) => [origin.index, origin]));
  return {
    kind: "entry",
    nowMs,
    wall: new Date(wallMs).toISOString(),
    proposal: proposal === null ? null : proposalText(proposal),
    operations: operations.map((operation, index) =>
      operationText(operation, originOf.get(index) ?? null),
    ),
  };
}

function proposalText({ node, boot, number, after }: Proposal): string {
  const name = `${node}.${boot}.${number}`;
  return after === 0 ? name : `${name} after ${after}`;
}

/** A line as a person reads it; operations stand below their record. */
export function lineText(line: DumpLine): string {
  if (line.kind === "group") {
    const { group, promised, checkpoint } = line;
    return `group ${group}: promised ${promised}, ${checkpointText(checkpoint)}\n`;
  }
  const { slot, ballot, bytes, value } = line;
  const head = `  slot ${slot} ballot ${ballot} (${bytes} bytes)`;
  switch (value.kind) {
    case "no-op":
      return `${head}: nothing, fills a gap\n`;
    case "members":
      return `${head}: members ${value.members.map(memberText).join(", ")}\n`;
    case "unreadable":
      return `${head}: unreadable, ${value.reason}\n`;
    case "entry": {
      const proposal = value.proposal === null ? "" : `, proposal ${value.proposal}`;
      const stamps = `group time ${value.nowMs} ms, wall ${value.wall}${proposal}`;
      const operations = value.operations.map((text) => `    ${text}\n`).join("");
      return `${head}: ${stamps}\n${operations === "" ? "    carries time forward\n" : operations}`;
    }
    default:
      return unreachable(value);
  }
}

function checkpointText(checkpoint: CheckpointLine | null): string {
  if (checkpoint === null) return "no checkpoint";
  const { slot, nowMs, rows, grants, members } = checkpoint;
  const facts = `group time ${nowMs} ms, ${rows} rows, ${grants} grants`;
  return `checkpoint at slot ${slot}: ${facts}, members ${members.map(memberText).join(", ")}`;
}

function memberText({ id, voter, address }: Member): string {
  return `${id}${address === "" ? "" : `=${address}`}${voter ? "" : " (learns)"}`;
}

/** Fields that hold what clients sent; the others hold words and numbers of ours. */
const DATA_FIELDS: ReadonlySet<string> = new Set([
  "address",
  "args",
  "body",
  "compare",
  "cycle",
  "data",
  "key",
  "keys",
  "match",
  "newKey",
  "owner",
  "reason",
  "session",
  "sha",
  "token",
  "tokens",
  "type",
  "value",
  "values",
]);

/** An operation with its fields by name: `set db 0, key "a", value "me", when nx`. */
function operationText(operation: Operation, origin: OperationOrigin | null): string {
  const fields = Object.entries(operation)
    .filter(([name, value]) => name !== "kind" && value !== "" && value !== null)
    .map(
      ([name, value]) => `${words(name)} ${DATA_FIELDS.has(name) ? shown(value) : String(value)}`,
    );
  const from =
    origin === null
      ? ""
      : `; from node ${origin.node}, start ${origin.boot}, number ${origin.sequence}`;
  return `${operation.kind}${fields.length === 0 ? "" : ` ${fields.join(", ")}`}${from}`;
}

/** `expireMs` as `expire-ms`. */
function words(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

const TEXT_LENGTH_MAX = 64;
const LIST_LENGTH_MAX = 16;

/** Texts in quotes with bytes beyond ASCII escaped, long ones and long lists cut. */
function shown(value: unknown): string {
  if (typeof value === "string") {
    const cut = value.length > TEXT_LENGTH_MAX ? `… (${value.length} bytes)` : "";
    const text = JSON.stringify(value.slice(0, TEXT_LENGTH_MAX));
    return `${text.replace(/[\x7f-\xff]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16)}`)}${cut}`;
  }
  if (Array.isArray(value)) {
    const items = value.slice(0, LIST_LENGTH_MAX).map(shown);
    if (value.length > LIST_LENGTH_MAX) items.push(`… (${value.length})`);
    return `[${items.join(" ")}]`;
  }
  return String(value);
}
