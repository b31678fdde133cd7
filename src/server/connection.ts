/**
 * One client connection: bytes in, commands to the dispatcher, replies out in order.
 *
 *     socket ─▶ RequestDecoder ─▶ Dispatcher ─▶ reply at once, or a PendingReply in the queue
 *     socket ◀─ one write per turn ◀─ ReplyWriter ◀─ head of the ReplyQueue
 *
 * A client that does not read is not served further (its input waits in its own socket), so that
 * what it owes us in memory is bounded by one output buffer and one pipeline window.
 */
import type { Socket } from "node:net";
import type { Reply } from "../base/reply.ts";
import { errorReply, isError } from "../base/reply.ts";
import { ReplyWriter } from "../resp/encoder.ts";
import type { RequestDecoder } from "../resp/decoder.ts";
import type { ReplyOwner } from "./reply-queue.ts";
import { PendingReply, ReplyQueue } from "./reply-queue.ts";
import type { ClientSession } from "./session.ts";
import type { SlowLog } from "./slow-log.ts";
import type { Counters } from "./statistics.ts";

/** Commands of one connection in flight before its input waits. A deeper pipeline gains nothing. */
const PIPELINE_MAX = 10_000;

/** Unsent reply bytes after which a connection's input waits until the client has read. */
const OUTPUT_PAUSE_BYTES = 1024 * 1024;

/** Redis's client-output-buffer-limit for a normal client; zero is no limit. */
export interface OutputLimits {
  /** Unsent bytes after which a client is disconnected at once. */
  readonly outputBytesMax: number;
  /** Unsent bytes that a client may owe for `outputSoftSeconds` at most. */
  readonly outputSoftBytesMax: number;
  readonly outputSoftSeconds: number;
}

/** What a connection needs from its server. */
export interface ConnectionHost {
  readonly counters: Counters;
  readonly slowLog: SlowLog;
  /** Monotonic milliseconds. */
  nowMs(): number;
  wallSeconds(): number;
  outputLimits(): OutputLimits;
  dispatch(args: readonly string[], connection: Connection): void;
  /** The connection has bytes to write once the present work is done. */
  wantsFlush(connection: Connection): void;
  closed(connection: Connection): void;
}

export class Connection implements ReplyOwner {
  readonly session: ClientSession;
  readonly #socket: Socket;
  readonly #host: ConnectionHost;
  readonly #decoder: RequestDecoder;
  readonly #writer = new ReplyWriter();
  readonly #queue = new ReplyQueue();
  /** No more commands are read; the socket ends when the queue is empty and written. */
  #ending = false;
  #closed = false;
  #paused = false;
  #running = false;
  #flushWanted = false;
  /** Since when the client owes more than the soft limit, monotonic milliseconds. */
  #overSoftSinceMs: number | null = null;
  /** When the chunk that is being worked on arrived. */
  #chunkAtMs = 0;

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
      this.#resume();
    });
    socket.on("end", () => {
      this.end();
    });
    // A reset by the client is an ordinary end; "close" follows.
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.#closed = true;
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

  /** Lifts the limits for clients that have not authenticated, or puts them back after RESET. */
  setAuthenticated(authenticated: boolean): void {
    this.#decoder.authenticated = authenticated;
  }

  /** Answers the command in work at once. */
  reply(reply: Reply, args: readonly string[]): void {
    const silent = this.#takeSilence();
    if (this.#queue.length === 0) {
      this.#write(reply, this.session.protocol, silent);
      this.#logIfSlow(args, this.#chunkAtMs);
      return;
    }
    const pending = new PendingReply(this, {
      args,
      startedAtMs: this.#chunkAtMs,
      protocol: this.session.protocol,
      silent,
      finish: undefined,
    });
    pending.reply = reply;
    pending.done = true;
    this.#queue.push(pending);
  }

  /** Keeps the place of the command in work until its reply is known. */
  defer(args: readonly string[], finish: ((reply: Reply) => Reply) | undefined): PendingReply {
    const pending = new PendingReply(this, {
      args,
      startedAtMs: this.#chunkAtMs,
      protocol: this.session.protocol,
      silent: this.#takeSilence(),
      finish,
    });
    this.#queue.push(pending);
    return pending;
  }

  resolved(pending: PendingReply): void {
    if (this.#closed) return;
    if (pending.silent && isError(pending.reply)) this.#host.counters.errorReplies += 1;
    for (let head = this.#queue.takeDone(); head !== null; head = this.#queue.takeDone()) {
      this.#write(head.reply, head.protocol, head.silent);
      this.#logIfSlow(head.args, head.startedAtMs);
    }
    if (this.#paused && this.#queue.length < PIPELINE_MAX / 2) this.#resume();
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
    }
    if (this.#ending && this.#queue.length === 0) this.#socket.end();
  }

  /** Disconnects a client that owes more than the output limits allow; whether it did. */
  closeIfOverLimit(): boolean {
    const { outputBytesMax, outputSoftBytesMax, outputSoftSeconds } = this.#host.outputLimits();
    const unsent = this.#socket.writableLength;
    if (outputSoftBytesMax === 0 || unsent <= outputSoftBytesMax) this.#overSoftSinceMs = null;
    else this.#overSoftSinceMs ??= this.#host.nowMs();
    const overHard = outputBytesMax > 0 && unsent > outputBytesMax;
    const overSoft =
      this.#overSoftSinceMs !== null &&
      this.#host.nowMs() - this.#overSoftSinceMs > outputSoftSeconds * 1000;
    if (overHard || overSoft) this.destroy();
    return overHard || overSoft;
  }

  /** Reads no further command; closes when all replies so far are written. */
  end(): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#wantFlush();
  }

  /** CLIENT KILL: closes once the replies of finished commands are written; the rest is dropped. */
  kill(): void {
    this.flush();
    this.#ending = true;
    this.#socket.destroySoon();
  }

  /** Closes at once. */
  destroy(): void {
    this.#socket.destroy();
  }

  #received(chunk: Buffer): void {
    this.session.inputBytes += chunk.length;
    this.#host.counters.inputBytes += chunk.length;
    if (this.#ending) return;
    this.#chunkAtMs = this.#host.nowMs();
    this.#decoder.feed(chunk);
    this.#run();
  }

  #run(): void {
    // A dispatched command may resolve at once and lead back here: the loop below goes on anyway.
    if (this.#running) return;
    this.#running = true;
    while (!this.#ending && !this.#mustPause()) {
      const args = this.#decoder.next();
      if (args === null) break;
      this.#host.dispatch(args, this);
    }
    this.#running = false;
    if (!this.#ending && this.#decoder.error !== null) {
      this.reply(errorReply(this.#decoder.error), []);
      this.end();
    }
  }

  #mustPause(): boolean {
    if (this.#queue.length < PIPELINE_MAX && this.#socket.writableLength < OUTPUT_PAUSE_BYTES) {
      // Replies made in this very loop count as well, before they are handed to the socket.
      if (this.#writer.length < OUTPUT_PAUSE_BYTES) return false;
      this.flush();
      if (this.#socket.writableLength < OUTPUT_PAUSE_BYTES) return false;
    }
    if (!this.#paused) {
      this.#paused = true;
      this.#socket.pause();
    }
    return true;
  }

  #resume(): void {
    if (!this.#paused || this.#closed) return;
    if (this.#queue.length >= PIPELINE_MAX / 2) return;
    if (this.#socket.writableLength >= OUTPUT_PAUSE_BYTES) return;
    this.#paused = false;
    this.#socket.resume();
    this.#chunkAtMs = this.#host.nowMs();
    this.#run();
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
