/** TCP ports for servers under test. */
import { createServer } from "node:net";

/**
 * A loopback port that was free a moment ago. Another process may take it first, so a caller that
 * starts a server on it should try again when the server finds it taken.
 */
export async function freePort(): Promise<number> {
  const server = createServer();
  return new Promise<number>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port: 0, host: "127.0.0.1" }, () => {
      const address = server.address();
      server.close(() => {
        if (address === null || typeof address === "string") reject(new Error("not a TCP port"));
        else resolve(address.port);
      });
    });
  });
}
