/**
 * An application with one connection: an unmodified ioredis, and the habit of every client of a
 * cluster to go to the next node when the present one fails it.
 */
import { Redis, type RedisOptions } from "ioredis";
import { CLIENT_PORT } from "./cluster.ts";
import type { Outcome } from "./history.ts";

export type RedisClass = new (options: RedisOptions) => Redis;

export interface ApplicationOptions {
  /** Addresses in the order tried; one alone is never left. */
  readonly hosts: readonly string[];
  readonly Client?: RedisClass;
  /** How long it waits for an answer, in ms. */
  readonly patienceMs?: number;
}

/** Errors that promise that nothing was done, as the README's table of errors says. */
const WITHOUT_EFFECT: ReadonlySet<string> = new Set(["TRYAGAIN", "CLUSTERDOWN", "MISCONF", "OOM"]);

/** A node that cannot be reached is given up on after this long. */
const CONNECT_MS_MAX = 500;
/** Between a failure and the next attempt, so that a dead cluster is not stormed. */
const PAUSE_MS = 20;

export class Application {
  readonly #hosts: readonly string[];
  readonly #Client: RedisClass;
  readonly #patienceMs: number;
  #at = 0;
  #redis: Redis | null = null;
  /** Errors that no client should ever see. */
  readonly surprises: string[] = [];
  /** How often it went on to another node, or connected again. */
  moves = 0;

  constructor({ hosts, Client = Redis, patienceMs = 1_500 }: ApplicationOptions) {
    this.#hosts = hosts;
    this.#Client = Client;
    this.#patienceMs = patienceMs;
  }

  get host(): string {
    return this.#hosts[this.#at % this.#hosts.length] ?? "";
  }

  /** Runs commands on the present connection; a failure moves the application on. */
  async use<Value>(work: (redis: Redis) => Promise<Value>): Promise<Outcome<Value>> {
    const redis = await this.#connected();
    if (redis === null) return { kind: "refused", code: "not connected" };
    try {
      return { kind: "done", value: await work(redis) };
    } catch (thrown) {
      const outcome = this.#failure(thrown);
      await this.moveOn();
      return outcome;
    }
  }

  /** Leaves the present node for the next. */
  async moveOn(): Promise<void> {
    this.close();
    this.#at += 1;
    this.moves += 1;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }

  close(): void {
    this.#redis?.disconnect();
    this.#redis = null;
  }

  async #connected(): Promise<Redis | null> {
    if (this.#redis?.status === "ready") return this.#redis;
    this.#redis?.disconnect();
    const redis = new this.#Client({
      host: this.host,
      port: CLIENT_PORT,
      lazyConnect: true,
      connectTimeout: CONNECT_MS_MAX,
      commandTimeout: this.#patienceMs,
      // The application decides what is sent again, and where; the history must know.
      maxRetriesPerRequest: 0,
      autoResendUnfulfilledCommands: false,
      enableOfflineQueue: false,
      retryStrategy: () => null,
    });
    // Without a listener the library prints what a test provokes.
    redis.on("error", () => undefined);
    this.#redis = redis;
    try {
      await redis.connect();
      return redis;
    } catch {
      await this.moveOn();
      return null;
    }
  }

  #failure(thrown: unknown): Outcome<never> {
    const text = thrown instanceof Error ? thrown.message : String(thrown);
    if (!(thrown instanceof Error) || thrown.name !== "ReplyError") {
      return { kind: "unknown", why: text };
    }
    const code = text.slice(0, Math.max(text.indexOf(" "), 0));
    if (code === "UNKNOWN") return { kind: "unknown", why: code };
    if (!WITHOUT_EFFECT.has(code)) this.surprises.push(`${this.host} answered: ${text}`);
    return { kind: "refused", code };
  }
}
