/**
 * The rows of the lock engine as bytes: part of the table in `state-codec.ts`, whose rules they keep.
 *
 * ```
 * lock    = db:u8  key:text  version:varint  limit:varint  options  delayUntilMs:number
 *           revoke:notice?  lastBreak:notice?
 * options = limit:varint  policy:u8  maxTtlMs:number  delayMs:number  maxWaiters:varint
 * notice? = there:u8 (0 or 1)  [reason:text  address:text  atMs:number]
 * holder  = db:u8  key:text  version:varint  mode:u8  owner:text  tokenEpoch:varint
 *           tokenCounter:varint  deadlineMs:number  sinceMs:number  holds:varint  permits:varint
 *           delayMs:number  flags:u8 (1 bind, 2 provisional, 4 all)  asker  data:text
 * asker   = session:text  node:u8  boot:varint  request:varint  address:text
 * waiter  = place:varint  db:u8  keys:texts  owner:text  mode:u8  permits:varint  ttlMs:number
 *           priority:varint  flags:u8 (1 bind, 2 provisional, 4 reentrant, 8 all, 16 upgrade,
 *           32 async)  claimMs:number  delayMs:number  arrivedMs:number  deadlineMs:number  asker
 *           data:text
 * session = version:varint  session:text  node:u8  boot:varint  endsMs:number
 * ticket  = version:varint  ticket:varint  state:u8  db:u8  key:text  owner:text
 *           tokenEpoch:varint  tokenCounter:varint  deadlineMs:number
 * ```
 */
import type { ByteReader, ByteWriter } from "../base/bytes.ts";
import type {
  DeadlockRecord,
  HolderRow,
  LockNotice,
  LockOptions,
  LockRow,
  SessionRow,
  TicketRow,
  WaiterRow,
} from "../machine/state.ts";
import {
  readFlag,
  readFlags,
  readOptionalNode,
  readTexts,
  readWord,
  writeFlag,
  writeFlags,
  writeOptionalNode,
  writeTexts,
  writeWord,
} from "./fields.ts";
import { readAsker, writeAsker } from "./lock-operation-codec.ts";
import { readDb, writeDb } from "./operation-row.ts";
import type { StateRowCodec } from "./state-row.ts";

const MODES = ["exclusive", "shared", "permits"] as const;
const POLICIES = ["fifo", "priority"] as const;
const TICKET_STATES = ["granted", "claimed", "timed-out", "cancelled", "deadlock", "lost"] as const;

/** One codec for each kind of row that the lock engine has. */
export const LOCK_STATE_ROWS: {
  readonly lock: StateRowCodec<LockRow>;
  readonly holder: StateRowCodec<HolderRow>;
  readonly waiter: StateRowCodec<WaiterRow>;
  readonly session: StateRowCodec<SessionRow>;
  readonly ticket: StateRowCodec<TicketRow>;
} = {
  lock: {
    code: 4,
    write(writer, row) {
      writeDb(writer, row.db);
      writer.text(row.key);
      writer.varint(row.version);
      writer.varint(row.limit);
      writeOptions(writer, row.options);
      writer.number(row.delayUntilMs);
      writeNotice(writer, row.revoke);
      writeNotice(writer, row.lastBreak);
    },
    read(reader, row) {
      return {
        kind: "lock",
        row,
        db: readDb(reader),
        key: reader.text(),
        version: reader.varint(),
        limit: reader.varint(),
        options: readOptions(reader),
        delayUntilMs: reader.number(),
        revoke: readNotice(reader),
        lastBreak: readNotice(reader),
      };
    },
  },
  holder: {
    code: 5,
    write(writer, row) {
      writeDb(writer, row.db);
      writer.text(row.key);
      writer.varint(row.version);
      writeWord(writer, MODES, row.mode);
      writer.text(row.owner);
      writer.varint(row.tokenEpoch);
      writer.varint(row.tokenCounter);
      writer.number(row.deadlineMs);
      writer.number(row.sinceMs);
      writer.varint(row.holds);
      writer.varint(row.permits);
      writer.number(row.delayMs);
      writeFlags(writer, [row.bind, row.provisional, row.all]);
      writeAsker(writer, row);
      writer.text(row.data);
    },
    read(reader, row) {
      const head = {
        kind: "holder",
        row,
        db: readDb(reader),
        key: reader.text(),
        version: reader.varint(),
        mode: readWord(reader, MODES),
        owner: reader.text(),
        tokenEpoch: reader.varint(),
        tokenCounter: reader.varint(),
        deadlineMs: reader.number(),
        sinceMs: reader.number(),
        holds: reader.varint(),
        permits: reader.varint(),
        delayMs: reader.number(),
      } as const;
      const [bind = false, provisional = false, all = false] = readFlags(reader, 3);
      return { ...head, bind, provisional, all, ...readAsker(reader), data: reader.text() };
    },
  },
  waiter: {
    code: 6,
    write(writer, row) {
      writer.varint(row.place);
      writeDb(writer, row.db);
      writeTexts(writer, row.keys);
      writer.text(row.owner);
      writeWord(writer, MODES, row.mode);
      writer.varint(row.permits);
      writer.number(row.ttlMs);
      writer.varint(row.priority);
      const { bind, provisional, reentrant, all, upgrade, async } = row;
      writeFlags(writer, [bind, provisional, reentrant, all, upgrade, async]);
      writer.number(row.claimMs);
      writer.number(row.delayMs);
      writer.number(row.arrivedMs);
      writer.number(row.deadlineMs);
      writeAsker(writer, row);
      writer.text(row.data);
    },
    read(reader, row) {
      const head = {
        kind: "waiter",
        row,
        place: reader.varint(),
        db: readDb(reader),
        keys: readTexts(reader),
        owner: reader.text(),
        mode: readWord(reader, MODES),
        permits: reader.varint(),
        ttlMs: reader.number(),
        priority: reader.varint(),
      } as const;
      const [bind = false, provisional = false, reentrant = false, all = false, ...more] =
        readFlags(reader, 6);
      const [upgrade = false, async = false] = more;
      return {
        ...head,
        bind,
        provisional,
        reentrant,
        all,
        upgrade,
        async,
        claimMs: reader.number(),
        delayMs: reader.number(),
        arrivedMs: reader.number(),
        deadlineMs: reader.number(),
        ...readAsker(reader),
        data: reader.text(),
      };
    },
  },
  session: {
    code: 7,
    write(writer, row) {
      writer.varint(row.version);
      writer.text(row.session);
      writeOptionalNode(writer, row.node);
      writer.varint(row.boot);
      writer.number(row.endsMs);
    },
    read(reader, row) {
      return {
        kind: "session",
        row,
        version: reader.varint(),
        session: reader.text(),
        node: readOptionalNode(reader),
        boot: reader.varint(),
        endsMs: reader.number(),
      };
    },
  },
  ticket: {
    code: 8,
    write(writer, row) {
      writer.varint(row.version);
      writer.varint(row.ticket);
      writeWord(writer, TICKET_STATES, row.state);
      writeDb(writer, row.db);
      writer.text(row.key);
      writer.text(row.owner);
      writer.varint(row.tokenEpoch);
      writer.varint(row.tokenCounter);
      writer.number(row.deadlineMs);
    },
    read(reader, row) {
      return {
        kind: "ticket",
        row,
        version: reader.varint(),
        ticket: reader.varint(),
        state: readWord(reader, TICKET_STATES),
        db: readDb(reader),
        key: reader.text(),
        owner: reader.text(),
        tokenEpoch: reader.varint(),
        tokenCounter: reader.varint(),
        deadlineMs: reader.number(),
      };
    },
  },
};

function writeOptions(writer: ByteWriter, options: LockOptions): void {
  writer.varint(options.limit);
  writeWord(writer, POLICIES, options.policy);
  writer.number(options.maxTtlMs);
  writer.number(options.delayMs);
  writer.varint(options.maxWaiters);
}

function readOptions(reader: ByteReader): LockOptions {
  return {
    limit: reader.varint(),
    policy: readWord(reader, POLICIES),
    maxTtlMs: reader.number(),
    delayMs: reader.number(),
    maxWaiters: reader.varint(),
  };
}

function writeNotice(writer: ByteWriter, notice: LockNotice | null): void {
  writeFlag(writer, notice !== null);
  if (notice === null) return;
  writer.text(notice.reason);
  writer.text(notice.address);
  writer.number(notice.atMs);
}

function readNotice(reader: ByteReader): LockNotice | null {
  if (!readFlag(reader)) return null;
  return { reason: reader.text(), address: reader.text(), atMs: reader.number() };
}

/** Time, db, length of the key, number of owners. */
const LEAST_DEADLOCK_BYTES = 4;

/** The deadlocks of the group-wide part, see `state-codec.ts`. */
export function writeDeadlocks(writer: ByteWriter, deadlocks: readonly DeadlockRecord[]): void {
  writer.varint(deadlocks.length);
  for (const { atMs, db, key, cycle } of deadlocks) {
    writer.number(atMs);
    writeDb(writer, db);
    writer.text(key);
    writeTexts(writer, cycle);
  }
}

/** What {@link writeDeadlocks} wrote. */
export function readDeadlocks(reader: ByteReader): DeadlockRecord[] {
  const deadlocks: DeadlockRecord[] = [];
  for (let left = reader.count(LEAST_DEADLOCK_BYTES); left > 0 && !reader.failed(); left--) {
    deadlocks.push({
      atMs: reader.number(),
      db: readDb(reader),
      key: reader.text(),
      cycle: readTexts(reader),
    });
  }
  return deadlocks;
}
