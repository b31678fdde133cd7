/** `paxlock log dump` in words, for every kind of value that a log may hold. */
import * as assert from "uvu/assert";
import type { AcceptedRecord, Recovery } from "../../src/base/ports.ts";
import { dump, lineText, type DumpLine, type DumpRange } from "../../src/cli/log-text.ts";
import { NO_ORIGINS } from "../../src/machine/entry.ts";
import { ballotOf } from "../../src/paxos/ballot.ts";
import { encodeMembers } from "../../src/paxos/members.ts";
import { NO_OP } from "../../src/paxos/records.ts";
import { encodeEntry } from "../../src/wire/entry-codec.ts";
import { suite } from "../support/suite.ts";

const ENTRY = encodeEntry({
  nowMs: 1_234,
  wallMs: Date.UTC(2026, 0, 2),
  operations: [
    { kind: "get", db: 0, key: "a" },
    { kind: "delete", db: 3, keys: ["\xff\n", "k".repeat(100)] },
  ],
  proposal: { node: 2, boot: 5, number: 77, after: 0 },
  origins: [{ index: 1, node: 3, boot: 4, sequence: 9, floor: 8 }],
});

const NOTHING = encodeEntry({
  nowMs: 1,
  wallMs: 0,
  operations: [],
  proposal: null,
  origins: NO_ORIGINS,
});

const MEMBERS = encodeMembers([
  { id: 1, voter: true, address: "10.0.0.1:16379" },
  { id: 4, voter: false, address: "10.0.0.4:16379" },
]);

function record(group: number, slot: number, value: Uint8Array): AcceptedRecord {
  return { group, slot, ballot: ballotOf(7, 2), value };
}

const LOG: readonly AcceptedRecord[] = [
  record(1, 5, NO_OP),
  record(1, 6, ENTRY),
  record(1, 7, MEMBERS),
  record(1, 8, NOTHING),
  record(1, 9, Uint8Array.of(99, 1, 2)),
  record(1, 10, MEMBERS.subarray(0, 4)),
];

/** Gives the records of a group to whoever reads its log. */
function visitOf(records: readonly AcceptedRecord[]): Recovery["log"] {
  return (group, visit) => {
    for (const each of records) if (each.group === group) visit(each);
  };
}

/** Two groups, the second with a log. */
const RECOVERY: Recovery = {
  groups: 2,
  promise: (group) => (group === 1 ? ballotOf(8, 3) : 0),
  checkpoint: () => null,
  rows: () => undefined,
  log: visitOf(LOG),
  damage: (place, reason) => new Error(`${place}: ${reason}`),
};

function lines(range: Partial<DumpRange> = {}): DumpLine[] {
  const found: DumpLine[] = [];
  dump(RECOVERY, { group: null, from: 1, ...range }, (line) => found.push(line));
  return found;
}

suite("cli/log-text", (test) => {
  test("what clients sent for a lock is quoted, so that it cannot steer a terminal", () => {
    const value = encodeEntry({
      nowMs: 1,
      wallMs: 0,
      operations: [
        { kind: "lock-break", db: 0, key: "k", reason: "\x1b[2J", address: "10.0.0.9:1" },
        { kind: "lock-release", db: 0, key: "k", owner: "\x1b[2J", token: "12", all: false },
        { kind: "lock-victim", waiter: 5, cycle: ["\x1b[2J", "b"] },
      ],
      proposal: null,
      origins: NO_ORIGINS,
    });
    const found: string[] = [];
    const recovery = { ...RECOVERY, log: visitOf([record(1, 5, value)]) };
    dump(recovery, { group: 1, from: 1 }, (line) => found.push(lineText(line)));

    assert.is(
      found.slice(1).join("").split("\n").slice(1).join("\n"),
      `    lock-break db 0, key "k", reason "\\u001b[2J", address "10.0.0.9:1"
    lock-release db 0, key "k", owner "\\u001b[2J", token "12", all false
    lock-victim waiter 5, cycle ["\\u001b[2J" "b"]
`,
    );
  });

  test("every kind of value is told in words", () => {
    assert.is(
      lines().map(lineText).join(""),
      `group 0: promised -, no checkpoint
group 1: promised 8.3, no checkpoint
  slot 5 ballot 7.2 (0 bytes): nothing, fills a gap
  slot 6 ballot 7.2 (${ENTRY.length} bytes): group time 1234 ms, wall 2026-01-02T00:00:00.000Z, proposal 2.5.77
    get db 0, key "a"
    delete db 3, keys ["\\xff\\n" "${"k".repeat(64)}"… (100 bytes)]; from node 3, start 4, number 9
  slot 7 ballot 7.2 (${MEMBERS.length} bytes): members 1=10.0.0.1:16379, 4=10.0.0.4:16379 (learns)
  slot 8 ballot 7.2 (${NOTHING.length} bytes): group time 1 ms, wall 1970-01-01T00:00:00.000Z
    carries time forward
  slot 9 ballot 7.2 (3 bytes): unreadable, the entry has format 99, this version of Paxlock reads 1 to 2
  slot 10 ballot 7.2 (4 bytes): unreadable, the membership is malformed
`,
    );
  });

  test("a group and a first slot leave the rest out", () => {
    const slots = lines({ group: 1, from: 9 }).map((line) =>
      line.kind === "record" ? line.slot : line.kind,
    );

    assert.equal(slots, ["group", 9, 10]);
    assert.equal(
      lines({ group: 0 }).map(({ kind }) => kind),
      ["group"],
    );
  });

  test("every line is one of JSON, too", () => {
    for (const line of lines()) assert.equal(JSON.parse(JSON.stringify(line)), line);
  });
});
