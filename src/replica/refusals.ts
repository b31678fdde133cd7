/** What a request is told that was not carried out, or of which nobody knows whether it was. */
import type { ErrorReply, Reply } from "../base/reply.ts";
import { errorReply } from "../base/reply.ts";

export const TOO_MANY_IN_FLIGHT = errorReply(
  "TRYAGAIN too many commands are waiting for the disk or for other nodes; retry in a moment",
);

/** Between nodes: the operation goes on to whoever leads. Clients see it only at their deadline. */
export const NOT_LEADING = errorReply(
  "CLUSTERDOWN this node does not lead the group of this key; retry in a moment",
);

export const NO_SCRIPT_REPLY = errorReply("NOSCRIPT No matching script. Please use EVAL.");

export const STOPPING = errorReply(
  "TRYAGAIN the node is stopping; retry on another node or after restart",
);

/** The deadline passed before the operation was handed to anybody. */
export const NO_LEADER_IN_TIME = errorReply(
  "CLUSTERDOWN no node led the group of this key within the request's time: " +
    "less than a majority of its nodes can be reached; nothing was changed, retry in a moment",
);

/** The deadline passed and the operation may be on its way still. */
export const UNDECIDED_IN_TIME = errorReply(
  "UNKNOWN the outcome is not known: the leader of the group did not answer within the request's " +
    "time; the command may still take effect, so read before you retry",
);

/** A node that nobody has added yet, or that was removed. */
export const NO_MEMBER = errorReply(
  "CLUSTERDOWN this node is no member of the cluster: it waits for PAXOS.ADDNODE or was removed; " +
    "use another node",
);

/** As many clients of this node wait for locks as may, or too much of what they left is to be ended. */
export const TOO_MANY_LOCK_REQUESTS = errorReply(
  "TRYAGAIN too many clients of this node wait for locks; retry in a moment, or on another node",
);

/** A wait that the log has not decided in its time, and the time of a request. */
export const WAIT_UNKNOWN = errorReply(
  "UNKNOWN the outcome is not known: the group did not decide about the wait within its time; " +
    "a grant that still comes is given back at once, ask again",
);

/** What the node missed is in a snapshot, and the request is not there any more. */
export const WAIT_LOST = errorReply(
  "TRYAGAIN the wait ended while this node was catching up with the others; " +
    "nothing is held for it, ask again",
);

/** The client went on with its session over another connection. */
export const SESSION_MOVED = errorReply(
  "TRYAGAIN the session goes on over another connection; ask again there",
);

/** LOCK.ACQUIREALL over several groups, whose first grants were over before the last one came. */
export const ALL_LOST = errorReply(
  "TRYAGAIN some of the locks were lost again before the others were granted; " +
    "all were given back, ask again, with a longer lease if need be",
);

/** The node stops while a client waits. */
export const WAIT_STOPPED = errorReply(
  "TRYAGAIN the node is stopping; ask another node, where a session that is resumed in time keeps its place",
);

/** The deadline of a node on its own passed before the write was handed to the disk. */
export const DISK_TOO_SLOW = errorReply(
  "TRYAGAIN the disk did not take the writes before this one in time; nothing was changed, retry",
);

/** A read whose place in a pipeline was lost with the leader. */
export const READ_LOST = errorReply(
  "TRYAGAIN the leader of the group changed while this read waited; it had no effect, retry",
);

/** What a write is told that never left this process. */
export function diskRefusal(failure: Error): ErrorReply {
  return errorReply(
    `MISCONF the disk does not take writes (${failure.message}); ` +
      "nothing was changed; free space or repair the disk, then retry",
  );
}

/** What a write is told that the disk may still take. */
export function diskUnknown(failure: Error): Reply {
  return errorReply(
    `UNKNOWN the outcome is not known: the disk has not taken the write yet (${failure.message}); ` +
      "it may still take effect, so read before you retry",
  );
}
