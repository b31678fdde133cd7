/**
 * The port for other nodes, taken before anything else is touched, so that a start on a taken port
 * leaves no trace. Until the transport takes calls over they wait, for as long as callers do.
 */
import type { AddressInfo, Socket } from "node:net";
import { createServer } from "node:net";
import type { Endpoint } from "../base/address.ts";
import { PEER_HANDSHAKES_MAX } from "../base/limits.ts";

/** Connections that the kernel holds until they are accepted. */
const BACKLOG = 128;

/** A little less than callers wait for the end of a handshake. */
const WAIT_MS = 2_500;

export interface PeerListener {
  /** The address and port that are listened on. */
  readonly endpoint: Endpoint;
  /** Hands each new connection to `take` from now on. */
  accept(take: (socket: Socket) => void): void;
  /** Takes no more connections. May be called again. */
  close(): void;
}

/**
 * Listens at `host` (`*`: every address) and `port` (0: any free one). Rejects with the system's
 * error. `failed` gets each later error, such as too many open files: it costs one connection.
 */
export async function listenForPeers(
  { host, port }: Endpoint,
  failed: (error: Error) => void,
): Promise<PeerListener> {
  if (host !== "*") return listen({ host, port }, failed);
  try {
    return await listen({ host: "::", port }, failed);
  } catch (thrown) {
    const code = (thrown as { readonly code?: unknown }).code;
    if (code !== "EAFNOSUPPORT" && code !== "EADDRNOTAVAIL") throw thrown;
    return listen({ host: "0.0.0.0", port }, failed);
  }
}

/** Connections that came while the node was starting. */
class WaitingCalls {
  readonly #sockets = new Map<Socket, NodeJS.Timeout>();

  add(socket: Socket): void {
    socket.on("error", () => undefined);
    if (this.#sockets.size >= PEER_HANDSHAKES_MAX) {
      socket.destroy();
      return;
    }
    const timer = setTimeout(() => {
      socket.destroy();
    }, WAIT_MS);
    this.#sockets.set(socket, timer);
    socket.once("close", () => {
      clearTimeout(timer);
      this.#sockets.delete(socket);
    });
  }

  /** All that wait; none does any longer. */
  release(): Socket[] {
    const sockets = [...this.#sockets.keys()];
    for (const timer of this.#sockets.values()) clearTimeout(timer);
    this.#sockets.clear();
    return sockets;
  }
}

function listen({ host, port }: Endpoint, failed: (error: Error) => void): Promise<PeerListener> {
  const waiting = new WaitingCalls();
  let taker = (socket: Socket): void => {
    waiting.add(socket);
  };
  const server = createServer({ noDelay: true }, (socket) => {
    taker(socket);
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, backlog: BACKLOG, exclusive: true }, () => {
      server.off("error", reject);
      server.on("error", failed);
      const address = server.address() as AddressInfo;
      resolve({
        endpoint: { host: address.address, port: address.port },
        accept(take) {
          taker = take;
          for (const socket of waiting.release()) take(socket);
        },
        close() {
          for (const socket of waiting.release()) socket.destroy();
          if (server.listening) server.close();
        },
      });
    });
  });
}
