/**
 * Connections for requests that wait, one request on each: a blocked connection blocks whatever is
 * sent behind. Each has a session, so that on another node the request keeps its place in the queue,
 * and a bound lock its holder.
 */
import { formatEndpoint, type Endpoint } from "../base/address.ts";
import type { AddressBook } from "./address-book.ts";
import { TIMEOUT_MS_MAX } from "./clock.ts";
import { Connection, NoAnswer, ServerError, type RawReply } from "./connection.ts";
import { ClientClosedError, TooManyWaitsError } from "./errors.ts";
import type { ClientSettings } from "./options.ts";
import { canPass } from "./requester.ts";

/** Idle connections that are kept for the next waits. */
const IDLE_MAX = 8;

/** A place to wait: a session, and the connection that it has at present. */
export class WaitLine {
  readonly #settings: ClientSettings;
  readonly #book: AddressBook;
  #connection: Connection | null = null;
  #session: string | null = null;
  /** The node's own number of the connection. */
  #clientId = "";
  #isClosed = false;

  constructor(settings: ClientSettings, book: AddressBook) {
    this.#settings = settings;
    this.#book = book;
  }

  /** The node it is connected to; null while it is not. */
  get endpoint(): Endpoint | null {
    return this.#connection?.isOpen === true ? this.#connection.endpoint : null;
  }

  /** The node's number of the present connection, for `CLIENT UNBLOCK` on another. */
  get clientId(): string {
    return this.#clientId;
  }

  /** Settles when the present connection has ended; at once when there is none. */
  get disconnected(): Promise<void> {
    return this.#connection?.closed ?? Promise.resolve();
  }

  /**
   * Connects if it is not, with the session it had. Tells whether it was connected, came back with
   * that session, or had to take a new one. Rejects with `NoAnswer` or `ServerError`; the next try asks another node.
   */
  async connect(): Promise<"same" | "resumed" | "new"> {
    if (this.#isClosed) throw new ClientClosedError();
    if (this.#connection?.isOpen === true) return "same";
    const endpoint = this.#book.choose();
    try {
      const connection = await Connection.open(endpoint, this.#settings);
      this.#connection = connection;
      if (this.#closedMeanwhile()) throw new ClientClosedError();
      return await this.#enterSession(connection);
    } catch (thrown) {
      this.#connection?.close("it has no session");
      if (thrown instanceof NoAnswer || (thrown instanceof ServerError && canPass(thrown))) {
        this.#book.failed(endpoint);
      }
      // What was sent was about the session, not what is to be asked on it.
      throw thrown instanceof NoAnswer ? new NoAnswer(thrown.message, false) : thrown;
    }
  }

  /** Sends one request; rejects with `NoAnswer` or `ServerError`. Only one at a time may wait. */
  async call(args: readonly string[], timeoutMs: number): Promise<RawReply> {
    const connection = this.#connection;
    if (connection === null) throw new NoAnswer("there is no connection", false);
    try {
      return await connection.call(args, timeoutMs);
    } catch (thrown) {
      // What is late may still block whatever is sent next.
      if (thrown instanceof NoAnswer) {
        connection.close(thrown.message);
        this.#book.failed(connection.endpoint);
      }
      throw thrown;
    }
  }

  /** Cuts the connection, so that the node withdraws what waits; the session may go on elsewhere. */
  drop(reason: string): void {
    const endpoint = this.endpoint;
    this.#connection?.close(`${endpoint === null ? "" : formatEndpoint(endpoint)} ${reason}`);
  }

  /** What the session held is of no interest any more: the next connection gets a new one. */
  forgetSession(): void {
    if (this.endpoint === null) this.#session = null;
  }

  close(): void {
    this.#isClosed = true;
    this.drop("the client is closed");
  }

  #closedMeanwhile(): boolean {
    return this.#isClosed;
  }

  async #enterSession(connection: Connection): Promise<"resumed" | "new"> {
    const { attemptTimeoutMs } = this.#settings;
    const before = this.#session;
    const [id, went] = await Promise.all([
      connection.call(["CLIENT", "ID"], attemptTimeoutMs),
      before === null
        ? connection.call(["LOCK.SESSION"], attemptTimeoutMs)
        : resumed(connection, before, attemptTimeoutMs),
    ]);
    this.#clientId = typeof id === "number" ? String(id) : "";
    const session = went ?? (await connection.call(["LOCK.SESSION"], attemptTimeoutMs));
    if (typeof session !== "string") throw new NoAnswer("LOCK.SESSION gave no session", false);
    this.#session = session;
    return went !== null && session === before ? "resumed" : "new";
  }
}

/** The session, or null when nothing of it is left, so that there is nothing to go on with. */
async function resumed(
  connection: Connection,
  session: string,
  timeoutMs: number,
): Promise<RawReply> {
  try {
    return await connection.call(["LOCK.SESSION", "RESUME", session], timeoutMs);
  } catch (thrown) {
    if (!(thrown instanceof ServerError) || canPass(thrown)) throw thrown;
    return null;
  }
}

interface Waiting {
  readonly resolve: (line: WaitLine) => void;
  readonly reject: (reason: Error) => void;
}

/** All lines of a client; who finds none free stands in line for one. */
export class WaitLines {
  readonly #settings: ClientSettings;
  readonly #book: AddressBook;
  readonly #idle: WaitLine[] = [];
  readonly #used = new Set<WaitLine>();
  readonly #waiting = new Set<Waiting>();
  #isClosed = false;

  constructor(settings: ClientSettings, book: AddressBook) {
    this.#settings = settings;
    this.#book = book;
  }

  /**
   * A line of one's own, null when there was none within `timeoutMs`. Rejects with
   * `TooManyWaitsError`, `ClientClosedError`, or the reason of `signal`.
   */
  async take(timeoutMs: number, signal: AbortSignal | undefined): Promise<WaitLine | null> {
    signal?.throwIfAborted();
    if (this.#isClosed) throw new ClientClosedError();
    const { maxWaitConnections, maxQueuedWaits } = this.#settings;
    if (this.#used.size < maxWaitConnections) {
      const line = this.#idle.pop() ?? new WaitLine(this.#settings, this.#book);
      line.forgetSession();
      this.#used.add(line);
      return line;
    }
    if (timeoutMs <= 0) return null;
    if (this.#waiting.size >= maxQueuedWaits) throw new TooManyWaitsError(this.#waiting.size);
    return this.#standInLine(timeoutMs, signal);
  }

  /** How many are in use. */
  get used(): number {
    return this.#used.size;
  }

  /** Takes a line back; the next in line gets it. */
  give(line: WaitLine): void {
    if (!this.#used.delete(line)) return;
    const [next] = this.#waiting;
    if (next !== undefined && !this.#isClosed) {
      this.#waiting.delete(next);
      line.forgetSession();
      this.#used.add(line);
      next.resolve(line);
    } else if (line.endpoint !== null && this.#idle.length < IDLE_MAX && !this.#isClosed) {
      this.#idle.push(line);
    } else {
      line.close();
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const line of [...this.#idle.splice(0), ...this.#used]) line.close();
    for (const { reject } of this.#waiting) reject(new ClientClosedError());
    this.#waiting.clear();
  }

  async #standInLine(timeoutMs: number, signal: AbortSignal | undefined): Promise<WaitLine | null> {
    let timer: NodeJS.Timeout | undefined;
    let stop = (): void => undefined;
    try {
      return await new Promise<WaitLine | null>((resolve, reject) => {
        const waiting: Waiting = { resolve, reject };
        this.#waiting.add(waiting);
        stop = () => {
          this.#waiting.delete(waiting);
          reject(signal?.reason);
        };
        signal?.addEventListener("abort", stop, { once: true });
        // Weeks in line are as good as for ever.
        if (timeoutMs <= TIMEOUT_MS_MAX) {
          timer = setTimeout(() => {
            this.#waiting.delete(waiting);
            resolve(null);
          }, timeoutMs);
        }
      });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    }
  }
}
