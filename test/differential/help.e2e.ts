/** HELP of the commands that have subcommands, as redis-cli shows it, beside that of Redis. */
import * as assert from "uvu/assert";
import { RespClient } from "../support/resp-client.ts";
import { suite } from "../support/suite.ts";
import { withBothServers } from "./both-servers.ts";

const WITH_HELP = ["CLIENT", "COMMAND", "CONFIG", "OBJECT", "PUBSUB", "SCRIPT", "SLOWLOG"];

/** Subcommands that Redis 7.0 has and Paxlock has not, with the reason. */
const NOT_HERE = new Map([
  ["CLIENT PAUSE", "nothing can be paused"],
  ["CLIENT UNPAUSE", "nothing can be paused"],
  ["CLIENT UNBLOCK", "nothing blocks"],
  ["PUBSUB SHARDCHANNELS", "there are no shard channels"],
  ["PUBSUB SHARDNUMSUB", "there are no shard channels"],
  ["SCRIPT DEBUG", "a script runs on every replica; a debugger would stop the group"],
]);

interface Help {
  readonly headline: string;
  /** First words of the lines that are not indented. */
  readonly names: readonly string[];
  readonly tail: readonly string[];
  /** Whether every line is a status reply, in an array. */
  readonly shape: string;
}

async function helpOf(client: RespClient, command: string): Promise<Help> {
  client.takeRaw();
  const lines = (await client.call(command, "HELP")) as string[];
  const raw = client.takeRaw();
  const [headline = "", ...rest] = lines;
  const names = rest
    .filter((line) => !line.startsWith(" "))
    .map((line) => line.split(" ", 1)[0] ?? "");
  return {
    headline,
    names,
    tail: lines.slice(-2),
    shape:
      raw === `*${lines.length}\r\n${lines.map((line) => `+${line}\r\n`).join("")}` ? "lines" : raw,
  };
}

suite(
  "differential/help",
  (test) => {
    test("HELP has Redis's headline, form and end, and names what Redis's names", async () => {
      await withBothServers({}, async ({ ports }) => {
        const redis = await RespClient.connect({ port: ports.redis });
        const paxlock = await RespClient.connect({ port: ports.paxlock });
        for (const protocol of [2, 3]) {
          if (protocol === 3) await Promise.all([redis.hello3(), paxlock.hello3()]);
          for (const command of WITH_HELP) {
            const theirs = await helpOf(redis, command);
            const ours = await helpOf(paxlock, command);

            assert.is(ours.headline, theirs.headline);
            assert.is(ours.shape, "lines");
            assert.is(theirs.shape, "lines");
            assert.equal(ours.tail, theirs.tail);
            const missing = theirs.names.filter(
              (name) => !ours.names.includes(name) && !NOT_HERE.has(`${command} ${name}`),
            );
            assert.equal(missing, [], command);
          }
        }
        redis.close();
        paxlock.close();
      });
    });

    test("what HELP names is there, also with the wrong number of arguments", async () => {
      await withBothServers({}, async ({ ports }) => {
        const client = await RespClient.connect({ port: ports.paxlock });
        for (const command of WITH_HELP) {
          for (const name of (await helpOf(client, command)).names) {
            if (!/^[A-Z-]+$/.test(name) || /^(REPLY|RESETSTAT|RESET)$/.test(name)) continue;
            const reply = JSON.stringify(
              await client.call(command, name, ...Array<string>(9).fill("")),
            );
            assert.not.match(reply, "unknown subcommand '", `${command} ${name}`);
          }
        }
        client.close();
      });
    });
  },
  { needs: "redis-server", timeoutMs: 30_000 },
);
