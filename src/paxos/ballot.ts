/** Ballots as one comparable number: `round * 256 + node`. Zero is below every real ballot. */
import { assert } from "../base/assert.ts";
import type { Ballot, NodeId } from "../base/ids.ts";

const NODES = 256;

/** The ballot of `node` in `round`; no two nodes ever share one [P1]. */
export function ballotOf(round: number, node: NodeId): Ballot {
  assert(node >= 1, "a node id is at least 1");
  assert(node < NODES, "a node id is below 256");
  assert(round >= 1, "a round is at least 1");
  const ballot = round * NODES + node;
  assert(Number.isSafeInteger(ballot), "a ballot is a safe integer");
  return ballot;
}

/** The round of a ballot; 0 for "none yet". */
export function roundOf(ballot: Ballot): number {
  return Math.floor(ballot / NODES);
}

/** The node whose ballot this is; 0 for "none yet". */
export function nodeOf(ballot: Ballot): NodeId {
  return ballot % NODES;
}

/** The lowest ballot of `node` above `ballot`. */
export function ballotAbove(ballot: Ballot, node: NodeId): Ballot {
  const round = roundOf(ballot);
  return round >= 1 && nodeOf(ballot) < node ? ballotOf(round, node) : ballotOf(round + 1, node);
}

/** A ballot as `round.node`, or `-` for none. */
export function describeBallot(ballot: Ballot): string {
  return ballot === 0 ? "-" : `${roundOf(ballot)}.${nodeOf(ballot)}`;
}
