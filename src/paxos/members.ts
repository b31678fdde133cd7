/**
 * The members of a group as a value of its log.
 *
 * | byte | meaning |
 * |---|---|
 * | 0xFF | no other value begins with it |
 * | 1 | version of what follows |
 * | varint | how many members; for each, in ascending order of id: |
 * | · u8 u8 text | id, 1 if it votes and 0 if it only learns, address |
 */
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import type { NodeId } from "../base/ids.ts";
import type { Member } from "./membership.ts";
import { MEMBERS_MAX } from "./membership.ts";

export type { Member } from "./membership.ts";

/** One step from a membership to the next. One voter more or fewer at most, see [P10]. */
export type MemberChange =
  | { readonly kind: "add"; readonly id: NodeId; readonly address: string }
  | { readonly kind: "promote"; readonly id: NodeId }
  | { readonly kind: "remove"; readonly id: NodeId };

/** Begins every membership value, and no other value. */
export const MEMBERS_MARK = 0xff;
const VERSION = 1;
const NODE_ID_MAX = 255;
/** A host name has at most 253 characters; a port six with its colon. */
const ADDRESS_BYTES_MAX = 300;

/** Whether a value of the log is a membership. */
export function isMembersValue(value: Uint8Array): boolean {
  return value[0] === MEMBERS_MARK;
}

/** The value that puts `members` in force once it is chosen. */
export function encodeMembers(members: readonly Member[]): Uint8Array {
  const writer = new ByteWriter();
  writer.u8(MEMBERS_MARK);
  writer.u8(VERSION);
  writer.varint(members.length);
  for (const { id, voter, address } of inOrder(members)) {
    writer.u8(id);
    writer.u8(voter ? 1 : 0);
    writer.text(address);
  }
  return writer.take();
}

/** The members of a membership value; null when it is not well formed. */
export function decodeMembers(value: Uint8Array): readonly Member[] | null {
  const reader = new ByteReader(value);
  if (reader.u8() !== MEMBERS_MARK || reader.u8() !== VERSION) return null;
  const count = reader.count(3);
  const members: Member[] = [];
  let before = 0;
  for (let index = 0; index < count; index += 1) {
    const id = reader.u8();
    const voter = reader.u8();
    const address = reader.text();
    if (id <= before || voter > 1) return null;
    before = id;
    members.push({ id, voter: voter === 1, address });
  }
  if (!reader.finished() || !members.some(({ voter }) => voter)) return null;
  return members;
}

/** Members in ascending order of id, which is the order of the log. */
export function inOrder(members: readonly Member[]): readonly Member[] {
  return members.slice().sort((left, right) => left.id - right.id);
}

/** The members after `change`, or why there cannot be such a change. */
export function changed(
  members: readonly Member[],
  change: MemberChange,
): readonly Member[] | string {
  const known = members.find(({ id }) => id === change.id);
  switch (change.kind) {
    case "add":
      return added(members, change);
    case "promote":
      if (known === undefined) return unknown(change.id);
      if (known.voter) return `node ${change.id} votes already`;
      return members.map((member) => (member === known ? { ...known, voter: true } : member));
    case "remove":
      if (known === undefined) return unknown(change.id);
      if (known.voter && members.filter(({ voter }) => voter).length === 1) {
        return `node ${change.id} is the last one that votes; add another node first`;
      }
      return members.filter((member) => member !== known);
  }
}

function added(
  members: readonly Member[],
  { id, address }: Extract<MemberChange, { kind: "add" }>,
): readonly Member[] | string {
  if (!Number.isInteger(id) || id < 1 || id > NODE_ID_MAX) {
    return `a node id is a whole number from 1 to ${NODE_ID_MAX}`;
  }
  if (members.some((member) => member.id === id)) return `node ${id} is a member already`;
  if (!/^[\x20-\x7e]*$/.test(address) || address.length > ADDRESS_BYTES_MAX) {
    return `an address is at most ${ADDRESS_BYTES_MAX} printable ASCII characters`;
  }
  const clash = members.find((member) => address !== "" && member.address === address);
  if (clash !== undefined) return `node ${clash.id} has the address ${address} already`;
  if (members.length >= MEMBERS_MAX) {
    return `a group has at most ${MEMBERS_MAX} members; remove one first`;
  }
  return inOrder([...members, { id, voter: false, address }]);
}

function unknown(id: NodeId): string {
  return `node ${id} is no member`;
}
