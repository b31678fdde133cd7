/** A real Redis and a Paxlock side by side, each with a connection for programs. */
import { withPaxlock } from "../support/paxlock-process.ts";
import { withRedisServer } from "../support/redis-server.ts";
import { RawConnection } from "./raw-connection.ts";
import type { Sides } from "./run-program.ts";

export interface BothOptions {
  /** Of Paxlock. @default 1 */
  readonly groups?: number;
  /** Of both. */
  readonly password?: string;
}

export interface BothServers extends Sides {
  readonly redis: RawConnection;
  readonly paxlock: RawConnection;
  readonly ports: { readonly redis: number; readonly paxlock: number };
}

/** Runs `body` with both servers, empty and with the same settings, and ends them. */
export async function withBothServers<T>(
  { groups = 1, password }: BothOptions,
  body: (servers: BothServers) => Promise<T>,
): Promise<T> {
  const secret = password === undefined ? [] : ["--requirepass", password];
  return withRedisServer({}, async (redis) =>
    withPaxlock({ args: ["--groups", String(groups), ...secret] }, async (paxlock) => {
      if (password !== undefined) {
        await (await redis.client()).call("CONFIG", "SET", "requirepass", password);
      }
      const ports = { redis: redis.port, paxlock: paxlock.port };
      const servers = {
        redis: await RawConnection.open(ports.redis),
        paxlock: await RawConnection.open(ports.paxlock),
        ports,
      };
      try {
        return await body(servers);
      } finally {
        servers.redis.close();
        servers.paxlock.close();
      }
    }),
  );
}
