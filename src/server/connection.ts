/**
 * One client connection: bytes in, commands to the dispatcher, replies out in order.
 *
 *     socket ─▶ RequestDecoder ─▶ Dispatcher ─▶ reply at once, or a PendingReply in the queue
 *     socket ◀─ one write per turn ◀─ ReplyWriter ◀─ head of the ReplyQueue
 *
 * A client that does not read is not served further (its input waits in its own socket), so that
 * what it owes us in memory is bounded by one output buffer and one pipeline window. Replies that
 * are ready wait in the queue then, where most share the memory of the keys, and not as bytes.
 *
 * A connection that ends answers what it has read, says so to the client (FIN), and goes when the
 * client does; one whose client does not go is cut off, see {@link Connection.closeIfOverdue}.
 */
import type { Socket } from "node:net";
import {
  CONNECTION_INPUT_BYTES_MAX,
  CONNECTION_REPLY_BYTES_MAX,
  REPLY_BYTES_MAX,
} from "../base/limits.ts";
import type { ErrorReply, PushReply, Reply } from "../base/reply.ts";
import { errorReply, isError } from "../base/reply.ts";
import { REPLY_TOO_LONG } from "../commands/errors.ts";
import { ReplyWriter } from "../resp/encoder.ts";
import type { RequestDecoder } from "../resp/decoder.ts";
import { replyBytes } from "../resp/reply-size.ts";
import type { Frame, Subscriber } from "./pubsub.ts";
import type { ReplyOwner } from "./reply-queue.ts";
import { PendingReply, ReplyQueue } from "./reply-queue.ts";
import type { ClientSession } from "./session.ts";
import type { SlowLog } from "./slow-log.ts";
import type { Counters } from "./statistics.ts";

/** Commands of one connection in flight before its input waits. A deeper pipeline gains nothing. */
const PIPELINE_MAX = 10_000;

/** Unread requests behind a command that waits, after which a connection's input waits as well. */
const BLOCKED_INPUT_BYTES_MAX = 1024 * 1024;

/** Unsent reply bytes after which a connection's input waits until the client has read. */
const OUTPUT_PAUSE_BYTES = 1024 * 1024;

/** How long a connection that ended waits for its client to close as well. */
const LINGER_MS = 1_000;

/** How long a connection that ended waits for a client that takes none of its last replies. */
const LINGER_UNSENT_MS = 5_000;

const NO_ARGUMENTS: readonly string[] = [];

/** Redis's client-output-buffer-limit for a class of clients; zero is no limit. */
export interface OutputLimits {
  /** Unsent bytes after which a client is disconnected at once. */
  readonly outputBytesMax: number;
  /** Unsent bytes that a client may owe for `outputSoftSeconds` at most. */
  readonly outputSoftBytesMax: number;
  readonly outputSoftSeconds: number;
}

/** What a blocked connection waits for. */
export interface Blocker {
  /** Ends the wait as if its time were over (null), or with an error. */
  interrupt(error: ErrorReply | null): void;
  /** The client is gone. */
  gone(): void;
}

/** What a connection needs from its server. */
export interface ConnectionHost {
  readonly counters: Counters;
  readonly slowLog: SlowLog;
  /** Monotonic milliseconds. */
  nowMs(): number;
  wallSeconds(): number;
  /** Those of subscribers, or of normal clients. */
  outputLimits(subscribed: boolean): OutputLimits;
  /** Whether clients must give a password now. */
  needsPassword(): boolean;
  dispatch(args: readonly string[], connection: Connection): void;
  /** The connection has bytes to write once the present work is done. */
  wantsFlush(connection: Connection): void;
  closed(connection: Connection): void;
}

export class Connection implements ReplyOwner, Subscriber {
  readonly session: ClientSession;
  readonly #socket: Socket;
  readonly #host: ConnectionHost;
  readonly #decoder: RequestDecoder;
  readonly #writer = new ReplyWriter();
  readonly #queue = new ReplyQueue();
  /** No more commands are read; the socket ends when the queue is empty and written. */
  #ending = false;
  #held = false;
  #closed = false;
  #paused = false;
  #running = false;
  #flushWanted = false;
  /** Bytes of the command in work. */
  #commandBytes = 0;
  /** The client has closed its side: nothing comes after what was read. */
  #inputEnded = false;
  /** Since when an ended connection waits for its client to close, monotonic milliseconds. */
  #lingersSinceMs: number | null = null;
  /** Since when the client owes more than the soft limit, monotonic milliseconds. */
  #overSoftSinceMs: number | null = null;
  /** When the chunk that is being worked on arrived. */
  #chunkAtMs = 0;
  /** The command that waits, and holds up those behind it. */
  #blocked: PendingReply | null = null;
  #blocker: Blocker | null = null;
  /** The command that runs when all before it are answered, and holds up those behind it. */
  #postponed: (() => void) | null = null;
  /** Called once, when nothing can be told to the client any more. */
  onGone: (() => void) | null = null;

  constructor(
    socket: Socket,
    session: ClientSession,
    options: { readonly host: ConnectionHost; readonly decoder: RequestDecoder },
  ) {
    this.#socket = socket;
    this.session = session;
    this.#host = options.host;
    this.#decoder = options.decoder;
    socket.on("data", (chunk: Buffer) => {
      this.#received(chunk);
    });
    socket.on("drain", () => {
      // A client that takes its replies is not idle.
      this.session.lastCommandAtMs = this.#host.nowMs();
      this.#writeReady();
      this.#resume();
      if (this.#ending) this.#wantFlush();
    });
    socket.on("end", () => {
      this.#inputEnded = true;
      // As in Redis: nobody waits any more, and what was sent behind the wait is not executed.
      if (this.#blocked !== null) {
        this.destroy();
        return;
      }
      this.#cutOffIfStuck();
      // Commands that were read and could not run yet come first.
      if (!this.#paused && this.#postponed === null) this.end();
    });
    // A reset by the client is an ordinary end; "close" follows.
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.#forget();
      this.#host.closed(this);
    });
  }

  /** Commands read whose replies have not been written yet. */
  get pendingReplies(): number {
    return this.#queue.length;
  }

  /** Bytes held for this connection: unparsed input and unsent output. */
  get bufferedBytes(): number {
    return this.#decoder.bufferedBytes + this.#socket.writableLength;
  }

  get ending(): boolean {
    return this.#ending;
  }

  /** When the command in work was read, monotonic milliseconds. */
  get commandAtMs(): number {
    return this.#chunkAtMs;
  }

  /** Answers the command in work at once. */
  reply(reply: Reply, args: readonly string[]): void {
    const sent = sendable(reply);
    this.#logIfSlow(args, this.#chunkAtMs);
    if (this.#queue.length === 0) {
      this.#write(sent, this.session.protocol, this.#takeSilence());
      return;
    }
    const pending = this.#push(NO_ARGUMENTS, undefined, true);
    pending.reply = sent;
    pending.done = true;
    this.#queue.holds(pending, replyBytes(sent, REPLY_BYTES_MAX));
  }

  /** Answers SUBSCRIBE and its like at once, also where replies are turned off. */
  confirm(replies: readonly PushReply[], args: readonly string[]): void {
    this.#takeSilence();
    this.#logIfSlow(args, this.#chunkAtMs);
    for (const reply of replies) {
      if (this.#queue.length > 0) this.#queuePush(reply);
      else this.#write(reply, this.session.protocol, false);
    }
  }

  /**
   * Sends a message between the replies. It stays behind the confirmation of its subscription and
   * behind earlier messages; and in RESP2, where a client tells it from a reply by its place alone,
   * behind every command in work.
   */
  push(frame: Frame): void {
    if (this.#closed || this.#ending) return;
    const { protocol } = this.session;
    if (this.#queue.pushes > 0 || (protocol === 2 && this.#queue.length > 0)) {
      this.#queuePush(frame.reply);
      this.closeIfOverLimit();
      return;
    }
    this.#writer.copy(frame.bytes(protocol));
    this.#wantFlush();
    // Many messages of one turn must not gather unseen.
    if (this.#writer.length >= OUTPUT_PAUSE_BYTES) this.flush();
  }

  get isSubscribed(): boolean {
    return this.session.channels + this.session.patterns > 0;
  }

  /**
   * Keeps the place of the command in work until its reply is known. `fresh` is a reply that takes
   * memory of its own, where others share that of the keys.
   */
  defer(
    args: readonly string[],
    finish: ((reply: Reply) => Reply) | undefined,
    fresh: boolean,
  ): PendingReply {
    return this.#push(this.#host.slowLog.isOn ? args : NO_ARGUMENTS, finish, fresh);
  }

  /**
   * Keeps the place of a command that waits for others. What the client sends behind it is executed
   * when it has been answered. The time it waits makes it no slow command.
   */
  block(finish: ((reply: Reply) => Reply) | undefined): PendingReply {
    const pending = this.#push(NO_ARGUMENTS, finish, false);
    this.#blocked = pending;
    this.session.blocked = true;
    return pending;
  }

  /**
   * Runs a command when all before it have been answered, and reads no other until then: what it does is
   * seen by others, who must not see it first.
   */
  inTurn(command: () => void): void {
    if (this.#queue.length === 0) command();
    else this.#postponed = command;
  }

  /** Says by what the wait of {@link block} can be ended; nothing when it is over. */
  blockedBy(blocker: Blocker): void {
    if (this.#blocked !== null) this.#blocker = blocker;
  }

  /** Ends the wait, see {@link Blocker}; false when the connection does not wait. */
  interrupt(error: ErrorReply | null): boolean {
    if (this.#blocker === null) return false;
    this.#blocker.interrupt(error);
    return true;
  }

  resolved(pending: PendingReply): void {
    if (this.#closed) return;
    const wasBlocked = pending === this.#blocked;
    if (wasBlocked) this.#unblock();
    pending.reply = sendable(pending.reply);
    if (pending.silent && isError(pending.reply)) this.#host.counters.errorReplies += 1;
    this.#logIfSlow(pending.args, pending.startedAtMs);
    pending.args = NO_ARGUMENTS;
    if (pending.silent) {
      pending.reply = null;
    } else if (pending.fresh) {
      this.#queue.holds(pending, replyBytes(pending.reply, REPLY_BYTES_MAX));
    }
    this.#writeReady();
    if (this.#queue.replyBytes > CONNECTION_REPLY_BYTES_MAX) this.destroy();
    else if (wasBlocked && !this.#paused) this.#runLater();
    else this.#resume();
  }

  /** Writes what has gathered; called once per turn. */
  flush(): void {
    this.#flushWanted = false;
    if (this.#closed) return;
    if (this.#writer.length > 0) {
      const bytes = this.#writer.take();
      this.session.outputBytes += bytes.length;
      this.#host.counters.outputBytes += bytes.length;
      this.#socket.write(bytes);
      if (this.closeIfOverLimit()) return;
      // What the kernel took makes room for replies that wait; they leave with the next turn.
      this.#writeReady();
      this.#resume();
    }
    if (!this.#ending) return;
    if (this.#queue.length === 0 && this.#writer.length === 0) {
      this.#socket.end();
      this.#gone();
    }
    // What the client still sends is read and dropped, so that its end is seen; but while it owes
    // its reading, what it sends must not pass for a sign of life.
    if (this.#socket.writableLength === 0) this.#socket.resume();
    else this.#socket.pause();
  }

  /** Disconnects a client that owes more than the output limits allow; whether it did. */
  closeIfOverLimit(): boolean {
    const subscribed = this.isSubscribed;
    const { outputBytesMax, outputSoftBytesMax, outputSoftSeconds } =
      this.#host.outputLimits(subscribed);
    // Messages may have to wait in the queue, and nobody else bounds those.
    const unsent = this.#unsentBytes() + (subscribed ? this.#queue.replyBytes : 0);
    if (outputSoftBytesMax === 0 || unsent <= outputSoftBytesMax) this.#overSoftSinceMs = null;
    else this.#overSoftSinceMs ??= this.#host.nowMs();
    const overHard = outputBytesMax > 0 && unsent > outputBytesMax;
    const overSoft =
      this.#overSoftSinceMs !== null &&
      this.#host.nowMs() - this.#overSoftSinceMs > outputSoftSeconds * 1000;
    if (overHard || overSoft) this.destroy();
    return overHard || overSoft;
  }

  /** Cuts off a client that does not close an ended connection; whether it did. Asked once a second. */
  closeIfOverdue(): boolean {
    // Commands in work are the server's own delay, and of unsent replies the socket takes care.
    if (!this.#ending || this.#queue.length > 0 || this.#unsentBytes() > 0) return false;
    const now = this.#host.nowMs();
    this.#lingersSinceMs ??= now;
    if (now - this.#lingersSinceMs < LINGER_MS) return false;
    this.destroy();
    return true;
  }

  /** Whether the client is the one who is waited for: nothing of it is in work. */
  get isIdle(): boolean {
    return this.#queue.length === 0 || this.#unsentBytes() > 0;
  }

  /** Reads no further command; closes when all replies so far are written. */
  end(): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#cutOffIfStuck();
    this.#wantFlush();
  }

  /** SHUTDOWN: reads nothing more and stays open, so that its close tells that all is on disk. */
  hold(): void {
    this.#held = true;
    this.#socket.pause();
  }

  /** CLIENT KILL, timeout: closes at once, with the finished replies that the kernel takes. */
  kill(): void {
    this.flush();
    this.#ending = true;
    this.#forget();
    if (this.#socket.writableLength === 0) this.#socket.destroySoon();
    else this.#socket.destroy();
  }

  /** Closes at once. */
  destroy(): void {
    this.#forget();
    this.#socket.destroy();
  }

  /** From now on a client that takes nothing of its replies for a while is cut off. */
  #cutOffIfStuck(): void {
    // The socket looks at how far even a single large write has got.
    this.#socket.setTimeout(LINGER_UNSENT_MS, () => {
      if (this.#unsentBytes() > 0) this.destroy();
    });
  }

  /** Nothing more is written, and nothing is held for it. */
  #forget(): void {
    this.#closed = true;
    this.#queue.clear();
    this.#postponed = null;
    const blocker = this.#blocker;
    this.#unblock();
    blocker?.gone();
    this.#gone();
  }

  #gone(): void {
    const { onGone } = this;
    this.onGone = null;
    if (onGone !== null) onGone();
  }

  #unblock(): void {
    this.#blocked = null;
    this.#blocker = null;
    this.session.blocked = false;
  }

  /** Goes on with what was read behind a command that waited. */
  #runLater(): void {
    if (this.#ending || this.#held) return;
    this.#chunkAtMs = this.#host.nowMs();
    this.#run();
  }

  #received(chunk: Buffer): void {
    this.session.inputBytes += chunk.length;
    this.#host.counters.inputBytes += chunk.length;
    if (this.#ending) return;
    this.#chunkAtMs = this.#host.nowMs();
    // A request that takes long to arrive is no idle time.
    this.session.lastCommandAtMs = this.#chunkAtMs;
    this.#decoder.feed(chunk);
    this.#run();
  }

  #run(): void {
    // A dispatched command may resolve at once and lead back here: the loop below goes on anyway.
    if (this.#running) return;
    this.#running = true;
    const decoder = this.#decoder;
    while (!this.#ending && !this.#held && !this.#mustPause()) {
      // AUTH, RESET and CONFIG SET, also of others, change what the next command may be.
      decoder.authenticated = this.session.authenticated || !this.#host.needsPassword();
      const buffered = decoder.bufferedBytes;
      const args = decoder.next();
      if (args === null) break;
      this.#commandBytes = buffered - decoder.bufferedBytes;
      this.#host.dispatch(args, this);
    }
    this.#running = false;
    if (!this.#ending && this.#decoder.error !== null) {
      this.reply(errorReply(this.#decoder.error), []);
      this.end();
    }
    if (this.#inputEnded && !this.#paused && this.#postponed === null) this.end();
  }

  #mustPause(): boolean {
    if (this.#closed) return true;
    if (this.#blocked !== null || this.#postponed !== null) {
      // The socket is read on, so that the client's end is seen, as far as there is room.
      if (this.#decoder.bufferedBytes >= BLOCKED_INPUT_BYTES_MAX && !this.#paused) {
        this.#paused = true;
        this.#socket.pause();
      }
      return true;
    }
    const queue = this.#queue;
    if (
      queue.length < PIPELINE_MAX &&
      queue.requestBytes + queue.replyBytes < CONNECTION_INPUT_BYTES_MAX &&
      this.#socket.writableLength < OUTPUT_PAUSE_BYTES
    ) {
      // Replies made in this very loop count as well, before they are handed to the socket.
      if (this.#writer.length < OUTPUT_PAUSE_BYTES) return false;
      this.flush();
      if (this.#socket.writableLength < OUTPUT_PAUSE_BYTES) return this.#closed;
    }
    if (!this.#paused) {
      this.#paused = true;
      this.#socket.pause();
    }
    return true;
  }

  #resume(): void {
    if (!this.#paused || this.#closed) return;
    const queue = this.#queue;
    if (queue.length >= PIPELINE_MAX / 2) return;
    if (queue.requestBytes + queue.replyBytes >= CONNECTION_INPUT_BYTES_MAX / 2) return;
    if (this.#socket.writableLength >= OUTPUT_PAUSE_BYTES) return;
    if (this.#ending || this.#held) return;
    this.#paused = false;
    this.#socket.resume();
    this.#chunkAtMs = this.#host.nowMs();
    this.#run();
  }

  /** Writes the replies whose turn has come, as many as the client's output has room for. */
  #writeReady(): void {
    while (this.#queue.isHeadDone && this.#unsentBytes() < OUTPUT_PAUSE_BYTES) {
      const head = this.#queue.takeDone();
      if (head === null) return;
      this.#write(head.reply, head.protocol, head.silent);
    }
    if (this.#postponed !== null && this.#queue.length === 0) this.#runPostponed(this.#postponed);
  }

  #runPostponed(command: () => void): void {
    this.#postponed = null;
    // As with all that wait for others, the time of that makes it no slow command.
    this.#chunkAtMs = this.#host.nowMs();
    command();
    if (this.#paused) this.#resume();
    else this.#runLater();
  }

  #unsentBytes(): number {
    return this.#writer.length + this.#socket.writableLength;
  }

  #push(
    args: readonly string[],
    finish: ((reply: Reply) => Reply) | undefined,
    fresh: boolean,
  ): PendingReply {
    const pending = new PendingReply(this, {
      args,
      requestBytes: this.#commandBytes,
      startedAtMs: this.#chunkAtMs,
      protocol: this.session.protocol,
      silent: this.#takeSilence(),
      fresh,
      finish,
    });
    this.#queue.push(pending);
    return pending;
  }

  #queuePush(reply: PushReply): void {
    const pending = new PendingReply(this, {
      args: NO_ARGUMENTS,
      requestBytes: 0,
      startedAtMs: this.#chunkAtMs,
      protocol: this.session.protocol,
      silent: false,
      fresh: true,
      finish: undefined,
    });
    this.#queue.pushDone(pending, reply, replyBytes(reply, REPLY_BYTES_MAX));
  }

  #takeSilence(): boolean {
    const mode = this.session.replyMode;
    if (mode === "skip") this.session.replyMode = "on";
    return mode !== "on";
  }

  #write(reply: Reply, protocol: 2 | 3, silent: boolean): void {
    if (silent) return;
    if (isError(reply)) this.#host.counters.errorReplies += 1;
    this.#writer.write(reply, protocol);
    this.#wantFlush();
  }

  #wantFlush(): void {
    if (this.#flushWanted) return;
    this.#flushWanted = true;
    this.#host.wantsFlush(this);
  }

  #logIfSlow(args: readonly string[], startedAtMs: number): void {
    const slowLog = this.#host.slowLog;
    if (slowLog.thresholdMicroseconds < 0 || args.length === 0) return;
    const microseconds = Math.floor((this.#host.nowMs() - startedAtMs) * 1000);
    if (microseconds < slowLog.thresholdMicroseconds) return;
    slowLog.offer({
      wallSeconds: this.#host.wallSeconds(),
      microseconds,
      args,
      address: this.session.address,
      clientName: this.session.name,
    });
  }
}

/** The reply, or the error in place of one that is too long to be made. */
function sendable(reply: Reply): Reply {
  if (typeof reply !== "object" || reply === null || !isAggregate(reply)) return reply;
  return replyBytes(reply, REPLY_BYTES_MAX) > REPLY_BYTES_MAX ? REPLY_TOO_LONG : reply;
}

function isAggregate(reply: Reply & object): boolean {
  return !("kind" in reply) || reply.kind === "map" || reply.kind === "set";
}
