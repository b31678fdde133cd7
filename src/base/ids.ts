/** Names of the numbers that pass between layers. All are safe integers; zero means "none yet". */

/** A node of the cluster, 1 to 255. */
export type NodeId = number;

/** A Paxos group, from 0. Group 0 also holds the cluster's own state once there are several nodes. */
export type GroupId = number;

/** A position in a group's log, from 1. */
export type Slot = number;

/** One of 16384 key buckets: CRC16 of the key or of its `{tag}`. */
export type HashSlot = number;

/**
 * A ballot (round, node) as one comparable number: `round * 256 + node`. 45 bits of rounds last
 * longer than any cluster; zero is below every real ballot.
 */
export type Ballot = number;

/** Milliseconds, a duration or a point of group time. */
export type Millis = number;

/** A point of the wall clock: milliseconds since 1970-01-01 UTC. Never used for a lease decision. */
export type WallMillis = number;
