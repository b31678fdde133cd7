/**
 * Short requests, on one shared connection for each node. A request is tried on one node after the
 * other until one does it: every request of this client may be sent twice, since an owner that asks
 * twice is answered with what it has, and tokens tell an old request from a new one.
 */
import { formatEndpoint, type Endpoint } from "../base/address.ts";
import type { AddressBook } from "./address-book.ts";
import { pause, unlessAborted, type Clock } from "./clock.ts";
import { Connection, NoAnswer, ServerError, type RawReply } from "./connection.ts";
import { ClientClosedError, UnavailableError } from "./errors.ts";
import type { ClientSettings } from "./options.ts";
import { refusal } from "./refusals.ts";

/** A reply, and what is known about when the request took effect. */
export interface Answer {
  readonly reply: RawReply;
  /** By this process's clock, before the request that was answered was sent. */
  readonly sentMs: number;
  /** Whether an earlier attempt may have had its effect, too. */
  readonly doubt: boolean;
}

export interface RequestOptions {
  /** The request as errors name it, such as `renewing "a"`. */
  readonly doing: string;
  /** The keys that errors name. */
  readonly keys: readonly string[];
  /** How long to try at all. */
  readonly timeoutMs: number;
  /** How long to wait for one node. */
  readonly attemptMs?: number;
  readonly signal?: AbortSignal | undefined;
  /**
   * What to do before it is sent again although it may have had its effect. An answer of it ends the
   * request, null lets it be sent again. @default send it again
   */
  readonly beforeRepeat?: () => Promise<Answer | null>;
}

/** Pauses between attempts, doubling: not to flood nodes that are starting or electing. */
const PAUSE_MS = { first: 20, max: 500 } as const;

export class Requester {
  readonly #settings: ClientSettings;
  readonly #clock: Clock;
  readonly #book: AddressBook;
  readonly #connections = new Map<Endpoint, Promise<Connection>>();
  /** Since when a connection has answered nothing, of those that have missed an answer. */
  readonly #silentSinceMs = new Map<Connection, number>();
  #isClosed = false;

  constructor(settings: ClientSettings, clock: Clock, book: AddressBook) {
    this.#settings = settings;
    this.#clock = clock;
    this.#book = book;
  }

  /**
   * The answer of the first node that gives one. Rejects with an error of {@link refusal} when the
   * cluster refuses, with `UnavailableError` when the time is over.
   */
  async send(args: readonly string[], options: RequestOptions): Promise<Answer> {
    const endMs = this.#clock.nowMs() + options.timeoutMs;
    const attemptMs = options.attemptMs ?? this.#settings.attemptTimeoutMs;
    let doubt = false;
    let said = "none was asked";
    for (let attempt = 0; ; attempt += 1) {
      if (this.#isClosed) throw new ClientClosedError();
      const leftMs = endMs - this.#clock.nowMs();
      if (leftMs <= 0) throw new UnavailableError(options.doing, { said });
      if (doubt) {
        const found = (await options.beforeRepeat?.()) ?? null;
        if (found !== null) return { ...found, doubt };
      }
      try {
        const work = this.#attempt(args, Math.min(attemptMs, leftMs));
        return { ...(await unlessAborted(work, options.signal)), doubt };
      } catch (thrown) {
        if (thrown instanceof ServerError && !canPass(thrown)) throw refusal(options, thrown);
        if (!(thrown instanceof ServerError || thrown instanceof NoAnswer)) throw thrown;
        doubt ||= mayHaveHappened(thrown);
        said = thrown.message;
      }
      const patienceMs = pauseMs(attempt, this.#book.size);
      const restMs = endMs - this.#clock.nowMs();
      await pause(Math.min(patienceMs, Math.max(0, restMs)), options.signal);
      options.signal?.throwIfAborted();
    }
  }

  /** Whether one node answers at all within a time; for those who wait there. */
  async probe(endpoint: Endpoint, args: readonly string[], timeoutMs: number): Promise<void> {
    await this.#ask(endpoint, args, timeoutMs);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  close(): void {
    this.#isClosed = true;
    for (const opening of this.#connections.values()) {
      void opening.then(
        (connection) => {
          connection.close("the client is closed");
        },
        () => undefined,
      );
    }
    this.#connections.clear();
  }

  async #attempt(
    args: readonly string[],
    timeoutMs: number,
  ): Promise<{ readonly reply: RawReply; readonly sentMs: number }> {
    const endpoint = this.#book.choose();
    try {
      return await this.#ask(endpoint, args, timeoutMs);
    } catch (thrown) {
      if (!(thrown instanceof ServerError) || canPass(thrown)) this.#book.failed(endpoint);
      throw thrown;
    }
  }

  async #ask(
    endpoint: Endpoint,
    args: readonly string[],
    timeoutMs: number,
  ): Promise<{ readonly reply: RawReply; readonly sentMs: number }> {
    const startMs = this.#clock.nowMs();
    const connection = await within(this.#open(endpoint), timeoutMs, endpoint);
    const sentMs = this.#clock.nowMs();
    const leftMs = Math.max(1, timeoutMs - (sentMs - startMs));
    try {
      const reply = await connection.call(args, leftMs);
      this.#silentSinceMs.delete(connection);
      return { reply, sentMs };
    } catch (thrown) {
      if (thrown instanceof NoAnswer) this.#silent(connection, sentMs);
      throw thrown;
    }
  }

  /** A node that has been silent for long is not asked on this connection again. */
  #silent(connection: Connection, sinceMs: number): void {
    const firstMs = this.#silentSinceMs.get(connection) ?? sinceMs;
    this.#silentSinceMs.set(connection, firstMs);
    const { attemptTimeoutMs } = this.#settings;
    if (connection.isOpen && this.#clock.nowMs() - firstMs < attemptTimeoutMs) return;
    this.#silentSinceMs.delete(connection);
    connection.close(`no answer within ${attemptTimeoutMs} ms`);
  }

  #open(endpoint: Endpoint): Promise<Connection> {
    const known = this.#connections.get(endpoint);
    if (known !== undefined) return known;
    const opening = Connection.open(endpoint, this.#settings);
    this.#connections.set(endpoint, opening);
    const forget = (): void => {
      if (this.#connections.get(endpoint) === opening) this.#connections.delete(endpoint);
    };
    opening.then((connection) => {
      if (this.#isClosed) connection.close("the client is closed");
      void connection.closed.then(forget);
    }, forget);
    return opening;
  }
}

/** Answers after which the same request may succeed, here or at another node. */
const PASSING = new Set(["TRYAGAIN", "CLUSTERDOWN", "UNKNOWN", "MISCONF", "LOADING"]);

/** Whether the cluster only cannot do it now. */
export function canPass({ code, message }: ServerError): boolean {
  return PASSING.has(code) || /max number of clients/i.test(message);
}

/** Whether the request may have had its effect although it failed. */
export function mayHaveHappened(thrown: ServerError | NoAnswer): boolean {
  return thrown instanceof NoAnswer ? thrown.sent : thrown.code === "UNKNOWN";
}

/** How long to pause after a failed attempt: not at all until every node has been asked once. */
export function pauseMs(attempt: number, nodes: number): number {
  const round = attempt + 1 - nodes;
  return round < 0 ? 0 : Math.min(PAUSE_MS.max, PAUSE_MS.first * 2 ** Math.min(round, 10));
}

async function within(
  opening: Promise<Connection>,
  timeoutMs: number,
  endpoint: Endpoint,
): Promise<Connection> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const text = `${formatEndpoint(endpoint)}: no connection within ${Math.round(timeoutMs)} ms`;
      reject(new NoAnswer(text, false));
    }, timeoutMs);
  });
  try {
    return await Promise.race([opening, late]);
  } finally {
    clearTimeout(timer);
  }
}
