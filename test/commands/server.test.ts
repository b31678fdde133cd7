/** Commands about the node and the keys of all groups. */
import * as assert from "uvu/assert";
import type { Reply } from "../../src/base/reply.ts";
import type { Plan } from "../../src/commands/contract.ts";
import { suite } from "../support/suite.ts";
import { fakeServer, fakeSession, plan, replyOf, textOf } from "./fakes.ts";

/** A field of INFO. */
function infoField(text: string, name: string): string | undefined {
  return new RegExp(`^${name}:(.*)\r$`, "m").exec(text)?.[1];
}

function sectionsOf(text: string): readonly string[] {
  return [...text.matchAll(/^# (\w+)\r$/gm)].map(([, title]) => title ?? "");
}

function planned<Kind extends Plan["kind"]>(
  line: string,
  kind: Kind,
): Extract<Plan, { kind: Kind }> {
  const found = plan(line);
  assert.is(found.kind, kind);
  return found as Extract<Plan, { kind: Kind }>;
}

suite("commands/server", (test) => {
  test("SCAN goes through the groups one after the other and meets each key once", () => {
    // Rows by group, as the machine hands them out: from 1, with gaps.
    const groups = [["a1", "a2", "a3"], [], ["c1"], [], [], [], [], ["h1", "h2"]];
    const seen: string[] = [];
    let cursor = "0";
    let steps = 0;

    do {
      const step = plan(`scan ${cursor} count 2`);
      assert.is(step.kind, "group");
      if (step.kind !== "group" || step.operation.kind !== "scan") return;
      const keys = groups[step.group] ?? [];
      const row = step.operation.cursor;
      const found = keys.slice(row, row + step.operation.count);
      const next = row + found.length < keys.length ? row + found.length : 0;
      const reply = step.finish?.([next, found]) as readonly [string, readonly string[]];
      cursor = reply[0];
      seen.push(...reply[1]);
      steps += 1;
    } while (cursor !== "0");

    assert.equal(seen, groups.flat());
    assert.is(steps, 9);
  });

  test("a cursor holds rows beyond what a 53-bit number could with the group beside it", () => {
    const step = plan(`scan ${2n ** 60n + 3n}`);
    assert.is(step.kind === "group" ? step.group : null, 3);

    const reply = step.kind === "group" ? step.finish?.([2 ** 53 - 1, []]) : null;

    assert.equal(reply, [String((2n ** 53n - 1n) * 1024n + 3n), []]);
  });

  test("SCAN reads its options, and takes a cursor it never gave for the end", () => {
    const scan = planned("scan 0 MATCH a* count 100 TYPE String", "group").operation;
    assert.equal(scan, { kind: "scan", db: 0, cursor: 0, count: 100, match: "a*", type: "string" });
    for (const [line, text] of [
      ["scan abc", "ERR invalid cursor"],
      ["scan abc foo", "ERR invalid cursor"],
      [["scan", " 1"], "ERR invalid cursor"],
      ["scan 99999999999999999999999", "ERR invalid cursor"],
      ["scan 0 count 0", "ERR syntax error"],
      ["scan 0 count abc", "ERR value is not an integer or out of range"],
      ["scan 0 match", "ERR syntax error"],
      ["scan 0 foo bar", "ERR syntax error"],
      ["scan 0 count 0 foo", "ERR syntax error"],
    ] as const) {
      assert.is(textOf(replyOf(line)), text, String(line));
    }
    assert.equal(replyOf("scan -1"), ["0", []]);
    assert.equal(replyOf("scan 8"), ["0", []]);
    assert.is(plan("scan +0").kind, "group");
    assert.is(plan(["scan", ""]).kind, "group");
    assert.is(plan(["scan", "\0abc"]).kind, "group");
  });

  test("KEYS, DBSIZE and FLUSH merge what the groups answer, errors first", () => {
    const failed: Reply = { kind: "error", text: "CLUSTERDOWN x" };

    const keys = planned("keys a*", "every-group");
    assert.equal(
      keys.merge([
        [0, ["a1"]],
        [0, []],
        [0, ["a2", "a3"]],
      ]),
      ["a1", "a2", "a3"],
    );
    assert.is(keys.merge([[0, ["a1"]], failed]), failed);
    const size = planned("dbsize", "every-group");
    assert.is(size.merge([1, 2, 0]), 3);
    assert.is(size.merge([1, failed]), failed);
    const flush = planned("flushall", "every-group");
    assert.is(textOf(flush.merge([null, null])), "OK");
    assert.is(flush.merge([failed, failed]), failed);
    // "Nothing was changed" would be true of one group only.
    assert.match(
      String(textOf(flush.merge([null, failed]))),
      /^UNKNOWN 1 of 2 groups have done it/,
    );
    assert.equal(flush.operation, { kind: "flush", db: null });
    assert.equal(planned("flushdb ASYNC", "every-group").operation, { kind: "flush", db: 0 });
    assert.is(textOf(replyOf("flushdb foo")), "ERR syntax error");
    assert.is(textOf(replyOf("flushall async sync")), "ERR syntax error");
  });

  test("RANDOMKEY answers a key of some group that has one, or nil", () => {
    const random = planned("randomkey", "every-group");

    assert.is(random.merge([null, null]), null);
    assert.is(random.merge([null, "b", null]), "b");
    assert.ok(["a", "b"].includes(String(random.merge([null, "a", "b"]))));
  });

  test("EVAL counts its keys; EVALSHA looks at the length of the hash first", () => {
    assert.equal(plan("eval x 1 k a b"), {
      kind: "script",
      sha: "1".padStart(40, "0"),
      body: "x",
      keys: ["k"],
      args: ["a", "b"],
      readOnly: false,
    });
    const sha = "AB".repeat(20);
    const bySha = planned(`EVALSHA_RO ${sha} 0 a`, "script");
    assert.is(bySha.sha, sha.toLowerCase());
    assert.is(bySha.body, null);
    assert.ok(bySha.readOnly);
    for (const [line, text] of [
      ["eval x a", "ERR value is not an integer or out of range"],
      ["eval x -1", "ERR Number of keys can't be negative"],
      ["eval x 2 a", "ERR Number of keys can't be greater than number of args"],
      ["evalsha abc -1", "NOSCRIPT No matching script. Please use EVAL."],
      [`evalsha ${sha} -1`, "ERR Number of keys can't be negative"],
    ] as const) {
      assert.is(textOf(replyOf(line)), text);
    }
  });

  test("SCRIPT loads and flushes in every group and knows what is loaded", () => {
    const load = planned("script load abc", "every-group");
    const sha = "3".padStart(40, "0");
    assert.equal(load.operation, { kind: "script-load", sha, body: "abc" });
    assert.is(load.merge([sha, sha]), sha);
    assert.is(planned("script flush sync", "every-group").operation.kind, "script-flush");
    assert.equal(replyOf(`script exists ${"A".repeat(40)} b`), [1, 0]);
    assert.match(String(textOf(replyOf("script flush foo"))), /only support SYNC\|ASYNC/);
    assert.is(textOf(replyOf("script kill")), "NOTBUSY No scripts in execution right now.");
    assert.is(textOf(replyOf("script debug foo")), "ERR Use SCRIPT DEBUG YES/SYNC/NO");
    assert.match(String(textOf(replyOf("script debug yes"))), /^ERR .*not supported/);
  });

  test("TIME, LASTSAVE, ROLE, WAIT and WAITAOF answer at once", () => {
    assert.equal(replyOf("time"), ["1700000000", "123"]);
    assert.is(replyOf("lastsave"), 1_700_000_000);
    assert.equal(replyOf("role"), ["master", 0, []]);
    assert.is(replyOf("wait 1 0"), 0);
    assert.equal(replyOf("waitaof 1 1 10"), [1, 0]);
    for (const [line, text] of [
      ["wait a b", "ERR value is not an integer or out of range"],
      ["wait 0 b", "ERR timeout is not an integer or out of range"],
      ["wait 0 -1", "ERR timeout is negative"],
      ["waitaof x 0 0", "ERR value is not an integer or out of range"],
      ["waitaof 2 0 0", "ERR value is out of range, value must between 0 and 1"],
      ["waitaof 0 x 0", "ERR value is out of range, must be positive"],
      ["waitaof 0 0 -5", "ERR timeout is negative"],
    ] as const) {
      assert.is(textOf(replyOf(line)), text);
    }
  });

  test("SHUTDOWN takes Redis's options", () => {
    for (const line of ["shutdown", "shutdown nosave", "SHUTDOWN SAVE now force"]) {
      assert.equal(plan(line), { kind: "shutdown" });
    }
    for (const line of ["shutdown foo", "shutdown save nosave", "shutdown abort now"]) {
      assert.is(textOf(replyOf(line)), "ERR syntax error");
    }
    assert.is(textOf(replyOf("shutdown abort")), "ERR No shutdown in progress.");
  });

  test("CONFIG GET matches several patterns, each parameter once", () => {
    assert.equal(replyOf("config get save APPENDONLY *append* nosuch"), {
      kind: "map",
      entries: [
        ["save", ""],
        ["APPENDONLY", "yes"],
      ],
    });
    assert.equal(replyOf("config get SAV* save"), { kind: "map", entries: [["save", ""]] });
    assert.equal(replyOf("config get nosuch"), { kind: "map", entries: [] });
  });

  test("CONFIG SET hands all pairs on and passes the refusal through", () => {
    const server = fakeServer();
    assert.is(textOf(replyOf("config set timeout 1 save x", fakeSession(), server)), "OK");
    assert.is(server.settings.get("timeout"), "1");
    assert.is(server.settings.get("save"), "x");
    const refusing = fakeServer({ setConfig: () => "ERR CONFIG SET failed" });
    assert.is(textOf(replyOf("config set a b", fakeSession(), refusing)), "ERR CONFIG SET failed");
    assert.is(textOf(replyOf("config set a b c")), "ERR syntax error");
    assert.match(String(textOf(replyOf("config rewrite"))), /^ERR The server is running without/);
    assert.is(textOf(replyOf("config resetstat")), "OK");
  });

  test("SLOWLOG shows the newest entries, ten unless told otherwise", () => {
    const server = fakeServer();
    for (let id = 12; id > 0; id -= 1) {
      const entry = { id, wallSeconds: 5, microseconds: 9, args: ["get", "k"] };
      server.log.push({ ...entry, address: "1.2.3.4:5", clientName: "me" });
    }
    const get = (line: string): Reply => replyOf(line, fakeSession(), server);

    assert.is((get("slowlog get") as readonly Reply[]).length, 10);
    assert.is((get("slowlog get -1") as readonly Reply[]).length, 12);
    assert.equal(get("slowlog get 1"), [[12, 5, 9, ["get", "k"], "1.2.3.4:5", "me"]]);
    assert.is(get("slowlog len"), 12);
    for (const bad of ["-2", "a"]) {
      assert.is(
        textOf(get(`slowlog get ${bad}`)),
        "ERR count should be greater than or equal to -1",
      );
    }
    assert.match(String(textOf(get("slowlog get 1 2"))), /Try SLOWLOG HELP\.$/);
    assert.is(textOf(get("slowlog reset")), "OK");
    assert.is(get("slowlog len"), 0);
  });

  test("INFO prints all sections by default, and those asked for in its own order", () => {
    const all = sectionsOf(String(textOf(replyOf("info"))));

    assert.equal(all, [
      "Server",
      "Clients",
      "Memory",
      "Persistence",
      "Stats",
      "Replication",
      "CPU",
      "Cluster",
      "Keyspace",
      "Paxlock",
    ]);
    assert.equal(sectionsOf(String(textOf(replyOf("info everything")))), all);
    assert.equal(sectionsOf(String(textOf(replyOf("info CPU nosuch server")))), ["Server", "CPU"]);
    assert.is(textOf(replyOf("info nosuch")), "");
  });

  test("INFO has the fields that clients read", () => {
    const server = fakeServer({}, [fakeSession(), fakeSession({ id: 8 })]);
    const text = String(textOf(replyOf("info", fakeSession(), server)));

    for (const [name, value] of [
      ["redis_mode", "standalone"],
      ["role", "master"],
      ["loading", "0"],
      ["connected_clients", "2"],
      ["uptime_in_seconds", "121"],
      ["used_memory", "2000000"],
      ["used_memory_human", "1.91M"],
      ["number_of_cached_scripts", "10"],
      ["cluster_enabled", "0"],
      ["db0", "keys=6,expires=4,avg_ttl=2500"],
      ["db3", "keys=1,expires=0,avg_ttl=0"],
      ["groups", "8"],
      ["node_id", "1"],
      ["nodes", "3"],
      ["groups_led", "1"],
      ["groups_without_leader", "0"],
      ["disk_commit_usec_avg", "250"],
      ["group0", "leader=1,ballot=1.1,applied_slot=12,chosen_slot=13,log_bytes=99,keys=3"],
    ] as const) {
      assert.is(infoField(text, name), value, name);
    }
    assert.match(infoField(text, "redis_version") ?? "", /^\d+\.\d+\.\d+$/);
    assert.ok(text.indexOf("db0:") < text.indexOf("db3:"));
  });

  test("HELP of every container command lists each of its subcommands", () => {
    for (const name of ["client", "command", "config", "object", "script", "slowlog"]) {
      const lines = (replyOf(`${name} help`) as readonly Reply[]).map(textOf);
      const listed = replyOf(`command list filterby pattern ${name}|*`) as readonly string[];
      assert.ok(listed.length > 2);
      for (const full of listed) {
        const sub = full.slice(name.length + 1).toUpperCase();
        assert.ok(
          lines.some((line) => String(line).split(/[ (]/)[0] === sub),
          `${name} help shows ${sub}`,
        );
      }
    }
  });
});
