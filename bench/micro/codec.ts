/**
 * How fast entries, log records and state rows become bytes and are read back, on one core.
 *
 * `node --import tsx bench/micro/codec.ts`. A lock command with a key of 20 bytes and a UUID as its
 * owner, alone in its entry and 50 in one, as an idle and a busy leader batch them.
 */
import { ByteWriter } from "../../src/base/bytes.ts";
import { NO_ORIGINS } from "../../src/machine/entry.ts";
import type { Operation } from "../../src/machine/operation.ts";
import type { StateRow } from "../../src/machine/state.ts";
import { decodeEntry, encodeEntry } from "../../src/wire/entry-codec.ts";
import { decodeTurn, writeTurn } from "../../src/wire/log-codec.ts";
import { decodeStateRow, encodeStateRow } from "../../src/wire/state-codec.ts";
import { measureCases, type Case } from "../measure.ts";

const KEY = "lock:orders:12345678";
const OWNER = "123e4567-e89b-12d3-a456-426614174000";
const GROUPS = 8;

const acquire: Operation = {
  kind: "set",
  db: 0,
  key: KEY,
  value: OWNER,
  when: "nx",
  compare: "",
  expireMode: "after",
  expireMs: 30_000,
  answer: "status",
};

const release: Operation = {
  kind: "eval",
  db: 0,
  sha: "e9f69f2beb755be68b5e456ee2ce9aadfbc4ebf4",
  body: null,
  keys: [KEY],
  args: [OWNER],
  readOnly: false,
};

const row: StateRow = {
  kind: "string",
  row: 123_456,
  db: 0,
  key: KEY,
  value: OWNER,
  deadlineMs: 1_234_567.5,
  tokenEpoch: 1,
  tokenCounter: 123_456,
  sinceMs: 1_204_567.5,
  writtenMs: 1_204_567.5,
};

function entryCases(name: string, operation: Operation, count: number): Case[] {
  const operations = Array.from({ length: count }, () => operation);
  const entry = {
    nowMs: 1_234_567.25,
    wallMs: 1_790_000_000_000,
    operations,
    proposal: null,
    origins: NO_ORIGINS,
  };
  const bytes = encodeEntry(entry);
  if (decodeEntry(bytes)?.operations.length !== count) throw new Error("the entry was not read");
  const what = `${name}, ${count} in an entry`;
  const size = `${(bytes.length / count).toFixed(0)} bytes each`;
  return [
    { name: `encode ${what}`, operations: count, run: () => encodeEntry(entry) },
    { name: `decode ${what}, ${size}`, operations: count, run: () => decodeEntry(bytes) },
  ];
}

function turnCases(): Case[] {
  const value = encodeEntry({
    nowMs: 1,
    wallMs: 1,
    operations: [acquire],
    proposal: null,
    origins: NO_ORIGINS,
  });
  const records = Array.from({ length: GROUPS }, (_, group) => {
    return { group, slot: 123_456, ballot: 257, value };
  });
  const writer = new ByteWriter();
  writeTurn(writer, 123_456, records);
  // The storage writes turns into one buffer that it uses again, as the case below does.
  const bytes = writer.take();
  if (typeof decodeTurn(bytes) === "string") throw new Error("the turn was not read");
  return [
    {
      name: `write a turn, record of one of ${GROUPS} groups`,
      operations: GROUPS,
      run: () => {
        writer.reset();
        writeTurn(writer, 123_456, records);
      },
    },
    {
      name: `decode a turn, record of one of ${GROUPS} groups`,
      operations: GROUPS,
      run: () => decodeTurn(bytes),
    },
  ];
}

function rowCases(): Case[] {
  const bytes = encodeStateRow(row);
  if (decodeStateRow(bytes) === null) throw new Error("the row was not read");
  return [
    { name: "encode a state row", operations: 1, run: () => encodeStateRow(row) },
    {
      name: `decode a state row, ${bytes.length} bytes`,
      operations: 1,
      run: () => decodeStateRow(bytes),
    },
  ];
}

console.log(
  measureCases([
    ...[1, 50].flatMap((count) => entryCases("SET NX PX", acquire, count)),
    ...[1, 50].flatMap((count) => entryCases("EVALSHA", release, count)),
    ...turnCases(),
    ...rowCases(),
  ]),
);
