/**
 * The transport: one link to each other node, made anew for as long as it is wanted.
 *
 *     setPeers ─▶ dial ─▶ handshake ─▶ link ─▶ connected, received…, disconnected
 *                  ▲          │          │
 *                  └── wait ◀─┴──────────┘      being called ─▶ handshake ─▶ link, or call back
 *
 * There is one connection per pair, so that both sides see the same breaks: what was sent over one
 * link may be lost when `disconnected` comes, and nothing of it arrives after `connected`. A newer
 * link replaces the one before, for only one of the two nodes makes links (`handshake.ts`), and it
 * has given up the older one.
 */
import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { formatEndpoint } from "../base/address.ts";
import { assert } from "../base/assert.ts";
import type { NodeId } from "../base/ids.ts";
import { PEER_HANDSHAKES_MAX } from "../base/limits.ts";
import type { PeerAddress, Transport, TransportHandler } from "../base/ports.ts";
import type { AnswerOutcome } from "./answering.ts";
import { Answer, TlsGate } from "./answering.ts";
import type { Check, DialOutcome } from "./dialing.ts";
import { Dial } from "./dialing.ts";
import type { Acquaintance, Identity } from "./handshake.ts";
import { refusalOf } from "./handshake.ts";
import { Link } from "./link.ts";
import type { PeerListener } from "./listener.ts";
import { sharedLookup } from "./lookup.ts";
import type { TransportLog } from "./problem-log.ts";
import { ProblemLog } from "./problem-log.ts";
import type { TransportTiming } from "./timing.ts";
import { DEFAULT_TIMING } from "./timing.ts";
import type { PeerTls } from "./tls.ts";

/** A start of a data folder. */
export type FolderStart = Pick<Identity, "incarnation" | "boot" | "session">;

/** With which start of which data folder each other node was last met. Durable. */
export interface Acquaintances {
  /** The start remembered for a node, perhaps not yet durably, or undefined. */
  get(node: NodeId): FolderStart | undefined;
  /** Remembers a start in place of the one before; the node is let in when `done` gets null. */
  remember(node: NodeId, start: FolderStart, done: (failure: Error | null) => void): void;
}

export interface PeerTransportOptions {
  readonly listener: PeerListener;
  /** The session is drawn by the transport. */
  readonly identity: Omit<Identity, "session">;
  readonly acquaintances: Acquaintances;
  /** Null: no TLS between nodes. */
  readonly tls: PeerTls | null;
  readonly queueBytesMax: number;
  readonly log: TransportLog;
  readonly timing?: Partial<TransportTiming>;
}

/** The state of the way to one other node, for people. */
export interface LinkStatus {
  readonly id: NodeId;
  /** As in the peers; empty for a node that joins and is not yet among them. */
  readonly address: string;
  readonly connected: boolean;
  /** Why there is no link, as far as known; empty when there is one. */
  readonly problem: string;
  readonly queuedBytes: number;
  /** Bodies that were not sent because the queue was full, since the start. */
  readonly dropped: number;
}

/** One other node. */
interface Peer {
  readonly id: NodeId;
  /** Null: a node that joins and is not yet among the peers; it is not dialled. */
  address: string | null;
  link: Link | null;
  dial: Dial | null;
  retry: NodeJS.Timeout | null;
  /** Calls since the last link, for the back-off. */
  calls: number;
  /** Since when there is no link. */
  downSinceMs: number;
  problem: string;
  dropped: number;
  /** A line has said that the queue is full. */
  full: boolean;
}

/** A start on its way to the disk, and who waits for it. */
interface Remembering {
  readonly start: FolderStart;
  readonly waiters: ((failure: string | null) => void)[];
}

export class PeerTransport implements Transport {
  readonly #self: Identity;
  readonly #options: PeerTransportOptions;
  readonly #timing: TransportTiming;
  readonly #problems: ProblemLog;
  readonly #gate: TlsGate | null;
  readonly #peers = new Map<NodeId, Peer>();
  readonly #removed = new Set<NodeId>();
  /** Nodes whose start is being made durable. */
  readonly #remembering = new Map<NodeId, Remembering>();
  /** Nodes for which that has failed: what {@link Acquaintances.get} says may not be durable. */
  readonly #unwritten = new Set<NodeId>();
  /** Calls in the handshake, and refused ones until their connection is gone. */
  readonly #answers = new Set<Answer>();
  readonly #lookup = sharedLookup();
  #handler: TransportHandler | null = null;
  #ticker: NodeJS.Timeout | null = null;
  #closing: Promise<void> | null = null;

  constructor(options: PeerTransportOptions) {
    this.#options = options;
    this.#self = { ...options.identity, session: randomBytes(8).toString("hex") };
    this.#timing = { ...DEFAULT_TIMING, ...options.timing };
    this.#problems = new ProblemLog(options.log, this.#timing.repeatLogMs, () => performance.now());
    const { tls } = options;
    this.#gate =
      tls === null
        ? null
        : new TlsGate(() =>
            tls.current((line) => {
              this.#problems.warn("tls", line);
            }),
          );
  }

  /** Begins to dial and to take calls. The handler is first called in a later turn. */
  start(handler: TransportHandler): void {
    assert(this.#handler === null, "a transport starts once");
    if (this.#closing !== null) return;
    this.#handler = handler;
    this.#ticker = setInterval(this.#tick, this.#timing.tickMs);
    this.#options.listener.accept((socket) => {
      this.#answer(socket);
    });
    for (const peer of this.#peers.values()) this.#call(peer);
  }

  send(to: NodeId, body: Uint8Array): boolean {
    const peer = this.#peers.get(to);
    const link = peer?.link;
    if (peer === undefined || link === null || link === undefined) return false;
    const sent = link.send(body);
    if (!sent && link.isOpen) this.#dropped(peer);
    return sent;
  }

  isConnected(to: NodeId): boolean {
    return this.#peers.get(to)?.link?.isOpen === true;
  }

  setPeers(peers: readonly PeerAddress[]): void {
    if (this.#closing !== null) return;
    const wanted = new Map(peers.map(({ id, address }) => [id, address]));
    wanted.delete(this.#self.node);
    for (const peer of [...this.#peers.values()]) {
      // A node that joins was never named, so it is not removed by not being named.
      if (wanted.has(peer.id) || peer.address === null) continue;
      this.#remove(peer);
    }
    for (const [id, address] of wanted) {
      this.#removed.delete(id);
      const peer = this.#peers.get(id);
      if (peer === undefined) this.#add(id, address);
      else if (peer.address !== address) this.#readdress(peer, address);
    }
  }

  /** The ways to all other nodes, by id. */
  links(): LinkStatus[] {
    return [...this.#peers.values()]
      .sort((one, other) => one.id - other.id)
      .map((peer) => ({
        id: peer.id,
        address: peer.address ?? "",
        connected: peer.link !== null,
        problem: peer.link === null ? peer.problem : "",
        queuedBytes: peer.link?.queuedBytes ?? 0,
        dropped: peer.dropped,
      }));
  }

  /**
   * Ends all links, after what is queued has left or a short while, and gives the port free. The
   * handler is not called any more. May be called again.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#ticker !== null) clearInterval(this.#ticker);
    this.#options.listener.close();
    for (const answer of this.#answers) answer.abort();
    this.#answers.clear();
    const links: Link[] = [];
    for (const peer of this.#peers.values()) {
      this.#rest(peer);
      if (peer.link === null) continue;
      links.push(peer.link);
      peer.link.end(this.#timing.closeMs);
      peer.link = null;
    }
    await Promise.all(
      links.map(
        (link) =>
          new Promise<void>((resolve) => {
            link.onceGone(resolve);
          }),
      ),
    );
  }

  // --- peers --------------------------------------------------------------------------------------

  #add(id: NodeId, address: string | null): Peer {
    const peer: Peer = {
      id,
      address,
      link: null,
      dial: null,
      retry: null,
      calls: 0,
      downSinceMs: performance.now(),
      problem: "not connected yet",
      dropped: 0,
      full: false,
    };
    this.#peers.set(id, peer);
    if (this.#handler !== null) this.#callSoon(peer);
    return peer;
  }

  #remove(peer: Peer): void {
    this.#removed.add(peer.id);
    this.#rest(peer);
    this.#peers.delete(peer.id);
    const { link } = peer;
    if (link === null) return;
    peer.link = null;
    link.end(this.#timing.closeMs);
    this.#options.log.info(`node ${peer.id} is no longer a member: its link is closed`);
    this.#reportLater(peer.id);
  }

  #readdress(peer: Peer, address: string): void {
    const joined = peer.address === null;
    peer.address = address;
    peer.calls = 0;
    this.#rest(peer);
    const { link } = peer;
    // It has become a member: its data folder is now one to be kept in mind.
    if (joined && link !== null) this.#remember(link.other, () => undefined);
    if (link?.dialled !== null && link?.dialled !== undefined && link.dialled !== address) {
      peer.link = null;
      peer.downSinceMs = performance.now();
      link.end(this.#timing.closeMs);
      this.#reportLater(peer.id);
    }
    if (peer.link === null && this.#handler !== null) this.#callSoon(peer);
  }

  /** Reports a link as gone after the caller's method has returned, and before anything else. */
  #reportLater(id: NodeId): void {
    process.nextTick(() => {
      if (this.#closing === null) this.#handler?.disconnected(id);
    });
  }

  #dropped(peer: Peer): void {
    peer.dropped += 1;
    if (peer.full) return;
    peer.full = true;
    this.#problems.warn(
      `queue ${peer.id}`,
      `the queue of ${this.#options.queueBytesMax} bytes to node ${peer.id} is full: messages are dropped until it reads; is it overloaded, or the network too slow? (--peer-queue-bytes)`,
    );
  }

  // --- links --------------------------------------------------------------------------------------

  #linked(
    peer: Peer,
    { socket, other, rest }: { socket: Socket; other: Identity; rest: Uint8Array },
    dialled: string | null,
  ): void {
    this.#rest(peer);
    if (peer.link !== null) {
      peer.link.end(0);
      peer.link = null;
      this.#handler?.disconnected(peer.id);
    }
    const place = dialled ?? placeOf(socket);
    const link: Link = new Link({
      socket,
      other,
      dialled,
      place,
      queueBytesMax: this.#options.queueBytesMax,
      tickMs: this.#timing.tickMs,
      silentTicks: this.#timing.silentTicks,
      onBody: (body) => {
        this.#handler?.received(peer.id, body);
      },
      onClosed: (reason) => {
        this.#lost(peer, link, reason);
      },
    });
    peer.link = link;
    peer.calls = 0;
    peer.full = false;
    peer.problem = "";
    this.#problems.forget(`node ${peer.id}`);
    this.#problems.forget(`caller ${peer.id}`);
    const direction = dialled === null ? "from" : "at";
    this.#options.log.info(
      `connected with node ${peer.id} ${direction} ${place} (release ${other.release}${peer.address === null ? ", joining" : ""})`,
    );
    this.#handler?.connected(peer.id);
    if (rest.length > 0) link.receive(rest);
  }

  #lost(peer: Peer, link: Link, reason: string): void {
    if (peer.link !== link || this.#closing !== null) return;
    peer.link = null;
    peer.downSinceMs = performance.now();
    peer.problem = reason;
    this.#problems.warn(
      `link ${peer.id}`,
      `lost the link to node ${peer.id} at ${peer.address ?? link.place}: ${reason}`,
    );
    this.#handler?.disconnected(peer.id);
    // The handler may have removed it.
    if (this.#peers.get(peer.id) !== peer) return;
    if (peer.address === null) this.#peers.delete(peer.id);
    else this.#callSoon(peer);
  }

  readonly #tick = (): void => {
    for (const peer of [...this.#peers.values()]) {
      peer.link?.tick();
      if (peer.full && peer.link?.queuedBytes === 0) peer.full = false;
    }
  };

  // --- calling ------------------------------------------------------------------------------------

  /** Dials after a wait that grows from call to call. */
  #callSoon(peer: Peer): void {
    if (peer.address === null || peer.retry !== null || peer.dial !== null) return;
    const { firstRetryMs, retryMs, retryMsMax } = this.#timing;
    const full = Math.min(retryMsMax, retryMs * 2 ** Math.min(peer.calls - 1, 16));
    // Never in step with others that have lost a link at the same moment.
    const waitMs =
      peer.calls === 0 ? Math.random() * firstRetryMs : full / 2 + (Math.random() * full) / 2;
    peer.retry = setTimeout(() => {
      peer.retry = null;
      this.#call(peer);
    }, waitMs);
  }

  #call(peer: Peer): void {
    if (peer.address === null || peer.link !== null || peer.dial !== null) return;
    const { address } = peer;
    peer.calls += 1;
    const dial = new Dial(
      {
        self: this.#self,
        expected: peer.id,
        address,
        tls: this.#gate?.material() ?? null,
        handshakeMs: this.#timing.handshakeMs,
        check: this.#check,
        lookup: this.#lookup,
      },
      (outcome) => {
        peer.dial = null;
        this.#called(peer, address, outcome);
      },
    );
    peer.dial = dial;
  }

  #called(peer: Peer, address: string, outcome: DialOutcome): void {
    const node = `node ${peer.id}`;
    switch (outcome.kind) {
      case "linked":
        this.#linked(peer, outcome, address);
        return;
      case "knocked":
        peer.problem = "waiting for its call";
        break;
      case "refused-there":
        peer.problem = `refused: ${outcome.reason}`;
        this.#problems.warn(node, `${node} at ${address} refuses this node: ${outcome.reason}`);
        break;
      case "refused-here":
        peer.problem = `refused: ${outcome.refusal.reason}`;
        this.#problems.warn(node, `refused ${node} at ${address}: ${outcome.refusal.reason}`);
        break;
      case "strange":
        peer.problem = outcome.problem;
        this.#problems.warn(node, `${node} at ${address} ${outcome.problem}`);
        break;
      case "unreachable":
        peer.problem = outcome.problem;
        if (performance.now() - peer.downSinceMs >= this.#timing.quietMs) {
          this.#problems.warn(node, `cannot reach ${node} at ${address}: ${outcome.problem}`);
        }
        break;
    }
    if (peer.link === null) this.#callSoon(peer);
  }

  /** Neither dials nor waits to dial any more. */
  #rest(peer: Peer): void {
    peer.dial?.abort();
    peer.dial = null;
    if (peer.retry !== null) clearTimeout(peer.retry);
    peer.retry = null;
  }

  // --- being called -------------------------------------------------------------------------------

  #answer(socket: Socket): void {
    if (this.#closing !== null || this.#answers.size >= PEER_HANDSHAKES_MAX) {
      this.#problems.warn(
        "calls",
        `more than ${PEER_HANDSHAKES_MAX} connections are in the handshake; further ones are closed, until some are done`,
      );
      socket.destroy();
      return;
    }
    const place = placeOf(socket);
    const answer = new Answer(
      socket,
      {
        self: this.#self,
        handshakeMs: this.#timing.handshakeMs,
        check: this.#check,
        tls: this.#gate,
      },
      (outcome) => {
        if (outcome.kind === "linked") this.#answers.delete(answer);
        this.#answered(place, outcome);
      },
    );
    this.#answers.add(answer);
    socket.once("close", () => {
      this.#answers.delete(answer);
    });
  }

  #answered(place: string, outcome: AnswerOutcome): void {
    // The port is another one at each try, and is not what tells callers apart.
    const host = place.slice(0, place.lastIndexOf(":"));
    switch (outcome.kind) {
      case "linked":
        this.#linked(this.#peer(outcome.other.node), outcome, null);
        return;
      case "knocked":
        this.#knocked(outcome.other);
        return;
      case "refused-here": {
        const who = outcome.node === 0 ? "a connection" : `node ${outcome.node}`;
        const subject = outcome.node === 0 ? `caller ${host}` : `caller ${outcome.node}`;
        this.#problems.warn(subject, `refused ${who} from ${host}: ${outcome.refusal.reason}`);
        return;
      }
      case "refused-there":
        this.#problems.warn(
          `caller ${outcome.node}`,
          `node ${outcome.node} from ${host} refuses this node: ${outcome.reason}`,
        );
        return;
      case "strange":
        this.#problems.warn(
          `caller ${host}`,
          `closed a connection from ${host} to the port for nodes: it ${outcome.problem}`,
        );
        return;
      case "silent":
        return;
    }
  }

  #peer(id: NodeId): Peer {
    return this.#peers.get(id) ?? this.#add(id, null);
  }

  /** A node that cannot make links itself is up and has none with us. */
  #knocked(other: Identity): void {
    const peer = this.#peers.get(other.node);
    if (peer === undefined) return;
    const { link } = peer;
    if (link !== null) {
      // The same process may have knocked just before the link was made. A new one has no link.
      if (link.other.session === other.session) return;
      peer.link = null;
      peer.downSinceMs = performance.now();
      link.end(0);
      this.#handler?.disconnected(peer.id);
      if (this.#peers.get(peer.id) !== peer) return;
    }
    peer.calls = 0;
    if (peer.dial !== null) return;
    this.#rest(peer);
    this.#call(peer);
  }

  // --- who is let in ------------------------------------------------------------------------------

  readonly #check: Check = (other, { expected, called }, done) => {
    const refusal = refusalOf(this.#self, other, {
      expected,
      called,
      known: this.#acquaintance(other.node),
    });
    if (refusal !== null) {
      done(refusal);
      return;
    }
    // Whoever is not a member yet may still come back with another folder.
    const address = this.#peers.get(other.node)?.address ?? null;
    if (address === null && this.#options.acquaintances.get(other.node) === undefined) {
      done(null);
      return;
    }
    this.#remember(other, (failure) => {
      if (failure === null) {
        done(null);
        return;
      }
      const reason = `node ${this.#self.node} cannot write down which data folder node ${other.node} has (${failure}); free space or repair the disk of node ${this.#self.node}`;
      done({ code: "storage", reason });
    });
  };

  #acquaintance(id: NodeId): Acquaintance {
    const start = this.#options.acquaintances.get(id);
    return {
      member: this.#peers.has(id),
      removed: this.#removed.has(id),
      incarnation: start?.incarnation ?? null,
      boot: start?.boot ?? 0,
      session: start?.session ?? "",
    };
  }

  /** Calls back with null once the start of a member's folder is remembered, else with the reason. */
  #remember(other: Identity, done: (failure: string | null) => void): void {
    const { acquaintances } = this.#options;
    const { node, incarnation, boot, session } = other;
    const start = { incarnation, boot, session };
    const before = this.#remembering.get(node);
    if (before !== undefined) {
      // Its own call and ours come at once as a rule. Of two nodes, only one may be the first.
      if (isSame(before.start, start)) before.waiters.push(done);
      else done("another start of it is just being written down");
      return;
    }
    const known = acquaintances.get(node);
    if (known !== undefined && isSame(known, start) && !this.#unwritten.has(node)) {
      done(null);
      return;
    }
    const waiters = [done];
    this.#remembering.set(node, { start, waiters });
    acquaintances.remember(node, start, (failure) => {
      this.#remembering.delete(node);
      if (failure === null) this.#unwritten.delete(node);
      else this.#unwritten.add(node);
      for (const waiter of waiters) waiter(failure?.message ?? null);
    });
  }
}

function isSame(one: FolderStart, other: FolderStart): boolean {
  const { incarnation, boot, session } = one;
  return incarnation === other.incarnation && boot === other.boot && session === other.session;
}

function placeOf(socket: Socket): string {
  const host = (socket.remoteAddress ?? "?").replace(/^::ffff:/, "");
  return formatEndpoint({ host, port: socket.remotePort ?? 0 });
}
