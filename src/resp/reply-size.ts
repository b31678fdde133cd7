/** How long a reply gets, before memory is taken for it. */
import type { Reply } from "../base/reply.ts";

/** A type byte, the digits of a length or number, and line ends, at most as a rule. */
const ITEM_BYTES = 16;

/**
 * Bytes of a reply on the wire, to within some bytes per item; past `bytesMax` it may stop counting
 * and give any number above. A loop and not a recursion, as in the encoder.
 */
export function replyBytes(reply: Reply, bytesMax: number): number {
  if (typeof reply === "string") return reply.length + ITEM_BYTES;
  if (typeof reply !== "object" || reply === null) return ITEM_BYTES;
  let bytes = 0;
  const open: (readonly Reply[])[] = [[reply]];
  for (let items = open.pop(); items !== undefined; items = open.pop()) {
    for (let index = 0; index < items.length; index += 1) {
      const item = items[index] ?? null;
      bytes += ITEM_BYTES;
      if (typeof item === "string") bytes += item.length;
      else if (typeof item === "object" && item !== null) bytes += openReply(item, open);
      if (bytes > bytesMax) return bytes;
    }
  }
  return bytes;
}

/** Leaves the items of an aggregate to be counted; gives the bytes of any other reply's text. */
function openReply(reply: Reply & object, open: (readonly Reply[])[]): number {
  if (isArray(reply)) {
    open.push(reply);
    return 0;
  }
  switch (reply.kind) {
    case "status":
    case "error":
    case "verbatim":
      return reply.text.length;
    case "map":
      for (const entry of reply.entries) open.push(entry);
      return 0;
    case "set":
    case "push":
      open.push(reply.items);
      return 0;
    case "nil-array":
    case "double":
    case "boolean":
      return 0;
  }
}

/** `Array.isArray` that narrows a readonly array too. */
function isArray(reply: object): reply is readonly Reply[] {
  return Array.isArray(reply);
}
