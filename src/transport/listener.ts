/**
 * The port for other nodes, taken before anything else is touched, so that a start on a taken port
 * leaves no trace. Until the transport takes calls over, they are closed; the callers try again.
 */
import type { AddressInfo, Socket } from "node:net";
import { createServer } from "node:net";
import type { Endpoint } from "../base/address.ts";

/** Connections that the kernel holds until they are accepted. */
const BACKLOG = 128;

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

function listen({ host, port }: Endpoint, failed: (error: Error) => void): Promise<PeerListener> {
  let taker = (socket: Socket): void => {
    socket.destroy();
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
        },
        close() {
          if (server.listening) server.close();
        },
      });
    });
  });
}
