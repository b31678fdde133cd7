/** How much of the memory of a node each of its groups may fill with keys and values. */
import {
  ITEM_OVERHEAD_BYTES,
  KEY_BYTES_MAX,
  NODE_STATE_BYTES_MAX,
  VALUE_BYTES_MAX,
} from "../base/limits.ts";

/** The largest key that there can be, as it counts. */
const LARGEST_BYTES = KEY_BYTES_MAX + VALUE_BYTES_MAX + ITEM_OVERHEAD_BYTES;

/**
 * The share of one group in {@link NODE_STATE_BYTES_MAX}. The number of groups is fixed when a data
 * folder is created, so this is the same on every replica and at every start. One key of the largest
 * size fits into any group, also where a thousand of them share.
 */
export function groupStateBytesMax(groups: number): number {
  return Math.max(Math.floor(NODE_STATE_BYTES_MAX / groups), LARGEST_BYTES);
}

/** What a key counts, the same on every replica, whatever it takes there. */
export function bytesOf(keyLength: number, valueLength: number): number {
  return keyLength + valueLength + ITEM_OVERHEAD_BYTES;
}
