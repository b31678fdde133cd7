/**
 * The table beside that of a real Redis: what COMMAND INFO and COMMAND DOCS say of each command that
 * both have. Redis 7.0 is the one at hand; differences stand in the lists below, each with a reason.
 */
import * as assert from "uvu/assert";
import type { Reply } from "../../src/base/reply.ts";
import { ALL } from "../../src/commands/table.ts";
import { withRedisServer } from "../support/redis-server.ts";
import type { RespValue } from "../support/resp3-reader.ts";
import { suite } from "../support/suite.ts";
import { OWN_GROUPS } from "../tidy/command-notes.ts";
import { replyOf } from "./fakes.ts";

/** Commands and subcommands of ours that Redis 7.0 does not have. */
const ONLY_OURS = new Map([
  ["delex", "Redis 8.4"],
  ["delifeq", "Valkey 9"],
  ...ALL.filter(({ group }) => OWN_GROUPS.has(group)).map(({ name }): [string, string] => [
    name,
    "Paxlock's own",
  ]),
  ["waitaof", "Redis 7.2"],
  ["client|no-touch", "Redis 7.2"],
  ["client|setinfo", "Redis 7.2"],
]);

/** Subcommands of Redis 7.0 that are not here, of commands that are. */
const ONLY_THEIRS = [
  /^cluster\|/, // all of CLUSTER is one refusal
  /^client\|(un)?pause$/, // nothing can be paused
  /^pubsub\|shard/, // no shard channels
];

/** `name field` → why it differs. */
const DIFFERENT = new Map([
  ["quit deprecatedSince", "deprecated since Redis 7.2"],
  ["quit replacedBy", "deprecated since Redis 7.2"],
  ["getset replacedBy", "in our words"],
]);

interface Facts {
  readonly [field: string]: unknown;
}

/** The row of COMMAND INFO, in a form that does not depend on the order of its sets. */
function factsOf(row: unknown): Facts {
  const [, arity, flags, first, last, step, categories, tips, keySpecs] = row as readonly unknown[];
  return {
    arity,
    flags: sorted(flags),
    keys: [first, last, step],
    categories: sorted(categories),
    tips: sorted(tips),
    keySpecs: items(keySpecs).map((spec) => {
      const { notes: _, flags: uses, ...search } = spec as Facts;
      return { ...search, flags: sorted(uses) };
    }),
  };
}

function docsOf(docs: unknown): Facts {
  const fields = docs as Facts;
  return {
    since: fields["since"],
    group: fields["group"],
    deprecatedSince: fields["deprecated_since"],
    replacedBy: fields["replaced_by"],
  };
}

function items(value: unknown): readonly unknown[] {
  return value as readonly unknown[];
}

function sorted(value: unknown): readonly unknown[] {
  return [...items(value)].map(String).sort();
}

/** Maps as objects, sets as arrays, status replies as strings: for both sides alike. */
function plain(value: RespValue | Reply): unknown {
  if (value instanceof Map) {
    return Object.fromEntries([...value].map(([key, field]) => [String(key), plain(field)]));
  }
  if (value instanceof Set) return [...value].map((item) => plain(item as RespValue));
  if (Array.isArray(value)) return value.map((item) => plain(item as RespValue));
  if (typeof value !== "object" || value === null || !("kind" in value)) return value;
  if (value.kind === "map") {
    return Object.fromEntries(value.entries.map(([key, field]) => [String(key), plain(field)]));
  }
  if (value.kind === "set") return value.items.map(plain);
  return value.kind === "status" ? value.text : value;
}

suite(
  "commands/table (e2e)",
  (test) => {
    const names = ALL.flatMap((spec) => [spec, ...(spec.subcommands ?? [])]).map(
      ({ name }) => name,
    );

    test("COMMAND INFO says of each command what Redis 7.0 says", async () => {
      await withRedisServer({}, async (redis) => {
        const client = await redis.client();
        await client.hello3();
        const theirs = plain(await client.call("COMMAND", "INFO", ...names)) as unknown[];
        const ours = plain(replyOf(["command", "info", ...names])) as unknown[];
        const found: string[] = [];

        for (const [index, name] of names.entries()) {
          const row = theirs[index] ?? null;
          if (row === null || ONLY_OURS.has(name)) {
            assert.ok(row === null && ONLY_OURS.has(name), `${name} is only ours, and said to be`);
            continue;
          }
          found.push(...differences(name, factsOf(row), factsOf(ours[index])));
        }
        assert.equal(found, []);
      });
    });

    test("a container has the subcommands of Redis 7.0, but for those listed", async () => {
      await withRedisServer({}, async (redis) => {
        const client = await redis.client();
        for (const { name } of ALL) {
          const pattern = `${name}|*`;
          const list = ["COMMAND", "LIST", "FILTERBY", "PATTERN", pattern];
          const theirs = (await client.call(...list)) as string[];
          const ours = replyOf(list) as readonly string[];
          const missing = theirs.filter(
            (sub) => !ours.includes(sub) && !ONLY_THEIRS.some((known) => known.test(sub)),
          );
          assert.equal(missing, [], name);
        }
      });
    });

    test("COMMAND DOCS dates and groups each command as Redis does", async () => {
      await withRedisServer({}, async (redis) => {
        const client = await redis.client();
        await client.hello3();
        const theirs = plain(await client.call("COMMAND", "DOCS", ...names)) as Facts;
        const ours = plain(replyOf(["command", "docs", ...names])) as Facts;
        const found: string[] = [];

        for (const name of names) {
          if (ONLY_OURS.has(name)) continue;
          found.push(...differences(name, docsOf(theirs[name]), docsOf(ours[name])));
        }
        assert.equal(found, []);
      });
    });
  },
  { needs: "redis-server", timeoutMs: 20_000 },
);

function differences(name: string, theirs: Facts, ours: Facts): readonly string[] {
  const found: string[] = [];
  for (const field of Object.keys(theirs)) {
    const [left, right] = [JSON.stringify(theirs[field]), JSON.stringify(ours[field])];
    if (left === right || DIFFERENT.has(`${name} ${field}`)) continue;
    found.push(`${name} ${field}: Redis ${left}, here ${right}`);
  }
  return found;
}
