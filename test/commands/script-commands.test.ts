/** What a script's commands become. */
import * as assert from "uvu/assert";
import { scriptCommands } from "../../src/commands/script-commands.ts";
import { KEY_BYTES_MAX } from "../../src/base/limits.ts";
import type { ScriptCommand } from "../../src/machine/script/port.ts";
import { suite } from "../support/suite.ts";
import { textOf, words } from "./fakes.ts";

function parse(line: string): ScriptCommand {
  return scriptCommands.parse(words(line), 2);
}

function errorOf(line: string): unknown {
  const command = parse(line);
  return command.kind === "reply" ? textOf(command.reply) : command.kind;
}

suite("commands/script-commands", (test) => {
  test("data commands become operations of the script's database", () => {
    assert.equal(parse("get k"), {
      kind: "operation",
      operation: { kind: "get", db: 2, key: "k" },
      write: false,
    });
    const set = parse("SET k v NX PX 5");
    assert.is(set.kind === "operation" && set.write, true);
  });

  test("what Redis flags as a write counts as one, whether it writes or not", () => {
    const getex = parse("getex k");

    assert.is(getex.kind === "operation" && getex.write, true);
  });

  test("a refused write is still a write, so that a read-only script hears of that first", () => {
    for (const line of ["set k v px x", "flushall x", "psetex k x v"]) {
      const refused = parse(line);
      assert.is(refused.kind === "reply" && refused.write, true, line);
    }
    const read = parse("scan x");
    assert.is(read.kind === "reply" && read.write, undefined);
  });

  test("errors have the texts of Redis 7.2 for scripts", () => {
    const notAllowed = "ERR This Redis command is not allowed from script";
    assert.is(errorOf("foo"), "ERR Unknown Redis command called from script");
    assert.is(errorOf("client foo"), "ERR Unknown Redis command called from script");
    assert.is(errorOf("get"), "ERR Wrong number of args calling Redis command from script");
    assert.is(errorOf("set k v nx xx"), "ERR syntax error");
    for (const line of ["eval x 0", "auth x", "hello 3", "client id", "config get x", "wait 0 0"]) {
      assert.is(errorOf(line), notAllowed, line);
    }
    for (const line of ["info", "lastsave", "slowlog len", "command count"]) {
      assert.is(errorOf(line), notAllowed, `${line}: its answer may differ between replicas`);
    }
  });

  test("PING, ECHO, TIME and SELECT need no key", () => {
    assert.is(errorOf("ping"), "PONG");
    assert.is(errorOf("ping x"), "x");
    assert.is(errorOf("echo x"), "x");
    assert.equal(parse("TIME"), { kind: "time" });
    assert.equal(parse("select 4"), { kind: "select", db: 4 });
    assert.is(errorOf("select 16"), "ERR DB index is out of range");
  });

  test("SCAN and KEYS answer in the form a client would get", () => {
    const scan = parse("scan 0");
    const keys = parse("keys *");

    assert.equal(scan.kind === "operation" ? scan.finish?.([5, ["a"]]) : null, ["5120", ["a"]]);
    assert.equal(keys.kind === "operation" ? keys.finish?.([0, ["a", "b"]]) : null, ["a", "b"]);
    assert.is(parse("dbsize").kind, "operation");
    const flush = parse("flushall");
    assert.is(flush.kind === "operation" && flush.write, true);
  });

  test("an option that counts only if the key is there is refused after the look", () => {
    const command = parse("getex k ex 0");

    assert.is(command.kind === "operation" ? command.finish?.(null) : "", null);
    assert.is(
      command.kind === "operation" ? textOf(command.finish?.("v") ?? "") : "",
      "ERR invalid expire time in 'getex' command",
    );
  });

  test("bounds hold in scripts too", () => {
    const command = scriptCommands.parse(["get", "k".repeat(KEY_BYTES_MAX + 1)], 0);

    assert.match(String(command.kind === "reply" ? textOf(command.reply) : ""), /^LIMIT a key of/);
  });
});
