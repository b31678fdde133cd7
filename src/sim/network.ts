/**
 * The network between the nodes, and the transport port on it.
 *
 * A **stream** link behaves as TCP does: what is sent arrives once and in order, or not at all; when
 * a direction is cut the bytes wait, and after a while the link breaks as a whole, at different
 * moments on its two ends, with everything on it. A **datagram** link loses, doubles and reorders
 * single bodies; the nodes must survive that too, for nothing in them may depend on order.
 *
 * A link comes about by a handshake that needs both directions, and that refuses a node which comes
 * with another disk than the one its peer remembers.
 */
import type { NodeId } from "../base/ids.ts";
import type { PeerAddress, Transport, TransportHandler } from "../base/ports.ts";
import type { Prng } from "../base/prng.ts";
import type { SimDisk } from "./disk.ts";
import type { EventQueue } from "./event-queue.ts";
import type { SimProcess } from "./process.ts";
import type { Tally } from "./tally.ts";
import type { Trace } from "./trace.ts";
import { NONE } from "./trace.ts";

export interface NetworkOptions {
  readonly mode: "stream" | "datagram";
  readonly leastUs: number;
  readonly mostUs: number;
  /** One body in so many is late; 0 is never. */
  readonly lateOdds: number;
  readonly lateUs: number;
  /** One body in so many is lost, or is sent twice; datagram links only; 0 is never. */
  readonly lossOdds: number;
  readonly doubleOdds: number;
  /** How long a cut stream is kept before it breaks. */
  readonly patienceUs: number;
  /** How long a side that lost its link waits before it dials again. */
  readonly redialUs: number;
}

/** Bytes that may wait on one direction of a link before bodies are dropped. */
const QUEUE_BYTES_MAX = 16 * 1024 * 1024;

/** One side of a link that is attached to the network. */
interface Endpoint {
  readonly id: NodeId;
  readonly process: SimProcess;
  readonly disk: SimDisk;
  handler: TransportHandler | null;
  peers: ReadonlySet<NodeId>;
  /** By peer: the link that this side believes in. */
  readonly links: Map<NodeId, Link>;
}

interface Packet {
  readonly body: Uint8Array;
}

/** One direction of a link. */
class Direction {
  readonly queue: Packet[] = [];
  /** Arrived, and not yet taken by the process at this end of the stream. */
  readonly inbox: Uint8Array[] = [];
  /** When the last body arrives. */
  lastUs = 0;
  bytes = 0;
}

/** A connection between two processes; a new one after each break. */
class Link {
  readonly one: Endpoint;
  readonly other: Endpoint;
  broken = false;
  readonly #directions: readonly [Direction, Direction] = [new Direction(), new Direction()];

  constructor(one: Endpoint, other: Endpoint) {
    this.one = one;
    this.other = other;
  }

  from(endpoint: Endpoint): Direction {
    return this.#directions[endpoint === this.one ? 0 : 1];
  }

  far(endpoint: Endpoint): Endpoint {
    return endpoint === this.one ? this.other : this.one;
  }
}

export class Network {
  readonly #events: EventQueue;
  readonly #random: Prng;
  #options: NetworkOptions;
  readonly #tally: Tally;
  readonly #trace: Trace;
  readonly #endpoints = new Map<NodeId, Endpoint>();
  /** Directed pairs that are cut, with how many faults cut them. */
  readonly #cuts = new Map<number, number>();

  constructor(
    events: EventQueue,
    random: Prng,
    parts: { readonly options: NetworkOptions; readonly tally: Tally; readonly trace: Trace },
  ) {
    this.#events = events;
    this.#random = random;
    this.#options = parts.options;
    this.#tally = parts.tally;
    this.#trace = parts.trace;
  }

  /** From now on the network is quick and loses nothing. */
  heal(): void {
    this.#cuts.clear();
    this.#options = { ...this.#options, lateOdds: 0, lossOdds: 0, doubleOdds: 0 };
  }

  /** Cuts one direction until {@link join} has been called as often. */
  cut(from: NodeId, to: NodeId): void {
    const pair = from * 256 + to;
    this.#cuts.set(pair, (this.#cuts.get(pair) ?? 0) + 1);
  }

  join(from: NodeId, to: NodeId): void {
    const pair = from * 256 + to;
    const left = (this.#cuts.get(pair) ?? 0) - 1;
    if (left > 0) this.#cuts.set(pair, left);
    else this.#cuts.delete(pair);
  }

  isCut(from: NodeId, to: NodeId): boolean {
    return this.#cuts.has(from * 256 + to);
  }

  /** The transport port of a process that has just started. Its handler is told of links by events. */
  attach(id: NodeId, process: SimProcess, disk: SimDisk): Transport & AttachedTransport {
    const endpoint: Endpoint = {
      id,
      process,
      disk,
      handler: null,
      peers: new Set(),
      links: new Map(),
    };
    this.#endpoints.set(id, endpoint);
    return {
      send: (to, body) => this.#send(endpoint, to, body),
      isConnected: (to) => endpoint.links.has(to),
      setPeers: (peers) => {
        this.#setPeers(endpoint, peers);
      },
      listen: (handler) => {
        endpoint.handler = handler;
      },
    };
  }

  /** The process is gone. `silent`: its peers find out only when nothing has come for a while. */
  detach(id: NodeId, silent: boolean): void {
    const endpoint = this.#endpoints.get(id);
    if (endpoint === undefined) return;
    this.#endpoints.delete(id);
    for (const link of endpoint.links.values()) {
      link.broken = true;
      const far = link.far(endpoint);
      const noticedUs = silent ? this.#options.patienceUs : this.#delayUs();
      this.#dropEnd(far, link, noticedUs);
    }
    endpoint.links.clear();
  }

  /** Breaks the link between two nodes, if there is one. */
  breakLink(one: NodeId, other: NodeId): void {
    const link = this.#endpoints.get(one)?.links.get(other);
    if (link !== undefined) this.#break(link);
  }

  /** Bytes that wait on all links from `id`; for the bound on queues. */
  queuedBytes(id: NodeId): number {
    const endpoint = this.#endpoints.get(id);
    let bytes = 0;
    if (endpoint === undefined) return bytes;
    for (const link of endpoint.links.values()) bytes += link.from(endpoint).bytes;
    return bytes;
  }

  // ── links ───────────────────────────────────────────────────────────────────────────────────

  #setPeers(endpoint: Endpoint, peers: readonly PeerAddress[]): void {
    const wanted = new Set(peers.map(({ id }) => id).filter((id) => id !== endpoint.id));
    const before = endpoint.peers;
    endpoint.peers = wanted;
    for (const id of before) {
      const link = wanted.has(id) ? undefined : endpoint.links.get(id);
      if (link !== undefined) this.#break(link);
    }
    for (const id of wanted) {
      if (!before.has(id)) this.#dialAfter(endpoint, id, this.#delayUs());
    }
  }

  #dialAfter(endpoint: Endpoint, to: NodeId, delayUs: number): void {
    this.#events.in(delayUs, () => {
      if (this.#endpoints.get(endpoint.id) === endpoint) this.#dial(endpoint, to);
    });
  }

  #dial(endpoint: Endpoint, to: NodeId): void {
    if (!endpoint.peers.has(to) || endpoint.links.has(to)) return;
    const far = this.#endpoints.get(to);
    const isOpen =
      far !== undefined &&
      far.handler !== null &&
      endpoint.handler !== null &&
      !far.links.has(endpoint.id) &&
      far.process.running &&
      !this.isCut(endpoint.id, to) &&
      !this.isCut(to, endpoint.id);
    if (!isOpen || !accepts(endpoint, far) || !accepts(far, endpoint)) {
      this.#dialAfter(endpoint, to, this.#options.redialUs + this.#random.below(50_000));
      return;
    }
    endpoint.disk.rememberPeer(far.id, far.disk.incarnation);
    far.disk.rememberPeer(endpoint.id, endpoint.disk.incarnation);
    const link = new Link(endpoint, far);
    endpoint.links.set(far.id, link);
    far.links.set(endpoint.id, link);
    this.#trace.line("link-up", this.#events.nowUs, endpoint.id, NONE, to, NONE);
    for (const end of [endpoint, far]) {
      end.process.post(0, () => {
        if (end.links.get(link.far(end).id) === link) end.handler?.connected(link.far(end).id);
      });
    }
  }

  #break(link: Link): void {
    if (link.broken) return;
    link.broken = true;
    this.#tally.add("links broken");
    this.#trace.line("link-down", this.#events.nowUs, link.one.id, NONE, link.other.id, NONE);
    this.#dropEnd(link.one, link, this.#delayUs());
    this.#dropEnd(link.other, link, this.#delayUs());
  }

  /** One side finds out that its link is gone; until then it sends into the void. */
  #dropEnd(end: Endpoint, link: Link, delayUs: number): void {
    const peer = link.far(end).id;
    end.process.post(delayUs, () => {
      if (end.links.get(peer) !== link) return;
      end.links.delete(peer);
      end.handler?.disconnected(peer);
      this.#dialAfter(end, peer, this.#options.redialUs);
      const far = this.#endpoints.get(peer);
      if (far !== undefined && far.peers.has(end.id)) {
        this.#dialAfter(far, end.id, this.#options.redialUs);
      }
    });
  }

  // ── bodies ──────────────────────────────────────────────────────────────────────────────────

  #send(from: Endpoint, to: NodeId, body: Uint8Array): boolean {
    from.process.called();
    const link = from.links.get(to);
    this.#tally.add("bodies sent");
    if (link === undefined) return this.#dropped(from.id, to, body);
    if (link.broken) {
      this.#dropped(from.id, to, body);
      return true;
    }
    const direction = link.from(from);
    if (direction.bytes + body.length > QUEUE_BYTES_MAX) return this.#dropped(from.id, to, body);
    this.#trace.line("send", this.#events.nowUs, from.id, NONE, to, body.length);
    if (this.#options.mode === "datagram") this.#throwBody(link, from, body);
    else this.#enqueue(link, from, body);
    return true;
  }

  #dropped(from: NodeId, to: NodeId, body: Uint8Array): false {
    this.#tally.add("bodies dropped");
    this.#trace.line("drop", this.#events.nowUs, from, NONE, to, body.length);
    return false;
  }

  #enqueue(link: Link, from: Endpoint, body: Uint8Array): void {
    const direction = link.from(from);
    const { nowUs } = this.#events;
    direction.lastUs = Math.max(direction.lastUs, nowUs + this.#delayUs());
    direction.bytes += body.length;
    direction.queue.push({ body });
    this.#events.in(direction.lastUs - nowUs, () => {
      this.#arrive(link, from);
    });
  }

  /** One body is due on a stream; bodies leave in order, and none while the direction is cut. */
  #arrive(link: Link, from: Endpoint): void {
    if (link.broken) return;
    const far = link.far(from);
    if (this.isCut(from.id, far.id)) {
      this.#waitForJoin(link, from, this.#events.nowUs);
      return;
    }
    const direction = link.from(from);
    const packet = direction.queue.shift();
    if (packet === undefined) return;
    direction.bytes -= packet.body.length;
    // A process that was stopped finds everything in order when it goes on.
    direction.inbox.push(packet.body);
    link.far(from).process.post(0, () => {
      const body = direction.inbox.shift();
      if (body !== undefined) this.#deliver(link, from, body);
    });
  }

  #waitForJoin(link: Link, from: Endpoint, sinceUs: number): void {
    this.#events.in(20_000, () => {
      if (link.broken) return;
      if (!this.isCut(from.id, link.far(from).id)) this.#arrive(link, from);
      else if (this.#events.nowUs - sinceUs > this.#options.patienceUs) this.#break(link);
      else this.#waitForJoin(link, from, sinceUs);
    });
  }

  #throwBody(link: Link, from: Endpoint, body: Uint8Array): void {
    const { lossOdds, doubleOdds } = this.#options;
    const far = link.far(from);
    const lost = lossOdds > 0 && this.#random.chance(1, lossOdds);
    if (lost || this.isCut(from.id, far.id)) {
      this.#dropped(from.id, far.id, body);
      return;
    }
    let copies = 1;
    if (doubleOdds > 0 && this.#random.chance(1, doubleOdds)) {
      copies = 2;
      this.#tally.add("bodies doubled");
    }
    for (let copy = 0; copy < copies; copy += 1) {
      this.#events.in(this.#delayUs(), () => {
        if (link.broken) return;
        far.process.post(0, () => {
          this.#deliver(link, from, body);
        });
      });
    }
  }

  #deliver(link: Link, from: Endpoint, body: Uint8Array): void {
    const far = link.far(from);
    if (far.links.get(from.id) !== link) return;
    this.#trace.line("deliver", this.#events.nowUs, far.id, NONE, from.id, body.length);
    far.handler?.received(from.id, body);
  }

  #delayUs(): number {
    const { leastUs, mostUs, lateOdds, lateUs } = this.#options;
    const delayUs = this.#random.between(leastUs, mostUs);
    return lateOdds > 0 && this.#random.chance(1, lateOdds)
      ? delayUs + this.#random.below(lateUs)
      : delayUs;
  }
}

/** What the composition root gives the network beside the port. */
export interface AttachedTransport {
  /** Who is told of bodies and links; links come about only from then on. */
  listen(handler: TransportHandler): void;
}

/** The handshake: whoever comes back with another disk may have forgotten its promises. */
function accepts(endpoint: Endpoint, peer: Endpoint): boolean {
  const remembered = endpoint.disk.peerIncarnations.get(peer.id);
  return remembered === undefined || remembered === peer.disk.incarnation;
}
