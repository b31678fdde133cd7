/** What a stored reply takes, and what it is, for the bounds and the digest of a group's state. */
import { unreachable } from "../base/assert.ts";
import type { Reply } from "../base/reply.ts";
import type { Digest } from "./digest.ts";

/** What every reply and every part of one counts beside its text: a place in a list. */
const PLACE_BYTES = 8;

/**
 * The bytes that a reply counts, or any number above `most` when they are more: a long one is not
 * counted to its end. The same on every replica, since it decides what is kept.
 */
export function replyBytes(reply: Reply, most: number): number {
  if (typeof reply === "string") return PLACE_BYTES + reply.length;
  if (typeof reply !== "object" || reply === null) return PLACE_BYTES;
  if (!("kind" in reply)) return listBytes(reply, most);
  switch (reply.kind) {
    case "status":
    case "error":
      return PLACE_BYTES + reply.text.length;
    case "verbatim":
      return PLACE_BYTES + reply.format.length + reply.text.length;
    case "nil-array":
    case "double":
    case "boolean":
      return PLACE_BYTES;
    case "set":
    case "push":
      return listBytes(reply.items, most);
    case "map": {
      let bytes = PLACE_BYTES;
      for (const entry of reply.entries) {
        bytes += listBytes(entry, most - bytes);
        if (bytes > most) break;
      }
      return bytes;
    }
    default:
      return unreachable(reply);
  }
}

function listBytes(items: readonly Reply[], most: number): number {
  let bytes = PLACE_BYTES;
  for (const item of items) {
    bytes += replyBytes(item, most - bytes);
    if (bytes > most) break;
  }
  return bytes;
}

/** Adds a reply; two that differ in anything add something different. */
export function digestReply(digest: Digest, reply: Reply): void {
  if (reply === null) {
    digest.addString("nil");
  } else if (typeof reply !== "object") {
    digest.addString(typeof reply);
    digest.addString(String(reply));
  } else if ("kind" in reply) {
    digest.addString(reply.kind);
    digestKind(digest, reply);
  } else {
    digest.addString("array");
    digestList(digest, reply);
  }
}

function digestKind(digest: Digest, reply: Extract<Reply, { readonly kind: string }>): void {
  switch (reply.kind) {
    case "status":
    case "error":
      digest.addString(reply.text);
      return;
    case "verbatim":
      digest.addString(reply.format);
      digest.addString(reply.text);
      return;
    case "nil-array":
      return;
    case "double":
      // The text of minus zero is that of zero.
      digest.addString(Object.is(reply.value, -0) ? "-0" : String(reply.value));
      return;
    case "boolean":
      digest.addNumber(reply.value ? 1 : 0);
      return;
    case "set":
    case "push":
      digestList(digest, reply.items);
      return;
    case "map":
      digest.addNumber(reply.entries.length);
      for (const entry of reply.entries) digestList(digest, entry);
      return;
    default:
      unreachable(reply);
  }
}

function digestList(digest: Digest, items: readonly Reply[]): void {
  digest.addNumber(items.length);
  for (const item of items) digestReply(digest, item);
}
