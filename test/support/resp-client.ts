/**
 * A small RESP client for tests: it sends exactly the bytes it is told and shows what came back,
 * parsed and raw. It never reconnects, never reorders and hides nothing.
 *
 * RESP2 is read by `redis-parser`, so that our own decoder is not its own judge; RESP3 by
 * {@link Resp3Reader}. Strings are latin-1, one character per byte, both ways.
 */
import { connect, type Socket } from "node:net";
import RedisParser from "redis-parser";
import { Resp3Reader, RespError, type RespValue } from "./resp3-reader.ts";

export interface ConnectOptions {
  readonly port: number;
  readonly host?: string;
  /** Bound on each wait for a reply or for the end, in ms. @default 15000 */
  readonly timeoutMs?: number;
}

/** Longer than a node waits before it says why it cannot answer, on a busy machine, too. */
const TIMEOUT_MS = 15_000;

interface Waiter {
  /** True once it has what it waits for. */
  readonly ready: () => boolean;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** A command as an array of bulk strings, as every client library sends it. */
export function encodeCommand(args: readonly (string | number)[]): string {
  const parts = args.map(String).map((text) => `$${text.length}\r\n${text}\r\n`);
  return `*${args.length}\r\n${parts.join("")}`;
}

export class RespClient {
  readonly #socket: Socket;
  readonly #timeoutMs: number;
  readonly #waiters = new Set<Waiter>();
  readonly #replies: RespValue[] = [];
  readonly #pushes: RespValue[][] = [];
  readonly #resp2: RedisParser;
  readonly #resp3 = new Resp3Reader();
  #protocol: 2 | 3 = 2;
  #raw = "";
  #ended = false;
  #failure: Error | null = null;

  private constructor(socket: Socket, timeoutMs: number) {
    this.#socket = socket;
    this.#timeoutMs = timeoutMs;
    this.#resp2 = new RedisParser({
      returnReply: (reply: unknown) => this.#replies.push(fromParser(reply)),
      returnError: (error: Error) => this.#replies.push(new RespError(error.message)),
      returnFatalError: (error: Error) => (this.#failure = error),
      returnBuffers: true,
    });
    socket.setNoDelay(true);
    socket.on("data", (chunk) => {
      this.#receive(chunk);
    });
    socket.on("error", (error) => {
      this.#failure ??= error;
      this.#wake();
    });
    socket.on("close", () => {
      this.#ended = true;
      this.#wake();
    });
  }

  static async connect({
    port,
    host = "127.0.0.1",
    timeoutMs = TIMEOUT_MS,
  }: ConnectOptions): Promise<RespClient> {
    const socket = connect({ port, host });
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    socket.removeAllListeners("error");
    return new RespClient(socket, timeoutMs);
  }

  /** Sends bytes as they are; resolves once the kernel has them. */
  async send(bytes: string | Uint8Array): Promise<void> {
    const data = typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes;
    await new Promise<void>((resolve, reject) => {
      this.#socket.write(data, (error) => {
        if (error) reject(error);
        else resolve();
      });
    });
  }

  /** Sends one command and gives its reply; an error reply is a {@link RespError} value, not thrown. */
  async call(...args: readonly (string | number)[]): Promise<RespValue> {
    const [reply = null] = await this.pipeline([args]);
    return reply;
  }

  /** Sends all commands in one write and gives their replies in order. */
  async pipeline(commands: readonly (readonly (string | number)[])[]): Promise<RespValue[]> {
    await this.send(commands.map(encodeCommand).join(""));
    const replies: RespValue[] = [];
    while (replies.length < commands.length) replies.push(await this.reply());
    return replies;
  }

  /** The next reply. Fails when the connection ends first, and after `timeoutMs`. */
  async reply(): Promise<RespValue> {
    await this.#until("a reply", () => this.#replies.length > 0);
    return this.#replies.shift() ?? null;
  }

  /** The next RESP3 push message. */
  async push(): Promise<RespValue[]> {
    await this.#until("a push", () => this.#pushes.length > 0);
    return this.#pushes.shift() ?? [];
  }

  /** Says `HELLO 3` and reads RESP3 from its reply on. */
  async hello3(...more: readonly string[]): Promise<RespValue> {
    this.readResp3();
    return this.call("HELLO", "3", ...more);
  }

  /** Reads what comes from now on as RESP3; harmless while the server still speaks RESP2. */
  readResp3(): void {
    this.#protocol = 3;
  }

  /** Waits until at least `length` bytes have arrived since the last {@link takeRaw}. */
  async rawBytes(length: number): Promise<string> {
    await this.#until(`${length} bytes`, () => this.#raw.length >= length);
    return this.takeRaw();
  }

  /** All bytes that arrived since the last call, as latin-1. */
  takeRaw(): string {
    const raw = this.#raw;
    this.#raw = "";
    return raw;
  }

  /** Waits until the server has closed the connection. */
  async untilClosed(): Promise<void> {
    await this.#until("the end of the connection", () => this.#ended);
  }

  get isClosed(): boolean {
    return this.#ended;
  }

  /** Replies that arrived and were not taken. */
  get pendingReplies(): number {
    return this.#replies.length;
  }

  /** Stops and resumes reading, to be a client that does not read. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Ends our side in order, after what was sent. */
  endWriting(): void {
    this.#socket.end();
  }

  /** Closes at once. */
  close(): void {
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    this.#raw += chunk.toString("latin1");
    if (this.#protocol === 2) {
      this.#resp2.execute(chunk);
    } else {
      try {
        for (const { push, value } of this.#resp3.read(chunk.toString("latin1"))) {
          if (push) this.#pushes.push(value as RespValue[]);
          else this.#replies.push(value);
        }
      } catch (error) {
        this.#failure = error as Error;
      }
    }
    this.#wake();
  }

  async #until(what: string, ready: () => boolean): Promise<void> {
    if (ready()) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve, reject) => {
      const waiter: Waiter = { ready, resolve, reject };
      timer = setTimeout(() => {
        this.#waiters.delete(waiter);
        reject(new Error(`no ${what} within ${this.#timeoutMs} ms`));
      }, this.#timeoutMs);
      this.#waiters.add(waiter);
      this.#wake();
    }).finally(() => {
      clearTimeout(timer);
    });
  }

  #wake(): void {
    for (const waiter of this.#waiters) {
      if (waiter.ready()) {
        this.#waiters.delete(waiter);
        waiter.resolve();
      } else if (this.#failure !== null || this.#ended) {
        this.#waiters.delete(waiter);
        waiter.reject(this.#failure ?? new Error("the server closed the connection"));
      }
    }
  }
}

function fromParser(reply: unknown): RespValue {
  if (Array.isArray(reply)) return reply.map(fromParser);
  if (reply instanceof Error) return new RespError(reply.message);
  if (Buffer.isBuffer(reply)) return reply.toString("latin1");
  return reply as string | number | null;
}
