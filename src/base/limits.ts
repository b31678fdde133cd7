/**
 * Every bound of the system, in one place, each with its reason.
 *
 * Past a bound a client gets an error of the registry or its input waits; nothing is dropped in
 * silence and no memory grows without end. Relations between bounds are asserted at the end.
 */
import { assert } from "./assert.ts";

// --- the log ------------------------------------------------------------------------------------

/** Estimated bytes after which a batch takes no further operation: keeps one apply and one frame short. */
export const ENTRY_BYTES_MAX = 1024 * 1024;

/** Operations in one batch: some 5 ms of applying, so that one slot never stalls the loop. */
export const ENTRY_OPERATIONS_MAX = 4096;

/**
 * Open slots of a group with several nodes: an entry need not wait until the one before it has been to
 * the others and back. Where a round trip takes 40 ms, half of 50 clients wait 41 ms at most; 78 with
 * one open slot, 46 with four, and sixteen bring nothing more.
 */
export const WINDOW_SLOTS = 8;

/**
 * Open slots of a group of one node. The disk takes one commit at a time; a second slot gathers while
 * the first is being written, and more would only make smaller batches.
 */
export const LONE_WINDOW_SLOTS = 2;

/** Writes of all clients between being read and being answered; past it they are told to retry. */
export const OPERATIONS_IN_FLIGHT_MAX = 1_000_000;

/** Their bytes, so that large values wait in the clients' sockets and not in this process. */
export const BYTES_IN_FLIGHT_MAX = 256 * 1024 * 1024;

// --- groups ---------------------------------------------------------------------------------------

/** Groups of a cluster: each has a log and leases of its own, and a SCAN cursor names one. */
export const GROUPS_MAX = 1024;

// --- nodes ----------------------------------------------------------------------------------------

/** The highest number of a node: one byte in ballots and handshakes. */
export const NODE_ID_MAX = 255;

/**
 * Nodes of a cluster. Every node has a link to every other, and each voter more makes each write
 * wait for more disks: five survive two failures, and seven are as many as anyone should have.
 */
export const CLUSTER_NODES_MAX = 16;

/**
 * Bytes of one body between nodes. A message with the largest operation, or a page of entries and
 * one more, is far smaller; whoever has more to say in one turn sends several bodies. The receiver
 * holds one in memory per link before it looks at it.
 */
export const PEER_BODY_BYTES_MAX = 64 * 1024 * 1024;

/** Bytes of a handshake between nodes, the list of initial members included. */
export const PEER_HANDSHAKE_BYTES_MAX = 16 * 1024;

/** Dialers whose handshake is not over; one more is closed. Each has a deadline of its own. */
export const PEER_HANDSHAKES_MAX = 64;

// --- between nodes -------------------------------------------------------------------------------

/**
 * Operations of one node for one group led elsewhere, from the oldest that waits for its answer to the
 * youngest that was sent; past it clients are told to retry. Ten thousand clients of one node that all
 * wait for one group. The group keeps as many answers for the node, in case they get lost.
 */
export const FORWARDED_OPERATIONS_MAX = 16_384;

/**
 * Bytes of the answers that a group keeps for one node: full when all that the node may have on the way
 * get 64 bytes each, and some lists of a script among them. Every replica has them in memory, and a
 * checkpoint writes those of a node anew when one has come. An answer that does not fit is not kept;
 * should it get lost, its client is told that the command was executed.
 */
export const REPLY_WINDOW_BYTES_MAX = 1024 * 1024;

/**
 * Messages that a node puts into one body for another: four for each forwarded operation that a group
 * may have on the way, so that only a body of nonsense has more. A message takes a hundred times its
 * bytes as an object.
 */
export const PEER_BODY_MESSAGES_MAX = 65_536;

/**
 * Bytes after which a node's messages for another go on in a further body of the same turn: the other
 * node takes in one body at a time, and everything else of its turn waits.
 */
export const PEER_BODY_SPLIT_BYTES = 4 * 1024 * 1024;

/** Bytes of one answer between nodes: with what wraps it, it fits into a body. */
export const PEER_REPLY_BYTES_MAX = 48 * 1024 * 1024;

/** Bytes of all operations of a node that are with other nodes or wait for one to lead. */
export const FORWARDED_BYTES_MAX = 128 * 1024 * 1024;

/** All operations of a node that are with other nodes or wait for one to lead, in all groups. */
export const FORWARDED_NODE_OPERATIONS_MAX = 131_072;

/**
 * Bytes of applied entries that a node keeps in memory and on disk, over all its groups, for others
 * that were away for a short while. Who missed more gets a snapshot.
 */
export const CATCH_UP_BYTES_MAX = 32 * 1024 * 1024;

/** Applied entries of a group that are kept for others: a minute of a busy group. */
export const CATCH_UP_SLOTS_MAX = 8_192;

/**
 * Bytes of records that wait for the disk, past which a node takes no more of its leaders: a disk
 * that has stopped must not fill the memory.
 */
export const DISK_BACKLOG_BYTES_MAX = 128 * 1024 * 1024;

/** Bytes of rows in one chunk of a snapshot, so that heartbeats are not held up behind it. */
export const SNAPSHOT_CHUNK_BYTES = 256 * 1024;

/** Chunks of a snapshot on their way: fills a link of 1 Gbit/s with a round trip of 8 ms. */
export const SNAPSHOT_CHUNKS_IN_FLIGHT = 4;

/** Snapshots that a node sends at once. Each holds a read view of the storage open. */
export const SNAPSHOTS_SENT_MAX = 4;

/** Snapshots that a node takes in at once. Each holds a second copy of a group's state in memory. */
export const SNAPSHOTS_RECEIVED_MAX = 2;

/** PAXOS commands of a node's clients that wait for other nodes or for a change to take effect. */
export const ADMIN_REQUESTS_MAX = 256;

/**
 * How deep replies nest between nodes: those of scripts, with room for what wraps them. Reading one
 * calls itself for each level.
 */
export const REPLY_DEPTH_MAX = 160;

/**
 * Bytes of a segment of the log on disk. A node keeps what its groups need and two or three segments
 * more; each is filled with zeros ahead of its use, beside the commits, so a shorter one would make the
 * commits that find none ready more frequent, and a longer one costs space for nothing.
 */
export const LOG_SEGMENT_BYTES = 16 * 1024 * 1024;

/**
 * Bytes of old log that are written again with one commit, so that the segment they lie in can be
 * deleted: a group that is seldom written would hold it for ever. Costs that commit a few milliseconds.
 */
export const LOG_CARRIED_BYTES_MAX = 1024 * 1024;

// --- checkpoints ---------------------------------------------------------------------------------

/**
 * Changed rows after which a group is checkpointed. More rows share more of the pages they are on, and
 * a lock that comes and goes in between costs no row at all; fewer hold up the event loop, which takes
 * the rows, for a shorter time. Scattered over a million locks: 1,024 rows stop it for 0.8 ms and cost
 * the thread of the state 11 µs each with the flush, 4,096 for 3 ms and 5 µs.
 */
export const CHECKPOINT_ROWS = 4096;

/**
 * How many removed rows stand for a changed one in `CHECKPOINT_ROWS`. Nothing of them is encoded: 4,096
 * stop the event loop for 0.3 ms. Four times as many lie on half as many pages each, which saves
 * clients that free locks at random a tenth of the processor time of a command.
 */
export const CHECKPOINT_REMOVED_PER_ROW = 4;

/**
 * Log bytes of a group after which it is checkpointed even if little of it is still alive: such a
 * checkpoint is short, and it bounds what a start reads and applies again.
 */
export const CHECKPOINT_LOG_BYTES = 4 * 1024 * 1024;

// --- time ----------------------------------------------------------------------------------------

/**
 * The shortest time between two entries that only carry time forward: a busy second of expiries
 * costs at most a hundred disk commits, and a key is seen at most so much longer than it lives.
 */
export const EXPIRY_INTERVAL_MS = 10;

/**
 * How often a group with leases stamps its time without traffic: after a crash a lease may be longer
 * by the outage and this. Each stamp is a small disk commit.
 */
export const TIME_CARRIED_INTERVAL_MS = 5_000;

/** How long a write waits for a failing disk before its client is told that the outcome is unknown. */
export const STORAGE_PATIENCE_MS = 5_000;

/** How long a failed disk commit waits before it is tried again. */
export const STORAGE_RETRY_MS = 500;

// --- what a command may carry --------------------------------------------------------------------

/** Databases, as in an untouched Redis; SELECT, COPY and the codecs know no other number. */
export const DATABASES = 16;

/**
 * Bytes of a key. Lock names are short; a key is repeated in the log, in its state row and in each
 * answer of SCAN, so a long one costs several times its size.
 */
export const KEY_BYTES_MAX = 64 * 1024;

/**
 * Bytes of a pattern of SCAN and KEYS. Matching costs up to pattern × key, for each key looked at,
 * and everybody waits for it.
 */
export const PATTERN_BYTES_MAX = 1024;

/**
 * Bytes of a name that a client gives itself or its library. CLIENT LIST repeats it for each
 * connection, and each connection keeps it.
 */
export const CLIENT_NAME_BYTES_MAX = 1024;

/**
 * Bytes of a value, a compared value, or a script. A value is an owner or a small document; it
 * travels through the log of its group and holds up every lock behind it while it does.
 */
export const VALUE_BYTES_MAX = 1024 * 1024;

/**
 * Bytes of all keys and values of one command together (MSET, EVAL). One slot of the log carries
 * it whole, and so does one frame between nodes.
 */
export const OPERATION_BYTES_MAX = 8 * 1024 * 1024;

/**
 * The longest lease and the latest moment of the wall clock, in milliseconds: 2^52, some 142,000
 * years. A deadline is a sum of two such numbers and must stay an exact integer, below 2^53.
 */
export const EXPIRE_MS_MAX = 2 ** 52;

// --- the lock state ------------------------------------------------------------------------------

/**
 * What a key is counted with beside its own bytes and those of its value: the item with its boxed
 * numbers, and its places in the indexes. Measured, rounded up; a constant, for all replicas of a
 * group must refuse the same operation.
 */
export const ITEM_OVERHEAD_BYTES = 256;

/**
 * Bytes of all keys of a node, counted with their values and {@link ITEM_OVERHEAD_BYTES} each: three
 * million locks, or a thousand values of a megabyte. All of it lives in the heap of one process that
 * V8 by default bounds at 2 GB on a machine of 4 GB and at 4 GB on a large one; past that bound the
 * process dies, and again at every start, so that what it had acknowledged would be out of reach. On
 * a smaller machine the heap's bound can be set with `NODE_OPTIONS=--max-old-space-size=2048` or, if
 * there is no room for that, with fewer locks. It is no option, since replicas must agree on it.
 */
export const NODE_STATE_BYTES_MAX = 1024 * 1024 * 1024;

/**
 * Keys of one group in one database. The bytes of a group end before that unless it is alone and
 * its keys are short; the indexes are built for no more.
 */
export const DATABASE_KEYS_MAX = 4 * 1024 * 1024;

/**
 * Due keys that one entry takes away unasked. One costs about a microsecond, so an entry stays at a
 * millisecond or two and, with eight groups in one turn, nobody waits 50 ms even when a million keys
 * are due at once. The leader proposes further entries while any are due.
 */
export const EXPIRED_PER_ENTRY_MAX = 1_000;

/** Scripts kept because EVAL brought them, oldest evicted first: Redis 7.4 keeps 500. */
export const EVALUATED_SCRIPTS_MAX = 512;

/** Bytes of scripts kept because EVAL brought them. */
export const EVALUATED_SCRIPT_BYTES_MAX = 4 * 1024 * 1024;

/** Scripts kept by SCRIPT LOAD in one group; past it SCRIPT LOAD is refused, for nothing evicts them. */
export const LOADED_SCRIPTS_MAX = 4_096;

/** Bytes of scripts kept by SCRIPT LOAD in one group; every group has its copy. */
export const LOADED_SCRIPT_BYTES_MAX = 16 * 1024 * 1024;

/**
 * Bytes of an owner that LOCK.ACQUIRE takes; SET takes any value. Each waiter has one in memory, in
 * the log and in its row, and each answer of LOCK.QUEUE repeats it.
 */
export const LOCK_OWNER_BYTES_MAX = 1024;

/** Bytes of DATA: a note for those who look, such as a host name and a job, and no document. */
export const LOCK_DATA_BYTES_MAX = 4096;

/** Bytes of a REASON: a sentence, kept with the lock and sent to all who listen. */
export const LOCK_REASON_BYTES_MAX = 1024;

/**
 * The longest WAIT, DELAY and CLAIM in milliseconds: 24 days, what a timer of Node takes. Who waits
 * longer asks again.
 */
export const LOCK_WAIT_MS_MAX = 2 ** 31 - 1;

/** How long a grant to a ticket stays unclaimed where the client does not say, in milliseconds. */
export const LOCK_CLAIM_MS_DEFAULT = 10_000;

/** How long LOCK.WATCH waits where the client does not say: below the patience of proxies. */
export const LOCK_WATCH_MS_DEFAULT = 30_000;

/** The lowest and the highest PRIORITY differ by so much. */
export const LOCK_PRIORITY_MAX = 9;

/**
 * The most permits that a lock has. Every permit may have a holder of its own, and LOCK.INFO lists
 * them all.
 */
export const LOCK_PERMITS_MAX = 65_536;

/**
 * Keys of one LOCK.ACQUIREALL. They are granted in one step, and a request stands in the queues of
 * all of them.
 */
export const LOCK_KEYS_MAX = 1_024;

/**
 * Waiters of one lock, where its option MAXWAITERS is not lower. A queue that grows past any hope is
 * better refused; at half a kilobyte each so many take 128 MB of every node.
 */
export const LOCK_WAITERS_MAX = 262_144;

/**
 * Holders of one lock, each with one permit or reading. LOCK.INFO lists them all, and whoever frees the
 * lock at once frees each of them.
 */
export const LOCK_HOLDERS_MAX = 10_000;

/** How often its owner may hold a reentrant lock: a million holds are a program that never releases. */
export const LOCK_HOLDS_MAX = 1_000_000;

/**
 * Who came so much earlier is not overtaken by a priority that is higher by one: with priorities from 0
 * to 9 nobody waits behind one who came more than 90 s later.
 */
export const LOCK_PRIORITY_AGE_MS = 10_000;

/** For how long of group time a ticket is kept that has come to its end: a minute to ask for it. */
export const LOCK_TICKET_KEPT_MS = 60_000;

/** Tickets of one group that have come to their end; the oldest go. */
export const LOCK_TICKETS_KEPT_MAX = 100_000;

/** For how long of group time LOCK.INFO shows the last LOCK.BREAK. */
export const LOCK_BREAK_KEPT_MS = 3_600_000;

/** Deadlocks of a group that LOCK.DEADLOCKS shows; they go with each checkpoint. */
export const LOCK_DEADLOCKS_KEPT_MAX = 16;

/**
 * FLUSHDB tells subscribers of the locks it frees, but of no more than these: it frees a million at
 * once, and each would be a message.
 */
export const LOCK_FLUSH_EVENTS_MAX = 10_000;

/**
 * What a holder is counted with beside its strings; like {@link ITEM_OVERHEAD_BYTES} measured, rounded
 * up, and the same on all replicas.
 */
export const LOCK_HOLDER_OVERHEAD_BYTES = 320;

/**
 * What a waiter is counted with beside its strings: measured, rounded up. No less than a holder is, so
 * that nobody's turn, for whom it makes room as it leaves, is refused for want of it; the key itself has
 * its room kept once for each lock, since one holds it or many share it.
 */
export const LOCK_WAITER_OVERHEAD_BYTES = 352;

/** What a lock is counted with that has waiters, several holders, options, a delay, or a notice. */
export const LOCK_RECORD_OVERHEAD_BYTES = 384;

/** What a session is counted with beside its id. */
export const LOCK_SESSION_OVERHEAD_BYTES = 256;

/** What a ticket is counted with beside its strings, also while its request waits. */
export const LOCK_TICKET_OVERHEAD_BYTES = 256;

/** Waiters that LOCK.QUEUE answers where the client does not say how many. */
export const LOCK_QUEUE_COUNT_DEFAULT = 100;

/** The most waiters that one LOCK.QUEUE answers: some milliseconds in which others wait. */
export const LOCK_QUEUE_COUNT_MAX = 10_000;

/** Locks that one LOCK.LIST looks at where the client does not say how many. */
export const LOCK_LIST_COUNT_DEFAULT = 100;

/** The highest COUNT of LOCK.LIST. */
export const LOCK_LIST_COUNT_MAX = 10_000;

/**
 * Locks that one LOCK.LIST looks at, whatever its COUNT, as COUNT of SCAN is a wish too: each is answered
 * with more than fifty fields, and others wait meanwhile, some three milliseconds. With 10,000 they
 * waited for a tenth of a second and more.
 */
export const LOCK_LIST_LOOKED_MAX = 250;

/**
 * Requests for locks of the clients of one node that wait for their turn; past it clients are told to
 * retry or to ask another node. Each takes half a kilobyte here beside its place in the queue.
 */
export const LOCK_REQUESTS_MAX = 200_000;

/** Those of one connection: as many as its pipeline takes. */
export const LOCK_REQUESTS_CONNECTION_MAX = 10_000;

/**
 * Ended sessions and withdrawn requests that a node has not got through to their groups yet, while
 * those have no leader; past it no session is begun, as nobody could promise its end.
 */
export const LOCK_CHORES_MAX = 400_000;

/** LOCK.WATCH and LOCK.TICKET that wait at one node. */
export const LOCK_WATCHERS_MAX = 100_000;

/**
 * Locks of a group whose newest change a node remembers, oldest forgotten first. A LOCK.WATCH that asks
 * from an earlier version is answered at once, which it may always be.
 */
export const LOCK_CHANGES_KEPT_MAX = 16_384;

/**
 * Edges of one group that one look for deadlocks takes: some milliseconds in which others wait. Cycles
 * among more are found as queues become shorter.
 */
export const LOCK_EDGES_LOOKED_MAX = 20_000;

/** Edges that LOCK.DEADLOCKS answers of one group: more would tell nobody anything. */
export const LOCK_EDGES_SHOWN_MAX = 1_000;

/**
 * Rows of flushed databases that one checkpoint clears away. They lie under a watermark and are
 * ignored already, so the rest waits for the next checkpoint instead of stalling this one. As many
 * as call for a checkpoint, so that they go on until all are gone.
 */
export const CHECKPOINT_LEFTOVERS_MAX = CHECKPOINT_ROWS;

// --- publish and subscribe ------------------------------------------------------------------------

/** Bytes of the name of a channel: that of the channel of the longest key, with what is put before it. */
export const CHANNEL_BYTES_MAX = KEY_BYTES_MAX + 16;

/**
 * Channels and patterns of one connection. Redisson takes 5 for each connection and a client of many
 * locks some hundreds; `UNSUBSCRIBE` of all is answered with a frame for each.
 */
export const CONNECTION_SUBSCRIPTIONS_MAX = 16_384;

/** What a subscription is counted with beside its name: its places in two sets. Measured, rounded up. */
export const SUBSCRIPTION_OVERHEAD_BYTES = 256;

/**
 * Bytes of all subscriptions of a node, {@link SUBSCRIPTION_OVERHEAD_BYTES} each included: some 400,000
 * with names of 64 bytes.
 */
export const SUBSCRIPTIONS_BYTES_MAX = 128 * 1024 * 1024;

/**
 * Patterns that differ, of all connections of a node. Each message is held against each of them, some
 * 120 ns a time for short ones, and everybody waits for it.
 */
export const PATTERNS_MAX = 4_096;

/**
 * Bytes that a node's clients may publish to other nodes in one tick, counted once for each node. At
 * 50 ms a tick some 80 MB a second: they share the links with the groups' consensus.
 */
export const PUBLISHED_BYTES_PER_TICK_MAX = 4 * 1024 * 1024;

/**
 * Messages that one script may publish; past it, it is aborted and undone. One that frees a lock publishes
 * one; each is held against all patterns while the group waits.
 */
export const SCRIPT_MESSAGES_MAX = 256;

/** Bytes of these messages and the names of their channels: the largest message, and others. */
export const SCRIPT_MESSAGES_BYTES_MAX = 2 * 1024 * 1024;

/** What a message of a script is counted with beside that, in an entry. */
export const SCRIPT_MESSAGE_OVERHEAD_BYTES = 256;

/**
 * Bytes that all scripts of one entry may publish: they are held until the entry is applied. Some
 * 30,000 messages of unlocked locks; past it a script is undone and its client told to try again.
 */
export const ENTRY_MESSAGES_BYTES_MAX = 8 * 1024 * 1024;

// --- requests on the wire ------------------------------------------------------------------------

/**
 * Bytes one argument may announce: Redis's default of `proto-max-bulk-len`, so that the same header
 * is a protocol error here and there. It bounds what may be said; what is held is bounded by
 * {@link REQUEST_BYTES_MAX}, and what is stored by {@link VALUE_BYTES_MAX}.
 */
export const REQUEST_BULK_BYTES_MAX = 512 * 1024 * 1024;

/**
 * Arguments of one request, as in Redis 6 (Redis 7 takes any `int`): a million keys in one DEL is
 * more than a lock client ever sends, and an empty argument costs memory too.
 */
export const REQUEST_ARGUMENTS_MAX = 1024 * 1024;

/**
 * Bytes of one request, headers included; stands for Redis's `client-query-buffer-limit` of 1 GB. A
 * request has to be in memory as a whole before it runs, once per connection. Far above
 * {@link OPERATION_BYTES_MAX}, so that a command somewhat too big gets its error and not a closed
 * connection.
 */
export const REQUEST_BYTES_MAX = 64 * 1024 * 1024;

/** Bytes of an inline command or of a header line: Redis's `PROTO_INLINE_MAX_SIZE`. */
export const REQUEST_LINE_BYTES_MAX = 64 * 1024;

/** Arguments of a request before authentication, as in Redis: enough for AUTH and HELLO. */
export const UNAUTHENTICATED_ARGUMENTS_MAX = 10;

/** Bytes of one argument before authentication, as in Redis: enough for any password. */
export const UNAUTHENTICATED_BULK_BYTES_MAX = 16 * 1024;

/**
 * Bytes of one reply with several values (MGET, KEYS, SCAN); past it the client gets an error. A
 * reply has to be in memory as a whole, and a key named a thousand times is sent a thousand times.
 */
export const REPLY_BYTES_MAX = 64 * 1024 * 1024;

/**
 * Bytes of the requests of one connection that wait for their answers; past it its input waits. One
 * request may be larger and is then alone.
 */
export const CONNECTION_INPUT_BYTES_MAX = 16 * 1024 * 1024;

/**
 * Bytes of finished replies of one connection that wait for their turn; past it the connection is
 * closed. Only what scripts and scans make counts: other replies share the memory of the keys.
 */
export const CONNECTION_REPLY_BYTES_MAX = 256 * 1024 * 1024;

/** The longest string V8 makes, 2^29 - 24 characters; a longer argument could not be held. */
export const STRING_BYTES_MAX = 2 ** 29 - 24;

// --- scripts -------------------------------------------------------------------------------------

/**
 * Steps of one script: Lua instructions, and what library functions and commands charge for their
 * work. Some 50 ms; a script runs inside of an entry, and every lock of its group waits for it.
 */
export const SCRIPT_STEPS_MAX = 5_000_000;

/** Steps a command called from a script costs beside its own work. */
export const SCRIPT_COMMAND_STEPS = 100;

/**
 * Bytes a script may ask the allocator for, frees not counted: bounds the time spent on copying long
 * strings, which takes few instructions. What lives at one time is bounded by the memory of the
 * virtual machine, 12 MB.
 */
export const SCRIPT_ALLOCATED_BYTES_MAX = 256 * 1024 * 1024;

/** Bytes of a script's answer: a table may name one long string many times. */
export const SCRIPT_REPLY_BYTES_MAX = 16 * 1024 * 1024;

/** Nesting of a script's answer; a table may contain itself. Redis stops near its C stack's end. */
export const SCRIPT_REPLY_DEPTH_MAX = 128;

/** Scripts of which an engine remembers what they are; clients that build bodies send ever new ones. */
export const SCRIPTS_KNOWN_MAX = 4096;

/**
 * Bytes of compiled scripts an engine keeps; one takes about 75 KB. A script that fell out is
 * compiled again when it runs, some 30 µs.
 */
export const SCRIPT_IMAGES_BYTES_MAX = 16 * 1024 * 1024;

assert(CHECKPOINT_ROWS <= ENTRY_OPERATIONS_MAX, "one entry may already call for a checkpoint");
assert(
  ENTRY_BYTES_MAX + 2 * OPERATION_BYTES_MAX < PEER_BODY_BYTES_MAX,
  "a page of catch-up with the largest entry fits into a body",
);
assert(KEY_BYTES_MAX <= VALUE_BYTES_MAX, "a key is never longer than a value may be");
assert(VALUE_BYTES_MAX + KEY_BYTES_MAX <= OPERATION_BYTES_MAX, "one SET fits into an operation");
assert(
  DATABASE_KEYS_MAX * ITEM_OVERHEAD_BYTES <= NODE_STATE_BYTES_MAX,
  "the keys that a database may have fit into memory",
);
assert(Number.isSafeInteger(EXPIRE_MS_MAX * 2 - 1), "the sum of two deadlines is exact");
assert(OPERATION_BYTES_MAX < REQUEST_BYTES_MAX, "an operation too big is still read and answered");
assert(REQUEST_LINE_BYTES_MAX < REQUEST_BYTES_MAX, "a line fits into a request");
assert(REQUEST_BYTES_MAX < STRING_BYTES_MAX, "an argument fits into a string");
assert(VALUE_BYTES_MAX <= EVALUATED_SCRIPT_BYTES_MAX, "a script that runs can be kept");
assert(
  SCRIPT_REPLY_BYTES_MAX * 2 < REPLY_BYTES_MAX,
  "what a script has done is never hidden by an error about its reply",
);
assert(
  VALUE_BYTES_MAX + CHANNEL_BYTES_MAX <= SCRIPT_MESSAGES_BYTES_MAX,
  "a script may publish what a client may",
);
assert(
  SCRIPT_MESSAGES_BYTES_MAX + SCRIPT_MESSAGES_MAX * SCRIPT_MESSAGE_OVERHEAD_BYTES <=
    ENTRY_MESSAGES_BYTES_MAX,
  "a script that is alone in its entry may publish all that it may",
);
assert(SCRIPT_REPLY_DEPTH_MAX < REPLY_DEPTH_MAX, "what a script answers passes between nodes");
assert(
  FORWARDED_OPERATIONS_MAX * 64 <= REPLY_WINDOW_BYTES_MAX,
  "the short answers of all forwarded operations are kept",
);
assert(PEER_REPLY_BYTES_MAX + PEER_BODY_SPLIT_BYTES < PEER_BODY_BYTES_MAX, "an answer fits");
assert(REPLY_BYTES_MAX < CONNECTION_REPLY_BYTES_MAX, "a single reply is never too much");
