/**
 * The RESP front door: listens, accepts within limits, keeps the connections, stops in order.
 */
import { createServer } from "node:net";
import type { AddressInfo, Server as NetServer, Socket } from "node:net";
import type { Clock, Scheduler } from "../base/ports.ts";
import type { Settings } from "../config/settings.ts";
import { defaultDecoderLimits, RequestDecoder } from "../resp/decoder.ts";
import type { ConnectionHost, OutputLimits } from "./connection.ts";
import { Connection } from "./connection.ts";
import { listenOn } from "./listen.ts";
import { PubSub } from "./pubsub.ts";
import { ClientSession } from "./session.ts";
import { SlowLog } from "./slow-log.ts";
import { Counters } from "./statistics.ts";

const IDLE_SWEEP_MS = 1_000;

const NO_LIMITS: OutputLimits = { outputBytesMax: 0, outputSoftBytesMax: 0, outputSoftSeconds: 0 };

const TOO_MANY_CLIENTS = "-ERR max number of clients reached\r\n";

/** Redis's text, so that people find the same help for it. */
const PROTECTED_MODE =
  "-DENIED Paxlock is running in protected mode because protected mode is enabled and no password is set for the default user. " +
  "In this mode connections are only accepted from the loopback interface. " +
  "If you want to connect from external computers to Paxlock you may adopt one of the following solutions: " +
  "1) Just disable protected mode sending the command 'CONFIG SET protected-mode no' from the loopback interface by connecting from the same host the server is running, " +
  "however MAKE SURE it is not publicly accessible from internet if you do so. " +
  "2) Alternatively you can just disable the protected mode by starting the server with the option --protected-mode no. " +
  "3) Set up an authentication password for the default user with --requirepass. " +
  "NOTE: You only need to do one of the above things in order for the server to start accepting connections from the outside.\r\n";

/** Executes one command of a connection. */
export type Dispatch = (args: readonly string[], connection: Connection) => void;

export class Server {
  readonly counters = new Counters();
  readonly slowLog: SlowLog;
  readonly pubsub = new PubSub();
  readonly #clock: Clock;
  readonly #scheduler: Scheduler;
  readonly #settings: Settings;
  readonly #connections = new Map<number, Connection>();
  readonly #listeners: NetServer[] = [];
  readonly #dirty: Connection[] = [];
  readonly #host: ConnectionHost;
  /** One object for all decoders: CONFIG SET changes it for connections that are open, too. */
  readonly #decoderLimits = defaultDecoderLimits();
  #dispatch: Dispatch | null = null;
  /** Sockets of clients that came before the node could serve. */
  readonly #early = new Set<Socket>();
  #nextId = 1;
  #flushScheduled = false;
  #stopping = false;
  #asker: Connection | null = null;
  #subscriberLimits: OutputLimits = NO_LIMITS;
  #stopSweep: () => void = () => undefined;

  constructor(options: {
    readonly clock: Clock;
    readonly scheduler: Scheduler;
    readonly settings: Settings;
  }) {
    this.#clock = options.clock;
    this.#scheduler = options.scheduler;
    this.#settings = options.settings;
    const { slowlogMicroseconds, slowlogEntriesMax } = options.settings.values;
    this.slowLog = new SlowLog(slowlogMicroseconds, slowlogEntriesMax);
    this.#settingsChanged();
    options.settings.onChange(() => {
      this.#settingsChanged();
    });
    this.#host = {
      counters: this.counters,
      slowLog: this.slowLog,
      nowMs: () => this.#clock.monotonicMs(),
      wallSeconds: () => Math.floor(this.#clock.wallMs() / 1000),
      outputLimits: (subscribed) => (subscribed ? this.#subscriberLimits : this.#settings.values),
      needsPassword: () => this.#settings.values.password !== "",
      dispatch: (args, connection) => {
        if (this.#dispatch !== null) this.#dispatch(args, connection);
      },
      wantsFlush: (connection) => {
        this.#wantsFlush(connection);
      },
      closed: (connection) => {
        this.pubsub.leaveAll(connection);
        this.#connections.delete(connection.session.id);
      },
    };
  }

  /** Serves from now on, also those who connected while the node was starting. */
  serve(dispatch: Dispatch): void {
    this.#dispatch = dispatch;
    for (const socket of this.#takeEarly()) if (!socket.destroyed) this.#welcome(socket);
    this.#scheduleSweep();
  }

  /**
   * Takes the port; clients that come wait until {@link serve}. Listens on every address. Port 0 takes a free one, the same for all addresses.
   * Rejects with the system's error (`EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`) and listens nowhere then.
   */
  async listen(port: number, addresses: readonly string[]): Promise<AddressInfo[]> {
    const bound: AddressInfo[] = [];
    try {
      for (const address of addresses) {
        const listener = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
          this.#accept(socket);
        });
        const place = { port: bound[0]?.port ?? port, host: address };
        const info = await listenOn(listener, place, () => {
          this.counters.connectionsRejected += 1;
        });
        this.#listeners.push(listener);
        bound.push(info);
      }
    } catch (error) {
      await this.#closeListeners();
      throw error;
    }
    return bound;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  connections(): Iterable<Connection> {
    return this.#connections.values();
  }

  connection(id: number): Connection | undefined {
    return this.#connections.get(id);
  }

  /** Writes the replies that the present turn has made; called after each round of applies. */
  flush(): void {
    this.#flushScheduled = false;
    const dirty = this.#dirty;
    // A connection that has more to write than fits at once comes back in a later turn.
    const count = dirty.length;
    for (let index = 0; index < count; index += 1) dirty[index]?.flush();
    if (dirty.length === count) dirty.length = 0;
    else dirty.splice(0, count);
  }

  /** Accepts and reads nothing more; what is in flight is still answered. */
  async stopAccepting(): Promise<void> {
    this.#stopping = true;
    this.#stopSweep();
    await this.#closeListeners();
    for (const connection of this.#connections.values()) {
      if (connection !== this.#asker) connection.end();
    }
  }

  /** The client that asked for the stop is closed last: that is its answer. */
  closeLast(asker: Connection): void {
    this.#asker = asker;
    asker.hold();
  }

  /** Resolves when every client has taken its last replies and is gone, or after `graceMs`. */
  async drained(graceMs: number): Promise<void> {
    const endsAtMs = this.#clock.monotonicMs() + graceMs;
    const last = this.#asker === null ? 0 : 1;
    while (this.#connections.size > last && this.#clock.monotonicMs() < endsAtMs) {
      await new Promise<void>((resolve) => {
        this.#scheduler.after(10, resolve);
      });
    }
  }

  /** Closes what is still open. */
  destroyConnections(): void {
    for (const socket of this.#takeEarly()) socket.destroy();
    for (const connection of this.#connections.values()) connection.destroy();
  }

  #takeEarly(): Socket[] {
    const sockets = [...this.#early];
    this.#early.clear();
    return sockets;
  }

  #wantsFlush(connection: Connection): void {
    this.#dirty.push(connection);
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    this.#scheduler.defer(() => {
      if (this.#flushScheduled) this.flush();
    });
  }

  #accept(socket: Socket): void {
    this.counters.connectionsReceived += 1;
    const settings = this.#settings.values;
    const clients = this.#connections.size + this.#early.size;
    if (this.#stopping || clients >= settings.maxClients) {
      this.counters.connectionsRejected += 1;
      refuse(socket, TOO_MANY_CLIENTS);
      return;
    }
    if (settings.protectedMode && settings.password === "" && !isLoopback(socket.remoteAddress)) {
      this.counters.connectionsRejected += 1;
      refuse(socket, PROTECTED_MODE);
      return;
    }
    if (this.#dispatch === null) {
      socket.on("error", () => undefined);
      socket.once("close", () => this.#early.delete(socket));
      this.#early.add(socket);
    } else {
      this.#welcome(socket);
    }
  }

  #welcome(socket: Socket): void {
    const settings = this.#settings.values;
    if (settings.tcpKeepaliveSeconds > 0) {
      socket.setKeepAlive(true, settings.tcpKeepaliveSeconds * 1000);
    }
    const id = this.#nextId;
    this.#nextId += 1;
    const authenticated = settings.password === "";
    const session = new ClientSession({
      id,
      address: printAddress(socket.remoteAddress, socket.remotePort),
      localAddress: printAddress(socket.localAddress, socket.localPort),
      connectedAtMs: this.#clock.monotonicMs(),
      authenticated,
    });
    const decoder = new RequestDecoder(this.#decoderLimits, { authenticated });
    this.#connections.set(id, new Connection(socket, session, { host: this.#host, decoder }));
  }

  /** Idle clients are closed as Redis does with `timeout`: coarse, once a second. */
  #scheduleSweep(): void {
    this.#stopSweep = this.#scheduler.after(IDLE_SWEEP_MS, () => {
      const limitMs = this.#settings.values.idleTimeoutSeconds * 1000;
      const now = this.#clock.monotonicMs();
      for (const connection of this.#connections.values()) {
        if (connection.closeIfOverLimit() || connection.closeIfOverdue()) continue;
        const idleMs = now - connection.session.lastCommandAtMs;
        // A subscriber has nothing to say: as in Redis, that is no idle time.
        if (limitMs > 0 && idleMs > limitMs && connection.isIdle && !connection.isSubscribed) {
          connection.kill();
        }
      }
      if (!this.#stopping) this.#scheduleSweep();
    });
  }

  #settingsChanged(): void {
    const values = this.#settings.values;
    this.#decoderLimits.maxBulkBytes = values.bulkBytesMax;
    this.#decoderLimits.maxRequestBytes = values.queryBufferBytesMax;
    this.slowLog.thresholdMicroseconds = values.slowlogMicroseconds;
    this.slowLog.setLengthMax(values.slowlogEntriesMax);
    this.#subscriberLimits = {
      outputBytesMax: values.subscriberOutputBytesMax,
      outputSoftBytesMax: values.subscriberOutputSoftBytesMax,
      outputSoftSeconds: values.subscriberOutputSoftSeconds,
    };
  }

  async #closeListeners(): Promise<void> {
    const listeners = this.#listeners.splice(0);
    for (const listener of listeners) listener.close();
    await Promise.resolve();
  }
}

function refuse(socket: Socket, text: string): void {
  socket.on("error", () => undefined);
  socket.end(text, () => socket.destroy());
}

function isLoopback(address: string | undefined): boolean {
  if (address === undefined) return false;
  return address.startsWith("127.") || address === "::1" || address.startsWith("::ffff:127.");
}

function printAddress(address: string | undefined, port: number | undefined): string {
  if (address === undefined || port === undefined) return "?:0";
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
