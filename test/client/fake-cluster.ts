/**
 * A small cluster that is none: some listeners on loopback with one lock state behind them, for what
 * real nodes cannot be made to show at will: an answer that is lost, late or never given, a node that
 * is silent and keeps its connections, a clock that stands elsewhere.
 *
 * Knows what the client sends about locks that one holds, shared with nobody or exclusively, no more;
 * what real nodes do is for `client.e2e.ts`.
 */
import type { AddressInfo, Server, Socket } from "node:net";
import { createServer } from "node:net";
import RedisParser from "redis-parser";

/** What becomes of one request. */
export type Fate =
  | "answered"
  /** Done, and the connection is cut before the answer. */
  | "reply-lost"
  /** The connection is cut before it is done. */
  | "request-lost"
  /** Neither done nor answered, and nothing behind it is; the connection stays. */
  | "silent"
  /** Done at once and answered after so many ms. */
  | { readonly answeredAfterMs: number }
  /** Done after so many ms, answered then. */
  | { readonly doneAfterMs: number }
  /** Not done; this error is the answer. */
  | { readonly error: string };

/** One request as a node got it. */
export interface Seen {
  readonly node: number;
  readonly args: readonly string[];
  readonly atMs: number;
}

type Reply = null | number | string | readonly Reply[];

interface Grant {
  readonly owner: string;
  token: number;
  isShared: boolean;
  holds: number;
  endsMs: number;
  session: string;
}

interface Waiter {
  readonly owner: string;
  readonly isShared: boolean;
  readonly ttlMs: number;
  readonly endsMs: number;
  readonly link: Link;
  readonly answer: (reply: Reply) => void;
  timer: NodeJS.Timeout | undefined;
}

interface Link {
  readonly id: number;
  readonly node: number;
  readonly socket: Socket;
  readonly channels: Set<string>;
  /** Settles when all that was asked so far has been answered: answers come in order. */
  answered: Promise<unknown>;
  session: string;
}

/** Runs `body` with a fake cluster of some nodes. */
export async function withFakeCluster(
  nodes: number,
  body: (cluster: FakeCluster) => Promise<void>,
): Promise<void> {
  const cluster = new FakeCluster();
  try {
    for (let node = 0; node < nodes; node += 1) await cluster.listen();
    await body(cluster);
  } finally {
    cluster.destroy();
  }
}

export class FakeCluster {
  readonly seen: Seen[] = [];
  /** Decides over each request, the answer to everything by default. */
  fate: (seen: Seen) => Fate = () => "answered";
  readonly #servers: Server[] = [];
  readonly #links = new Set<Link>();
  readonly #held = new Map<string, Grant>();
  readonly #queues = new Map<string, Waiter[]>();
  #tokens = 0;
  #sessions = 0;
  #ids = 0;

  async listen(): Promise<void> {
    const node = this.#servers.length;
    const server = createServer((socket) => {
      this.#accept(node, socket);
    });
    this.#servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  }

  get addresses(): string[] {
    return this.#servers.map((server) => `127.0.0.1:${(server.address() as AddressInfo).port}`);
  }

  /** The requests that began with this command. */
  sent(command: string): Seen[] {
    return this.seen.filter(({ args }) => args[0] === command);
  }

  /** Who holds a key. */
  owner(key: string): string | null {
    return this.#grant(key)?.owner ?? null;
  }

  holds(key: string): number {
    return this.#grant(key)?.holds ?? 0;
  }

  /** When the lease of a key ends, by `performance.now()`. */
  endsMs(key: string): number {
    return this.#grant(key)?.endsMs ?? -Infinity;
  }

  waiters(key: string): number {
    return this.#queues.get(key)?.length ?? 0;
  }

  /** Somebody else takes a key for ever. */
  occupy(key: string, owner = "other"): void {
    this.#tokens += 1;
    const token = this.#tokens;
    const [isShared, endsMs] = [false, Infinity];
    this.#held.set(key, { owner, token, isShared, holds: 1, endsMs, session: "" });
  }

  /** A key is taken away from its holder, and its channel tells so. */
  breakLock(key: string, reason: string): void {
    const token = this.#grant(key)?.token ?? 0;
    this.free(key);
    this.tell(key, { event: "broken", owner: "", token: String(token), slot: 1, reason });
  }

  /** Tells something about a key to whoever is subscribed to its channel. */
  tell(key: string, message: object): void {
    const channel = `__lock@0__:${key}`;
    const text = encode(["message", channel, JSON.stringify(message)]);
    for (const { channels, socket } of this.#links) if (channels.has(channel)) socket.write(text);
  }

  /** How many connections are subscribed to the channel of a key. */
  listeners(key: string): number {
    return [...this.#links].filter(({ channels }) => channels.has(`__lock@0__:${key}`)).length;
  }

  /** The key is free; who waits is next. */
  free(key: string): void {
    this.#held.delete(key);
    this.#settle(key);
  }

  /** The node is gone, with all its connections. */
  kill(node: number): void {
    this.#servers[node]?.close();
    for (const link of this.#links) if (link.node === node) link.socket.destroy();
  }

  destroy(): void {
    for (const node of this.#servers.keys()) this.kill(node);
    for (const queue of this.#queues.values()) for (const { timer } of queue) clearTimeout(timer);
  }

  #accept(node: number, socket: Socket): void {
    this.#ids += 1;
    const [id, channels, answered] = [this.#ids, new Set<string>(), Promise.resolve()];
    const link: Link = { id, node, socket, channels, answered, session: "" };
    this.#links.add(link);
    const parser = new RedisParser({
      returnReply: (reply: unknown) => {
        this.#receive(link, (reply as unknown[]).map(String));
      },
      returnError: () => undefined,
    });
    socket.on("data", (chunk) => {
      parser.execute(chunk);
    });
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.#links.delete(link);
      for (const [key, queue] of this.#queues) {
        this.#queues.set(
          key,
          queue.filter((waiter) => waiter.link !== link),
        );
      }
    });
  }

  #receive(link: Link, args: readonly string[]): void {
    const seen = { node: link.node, args, atMs: performance.now() };
    this.seen.push(seen);
    const fate = this.fate(seen);
    const before = link.answered;
    let answered = (): void => undefined;
    link.answered = new Promise<void>((resolve) => {
      answered = resolve;
    });
    const write = (bytes: string): void => {
      void before.then(() => {
        link.socket.write(bytes);
        answered();
      });
    };
    if (fate === "silent") return;
    if (fate === "request-lost") {
      link.socket.destroy();
      return;
    }
    if (typeof fate === "object" && "error" in fate) {
      write(`-${fate.error}\r\n`);
      return;
    }
    const execute = (): void => {
      this.#execute(link, args, (reply) => {
        if (fate === "reply-lost") link.socket.destroy();
        else if (typeof fate === "object" && "answeredAfterMs" in fate) {
          setTimeout(() => {
            write(encode(reply));
          }, fate.answeredAfterMs);
        } else write(encode(reply));
      });
    };
    if (typeof fate === "object" && "doneAfterMs" in fate) setTimeout(execute, fate.doneAfterMs);
    else execute();
  }

  #execute(link: Link, args: readonly string[], answer: (reply: Reply) => void): void {
    const [command = "", key = "", owner = "", number = "0"] = args;
    switch (command) {
      case "LOCK.ACQUIRE":
        this.#acquire({ link, args, answer });
        return;
      case "LOCK.RENEW":
        answer(this.#renew(key, { owner, ttlMs: Number(number), token: args[5] ?? "" }));
        return;
      case "LOCK.RELEASE":
        answer(this.#release(key, { owner, token: args[4] ?? null }));
        return;
      case "LOCK.CHECK":
        answer(String(this.#grant(key)?.token) === owner ? 1 : 0);
        return;
      case "LOCK.TOKEN":
        answer(this.#grant(key) === null ? null : String(this.#grant(key)?.token));
        return;
      case "LOCK.INFO":
        answer(this.#info(key));
        return;
      case "LOCK.SESSION":
        if (key === "RESUME") link.session = owner;
        else {
          this.#sessions += 1;
          link.session = this.#sessions.toString(16).padStart(32, "0");
        }
        answer(link.session);
        return;
      case "CLIENT":
        answer(key === "ID" ? link.id : key === "UNBLOCK" ? this.#unblock(Number(owner)) : "OK");
        return;
      case "PING":
        answer("PONG");
        return;
      case "ping":
        answer(link.channels.size > 0 ? ["pong", ""] : "PONG");
        return;
      case "subscribe":
        link.channels.add(key);
        answer([command, key, link.channels.size]);
        return;
      case "unsubscribe":
        link.channels.delete(key);
        answer([command, key, link.channels.size]);
        return;
      default:
        answer("OK");
    }
  }

  #acquire({
    link,
    args,
    answer,
  }: {
    readonly link: Link;
    readonly args: readonly string[];
    readonly answer: (reply: Reply) => void;
  }): void {
    const [, key = "", owner = "", ttl = "0"] = args;
    const ttlMs = Number(ttl);
    const grant = this.#grant(key);
    if (grant?.owner === owner) {
      if (args.includes("REENTRANT")) grant.holds += 1;
      const isShared = args.includes("SHARED");
      if (grant.isShared !== isShared) grant.endsMs = performance.now() + ttlMs;
      if (grant.isShared && !isShared) {
        this.#tokens += 1;
        grant.token = this.#tokens;
      }
      grant.isShared = isShared;
      answer([String(grant.token), left(grant), grant.holds]);
      return;
    }
    const wait = args.indexOf("WAIT");
    const waitMs = wait < 0 ? 0 : Number(args[wait + 1]);
    const queue = this.#queues.get(key) ?? [];
    this.#queues.set(key, queue);
    if (grant !== null && waitMs === 0) {
      answer(null);
      return;
    }
    const waiter: Waiter = {
      owner,
      isShared: args.includes("SHARED"),
      ttlMs,
      endsMs: performance.now() + waitMs,
      link,
      answer,
      timer: undefined,
    };
    waiter.timer = setTimeout(() => {
      const place = queue.indexOf(waiter);
      if (place < 0) return;
      queue.splice(place, 1);
      answer(null);
    }, waitMs);
    queue.push(waiter);
    this.#settle(key);
  }

  #unblock(id: number): number {
    for (const queue of this.#queues.values()) {
      const place = queue.findIndex(({ link }) => link.id === id);
      const [waiter] = place < 0 ? [] : queue.splice(place, 1);
      if (waiter === undefined) continue;
      clearTimeout(waiter.timer);
      waiter.answer(null);
      return 1;
    }
    return 0;
  }

  #settle(key: string): void {
    if (this.#grant(key) !== null) return;
    const next = this.#queues.get(key)?.shift();
    if (next === undefined) return;
    clearTimeout(next.timer);
    this.#tokens += 1;
    const grant: Grant = {
      owner: next.owner,
      token: this.#tokens,
      isShared: next.isShared,
      holds: 1,
      endsMs: performance.now() + next.ttlMs,
      session: next.link.session,
    };
    if (next.ttlMs === 0) grant.endsMs = Infinity;
    this.#held.set(key, grant);
    next.answer([String(grant.token), left(grant), 1]);
  }

  #renew(
    key: string,
    { owner, ttlMs, token }: { readonly owner: string; readonly ttlMs: number; token: string },
  ): Reply {
    const grant = this.#grant(key);
    if (grant?.owner !== owner || (token !== "" && String(grant.token) !== token)) return null;
    grant.endsMs = performance.now() + ttlMs;
    return [String(grant.token), ttlMs];
  }

  #release(
    key: string,
    { owner, token }: { readonly owner: string; readonly token: string | null },
  ): Reply {
    const grant = this.#grant(key);
    if (grant?.owner !== owner || (token !== null && String(grant.token) !== token)) return 0;
    grant.holds -= 1;
    if (grant.holds === 0) this.free(key);
    return 1;
  }

  #info(key: string): Reply {
    const grant = this.#grant(key);
    if (grant === null) return null;
    const { owner, token, holds, session } = grant;
    const holder = ["owner", owner, "token", String(token), "holds", holds];
    return [
      ...["mode", "exclusive", "limit", 0],
      ...["holders", [[...holder, "remaining-ms", left(grant), "session", session]]],
      ...["waiters", this.waiters(key)],
    ] as Reply;
  }

  #grant(key: string): Grant | null {
    const grant = this.#held.get(key);
    if (grant === undefined) return null;
    if (performance.now() <= grant.endsMs) return grant;
    this.#held.delete(key);
    this.#settle(key);
    return this.#held.get(key) ?? null;
  }
}

function left({ endsMs }: Grant): number {
  return endsMs === Infinity ? -1 : Math.max(0, Math.floor(endsMs - performance.now()));
}

function encode(reply: Reply): string {
  if (reply === null) return "$-1\r\n";
  if (typeof reply === "number") return `:${reply}\r\n`;
  if (typeof reply === "string") return `$${Buffer.byteLength(reply)}\r\n${reply}\r\n`;
  return `*${reply.length}\r\n${reply.map(encode).join("")}`;
}
