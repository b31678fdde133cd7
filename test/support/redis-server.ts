/**
 * A real Redis beside the test: the oracle. Suites that use it declare `needs: "redis-server"`.
 */
import { ManagedProcess } from "./managed-process.ts";
import { freePort } from "./ports.ts";
import { findProgram } from "./programs.ts";
import { RespClient } from "./resp-client.ts";
import { withTemporaryDirectory } from "./temporary-directory.ts";

export interface RedisServer {
  readonly port: number;
  readonly pid: number;
  readonly directory: string;
  /** A new connection; closed with the server if not before. */
  client(): Promise<RespClient>;
}

export interface RedisOptions {
  /** More of redis-server's own flags, such as `["--appendonly", "yes"]`. */
  readonly args?: readonly string[];
}

/** Runs `body` with a Redis that keeps nothing on disk unless `args` says so, then stops it. */
export async function withRedisServer<T>(
  { args = [] }: RedisOptions,
  body: (redis: RedisServer) => T | Promise<T>,
): Promise<T> {
  return withTemporaryDirectory(async (directory) => {
    const { server, port } = await start(directory, args);
    const clients: RespClient[] = [];
    try {
      return await body({
        port,
        pid: server.pid,
        directory,
        client: async () => {
          const client = await RespClient.connect({ port });
          clients.push(client);
          return client;
        },
      });
    } finally {
      for (const client of clients) client.close();
      await server.end("SIGKILL");
    }
  });
}

async function start(
  directory: string,
  args: readonly string[],
): Promise<{ server: ManagedProcess; port: number }> {
  const command = findProgram("redis-server");
  if (command === null) throw new Error("redis-server is not installed; declare it in `needs`");
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    const address = ["--port", String(port), "--bind", "127.0.0.1", "--dir", directory];
    const memory = ["--save", "", "--appendonly", "no"];
    const server = new ManagedProcess({ command, args: [...address, ...memory, ...args] });
    try {
      await server.until(() => answersPing(port));
      return { server, port };
    } catch (error) {
      await server.end("SIGKILL");
      // Someone may have taken the port between looking and listening.
      if (attempt === 3 || !server.stdout.includes("in use")) throw error;
    }
  }
}

async function answersPing(port: number): Promise<true | null> {
  try {
    const client = await RespClient.connect({ port });
    try {
      return (await client.call("PING")) === "PONG" ? true : null;
    } finally {
      client.close();
    }
  } catch {
    return null;
  }
}
