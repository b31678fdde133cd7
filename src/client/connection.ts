/**
 * One connection to one node, by ioredis, with everything of it switched off that would do behind our
 * back what only the client can judge: it does not come back by itself, repeats nothing and keeps
 * nothing for later. What happened to a request is always known here: an answer, or none.
 */
import { Redis } from "ioredis";
import { formatEndpoint, type Endpoint } from "../base/address.ts";
import { TIMEOUT_MS_MAX } from "./clock.ts";
import type { ClientSettings } from "./options.ts";

/** A reply as RESP2 has it; a map is a list of names and values. */
export type RawReply = null | number | string | readonly RawReply[];

/** An error that the server answered with. */
export class ServerError extends Error {
  override readonly name = "ServerError";
  /** The first word, such as `CLUSTERDOWN`. */
  readonly code: string;

  constructor(message: string) {
    super(message);
    this.code = message.split(" ", 1)[0] ?? "";
  }
}

/** No answer: not connected, cut off, or silent for too long. */
export class NoAnswer extends Error {
  override readonly name = "NoAnswer";
  /** Whether the request may have reached the node, so that it may have had its effect. */
  readonly sent: boolean;

  constructor(message: string, sent: boolean) {
    super(message);
    this.sent = sent;
  }
}

export class Connection {
  readonly endpoint: Endpoint;
  readonly #redis: Redis;
  readonly #closed: Promise<void>;
  #isOpen = true;
  #failure = "the node closed the connection";

  private constructor(endpoint: Endpoint, redis: Redis) {
    this.endpoint = endpoint;
    this.#redis = redis;
    redis.on("error", (error: Error) => {
      this.#failure = error.message;
    });
    this.#closed = new Promise((resolve) => {
      redis.once("end", () => {
        this.#isOpen = false;
        resolve();
      });
    });
  }

  /** Connects and gives the password; rejects with {@link NoAnswer} or {@link ServerError}. */
  static async open(endpoint: Endpoint, settings: ClientSettings): Promise<Connection> {
    const { username, password, tls, db, name, connectTimeoutMs } = settings;
    const redis = new Redis({
      host: endpoint.host,
      port: endpoint.port,
      db,
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
      ...(tls === undefined ? {} : { tls }),
      ...(name === undefined ? {} : { connectionName: name }),
      protocol: 2,
      clientInfoTag: "paxlock",
      connectTimeout: connectTimeoutMs,
      lazyConnect: true,
      enableReadyCheck: false,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      retryStrategy: null,
      maxRetriesPerRequest: 0,
    });
    const connection = new Connection(endpoint, redis);
    // ioredis bounds the connecting, not the greeting behind it: a frozen node takes connections.
    const timer = setTimeout(() => {
      connection.close(`no greeting within ${connectTimeoutMs} ms`);
    }, connectTimeoutMs);
    try {
      await redis.connect();
      return connection;
    } catch {
      connection.close(connection.#failure);
      const failure = connection.#failure;
      if (/^(NOAUTH|WRONGPASS|DENIED|ERR) /.test(failure)) throw new ServerError(failure);
      throw new NoAnswer(`${formatEndpoint(endpoint)}: ${failure}`, false);
    } finally {
      clearTimeout(timer);
    }
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Settles when the connection has ended, whoever ended it. */
  get closed(): Promise<void> {
    return this.#closed;
  }

  /**
   * Sends one command. Rejects with {@link ServerError}, or with {@link NoAnswer} when the connection
   * ends first or `timeoutMs` pass; the answer may then still come and is ignored.
   */
  async call(args: readonly string[], timeoutMs: number): Promise<RawReply> {
    const [command = "", ...rest] = args;
    if (!this.#isOpen) throw this.#noAnswer(this.#failure, false);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      if (timeoutMs > TIMEOUT_MS_MAX) return;
      timer = setTimeout(() => {
        reject(this.#noAnswer(`no answer within ${Math.round(timeoutMs)} ms`, true));
      }, timeoutMs);
    });
    const answer = this.#redis.call(command, rest) as Promise<RawReply>;
    answer.catch(() => undefined);
    try {
      return await Promise.race([answer, late]);
    } catch (thrown) {
      if (thrown instanceof NoAnswer) throw thrown;
      if (thrown instanceof Error && thrown.name === "ReplyError") {
        throw new ServerError(thrown.message);
      }
      throw this.#noAnswer(this.#failure, true);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Calls `listener` with each message of the channels that it is subscribed to. */
  onMessage(listener: (channel: string, message: string) => void): void {
    this.#redis.on("message", listener);
  }

  /** Ends it at once; requests on the way get {@link NoAnswer} with this reason. */
  close(reason: string): void {
    if (this.#isOpen) this.#failure = reason;
    this.#isOpen = false;
    // On a socket that is closed already ioredis starts a timer that nothing would call off.
    const { status } = this.#redis;
    if (status !== "end" && status !== "close") this.#redis.disconnect();
  }

  #noAnswer(message: string, sent: boolean): NoAnswer {
    return new NoAnswer(`${formatEndpoint(this.endpoint)}: ${message}`, sent);
  }
}
