/** Values to encode: one generator for each kind of operation and state row, and fixed samples. */
import fc from "fast-check";
import type { Entry, OperationOrigin, Proposal, ProposalName } from "../../src/machine/entry.ts";
import { NO_ORIGINS } from "../../src/machine/entry.ts";
import type { Operation } from "../../src/machine/operation.ts";
import type { MachineMeta, StateRow, StoredReply } from "../../src/machine/state.ts";
import type { GroupMeta } from "../../src/wire/state-codec.ts";
import { goldenReply, reply, text } from "./reply-samples.ts";

const texts = fc.array(text, { maxLength: 5 });
const db = fc.integer({ min: 0, max: 15 });
const row = fc.maxSafeNat();
const time = fc.oneof(
  fc.maxSafeNat(),
  fc.maxSafeInteger(),
  fc
    .double({ noNaN: true, noDefaultInfinity: true })
    .map((value) => (Object.is(value, -0) ? 0 : value)),
);
const expireMode = fc.constantFrom("none", "keep", "after", "at");
const keyFields = { db, key: text };
const keysFields = { db, keys: texts };
const databaseFields = { db, pick: fc.integer({ min: 0, max: 2 ** 32 - 1 }) };

/** A start of a node; node 0 stands for none. */
const startFields = { node: fc.integer({ min: 0, max: 255 }), boot: row };
const breakFields = { ...keyFields, reason: text, address: text };
const askerFields = { session: text, ...startFields, request: row, address: text };
const claimFields = {
  ...askerFields,
  db,
  owner: text,
  ttlMs: time,
  waitMs: time,
  mode: fc.constantFrom("exclusive", "shared", "permits"),
  permits: row,
  limit: row,
  priority: row,
  reentrant: fc.boolean(),
  bind: fc.boolean(),
  delayMs: time,
  data: text,
};

/** The fields of each kind; a kind without a generator does not compile. */
const fields: {
  readonly [Kind in Operation["kind"]]: Readonly<Record<string, fc.Arbitrary<unknown>>>;
} = {
  set: {
    ...keyFields,
    value: text,
    when: fc.constantFrom("always", "nx", "xx", "ifeq", "ifne"),
    compare: text,
    expireMode,
    expireMs: time,
    answer: fc.constantFrom("status", "old", "integer"),
  },
  getex: { ...keyFields, expireMode, expireMs: time },
  mset: { db, onlyIfNone: fc.boolean() },
  increment: { ...keyFields, by: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }) },
  expire: {
    ...keyFields,
    expireMode: fc.constantFrom("after", "at"),
    expireMs: time,
    condition: fc.constantFrom("always", "nx", "xx", "gt", "lt", "xx-lt"),
  },
  delex: { ...keyFields, when: fc.constantFrom("always", "ifeq", "ifne"), compare: text },
  rename: { ...keyFields, newKey: text, onlyIfNone: fc.boolean() },
  copy: { ...keyFields, newDb: db, newKey: text, replace: fc.boolean() },
  get: keyFields,
  getdel: keyFields,
  strlen: keyFields,
  type: keyFields,
  persist: keyFields,
  "lock-info": keyFields,
  "lock-token": keyFields,
  "object-encoding": keyFields,
  "object-idletime": keyFields,
  "object-refcount": keyFields,
  delete: keysFields,
  exists: keysFields,
  touch: keysFields,
  mget: keysFields,
  append: { ...keyFields, value: text },
  ttl: { ...keyFields, unit: fc.constantFrom("s", "ms"), absolute: fc.boolean() },
  flush: { db: fc.option(db) },
  scan: { db, cursor: row, count: row, match: fc.option(text), type: fc.option(text) },
  dbsize: databaseFields,
  randomkey: databaseFields,
  eval: {
    db,
    sha: text,
    body: fc.option(text),
    keys: texts,
    args: texts,
    readOnly: fc.boolean(),
  },
  "script-load": { sha: text, body: text },
  "script-flush": {},
  "lock-get-options": keyFields,
  "lock-state": keyFields,
  "lock-acquire": { ...claimFields, key: text, async: fc.boolean(), claimMs: time },
  "lock-acquire-all": { ...claimFields, keys: texts, provisional: fc.boolean() },
  "lock-confirm": { db, owner: text },
  "lock-release": { ...keyFields, owner: text, token: text, all: fc.boolean() },
  "lock-renew": { ...keyFields, owner: text, ttlMs: time, token: text },
  "lock-set-options": {
    ...keyFields,
    limit: fc.option(time),
    policy: fc.option(fc.constantFrom("fifo", "priority")),
    maxTtlMs: fc.option(time),
    delayMs: fc.option(time),
    maxWaiters: fc.option(time),
  },
  "lock-revoke": breakFields,
  "lock-break": breakFields,
  "lock-ticket": { ticket: row, claimer: fc.record(askerFields, { noNullPrototype: true }) },
  "lock-cancel": { ticket: row },
  "lock-withdraw": { session: text, ...startFields, request: row },
  "lock-session-end": { session: text, ...startFields, graceMs: time },
  "lock-session-attach": { session: text, ...startFields },
  "lock-node-lost": { ...startFields, graceMs: time },
  "lock-victim": { waiter: row, cycle: texts },
  "lock-check": { ...keyFields, token: text },
  "lock-queue": { ...keyFields, count: row },
  "lock-list": {
    db,
    cursor: row,
    count: row,
    match: fc.option(text),
    owner: fc.option(text),
    which: fc.constantFrom("all", "held", "queued"),
  },
  "lock-edges": { count: row, waiters: fc.array(row, { maxLength: 5 }) },
  "lock-deadlocks": {},
};

/** All kinds of operation. */
export const kinds = Object.keys(fields) as Operation["kind"][];

/** Any operation of one kind. */
export function operationOf(kind: Operation["kind"]): fc.Arbitrary<Operation> {
  const parts = fc.record({ kind: fc.constant(kind), ...fields[kind] }, { noNullPrototype: true });
  if (kind !== "mset" && kind !== "lock-confirm") {
    return parts as unknown as fc.Arbitrary<Operation>;
  }
  return fc.tuple(parts, fc.array(fc.tuple(text, text), { maxLength: 5 })).map(
    ([rest, pairs]) =>
      ({
        ...rest,
        keys: pairs.map(([key]) => key),
        [kind === "mset" ? "values" : "tokens"]: pairs.map(([, value]) => value),
      }) as unknown as Operation,
  );
}

export const operation: fc.Arbitrary<Operation> = fc.oneof(...kinds.map(operationOf));

const node = fc.integer({ min: 1, max: 255 });

const proposalName: fc.Arbitrary<ProposalName> = fc.record(
  { node, boot: row, number: row },
  { noNullPrototype: true },
);

const proposal: fc.Arbitrary<Proposal> = fc
  .tuple(proposalName, fc.nat(), fc.boolean())
  .map(([name, back, isChained]) => {
    const after = isChained && name.number > 1 ? 1 + (back % (name.number - 1)) : 0;
    return { ...name, after };
  });

/** Origins of some of so many operations, in order. */
function originsOf(operations: number): fc.Arbitrary<readonly OperationOrigin[]> {
  const origin = fc.record({ node, boot: row, sequence: row, floor: row });
  const some = fc.array(fc.option(origin), { minLength: operations, maxLength: operations });
  return some.map((parts) =>
    parts.flatMap((part, index) => {
      if (part === null) return [];
      const { node: from, boot, sequence, floor } = part;
      return [{ index, node: from, boot, sequence, floor: Math.min(floor, sequence) }];
    }),
  );
}

export const entry: fc.Arbitrary<Entry> = fc
  .array(operation, { maxLength: 8 })
  .chain((operations) =>
    fc.record(
      {
        nowMs: time,
        wallMs: time,
        operations: fc.constant(operations),
        proposal: fc.option(proposal),
        origins: originsOf(operations.length),
      },
      { noNullPrototype: true },
    ),
  );

/** A floor and answers from there on, in order. */
const storedReplies = fc
  .tuple(
    fc.nat({ max: 2 ** 31 - 1 }),
    fc.array(fc.tuple(fc.nat({ max: 300 }), fc.option(reply, { nil: undefined })), {
      maxLength: 6,
    }),
  )
  .map(([floor, parts]) => {
    const replies: StoredReply[] = [];
    let next = floor;
    for (const [gap, answer] of parts) {
      replies.push({ sequence: next + gap, reply: answer });
      next += gap + 1;
    }
    return { floor, replies };
  });

const notice = fc.record({ reason: text, address: text, atMs: time }, { noNullPrototype: true });
const grantFields = { tokenEpoch: row, tokenCounter: row, deadlineMs: time };

const rowFields: {
  readonly [Kind in StateRow["kind"]]: Readonly<Record<string, fc.Arbitrary<unknown>>>;
} = {
  string: {
    row,
    db,
    key: text,
    value: text,
    deadlineMs: time,
    tokenEpoch: row,
    tokenCounter: row,
    sinceMs: time,
    writtenMs: time,
  },
  script: { row, sha: text, body: text, loaded: fc.boolean() },
  lock: {
    row,
    ...keyFields,
    version: row,
    limit: row,
    options: fc.record(
      {
        limit: row,
        policy: fc.constantFrom("fifo", "priority"),
        maxTtlMs: time,
        delayMs: time,
        maxWaiters: row,
      },
      { noNullPrototype: true },
    ),
    delayUntilMs: time,
    revoke: fc.option(notice),
    lastBreak: fc.option(notice),
  },
  holder: {
    row,
    ...keyFields,
    ...askerFields,
    ...grantFields,
    version: row,
    mode: fc.constantFrom("exclusive", "shared", "permits"),
    owner: text,
    sinceMs: time,
    holds: row,
    permits: row,
    delayMs: time,
    bind: fc.boolean(),
    provisional: fc.boolean(),
    all: fc.boolean(),
    data: text,
  },
  waiter: {
    row,
    ...askerFields,
    place: row,
    db,
    keys: texts,
    owner: text,
    mode: fc.constantFrom("exclusive", "shared", "permits"),
    permits: row,
    ttlMs: time,
    priority: row,
    reentrant: fc.boolean(),
    bind: fc.boolean(),
    provisional: fc.boolean(),
    all: fc.boolean(),
    upgrade: fc.boolean(),
    async: fc.boolean(),
    claimMs: time,
    delayMs: time,
    arrivedMs: time,
    deadlineMs: time,
    data: text,
  },
  session: { row, version: row, session: text, ...startFields, endsMs: time },
  ticket: {
    row,
    ...keyFields,
    ...grantFields,
    version: row,
    ticket: row,
    state: fc.constantFrom("granted", "claimed", "timed-out", "cancelled", "deadlock", "lost"),
    owner: text,
  },
  "reply-window": { row, node, boot: row, executed: row },
};

export const stateRow: fc.Arbitrary<StateRow> = fc.oneof(
  ...(Object.keys(rowFields) as StateRow["kind"][]).map(
    (kind) =>
      fc
        .tuple(
          fc.record({ kind: fc.constant(kind), ...rowFields[kind] }, { noNullPrototype: true }),
          storedReplies,
        )
        .map(([fields, replies]) =>
          kind === "reply-window" ? { ...fields, ...replies } : fields,
        ) as unknown as fc.Arbitrary<StateRow>,
  ),
);

export const machineMeta: fc.Arbitrary<MachineMeta> = fc.record(
  {
    nowMs: time,
    nextRow: row,
    tokenEpoch: row,
    tokenCounter: row,
    flushedBelow: fc.array(row, { minLength: 16, maxLength: 16 }),
    scriptsFlushedBelow: row,
    lastProposal: fc.constant(null),
    deadlocks: fc.constant([]),
    storedRows: row,
    storedDigest: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  },
  { noNullPrototype: true },
);

const deadlock = fc.record({ atMs: time, db, key: text, cycle: texts }, { noNullPrototype: true });

export const groupMeta: fc.Arbitrary<GroupMeta> = fc.record(
  {
    machine: fc
      .tuple(machineMeta, fc.option(proposalName), fc.array(deadlock, { maxLength: 4 }))
      .map(([meta, lastProposal, deadlocks]) => ({ ...meta, lastProposal, deadlocks })),
    members: fc.uniqueArray(
      fc.record({ id: node, voter: fc.boolean(), address: text }, { noNullPrototype: true }),
      { maxLength: 7, selector: ({ id }) => id },
    ),
  },
  { noNullPrototype: true },
);

const ALL_BYTES = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte)).join("");
const SHA = "e9f69f2beb755be68b5e456ee2ce9aadfbc4ebf4";

/** One operation of each kind and each of its choices: the content of the entry of version 1. */
export const loneEntry: Entry = {
  proposal: null,
  origins: NO_ORIGINS,
  nowMs: 86_400_000.25,
  wallMs: 1_760_000_000_000,
  operations: [
    {
      kind: "set",
      db: 0,
      key: "lock:orders",
      value: "owner-1",
      when: "nx",
      compare: "",
      expireMode: "after",
      expireMs: 30_000,
      answer: "status",
    },
    {
      kind: "set",
      db: 15,
      key: ALL_BYTES,
      value: "",
      when: "ifeq",
      compare: "old",
      expireMode: "at",
      expireMs: 2 ** 52,
      answer: "old",
    },
    {
      kind: "set",
      db: 1,
      key: "",
      value: "v",
      when: "ifne",
      compare: "x",
      expireMode: "keep",
      expireMs: 0,
      answer: "integer",
    },
    {
      kind: "set",
      db: 1,
      key: "k",
      value: "v",
      when: "xx",
      compare: "",
      expireMode: "none",
      expireMs: 0,
      answer: "status",
    },
    { kind: "getex", db: 2, key: "k", expireMode: "keep", expireMs: 0 },
    { kind: "mset", db: 3, keys: ["a", "b"], values: ["1", ""], onlyIfNone: true },
    { kind: "increment", db: 4, key: "n", by: -(2n ** 63n) },
    { kind: "expire", db: 5, key: "k", expireMode: "at", expireMs: -1, condition: "gt" },
    { kind: "expire", db: 5, key: "k", expireMode: "after", expireMs: 0.5, condition: "lt" },
    { kind: "delex", db: 6, key: "k", when: "ifeq", compare: "v" },
    { kind: "delex", db: 6, key: "k", when: "ifne", compare: "v" },
    { kind: "rename", db: 7, key: "from", newKey: "to", onlyIfNone: false },
    { kind: "copy", db: 8, key: "from", newDb: 9, newKey: "to", replace: true },
    { kind: "get", db: 0, key: "k" },
    { kind: "getdel", db: 0, key: "k" },
    { kind: "strlen", db: 0, key: "k" },
    { kind: "type", db: 0, key: "k" },
    { kind: "persist", db: 0, key: "k" },
    { kind: "lock-info", db: 0, key: "k" },
    { kind: "lock-token", db: 0, key: "k" },
    { kind: "object-encoding", db: 0, key: "k" },
    { kind: "object-idletime", db: 0, key: "k" },
    { kind: "object-refcount", db: 0, key: "k" },
    { kind: "delete", db: 0, keys: ["a", "b", "c"] },
    { kind: "exists", db: 0, keys: [] },
    { kind: "touch", db: 0, keys: ["a"] },
    { kind: "mget", db: 0, keys: ["a", "a"] },
    { kind: "append", db: 10, key: "k", value: "more" },
    { kind: "ttl", db: 11, key: "k", unit: "ms", absolute: true },
    { kind: "ttl", db: 11, key: "k", unit: "s", absolute: false },
    { kind: "flush", db: null },
    { kind: "flush", db: 12 },
    { kind: "scan", db: 13, cursor: 2 ** 40, count: 10, match: "lock:*", type: null },
    { kind: "scan", db: 13, cursor: 0, count: 1, match: null, type: "string" },
    { kind: "dbsize", db: 14, pick: 0 },
    { kind: "randomkey", db: 14, pick: 2 ** 32 - 1 },
    {
      kind: "eval",
      db: 0,
      sha: SHA,
      body: "return redis.call('get', KEYS[1])",
      keys: ["k"],
      args: ["v", ""],
      readOnly: true,
    },
    { kind: "eval", db: 0, sha: SHA, body: null, keys: ["k"], args: ["v"], readOnly: false },
    { kind: "script-load", sha: SHA, body: "return 1" },
    { kind: "script-flush" },
  ],
};

/** One operation of each kind that the lock engine has brought, and each of its choices. */
export const lockEntry: Entry = {
  proposal: null,
  origins: NO_ORIGINS,
  nowMs: 86_400_000.25,
  wallMs: 1_760_000_000_000,
  operations: [
    {
      kind: "lock-acquire",
      session: "0123456789abcdef0123456789abcdef",
      node: 3,
      boot: 12,
      request: 345_678,
      address: "10.0.0.9:51234",
      db: 0,
      owner: "owner-1",
      ttlMs: 30_000,
      waitMs: 10_000,
      mode: "exclusive",
      permits: 1,
      limit: 0,
      priority: 0,
      reentrant: false,
      bind: false,
      delayMs: 0,
      data: "",
      key: "lock:orders",
      async: false,
      claimMs: 10_000,
    },
    {
      kind: "lock-acquire",
      session: "",
      node: 0,
      boot: 0,
      request: 0,
      address: "",
      db: 15,
      owner: ALL_BYTES,
      ttlMs: 0,
      waitMs: 2 ** 31 - 1,
      mode: "permits",
      permits: 3,
      limit: 5,
      priority: 9,
      reentrant: true,
      bind: true,
      delayMs: 2 ** 31 - 1,
      data: ALL_BYTES,
      key: ALL_BYTES,
      async: true,
      claimMs: 1,
    },
    {
      kind: "lock-acquire-all",
      session: "s",
      node: 255,
      boot: 2 ** 53 - 1,
      request: 2 ** 53 - 1,
      address: "[::1]:1",
      db: 1,
      owner: "o",
      ttlMs: 2 ** 52,
      waitMs: 0,
      mode: "shared",
      permits: 1,
      limit: 0,
      priority: 4,
      reentrant: false,
      bind: false,
      delayMs: 0,
      data: "d",
      keys: ["a", "b", ""],
      provisional: true,
    },
    { kind: "lock-confirm", db: 2, keys: ["a", "b"], owner: "o", tokens: ["12", "13"] },
    { kind: "lock-release", db: 3, key: "k", owner: "o", token: "12", all: false },
    { kind: "lock-release", db: 3, key: "k", owner: "o", token: "", all: true },
    { kind: "lock-renew", db: 4, key: "k", owner: "o", ttlMs: 1, token: "12" },
    {
      kind: "lock-set-options",
      db: 5,
      key: "k",
      limit: 5,
      policy: "priority",
      maxTtlMs: 60_000,
      delayMs: 0,
      maxWaiters: 100,
    },
    {
      kind: "lock-set-options",
      db: 5,
      key: "k",
      limit: null,
      policy: "fifo",
      maxTtlMs: null,
      delayMs: null,
      maxWaiters: null,
    },
    { kind: "lock-revoke", db: 6, key: "k", reason: "deploy", address: "10.0.0.9:51234" },
    { kind: "lock-break", db: 6, key: "k", reason: "", address: "" },
    { kind: "lock-ticket", ticket: 123_456 },
    {
      kind: "lock-ticket",
      ticket: 123_456,
      claimer: { session: "s", node: 3, boot: 12, request: 345_678, address: "10.0.0.9:51234" },
    },
    { kind: "lock-cancel", ticket: 2 ** 53 - 1 },
    { kind: "lock-withdraw", session: "s", node: 3, boot: 12, request: 345_678 },
    { kind: "lock-session-end", session: "s", node: 3, boot: 12, graceMs: 1_000 },
    { kind: "lock-session-attach", session: "s", node: 2, boot: 7 },
    { kind: "lock-node-lost", node: 1, boot: 11, graceMs: 0 },
    { kind: "lock-victim", waiter: 77, cycle: ["a", "b", "a"] },
    { kind: "lock-get-options", db: 7, key: "k" },
    { kind: "lock-check", db: 8, key: "k", token: "18446744073709551615" },
    { kind: "lock-queue", db: 9, key: "k", count: 100 },
    {
      kind: "lock-list",
      db: 10,
      cursor: 2 ** 40,
      count: 10,
      match: "lock:*",
      owner: "o",
      which: "held",
    },
    { kind: "lock-list", db: 10, cursor: 0, count: 1, match: null, owner: null, which: "queued" },
    { kind: "lock-list", db: 10, cursor: 0, count: 1, match: null, owner: null, which: "all" },
    { kind: "lock-state", db: 11, key: "k" },
    { kind: "lock-edges", count: 1_000, waiters: [1, 2 ** 53 - 1] },
    { kind: "lock-deadlocks" },
  ],
};

/** The entry of version 1 with what version 2 has besides. */
export const goldenEntry: Entry = {
  ...loneEntry,
  proposal: { node: 3, boot: 7, number: 123_456, after: 0 },
  origins: [
    { index: 0, node: 1, boot: 12, sequence: 345_678, floor: 345_600 },
    { index: 1, node: 1, boot: 12, sequence: 345_679, floor: 345_679 },
    { index: 9, node: 255, boot: 2 ** 53 - 1, sequence: 2 ** 53 - 1, floor: 0 },
    { index: 39, node: 2, boot: 0, sequence: 0, floor: 0 },
  ],
};

/** An entry that builds on one that was open when it was proposed. */
export const chainedEntry: Entry = {
  ...goldenEntry,
  proposal: { node: 3, boot: 7, number: 123_456, after: 123_000 },
};

/** The content of the golden state. */
export const goldenRows: readonly StateRow[] = [
  {
    kind: "string",
    row: 1,
    db: 0,
    key: "lock:orders",
    value: "owner-1",
    deadlineMs: 86_430_000.25,
    tokenEpoch: 1,
    tokenCounter: 2 ** 48 - 1,
    sinceMs: 86_400_000.25,
    writtenMs: 86_400_000.25,
  },
  {
    kind: "string",
    row: 2 ** 53 - 1,
    db: 15,
    key: ALL_BYTES,
    value: ALL_BYTES,
    deadlineMs: 0,
    tokenEpoch: 65_535,
    tokenCounter: 0,
    sinceMs: 0,
    writtenMs: 2 ** 52,
  },
  { kind: "script", row: 3, sha: SHA, body: "return 1", loaded: true },
  { kind: "script", row: 4, sha: SHA, body: "", loaded: false },
  {
    kind: "reply-window",
    row: 5,
    node: 3,
    boot: 12,
    floor: 345_600,
    executed: 345_000,
    replies: [
      { sequence: 345_600, reply: { kind: "status", text: "OK" } },
      { sequence: 345_601, reply: undefined },
      { sequence: 345_700, reply: goldenReply },
    ],
  },
  { kind: "reply-window", row: 6, node: 255, boot: 1, floor: 0, executed: 0, replies: [] },
];

/** The content of the golden rows of the lock engine. */
export const goldenLockRows: readonly StateRow[] = [
  {
    kind: "lock",
    row: 10,
    db: 0,
    key: "lock:orders",
    version: 3,
    limit: 5,
    options: { limit: 5, policy: "priority", maxTtlMs: 60_000, delayMs: 500, maxWaiters: 100 },
    delayUntilMs: 86_400_500.25,
    revoke: { reason: "deploy", address: "10.0.0.9:51234", atMs: 86_399_000.25 },
    lastBreak: { reason: ALL_BYTES, address: "", atMs: 0 },
  },
  {
    kind: "lock",
    row: 2 ** 53 - 1,
    db: 15,
    key: ALL_BYTES,
    version: 0,
    limit: 0,
    options: { limit: 0, policy: "fifo", maxTtlMs: 0, delayMs: 0, maxWaiters: 0 },
    delayUntilMs: 0,
    revoke: null,
    lastBreak: null,
  },
  {
    kind: "holder",
    row: 11,
    db: 0,
    key: "lock:orders",
    version: 2,
    mode: "permits",
    owner: "owner-1",
    tokenEpoch: 1,
    tokenCounter: 2 ** 48 - 1,
    deadlineMs: 86_430_000.25,
    sinceMs: 86_400_000.25,
    holds: 1,
    permits: 3,
    delayMs: 500,
    bind: true,
    provisional: false,
    all: false,
    session: "0123456789abcdef0123456789abcdef",
    node: 3,
    boot: 12,
    request: 345_678,
    address: "10.0.0.9:51234",
    data: "host-7",
  },
  {
    kind: "holder",
    row: 12,
    db: 1,
    key: "k",
    version: 0,
    mode: "exclusive",
    owner: "",
    tokenEpoch: 0,
    tokenCounter: 0,
    deadlineMs: 0,
    sinceMs: 0,
    holds: 2,
    permits: 1,
    delayMs: 0,
    bind: false,
    provisional: true,
    all: false,
    session: "",
    node: 0,
    boot: 0,
    request: 0,
    address: "",
    data: ALL_BYTES,
  },
  {
    kind: "waiter",
    row: 13,
    place: 7,
    db: 0,
    keys: ["lock:orders"],
    owner: "owner-2",
    mode: "shared",
    permits: 1,
    ttlMs: 30_000,
    priority: 9,
    reentrant: true,
    bind: false,
    provisional: false,
    all: false,
    upgrade: true,
    async: false,
    claimMs: 10_000,
    delayMs: 0,
    arrivedMs: 86_400_000.25,
    deadlineMs: 86_410_000.25,
    session: "0123456789abcdef0123456789abcdef",
    node: 255,
    boot: 2 ** 53 - 1,
    request: 2 ** 53 - 1,
    address: "[::1]:51234",
    data: "",
  },
  {
    kind: "waiter",
    row: 14,
    place: 14,
    db: 15,
    keys: ["a", ALL_BYTES, ""],
    owner: ALL_BYTES,
    mode: "exclusive",
    permits: 1,
    ttlMs: 0,
    priority: 0,
    reentrant: false,
    bind: true,
    provisional: true,
    all: true,
    upgrade: false,
    async: true,
    claimMs: 1,
    delayMs: 2 ** 31 - 1,
    arrivedMs: 0,
    deadlineMs: 2 ** 52,
    session: "s",
    node: 1,
    boot: 1,
    request: 1,
    address: "",
    data: "d",
  },
  { kind: "session", row: 15, version: 1, session: "s", node: 3, boot: 12, endsMs: 0 },
  { kind: "session", row: 16, version: 9, session: ALL_BYTES, node: 1, boot: 0, endsMs: 0.5 },
  ...(["granted", "claimed", "timed-out", "cancelled", "deadlock", "lost"] as const).map(
    (state, index): StateRow => ({
      kind: "ticket",
      row: 20 + index,
      version: 1,
      ticket: 14,
      state,
      db: 3,
      key: "k",
      owner: "o",
      tokenEpoch: index,
      tokenCounter: 77,
      deadlineMs: 86_460_000.25,
    }),
  ),
];

export const goldenMeta: MachineMeta = {
  nowMs: 86_400_000.25,
  nextRow: 1_000_000,
  tokenEpoch: 3,
  tokenCounter: 2 ** 48 - 1,
  flushedBelow: [7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2 ** 40],
  scriptsFlushedBelow: 12,
  lastProposal: null,
  deadlocks: [],
  storedRows: 300,
  storedDigest: 0xfedcba98,
};

export const goldenGroupMeta: GroupMeta = {
  machine: { ...goldenMeta, lastProposal: { node: 3, boot: 7, number: 123_456 } },
  members: [
    { id: 1, voter: true, address: "10.0.0.1:7001" },
    { id: 255, voter: false, address: "" },
  ],
};

/** The same with what version 3 has besides. */
export const goldenLockMeta: GroupMeta = {
  ...goldenGroupMeta,
  machine: {
    ...goldenGroupMeta.machine,
    deadlocks: [
      { atMs: 86_399_000.25, db: 0, key: "lock:orders", cycle: ["a", "b", "a"] },
      { atMs: 0, db: 15, key: ALL_BYTES, cycle: [] },
    ],
  },
};
