/** PAXOS.*: what is wrong with their arguments is said, and a status survives its way to a client. */
import * as assert from "uvu/assert";
import type { Reply } from "../../src/base/reply.ts";
import { isError } from "../../src/base/reply.ts";
import type { NodeStatus } from "../../src/commands/paxos-status.ts";
import { readStatus, statusReply } from "../../src/commands/paxos-status.ts";
import { suite } from "../support/suite.ts";
import { fakeServer, fakeSession, plan, replyOf } from "./fakes.ts";
import { planCommand } from "../../src/commands/table.ts";

function errorOf(words: string): string {
  const reply = replyOf(words.split(" "));
  assert.ok(isError(reply), words);
  return isError(reply) ? reply.text : "";
}

/** A reply as a RESP2 client reads it: maps are flat lists. */
function flat(reply: Reply): unknown {
  if (Array.isArray(reply)) return (reply as readonly Reply[]).map(flat);
  if (typeof reply !== "object" || reply === null || !("kind" in reply)) return reply;
  return reply.kind === "map" ? reply.entries.flatMap((pair) => pair.map(flat)) : reply;
}

const STATUS: NodeStatus = {
  node: 2,
  cluster: "blue",
  version: "0.2.0",
  uptimeMs: 1_234,
  nodes: [
    { node: 1, address: "10.0.0.1:16379", connected: false, voter: true },
    { node: 2, address: "10.0.0.2:16379", connected: true, voter: true },
    { node: 4, address: "[fd00::4]:16379", connected: true, voter: false },
  ],
  groups: [
    {
      group: 0,
      role: "leader",
      leader: 2,
      ballot: "7.2",
      chosenSlot: 30,
      appliedSlot: 29,
      leaseMs: 700,
      logBytes: 1_000,
      members: [
        { node: 1, voter: true, chosenSlot: -1 },
        { node: 2, voter: true, chosenSlot: 30 },
        { node: 4, voter: false, chosenSlot: 12 },
      ],
    },
    {
      group: 1,
      role: "follower",
      leader: 0,
      ballot: "-",
      chosenSlot: 0,
      appliedSlot: 0,
      leaseMs: 0,
      logBytes: 0,
      members: [],
    },
  ],
};

suite("commands/paxos", (test) => {
  test("what is well-formed is handed to the cluster as it was sent", () => {
    for (const words of [
      "PAXOS.STATUS",
      "paxos.status 2",
      "PAXOS.HANDOVER 7 255",
      "PAXOS.HANDOVER 0 1",
      "PAXOS.ADDNODE 4 10.0.0.4:16379",
      "PAXOS.ADDNODE 4 node-4.example_net:1",
      "PAXOS.ADDNODE 4 [fd00::4]:65535",
      "PAXOS.REMOVENODE 2",
    ]) {
      const args = words.split(" ");
      assert.equal(plan(args), { kind: "paxos", args });
    }
  });

  test("a node id is a whole number from 1 to 255", () => {
    for (const id of ["0", "256", "-1", "two", "1.5", "01", "99999999999999999999", "\0"]) {
      for (const words of [
        `PAXOS.STATUS ${id}`,
        `PAXOS.HANDOVER 0 ${id}`,
        `PAXOS.ADDNODE ${id} host:1`,
        `PAXOS.REMOVENODE ${id}`,
      ]) {
        assert.match(errorOf(words), /^ERR a node id is a whole number from 1 to 255, not '/);
      }
    }
  });

  test("a group is one that this cluster has", () => {
    for (const group of ["8", "-1", "x", ""]) {
      assert.is(
        errorOf(`PAXOS.HANDOVER ${group} 1`),
        `ERR a group of this cluster is a whole number from 0 to 7, not '${group}'`,
      );
    }
    const alone = planCommand(
      ["PAXOS.HANDOVER", "1", "1"],
      fakeSession(),
      fakeServer({ groups: 1 }),
    );
    assert.equal(alone, {
      kind: "reply",
      reply: {
        kind: "error",
        text: "ERR a group of this cluster is 0, the only one, not '1'",
      },
    });
  });

  test("an address is host:port", () => {
    for (const address of [
      "host",
      "host:",
      ":1",
      "host:0",
      "host:65536",
      "host:x",
      "fd00::4:16379",
      "[fd00::4]",
      "a,b:1",
      "4=host:1",
      `${"h".repeat(254)}:1`,
    ]) {
      assert.match(errorOf(`PAXOS.ADDNODE 4 ${address}`), /^ERR the address '.*' (has|is) /);
    }
  });

  test("too few and too many arguments are told as for every command", () => {
    for (const name of ["HANDOVER 1", "ADDNODE 1", "REMOVENODE", "REMOVENODE 1 2"]) {
      assert.match(errorOf(`PAXOS.${name}`), /^ERR wrong number of arguments for 'paxos\./);
    }
    assert.is(errorOf("PAXOS.STATUS 1 2"), "ERR PAXOS.STATUS takes one node id or none");
  });

  test("scripts cannot call them, and they are for administrators", () => {
    const info = flat(replyOf("COMMAND INFO paxos.removenode paxos.status".split(" ")));
    const rows = JSON.stringify(info);

    assert.is(rows.split('"noscript"').length, 3);
    assert.is(rows.split('"admin"').length, 3);
    assert.is(rows.split("@dangerous").length, 3);
  });

  test("a status comes back from its reply, in RESP2 and RESP3", () => {
    const reply = statusReply(STATUS);

    assert.equal(readStatus(reply), STATUS);
    assert.equal(readStatus(flat(reply)), STATUS);
    assert.equal(readStatus(JSON.parse(JSON.stringify(reply))), STATUS);
  });

  test("fields that are not known are passed over, and what is no status is none", () => {
    const list = flat(statusReply(STATUS)) as unknown[];

    assert.equal(readStatus([...list, "weather", ["fine"]]), STATUS);
    for (const reply of [null, 1, "x", [], {}, ["node", 1], { kind: "error", text: "ERR x" }]) {
      assert.is(readStatus(reply), null);
    }
    for (const [index, name] of list.entries()) {
      if (name === "nodes" || name === "groups") {
        assert.is(readStatus(list.with(index + 1, [["x", 1]])), null);
      }
    }
  });
});
