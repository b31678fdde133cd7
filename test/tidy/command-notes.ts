/**
 * How the commands stand beside Redis 7.2: what differs on purpose, in a few words for the table of
 * the README. A command that is not named here does what it does there.
 *
 * What the differential test allows stands in `test/differential/meant-differences.ts`; here is
 * what a reader who looks up one command should know.
 */

const ONE_GROUP = "keys of one group, else `CROSSSLOT`";
const GROUP_BY_GROUP = "group by group, not at one moment";
const SCRIPT = `${ONE_GROUP}; bounded, and past a bound all its effects are undone`;

/** By the command's name. */
export const COMMAND_NOTES: ReadonlyMap<string, string> = new Map([
  ["set", "`IFEQ` and `IFNE` are those of Redis 8.4"],
  ["delex", "Redis 8.4, without `IFDEQ` and `IFDNE`"],
  ["delifeq", "Valkey 9"],
  ["mget", ONE_GROUP],
  ["mset", ONE_GROUP],
  ["msetnx", ONE_GROUP],
  ["copy", ONE_GROUP],
  ["del", ONE_GROUP],
  ["exists", ONE_GROUP],
  ["rename", ONE_GROUP],
  ["renamenx", ONE_GROUP],
  ["touch", `${ONE_GROUP}; reads leave no trace`],
  ["unlink", ONE_GROUP],
  ["keys", GROUP_BY_GROUP],
  ["scan", "one group after the other; cursors are numbers of our own"],
  ["randomkey", GROUP_BY_GROUP],
  ["dbsize", `${GROUP_BY_GROUP}; counts due keys that are not taken away yet`],
  ["flushall", `${GROUP_BY_GROUP}; \`ASYNC\` and \`SYNC\` are the same`],
  ["flushdb", `${GROUP_BY_GROUP}; \`ASYNC\` and \`SYNC\` are the same`],
  ["object", "`IDLETIME` counts from the last write"],
  ["wait", "0 at once: there are no Redis replicas"],
  ["waitaof", "1 and 0 at once: what is answered is on disk"],
  ["eval", SCRIPT],
  ["evalsha", SCRIPT],
  ["eval_ro", SCRIPT],
  ["evalsha_ro", SCRIPT],
  [
    "script",
    "no debugger; `KILL` never finds one, for a script ends at its bounds; `EXISTS` tells what the " +
      "node that is asked has applied, which may be a moment behind what another node has answered",
  ],
  ["subscribe", "`__lock@<db>__:<key>` tells what happens to a lock"],
  ["psubscribe", "of 4,096 patterns a node at most"],
  [
    "publish",
    "reaches subscribers of all nodes and counts those of this one, as in a Redis cluster; a script is " +
      "answered 0; channels that begin with `__lock@` are the server's",
  ],
  ["pubsub", "tells of this node; no shard channels"],
  ["client", "no `PAUSE`, `UNPAUSE`; `TRACKING ON` is refused"],
  ["config", "parameters that Paxlock has; `REWRITE` is refused"],
  ["info", "fields with something to tell, and a section `Paxlock`"],
  ["lastsave", "the time of the last checkpoint"],
  ["slowlog", "times hold the wait for the disk"],
  [
    "shutdown",
    "its options make no difference: all is on disk already; the connection may close before the process has ended",
  ],
  ["asking", "as with cluster mode off"],
  ["cluster", "as with cluster mode off"],
  ["readonly", "as with cluster mode off"],
  ["readwrite", "as with cluster mode off"],
]);

/** Groups whose commands Redis does not have. */
export const OWN_GROUPS: ReadonlySet<string> = new Set(["lock", "paxos"]);

/** The groups of commands, in order, by what `group` in their spec says. */
export const COMMAND_GROUPS: ReadonlyMap<string, string> = new Map([
  ["string", "Strings, which are exclusive locks"],
  ["generic", "Keys"],
  ["lock", "Locks"],
  ["scripting", "Scripts"],
  ["pubsub", "Publish and subscribe"],
  ["connection", "Connections"],
  ["server", "Server"],
  ["paxos", "Cluster"],
  ["cluster", "Redis Cluster"],
]);
