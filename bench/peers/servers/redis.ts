/** One or five `redis-server`s that know nothing of one another. */
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { ManagedProcess } from "../../../test/support/managed-process.ts";
import { freePort } from "../../../test/support/ports.ts";
import { findProgram } from "../../../test/support/programs.ts";
import { RespClient } from "../../../test/support/resp-client.ts";
import { START_LIMIT_MS, STOP_LIMIT_MS, type RunningService, type Service } from "./contract.ts";

/** What `redis-server` is told about the disk. */
const SETTINGS = {
  /** As Debian installs it, but for snapshots at long intervals: acknowledged is not on disk. */
  none: { flags: ["--appendonly", "no"], title: "without persistence" },
  always: {
    flags: ["--appendonly", "yes", "--appendfsync", "always"],
    title: "appendfsync always",
  },
} as const;

export function redisService(
  id: "redis-five" | "redis-five-fsync" | "redis-fsync" | "redis-memory",
): Service {
  const count = id.startsWith("redis-five") ? 5 : 1;
  const { flags, title } = SETTINGS[id.endsWith("fsync") ? "always" : "none"];
  return {
    id,
    name: "redis-server",
    missing: () => (findProgram("redis-server") === null ? ["redis-server"] : []),
    title: () => `${count === 1 ? "one" : "five"} Redis ${version()}, ${title}`,
    start: (directory) => start({ directory: join(directory, id), count, flags }),
  };
}

function program(): string {
  const found = findProgram("redis-server");
  if (found === null) throw new Error("redis-server is not installed");
  return found;
}

function version(): string {
  const text = execFileSync(program(), ["--version"], { encoding: "utf8" });
  return /v=(\S+)/.exec(text)?.[1] ?? "of unknown version";
}

async function start({
  directory,
  count,
  flags,
}: {
  directory: string;
  count: number;
  flags: readonly string[];
}): Promise<RunningService> {
  const servers: ManagedProcess[] = [];
  const ports: number[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => end(server)));
  };
  try {
    for (let index = 0; index < count; index += 1) {
      const folder = join(directory, String(index));
      mkdirSync(folder, { recursive: true });
      const port = await freePort();
      const own = ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, "--save", ""];
      const server = new ManagedProcess({ command: program(), args: [...own, ...flags] });
      servers.push(server);
      ports.push(port);
      await server.until(() => answersPing(port), START_LIMIT_MS);
    }
  } catch (thrown) {
    await stop();
    throw thrown;
  }
  return { ports, pids: () => servers.map(({ pid }) => pid), stop };
}

/** Ends a server by force; its data is not needed any more. */
export async function end(server: ManagedProcess): Promise<void> {
  if (server.exit === null) await server.end("SIGKILL", STOP_LIMIT_MS);
}

async function answersPing(port: number): Promise<true | null> {
  let client: RespClient | null = null;
  try {
    client = await RespClient.connect({ port });
    return (await client.call("PING")) === "PONG" ? true : null;
  } catch {
    return null;
  } finally {
    client?.close();
  }
}
