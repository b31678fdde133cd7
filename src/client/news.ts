/**
 * What the cluster tells of locks that are held, as it happens: one connection that is subscribed to
 * the channels of their keys.
 *
 * ioredis hands out the messages of channels, and drops whatever else a server pushes, so these come as
 * messages in RESP2. They are hints: what was told while nobody listened is not told again, so whoever
 * follows a key is told from when on it is heard, and looks for itself then. Whatever is missed
 * nevertheless comes to light with the next renewal.
 */
import type { Endpoint } from "../base/address.ts";
import type { AddressBook } from "./address-book.ts";
import { pause, type Clock } from "./clock.ts";
import { Connection, NoAnswer, ServerError } from "./connection.ts";
import type { ClientSettings } from "./options.ts";
import { readMessage, type LockMessage } from "./replies.ts";
import { pauseMs } from "./requester.ts";

/** How long a connection is kept that nothing is followed on, for the next lock. */
const IDLE_MS = 10_000;

/** Somebody who wants to hear of a key. */
export interface Follower {
  readonly key: string;
  /** Messages come from now on; what was before has to be looked at. Again after each gap. */
  readonly listening: () => void;
  readonly heard: (message: LockMessage) => void;
}

interface Topic {
  readonly followers: Set<Follower>;
  isHeard: boolean;
}

export class LockNews {
  readonly #settings: ClientSettings;
  readonly #clock: Clock;
  readonly #book: AddressBook;
  /** By channel. */
  readonly #topics = new Map<string, Topic>();
  /** The subscribed connection; null while there is none. */
  #connection: Connection | null = null;
  /** When something was followed last. */
  #wantedMs = -Infinity;
  #isRunning = false;
  #isClosed = false;

  constructor(settings: ClientSettings, clock: Clock, book: AddressBook) {
    this.#settings = settings;
    this.#clock = clock;
    this.#book = book;
  }

  /** Follows a key until the function that it returns is called. */
  follow(follower: Follower): () => void {
    const channel = `__lock@${this.#settings.db}__:${follower.key}`;
    const known = this.#topics.get(channel);
    const topic = known ?? { followers: new Set(), isHeard: false };
    topic.followers.add(follower);
    if (known === undefined) {
      this.#topics.set(channel, topic);
      if (this.#connection !== null) void this.#subscribe(this.#connection, channel, topic);
      else this.#start();
    } else if (topic.isHeard) follower.listening();
    return () => {
      if (!topic.followers.delete(follower) || topic.followers.size > 0) return;
      if (this.#topics.get(channel) === topic) this.#topics.delete(channel);
      if (topic.isHeard) this.#unsubscribe(channel);
    };
  }

  close(): void {
    this.#isClosed = true;
    this.#connection?.close("the client is closed");
  }

  #start(): void {
    if (this.#isRunning || this.#isClosed) return;
    this.#isRunning = true;
    void this.#run();
  }

  /** Stays connected for as long as anything is followed. */
  async #run(): Promise<void> {
    for (let attempt = 0; this.#isWanted(); attempt += 1) {
      const endpoint = this.#book.choose();
      try {
        const connection = await Connection.open(endpoint, this.#settings);
        attempt = 0;
        await this.#listen(connection);
      } catch (thrown) {
        // A password that is wrong, say, is for those to tell who ask for something.
        if (thrown instanceof NoAnswer) this.#book.failed(endpoint);
      }
      await pause(pauseMs(attempt, this.#book.size));
    }
    this.#isRunning = false;
  }

  async #listen(connection: Connection): Promise<void> {
    connection.onMessage((channel, text) => {
      const message = readMessage(text);
      if (message === null) return;
      for (const { heard } of this.#topics.get(channel)?.followers ?? []) heard(message);
    });
    this.#connection = connection;
    try {
      for (const [channel, topic] of this.#topics) {
        void this.#subscribe(connection, channel, topic);
      }
      await this.#untilAway(connection);
    } finally {
      this.#connection = null;
      for (const topic of this.#topics.values()) topic.isHeard = false;
      connection.close("nothing is followed any more");
    }
  }

  /** Ends when the connection has, when another node is in use by now, or nothing is followed. */
  async #untilAway(connection: Connection): Promise<void> {
    const { attemptTimeoutMs } = this.#settings;
    const ended = new AbortController();
    void connection.closed.then(() => {
      ended.abort();
    });
    while (connection.isOpen && this.#isKept() && this.#isInUse(connection.endpoint)) {
      try {
        await connection.call(["ping"], attemptTimeoutMs);
      } catch (thrown) {
        if (thrown instanceof NoAnswer) connection.close(thrown.message);
      }
      await pause(attemptTimeoutMs / 2, ended.signal);
    }
  }

  #isWanted(): boolean {
    return this.#topics.size > 0 && !this.#isClosed;
  }

  #isKept(): boolean {
    const nowMs = this.#clock.nowMs();
    if (this.#isWanted()) this.#wantedMs = nowMs;
    return !this.#isClosed && nowMs - this.#wantedMs < IDLE_MS;
  }

  /** A node that is cut off from the others has no news and does not know it; requests find out. */
  #isInUse(endpoint: Endpoint): boolean {
    return this.#book.choose() === endpoint;
  }

  async #subscribe(connection: Connection, channel: string, topic: Topic): Promise<void> {
    try {
      await connection.call(["subscribe", channel], this.#settings.attemptTimeoutMs);
    } catch (thrown) {
      // Refused: renewals have to do. Silent: another connection may be better.
      if (!(thrown instanceof ServerError)) connection.close("it does not answer");
      return;
    }
    if (this.#connection !== connection) return;
    if (this.#topics.get(channel) !== topic) {
      // Left while it was being subscribed to; a topic that has come since asks by itself.
      if (!this.#topics.has(channel)) this.#unsubscribe(channel);
      return;
    }
    topic.isHeard = true;
    for (const { listening } of topic.followers) listening();
  }

  #unsubscribe(channel: string): void {
    const left = this.#connection?.call(["unsubscribe", channel], this.#settings.attemptTimeoutMs);
    left?.catch(() => undefined);
  }
}
