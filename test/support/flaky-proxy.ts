/**
 * A network between nodes that can be cut, slowed and broken, link by link and way by way.
 *
 * Each node is reached through a proxy of its own; its address in `--peers` is the proxy's, and
 * `--peer-bind` the node's. A proxy knows who calls by the number in the caller's handshake (in the
 * clear only), so that a rule can be for the way from one node to another:
 *
 *     1 ──▶ proxy of 2 ──▶ 2        cut(1, 2) holds what goes right, cut(2, 1) what goes left
 *
 * A cut way holds bytes back, closings too, as a network that loses all packets does: whoever sends
 * notices nothing but silence, and new connections seem to be taken. What a healed way has held
 * still arrives, if the connection lives.
 */
import type { AddressInfo, Server, Socket } from "node:net";
import { connect, createServer } from "node:net";

interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** The number of a node whose handshake cannot be read. */
const UNKNOWN = 0;

/** In the handshake: eight bytes of magic, version, kind, the caller's number. */
const CALLER_PLACE = 10;

interface Rule {
  cut: boolean;
  delayMs: number;
}

/** The proxies of some nodes, and the rules for the ways between them. */
export class FlakyNetwork {
  readonly #proxies = new Map<number, Proxy>();
  readonly #rules = new Map<string, Rule>();

  /** Makes the proxy of a node and returns its port. The node itself may start later. */
  async add(node: number, target: Endpoint, host = "127.0.0.1"): Promise<number> {
    const proxy = new Proxy(node, target, (from, to) => this.#rule(from, to));
    this.#proxies.set(node, proxy);
    return proxy.listen(host);
  }

  /** Where a node listens from now on, for new connections. */
  retarget(node: number, target: Endpoint): void {
    const proxy = this.#proxies.get(node);
    if (proxy === undefined) throw new Error(`node ${node} has no proxy`);
    proxy.target = target;
  }

  /** Nothing of `from` arrives at `to` any more. */
  cut(from: number, to: number): void {
    this.#change(from, to, (rule) => {
      rule.cut = true;
    });
  }

  /** Cuts both ways between two nodes. */
  part(one: number, other: number): void {
    this.cut(one, other);
    this.cut(other, one);
  }

  /** Cuts both ways between a node and all others. */
  isolate(node: number): void {
    for (const other of this.#proxies.keys()) if (other !== node) this.part(node, other);
  }

  /** What `from` sends arrives at `to` so much later, in order. */
  delay(from: number, to: number, delayMs: number): void {
    this.#change(from, to, (rule) => {
      rule.delayMs = delayMs;
    });
  }

  /** The way is as it should be again, and what was held arrives. */
  heal(from: number, to: number): void {
    this.#change(from, to, (rule) => {
      rule.cut = false;
      rule.delayMs = 0;
    });
  }

  /** Heals all ways. */
  healAll(): void {
    for (const rule of this.#rules.values()) {
      rule.cut = false;
      rule.delayMs = 0;
    }
    for (const proxy of this.#proxies.values()) proxy.ruleChanged();
  }

  /** Resets the connections between two nodes, on both ends. */
  reset(one: number, other: number): void {
    this.#proxies.get(one)?.reset(other);
    this.#proxies.get(other)?.reset(one);
  }

  /** Connections open now between two nodes. */
  connections(one: number, other: number): number {
    const count = (node: number, caller: number): number =>
      this.#proxies.get(node)?.connections(caller) ?? 0;
    return count(one, other) + count(other, one);
  }

  /** Breaks everything and gives the ports free. */
  async close(): Promise<void> {
    await Promise.all([...this.#proxies.values()].map((proxy) => proxy.close()));
  }

  #rule(from: number, to: number): Rule {
    const key = `${from}>${to}`;
    let rule = this.#rules.get(key);
    if (rule === undefined) {
      rule = { cut: false, delayMs: 0 };
      this.#rules.set(key, rule);
    }
    return rule;
  }

  #change(from: number, to: number, change: (rule: Rule) => void): void {
    change(this.#rule(from, to));
    for (const proxy of this.#proxies.values()) proxy.ruleChanged();
  }
}

/** What is in front of one node. */
class Proxy {
  readonly #node: number;
  target: Endpoint;
  readonly #ruleOf: (from: number, to: number) => Rule;
  readonly #server: Server;
  readonly #tunnels = new Set<Tunnel>();

  constructor(node: number, target: Endpoint, ruleOf: (from: number, to: number) => Rule) {
    this.#node = node;
    this.target = target;
    this.#ruleOf = ruleOf;
    this.#server = createServer({ noDelay: true, allowHalfOpen: true }, (caller) => {
      this.#take(caller);
    });
  }

  listen(host: string): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ host, port: 0 }, () => {
        resolve((this.#server.address() as AddressInfo).port);
      });
    });
  }

  ruleChanged(): void {
    for (const tunnel of this.#tunnels) tunnel.pump();
  }

  reset(caller: number): void {
    for (const tunnel of this.#tunnels) if (tunnel.caller === caller) tunnel.reset();
  }

  connections(caller: number): number {
    return [...this.#tunnels].filter((tunnel) => tunnel.caller === caller).length;
  }

  close(): Promise<void> {
    for (const tunnel of this.#tunnels) tunnel.reset();
    return new Promise((resolve) => {
      this.#server.close(() => {
        resolve();
      });
    });
  }

  #take(caller: Socket): void {
    const tunnel = new Tunnel(caller, this.target, {
      towards: (from) => this.#ruleOf(from, this.#node),
      back: (from) => this.#ruleOf(this.#node, from),
    });
    this.#tunnels.add(tunnel);
    tunnel.onGone = () => {
      this.#tunnels.delete(tunnel);
    };
  }
}

/** One connection through a proxy. */
class Tunnel {
  caller = UNKNOWN;
  onGone = (): void => undefined;
  readonly #pipes: readonly [Pipe, Pipe];
  readonly #sockets: readonly [Socket, Socket];

  constructor(
    near: Socket,
    target: Endpoint,
    rules: { readonly towards: (from: number) => Rule; readonly back: (from: number) => Rule },
  ) {
    const far = connect({ ...target, noDelay: true, allowHalfOpen: true });
    this.#sockets = [near, far];
    near.once("data", (chunk) => {
      this.caller = chunk[CALLER_PLACE] ?? UNKNOWN;
    });
    const towards = new Pipe(near, far, () => rules.towards(this.caller));
    const back = new Pipe(far, near, () => rules.back(this.caller));
    this.#pipes = [towards, back];
    for (const socket of this.#sockets) {
      socket.on("close", () => {
        if (near.closed && far.closed) this.onGone();
      });
    }
  }

  pump(): void {
    for (const pipe of this.#pipes) pipe.pump();
  }

  reset(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }
}

/** One way of a connection. */
class Pipe {
  readonly #source: Socket;
  readonly #sink: Socket;
  readonly #rule: () => Rule;
  /** What came and has not yet gone on: bytes, the end, or a breakdown. */
  readonly #held: { readonly dueMs: number; readonly what: Buffer | "end" | "break" }[] = [];
  #timer: NodeJS.Timeout | null = null;

  constructor(source: Socket, sink: Socket, rule: () => Rule) {
    this.#source = source;
    this.#sink = sink;
    this.#rule = rule;
    source.on("data", (chunk) => {
      this.#hold(chunk);
    });
    source.on("end", () => {
      this.#hold("end");
    });
    source.on("error", () => {
      this.#hold("break");
    });
    source.on("close", () => {
      this.#hold("end");
    });
    sink.on("drain", () => {
      this.pump();
    });
  }

  /** Lets go on what may. */
  pump(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    for (;;) {
      const next = this.#held[0];
      if (next === undefined || this.#rule().cut || this.#sink.writableNeedDrain) break;
      const waitMs = next.dueMs - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => {
          this.pump();
        }, waitMs);
        break;
      }
      this.#held.shift();
      if (next.what === "end") this.#sink.end();
      else if (next.what === "break") this.#sink.resetAndDestroy();
      else this.#sink.write(next.what);
    }
    // What waits here fills the buffers of whoever sends, as it would in a network.
    if (this.#held.length > 16) this.#source.pause();
    else this.#source.resume();
  }

  #hold(what: Buffer | "end" | "break"): void {
    this.#held.push({ dueMs: performance.now() + this.#rule().delayMs, what });
    this.pump();
  }
}
