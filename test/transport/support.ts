/** Nodes that are nothing but a transport, on loopback, with what they saw and logged. */
import type { NodeId } from "../../src/base/ids.ts";
import type { PeerAddress } from "../../src/base/ports.ts";
import { formatPeers } from "../../src/base/address.ts";
import type { Identity } from "../../src/transport/handshake.ts";
import type { PeerListener } from "../../src/transport/listener.ts";
import { listenForPeers } from "../../src/transport/listener.ts";
import type { FolderStart } from "../../src/transport/peer-transport.ts";
import { PeerTransport } from "../../src/transport/peer-transport.ts";
import type { TransportTiming } from "../../src/transport/timing.ts";
import type { PeerTls } from "../../src/transport/tls.ts";

/**
 * Short times, and every problem is logged at once. Silence is one that a pause of the machine does not
 * make out of a link that is well.
 */
export const FAST: TransportTiming = {
  handshakeMs: 400,
  tickMs: 40,
  silentTicks: 40,
  firstRetryMs: 5,
  retryMs: 20,
  retryMsMax: 80,
  quietMs: 0,
  repeatLogMs: 60_000,
  closeMs: 200,
};

export interface NodeOptions {
  readonly identity?: Partial<Identity>;
  readonly timing?: Partial<TransportTiming>;
  readonly tls?: PeerTls | null;
  readonly queueBytesMax?: number;
  readonly acquaintances?: Map<NodeId, FolderStart>;
  readonly refusesToRemember?: boolean;
  readonly port?: number;
}

export class TestNode {
  readonly id: NodeId;
  readonly listener: PeerListener;
  readonly transport: PeerTransport;
  /** `connected 2`, `received 2 hello`, `disconnected 2`. */
  readonly events: string[] = [];
  readonly bodies: Uint8Array[] = [];
  readonly lines: string[] = [];
  onBody: (from: NodeId, body: Uint8Array) => void = () => undefined;
  onDisconnected: (id: NodeId) => void = () => undefined;

  private constructor(id: NodeId, listener: PeerListener, options: NodeOptions) {
    this.id = id;
    this.listener = listener;
    const { acquaintances = new Map<NodeId, FolderStart>() } = options;
    this.transport = new PeerTransport({
      listener,
      identity: {
        node: id,
        clusterId: "blue",
        incarnation: `folder ${id}`,
        boot: 1,
        initialMembers: "founded",
        groups: 8,
        leaseMs: 600,
        release: "1.2.3",
        ...options.identity,
      },
      acquaintances: {
        get: (node) => acquaintances.get(node),
        remember: (node, start, done) => {
          // As the storage does it: known at once, durable later.
          acquaintances.set(node, start);
          setImmediate(() => {
            done(options.refusesToRemember === true ? new Error("disk full") : null);
          });
        },
      },
      tls: options.tls ?? null,
      queueBytesMax: options.queueBytesMax ?? 64 * 1024 * 1024,
      log: {
        info: (line) => void this.lines.push(line),
        warn: (line) => void this.lines.push(line),
      },
      timing: { ...FAST, ...options.timing },
    });
  }

  static async create(id: NodeId, options: NodeOptions = {}): Promise<TestNode> {
    const endpoint = { host: "127.0.0.1", port: options.port ?? 0 };
    const listener = await listenForPeers(endpoint, () => undefined);
    return new TestNode(id, listener, options);
  }

  get address(): PeerAddress {
    return { id: this.id, address: `127.0.0.1:${this.listener.endpoint.port}` };
  }

  start(peers: readonly PeerAddress[]): this {
    this.transport.setPeers(peers);
    this.transport.start({
      received: (from, body) => {
        this.bodies.push(body);
        if (body.length < 64) this.events.push(`received ${from} ${textOf(body)}`);
        this.onBody(from, body);
      },
      connected: (to) => {
        this.events.push(`connected ${to}`);
      },
      disconnected: (to) => {
        this.events.push(`disconnected ${to}`);
        this.onDisconnected(to);
      },
    });
    return this;
  }

  /** Sends text, which must be taken. */
  say(to: NodeId, text: string): void {
    if (!this.transport.send(to, bytesOf(text))) throw new Error(`${text} to ${to} was dropped`);
  }

  /** The events with one other node. */
  with(id: NodeId): string[] {
    return this.events.filter((event) => event.split(" ")[1] === String(id));
  }

  logged(pattern: RegExp): string[] {
    return this.lines.filter((line) => pattern.test(line));
  }

  close(): Promise<void> {
    return this.transport.close();
  }
}

/** Runs `body` with nodes that are created and not started, and closes them whatever happens. */
export async function withNodes(
  options: readonly (NodeOptions & { readonly id: NodeId })[],
  body: (nodes: TestNode[]) => Promise<void>,
): Promise<void> {
  const nodes: TestNode[] = [];
  try {
    for (const each of options) nodes.push(await TestNode.create(each.id, each));
    await body(nodes);
  } finally {
    await Promise.all(nodes.map((node) => node.close()));
  }
}

/** Starts nodes with one another as peers and waits until all are linked. */
export async function linkAll(nodes: readonly TestNode[]): Promise<void> {
  const peers = nodes.map((node) => node.address);
  for (const node of nodes) node.start(peers);
  await eventually(() => allLinked(nodes), `all linked: ${formatPeers(peers)}`);
}

export function allLinked(nodes: readonly TestNode[]): boolean {
  return nodes.every((one) =>
    nodes.every((other) => one === other || one.transport.isConnected(other.id)),
  );
}

/** Waits until `condition` holds. */
export async function eventually(
  condition: () => boolean,
  what: string,
  limitMs = 4_000,
): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`it never came to this: ${what}`);
    await pause(2);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function textOf(bytes: Uint8Array): string {
  return new TextDecoder("latin1").decode(bytes);
}
