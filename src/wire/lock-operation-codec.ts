/**
 * The operations of the lock engine as bytes: rows of the table in `operation-codec.ts`, whose rules
 * they keep.
 */
import { assert } from "../base/assert.ts";
import type { ByteReader, ByteWriter } from "../base/bytes.ts";
import type {
  Asker,
  Claim,
  LockBreakOperation,
  LockOperation,
  LockTicketOperation,
} from "../machine/locks/lock-operation.ts";
import {
  readFlag,
  readNumbers,
  readOptionalNode,
  readOptionalNumber,
  readOptionalText,
  readOptionalWord,
  readTexts,
  readWord,
  writeFlag,
  writeNumbers,
  writeOptionalNode,
  writeOptionalNumber,
  writeOptionalText,
  writeOptionalWord,
  writeTexts,
  writeWord,
} from "./fields.ts";
import type { OperationOf, Row } from "./operation-row.ts";
import { keyRow, readDb, writeDb } from "./operation-row.ts";

const MODES = ["exclusive", "shared", "permits"] as const;
const POLICIES = ["fifo", "priority"] as const;
const LISTED = ["all", "held", "queued"] as const;

/** One row for each kind of lock operation. */
export const LOCK_ROWS: { readonly [Kind in LockOperation["kind"]]: Row<OperationOf<Kind>> } = {
  "lock-info": keyRow("lock-info", 24),
  "lock-token": keyRow("lock-token", 25),
  "lock-acquire": {
    code: 32,
    write(writer, operation) {
      writeClaim(writer, operation);
      writer.text(operation.key);
      writeFlag(writer, operation.async);
      writer.number(operation.claimMs);
    },
    read(reader) {
      return {
        kind: "lock-acquire",
        ...readClaim(reader),
        key: reader.text(),
        async: readFlag(reader),
        claimMs: reader.number(),
      };
    },
  },
  "lock-acquire-all": {
    code: 33,
    write(writer, operation) {
      writeClaim(writer, operation);
      writeTexts(writer, operation.keys);
      writeFlag(writer, operation.provisional);
    },
    read(reader) {
      return {
        kind: "lock-acquire-all",
        ...readClaim(reader),
        keys: readTexts(reader),
        provisional: readFlag(reader),
      };
    },
  },
  "lock-confirm": {
    code: 34,
    write(writer, operation) {
      assert(operation.keys.length === operation.tokens.length, "each key has a token");
      writeDb(writer, operation.db);
      writeTexts(writer, operation.keys);
      writer.text(operation.owner);
      writeTexts(writer, operation.tokens);
    },
    read(reader) {
      const operation = {
        kind: "lock-confirm",
        db: readDb(reader),
        keys: readTexts(reader),
        owner: reader.text(),
        tokens: readTexts(reader),
      } as const;
      if (operation.keys.length !== operation.tokens.length) reader.fail();
      return operation;
    },
  },
  "lock-release": {
    code: 35,
    write(writer, operation) {
      writeDb(writer, operation.db);
      writer.text(operation.key);
      writer.text(operation.owner);
      writer.text(operation.token);
      writeFlag(writer, operation.all);
    },
    read(reader) {
      return {
        kind: "lock-release",
        db: readDb(reader),
        key: reader.text(),
        owner: reader.text(),
        token: reader.text(),
        all: readFlag(reader),
      };
    },
  },
  "lock-renew": {
    code: 36,
    write(writer, operation) {
      writeDb(writer, operation.db);
      writer.text(operation.key);
      writer.text(operation.owner);
      writer.number(operation.ttlMs);
      writer.text(operation.token);
    },
    read(reader) {
      return {
        kind: "lock-renew",
        db: readDb(reader),
        key: reader.text(),
        owner: reader.text(),
        ttlMs: reader.number(),
        token: reader.text(),
      };
    },
  },
  "lock-set-options": {
    code: 37,
    write(writer, operation) {
      writeDb(writer, operation.db);
      writer.text(operation.key);
      writeOptionalNumber(writer, operation.limit);
      writeOptionalWord(writer, POLICIES, operation.policy);
      writeOptionalNumber(writer, operation.maxTtlMs);
      writeOptionalNumber(writer, operation.delayMs);
      writeOptionalNumber(writer, operation.maxWaiters);
    },
    read(reader) {
      return {
        kind: "lock-set-options",
        db: readDb(reader),
        key: reader.text(),
        limit: readOptionalNumber(reader),
        policy: readOptionalWord(reader, POLICIES),
        maxTtlMs: readOptionalNumber(reader),
        delayMs: readOptionalNumber(reader),
        maxWaiters: readOptionalNumber(reader),
      };
    },
  },
  "lock-revoke": breakRow("lock-revoke", 38),
  "lock-break": breakRow("lock-break", 39),
  "lock-ticket": ticketRow("lock-ticket", 40),
  "lock-cancel": ticketRow("lock-cancel", 41),
  "lock-withdraw": {
    code: 42,
    write(writer, operation) {
      writer.text(operation.session);
      writeOptionalNode(writer, operation.node);
      writer.varint(operation.boot);
      writer.varint(operation.request);
    },
    read(reader) {
      return {
        kind: "lock-withdraw",
        session: reader.text(),
        node: readOptionalNode(reader),
        boot: reader.varint(),
        request: reader.varint(),
      };
    },
  },
  "lock-session-end": {
    code: 43,
    write(writer, operation) {
      writer.text(operation.session);
      writeOptionalNode(writer, operation.node);
      writer.varint(operation.boot);
      writer.number(operation.graceMs);
    },
    read(reader) {
      return {
        kind: "lock-session-end",
        session: reader.text(),
        node: readOptionalNode(reader),
        boot: reader.varint(),
        graceMs: reader.number(),
      };
    },
  },
  "lock-session-attach": {
    code: 44,
    write(writer, operation) {
      writer.text(operation.session);
      writeOptionalNode(writer, operation.node);
      writer.varint(operation.boot);
    },
    read(reader) {
      return {
        kind: "lock-session-attach",
        session: reader.text(),
        node: readOptionalNode(reader),
        boot: reader.varint(),
      };
    },
  },
  "lock-node-lost": {
    code: 45,
    write(writer, operation) {
      writeOptionalNode(writer, operation.node);
      writer.varint(operation.boot);
      writer.number(operation.graceMs);
    },
    read(reader) {
      return {
        kind: "lock-node-lost",
        node: readOptionalNode(reader),
        boot: reader.varint(),
        graceMs: reader.number(),
      };
    },
  },
  "lock-victim": {
    code: 46,
    write(writer, operation) {
      writer.varint(operation.waiter);
      writeTexts(writer, operation.cycle);
    },
    read(reader) {
      return { kind: "lock-victim", waiter: reader.varint(), cycle: readTexts(reader) };
    },
  },
  "lock-get-options": keyRow("lock-get-options", 47),
  "lock-check": {
    code: 48,
    write(writer, operation) {
      writeDb(writer, operation.db);
      writer.text(operation.key);
      writer.text(operation.token);
    },
    read(reader) {
      return { kind: "lock-check", db: readDb(reader), key: reader.text(), token: reader.text() };
    },
  },
  "lock-queue": {
    code: 49,
    write(writer, operation) {
      writeDb(writer, operation.db);
      writer.text(operation.key);
      writer.varint(operation.count);
    },
    read(reader) {
      return { kind: "lock-queue", db: readDb(reader), key: reader.text(), count: reader.varint() };
    },
  },
  "lock-list": {
    code: 50,
    write(writer, operation) {
      writeDb(writer, operation.db);
      writer.varint(operation.cursor);
      writer.varint(operation.count);
      writeOptionalText(writer, operation.match);
      writeOptionalText(writer, operation.owner);
      writeWord(writer, LISTED, operation.which);
    },
    read(reader) {
      return {
        kind: "lock-list",
        db: readDb(reader),
        cursor: reader.varint(),
        count: reader.varint(),
        match: readOptionalText(reader),
        owner: readOptionalText(reader),
        which: readWord(reader, LISTED),
      };
    },
  },
  "lock-state": keyRow("lock-state", 51),
  "lock-edges": {
    code: 52,
    write(writer, operation) {
      writer.varint(operation.count);
      writeNumbers(writer, operation.waiters);
    },
    read(reader) {
      return { kind: "lock-edges", count: reader.varint(), waiters: readNumbers(reader) };
    },
  },
  "lock-deadlocks": {
    code: 53,
    write() {
      // No fields.
    },
    read() {
      return { kind: "lock-deadlocks" };
    },
  },
};

/** Who asks, see `Asker`. */
export function writeAsker(writer: ByteWriter, asker: Asker): void {
  writer.text(asker.session);
  writeOptionalNode(writer, asker.node);
  writer.varint(asker.boot);
  writer.varint(asker.request);
  writer.text(asker.address);
}

/** What {@link writeAsker} wrote. */
export function readAsker(reader: ByteReader): Asker {
  return {
    session: reader.text(),
    // 0 in a script: nobody is told, for it is answered at once.
    node: readOptionalNode(reader),
    boot: reader.varint(),
    request: reader.varint(),
    address: reader.text(),
  };
}

function writeClaim(writer: ByteWriter, claim: Claim): void {
  writeAsker(writer, claim);
  writeDb(writer, claim.db);
  writer.text(claim.owner);
  writer.number(claim.ttlMs);
  writer.number(claim.waitMs);
  writeWord(writer, MODES, claim.mode);
  writer.varint(claim.permits);
  writer.varint(claim.limit);
  writer.varint(claim.priority);
  writeFlag(writer, claim.reentrant);
  writeFlag(writer, claim.bind);
  writer.number(claim.delayMs);
  writer.text(claim.data);
}

function readClaim(reader: ByteReader): Claim {
  return {
    ...readAsker(reader),
    db: readDb(reader),
    owner: reader.text(),
    ttlMs: reader.number(),
    waitMs: reader.number(),
    mode: readWord(reader, MODES),
    permits: reader.varint(),
    limit: reader.varint(),
    priority: reader.varint(),
    reentrant: readFlag(reader),
    bind: readFlag(reader),
    delayMs: reader.number(),
    data: reader.text(),
  };
}

function breakRow<Kind extends LockBreakOperation["kind"]>(
  kind: Kind,
  code: number,
): Row<LockBreakOperation & { readonly kind: Kind }> {
  return {
    code,
    write(writer, operation) {
      writeDb(writer, operation.db);
      writer.text(operation.key);
      writer.text(operation.reason);
      writer.text(operation.address);
    },
    read(reader) {
      return {
        kind,
        db: readDb(reader),
        key: reader.text(),
        reason: reader.text(),
        address: reader.text(),
      };
    },
  };
}

function ticketRow<Kind extends LockTicketOperation["kind"]>(
  kind: Kind,
  code: number,
): Row<LockTicketOperation & { readonly kind: Kind }> {
  return {
    code,
    write(writer, operation) {
      writer.varint(operation.ticket);
      writeFlag(writer, operation.claimer !== undefined);
      if (operation.claimer !== undefined) writeAsker(writer, operation.claimer);
    },
    read(reader) {
      const ticket = reader.varint();
      return readFlag(reader) ? { kind, ticket, claimer: readAsker(reader) } : { kind, ticket };
    },
  };
}
