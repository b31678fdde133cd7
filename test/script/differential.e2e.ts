/**
 * Scripts on a real Redis and on ours: the same bytes come back, in RESP2 and in RESP3.
 *
 * The oracle is 7.0 and ours follows 7.2; what differs for that or another reason is listed here.
 */
import * as assert from "uvu/assert";
import type { Protocol } from "../../src/resp/encoder.ts";
import { encodeReply } from "../../src/resp/encoder.ts";
import { withRedisServer } from "../support/redis-server.ts";
import type { RespClient } from "../support/resp-client.ts";
import { suite } from "../support/suite.ts";
import type { Call } from "./script-fixture.ts";
import { newEngine, ScriptNode } from "./script-fixture.ts";
import * as vectors from "./vectors.ts";

/** Differences that are meant, by script, with the reason. */
const meant = new Map([
  ["return redis.call('subscribe','a')", "a command that is not there is unknown to scripts, too"],
  ["return redis.call('multi')", "as before"],
  ["return redis.call('blpop','a',0)", "as before"],
  ["return {big_number='123'}", "a reply has no kind for it: the digits come as a string in RESP3"],
]);

/** Bytes of both answers, ours first. */
async function answers(
  client: RespClient,
  node: ScriptNode,
  protocol: Protocol,
  call: Call,
): Promise<[string, string]> {
  const { body, keys = [], args = [] } = call;
  await client.call("FLUSHALL");
  client.takeRaw();
  await client.call("EVAL", body, keys.length, ...keys, ...args);
  const theirs = client.takeRaw();
  const ours = encodeReply(node.eval(call), protocol).toString("latin1");
  return [ours, theirs];
}

async function compare(protocol: Protocol, calls: readonly Call[]): Promise<void> {
  const engine = await newEngine();
  await withRedisServer({}, async (redis) => {
    const client = await redis.client();
    if (protocol === 3) await client.hello3();
    const differences: string[] = [];
    for (const call of calls) {
      const [ours, theirs] = await answers(client, new ScriptNode(engine), protocol, call);
      if (ours === theirs || meant.has(call.body)) continue;
      differences.push(`${call.body}\n  ours   ${show(ours)}\n  theirs ${show(theirs)}`);
    }
    assert.is(differences.join("\n"), "");
  });
}

function show(bytes: string): string {
  return JSON.stringify(bytes.slice(0, 300));
}

suite(
  "script/differential",
  (test) => {
    for (const [name, calls] of Object.entries(vectors)) {
      for (const protocol of [2, 3] as const) {
        test(`the scripts of ${name} answer as in Redis (RESP${protocol})`, async () => {
          await compare(protocol, calls);
        });
      }
    }
  },
  { needs: "redis-server", timeoutMs: 60_000 },
);
