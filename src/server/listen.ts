/** Taking a port, and what goes wrong on it later. */
import type { AddressInfo, Server as NetServer } from "node:net";

/** Connections that the kernel holds until they are accepted; as Redis's `tcp-backlog`. */
const BACKLOG = 511;

/**
 * Listens and gives the address taken; rejects with the system's error when it cannot.
 *
 * `failed` gets each error that comes after that, as `ENOBUFS` when accepting: it costs one client
 * its connection, and without a listener it would cost the process.
 */
export function listenOn(
  listener: NetServer,
  { port, host }: { readonly port: number; readonly host: string },
  failed: (error: Error) => void,
): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    listener.once("error", reject);
    // Two nodes on one port would each hold half of the clients: never share a port.
    listener.listen({ port, host, backlog: BACKLOG, exclusive: true }, () => {
      listener.off("error", reject);
      listener.on("error", failed);
      resolve(listener.address() as AddressInfo);
    });
  });
}
