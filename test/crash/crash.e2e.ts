/**
 * `kill -9` at random moments under mixed load, restart, and every acknowledged lock must be there.
 *
 * Each worker owns its keys, so it knows exactly what the server has acknowledged: the last answer,
 * or that plus the one command that was in flight when the process died. After each restart every
 * key must be in one of these states, with its owner, its token and no less than its remaining
 * lease; and a grant's token must be above all tokens seen before for the key.
 */
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { Prng } from "../../src/base/prng.ts";
import type { Paxlock } from "../support/paxlock-process.ts";
import { withPaxlock } from "../support/paxlock-process.ts";
import type { RespClient } from "../support/resp-client.ts";
import { RespError } from "../support/resp3-reader.ts";
import { suite } from "../support/suite.ts";

const ROUNDS = Number(process.env["CRASH_ROUNDS"] ?? 50);
const WORKERS = 24;
const KEYS_PER_WORKER = 6;
const TTL_MS = 600_000;

const DELETE_IF_EQUAL =
  'if redis.call("get",KEYS[1]) == ARGV[1] then return redis.call("del",KEYS[1]) else return 0 end';
const EXTEND_IF_EQUAL =
  'if redis.call("get",KEYS[1]) == ARGV[1] then return redis.call("pexpire",KEYS[1],ARGV[2]) else return 0 end';

/** What may be true of a key: `owner` null is free. The lease began at `sentAtMs` or later. */
interface Holding {
  readonly owner: string | null;
  readonly token: bigint;
  readonly sentAtMs: number;
}

const FREE: Holding = { owner: null, token: 0n, sentAtMs: 0 };

class Key {
  readonly name: string;
  acknowledged: Holding = FREE;
  /** What holds instead if the command in flight took effect; null when none is in flight. */
  maybe: Holding | null = null;
  /** The highest token ever seen for the key. */
  highestToken = 0n;

  constructor(name: string) {
    this.name = name;
  }

  settle(holding: Holding): void {
    this.acknowledged = holding;
    this.maybe = null;
  }
}

interface Totals {
  acknowledged: number;
  inFlight: number;
  held: number;
  tokens: Set<string>;
}

suite(
  "crash/kill",
  (test) => {
    test(`nothing acknowledged is lost in ${ROUNDS} rounds of kill -9, and no token repeats`, async () => {
      const seed = Number(process.env["CRASH_SEED"] ?? Math.floor(performance.now() * 1000) % 1e9);
      const random = new Prng(seed);
      const totals: Totals = { acknowledged: 0, inFlight: 0, held: 0, tokens: new Set() };
      const keys = Array.from({ length: WORKERS }, (_, worker) =>
        Array.from({ length: KEYS_PER_WORKER }, (__, index) => new Key(`w${worker}:${index}`)),
      );

      await withPaxlock({}, async (paxlock) => {
        for (let round = 0; round < ROUNDS; round += 1) {
          const workers = keys.map((own) => work(paxlock, own, { random, totals, round }));
          await sleep(40 + random.below(200));
          await paxlock.kill("SIGKILL");
          await Promise.all(workers);
          await paxlock.restart();
          await verify(paxlock, keys.flat(), { totals, seed, round });
        }
        // A clean stop in between must not be any different.
        await paxlock.restart();
        await verify(paxlock, keys.flat(), { totals, seed, round: ROUNDS });
      });

      assert.ok(totals.acknowledged > ROUNDS * WORKERS, `only ${totals.acknowledged} acknowledged`);
      assert.ok(totals.inFlight > ROUNDS, `only ${totals.inFlight} were cut off`);
      assert.ok(totals.held > ROUNDS * WORKERS, `only ${totals.held} held locks were checked`);
      console.log(
        `  ${totals.acknowledged} acknowledged, ${totals.inFlight} cut off, ` +
          `${totals.held} held locks and ${totals.tokens.size} tokens checked (seed ${seed})`,
      );
    });
  },
  { timeoutMs: 300_000 },
);

interface Round {
  readonly random: Prng;
  readonly totals: Totals;
  readonly round: number;
}

/** Takes, extends and releases a worker's locks until the process dies under it. */
async function work(paxlock: Paxlock, keys: readonly Key[], context: Round): Promise<void> {
  const client = await paxlock.client().catch(() => null);
  if (client === null) return;
  for (let step = 0; ; step += 1) {
    const key = context.random.pick(keys);
    try {
      await act(client, key, `${key.name}/${context.round}/${step}`, context);
      context.totals.acknowledged += 1;
    } catch (thrown) {
      if (thrown instanceof assert.Assertion) throw thrown;
      context.totals.inFlight += 1;
      return;
    }
  }
}

async function act(client: RespClient, key: Key, owner: string, context: Round): Promise<void> {
  const sentAtMs = performance.now();
  const held = key.acknowledged;
  if (held.owner === null) {
    // The token is unknown until it is read: any above the highest seen.
    key.maybe = { owner, token: -1n, sentAtMs };
    const [reply, token] = await client.pipeline([
      ["SET", key.name, owner, "NX", "PX", TTL_MS],
      ["LOCK.TOKEN", key.name],
    ]);
    assert.is(reply, "OK");
    key.settle({ owner, token: newToken(key, String(token), context.totals), sentAtMs });
    return;
  }
  if (context.random.below(3) === 0) {
    key.maybe = { ...held, sentAtMs };
    assert.is(await client.call("EVAL", EXTEND_IF_EQUAL, 1, key.name, held.owner, TTL_MS), 1);
    key.settle({ ...held, sentAtMs });
    return;
  }
  key.maybe = FREE;
  assert.is(await client.call("EVAL", DELETE_IF_EQUAL, 1, key.name, held.owner), 1);
  key.settle(FREE);
}

function newToken(key: Key, printed: string, totals: Totals): bigint {
  const token = BigInt(printed);
  assert.ok(token > key.highestToken, `${key.name}: token ${token} after ${key.highestToken}`);
  key.highestToken = token;
  totals.tokens.add(`${key.name}=${token}`);
  return token;
}

/** Compares every key with what was acknowledged and settles what was in flight. */
async function verify(
  paxlock: Paxlock,
  keys: readonly Key[],
  context: { readonly totals: Totals; readonly seed: number; readonly round: number },
): Promise<void> {
  const client = await paxlock.client();
  for (const key of keys) {
    const where = `${key.name} in round ${context.round}, seed ${context.seed}`;
    const [value, left, token] = await client.pipeline([
      ["GET", key.name],
      ["PTTL", key.name],
      ["LOCK.TOKEN", key.name],
    ]);
    const atMs = performance.now();
    assert.not.instance(value, RespError);
    const owner = value === null ? null : String(value);
    const possible = [key.acknowledged, ...(key.maybe === null ? [] : [key.maybe])];
    const found = possible.filter((holding) => holding.owner === owner);
    assert.ok(
      found.length > 0,
      `${where}: ${String(owner)} instead of ${possible.map((holding) => String(holding.owner)).join(" or ")}`,
    );
    if (owner === null) {
      key.settle(FREE);
      continue;
    }
    context.totals.held += 1;
    // The lease began when its command was sent or later; stamps are whole milliseconds.
    const sentAtMs = Math.min(...found.map((holding) => holding.sentAtMs));
    const leaseLeft = TTL_MS - (atMs - sentAtMs) - 1;
    assert.ok(Number(left) >= leaseLeft, `${where}: ${String(left)} ms left, not ${leaseLeft}`);
    assert.ok(
      Number(left) <= TTL_MS,
      `${where}: ${String(left)} ms left is more than was asked for`,
    );
    const known = found.find((holding) => holding.token !== -1n);
    if (known === undefined) newToken(key, String(token), context.totals);
    else
      assert.is(BigInt(String(token)), known.token, `${where}: the token of a held lock changed`);
    key.settle({ owner, token: BigInt(String(token)), sentAtMs });
  }
  client.close();
}
