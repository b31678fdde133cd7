/** Entries as bytes: the round trip of every kind, damaged bytes, the golden file. */
import * as assert from "uvu/assert";
import fc from "fast-check";
import { BugError } from "../../src/base/assert.ts";
import type { Entry } from "../../src/machine/entry.ts";
import { NO_ORIGINS } from "../../src/machine/entry.ts";
import type { Operation } from "../../src/machine/operation.ts";
import { decodeEntry, encodeEntry, entryFault } from "../../src/wire/entry-codec.ts";
import { golden, released } from "../support/golden.ts";
import { suite } from "../support/suite.ts";
import { truncations } from "./damage.ts";
import {
  chainedEntry,
  entry,
  goldenEntry,
  kinds,
  lockEntry,
  loneEntry,
  operationOf,
} from "./samples.ts";

/** The kinds of operations that entries show. */
function kindsOf(...entries: readonly Entry[]): Set<string> {
  return new Set(entries.flatMap(({ operations }) => operations.map(({ kind }) => kind)));
}

function entryOf(...operations: Operation[]): Uint8Array {
  return encodeEntry({ nowMs: 1, wallMs: 2, operations, proposal: null, origins: NO_ORIGINS });
}

suite("wire/entry-codec", (test) => {
  for (const kind of kinds) {
    test(`an operation of kind ${kind} comes back as it was`, () => {
      fc.assert(
        fc.property(operationOf(kind), (operation) => {
          assert.equal(decodeEntry(entryOf(operation))?.operations, [operation]);
        }),
        { numRuns: 60 },
      );
    });
  }

  test("an entry comes back as it was", () => {
    fc.assert(
      fc.property(entry, (value) => {
        assert.equal(decodeEntry(encodeEntry(value)), value);
      }),
      { numRuns: 300 },
    );
  });

  test("encoding twice gives the same bytes in separate buffers", () => {
    const first = encodeEntry(goldenEntry);
    const second = encodeEntry(goldenEntry);

    assert.equal(first, second);
    assert.ok(first.buffer !== second.buffer);
    assert.is(first.buffer.byteLength, first.length);
  });

  test("a frequent SET takes its strings and at most 24 bytes more", () => {
    const set: Operation = {
      kind: "set",
      db: 0,
      key: "k".repeat(20),
      value: "v".repeat(36),
      when: "nx",
      compare: "",
      expireMode: "after",
      expireMs: 30_000,
      answer: "status",
    };

    const entry = encodeEntry({
      nowMs: 3_600_000,
      wallMs: 1_760_000_000_000,
      operations: [set],
      proposal: null,
      origins: NO_ORIGINS,
    });

    assert.ok(entry.length <= 56 + 24, `${entry.length} bytes`);
  });

  test("a frequent LOCK.ACQUIRE takes its strings and at most 40 bytes more", () => {
    const sample = lockEntry.operations[0];
    if (sample?.kind !== "lock-acquire") return assert.unreachable("the first is LOCK.ACQUIRE");
    const { key, owner, session, address } = sample;

    const { length } = entryOf(sample);

    const strings = (key + owner + session + address).length;
    assert.ok(length <= strings + 40, `${length - strings} bytes more`);
  });

  test("an entry cut off at any byte is refused with a reason", () => {
    for (const sound of [goldenEntry, lockEntry]) {
      for (const part of truncations(encodeEntry(sound))) {
        assert.is(decodeEntry(part), null);
        assert.match(entryFault(part) ?? "", /cut off|empty/);
      }
    }
  });

  test("bytes after the last operation are refused", () => {
    const bytes = encodeEntry(goldenEntry);

    assert.match(entryFault(Uint8Array.from([...bytes, 0])) ?? "", /1 bytes are left/);
  });

  test("an unknown version is refused by its number", () => {
    const bytes = encodeEntry(goldenEntry);
    bytes[0] = 3;

    assert.is(decodeEntry(bytes), null);
    assert.match(entryFault(bytes) ?? "", /format 3, .* reads 1 to 2/);
  });

  test("an unknown kind of operation is refused by its number", () => {
    const bytes = entryOf({ kind: "script-flush" });
    bytes[bytes.length - 1] = 200;

    assert.is(decodeEntry(bytes), null);
    assert.match(entryFault(bytes) ?? "", /operation 1 has the kind 200/);
  });

  test("a count larger than the bytes could hold is refused before anything is allocated", () => {
    const bytes = Uint8Array.from([2, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f]);

    assert.is(decodeEntry(bytes), null);
  });

  test("random bytes and damaged entries never throw, and what decodes encodes to an equal entry", () => {
    const damaged = (sound: Uint8Array): fc.Arbitrary<Uint8Array> =>
      fc
        .array(fc.tuple(fc.nat({ max: sound.length - 1 }), fc.nat({ max: 255 })), { maxLength: 4 })
        .map((changes) => {
          const bytes = sound.slice();
          for (const [position, value] of changes) bytes[position] = value;
          return bytes;
        });
    const any = fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      damaged(encodeEntry(goldenEntry)),
      damaged(encodeEntry(lockEntry)),
    );
    fc.assert(
      fc.property(any, (bytes) => {
        const decoded = decodeEntry(bytes);
        if (decoded !== null) assert.equal(decodeEntry(encodeEntry(decoded)), decoded);
      }),
      { numRuns: 2_000 },
    );
  });

  test("values out of range are bugs of the caller", () => {
    const bad: Operation[] = [
      { kind: "get", db: 16, key: "k" },
      { kind: "get", db: 0, key: "\u0100" },
      { kind: "increment", db: 0, key: "k", by: 2n ** 63n },
      { kind: "mset", db: 0, keys: ["a"], values: [], onlyIfNone: false },
      { kind: "lock-confirm", db: 0, keys: ["a"], owner: "o", tokens: [] },
      { kind: "lock-node-lost", node: 256, boot: 1, graceMs: 0 },
      { kind: "scan", db: 0, cursor: -1, count: 1, match: null, type: null },
      { kind: "getex", db: 0, key: "k", expireMode: "at", expireMs: NaN },
    ];
    for (const operation of bad) {
      assert.throws(
        () => entryOf(operation),
        (thrown: unknown) => thrown instanceof BugError,
      );
    }
  });

  test("an entry without a proposal and origins is one byte longer than in version 1", () => {
    assert.is(encodeEntry(loneEntry).length, released("log-v1/entry").length + 1);
  });

  test("a forwarded operation takes at most 10 bytes more", () => {
    const { length } = encodeEntry(loneEntry);
    const origins = loneEntry.operations.map((_, index) => {
      return { index, node: 2, boot: 100, sequence: 1_000_000 + index, floor: 1_000_000 };
    });

    const more = encodeEntry({ ...loneEntry, origins }).length - length;

    assert.ok(more <= 10 * origins.length, `${more / origins.length} bytes each`);
  });

  test("origins out of order, of no operation, or above their sequence are refused", () => {
    const origin = { index: 0, node: 1, boot: 1, sequence: 5, floor: 5 };
    const sound = encodeEntry({
      nowMs: 0,
      wallMs: 0,
      operations: [{ kind: "script-flush" }],
      proposal: null,
      origins: [origin],
    });
    // The last bytes are the count, the gap, the node, the boot, the sequence, the distance.
    for (const [fromEnd, value] of [
      [6, 0],
      [6, 2],
      [5, 1],
      [4, 0],
      [1, 6],
    ] as const) {
      const bytes = sound.slice();
      bytes[bytes.length - fromEnd] = value;
      assert.match(entryFault(bytes) ?? "", /origins are cut off or malformed|bytes are left/);
    }
    assert.is(entryFault(sound), null);
  });

  test("unknown parts are refused by their number", () => {
    const bytes = encodeEntry(goldenEntry);
    for (const parts of [4, 6, 8]) {
      bytes[1] = parts;

      assert.match(entryFault(bytes) ?? "", new RegExp(`unknown parts ${parts}`));
    }
  });

  test("an entry that builds on itself or on what never was is refused", () => {
    const name = { node: 1, boot: 1, number: 5 };
    const part = { nowMs: 0, wallMs: 0, operations: [], origins: NO_ORIGINS };
    const sound = encodeEntry({ ...part, proposal: { ...name, after: 1 } });
    // Before the number of operations, which is 0.
    const place = sound.length - 2;

    assert.is(sound[place], 4);
    for (const back of [0, 5, 6]) {
      const bytes = sound.slice();
      bytes[place] = back;
      assert.match(entryFault(bytes) ?? "", /malformed before its operations/);
    }
    for (const after of [5, 6]) {
      const proposal = { ...name, after };
      assert.throws(
        () => encodeEntry({ ...part, proposal }),
        (thrown: unknown) => thrown instanceof BugError,
      );
    }
  });

  test("the golden entry of version 1 is read as it was meant", () => {
    assert.equal(decodeEntry(released("log-v1/entry")), loneEntry);
  });

  test("the golden entry that builds on another is read as it was meant, and written alike", () => {
    const bytes = golden("log-v2/chained", () => encodeEntry(chainedEntry));

    assert.equal(decodeEntry(bytes), chainedEntry);
    assert.equal(encodeEntry(chainedEntry), bytes);
  });

  test("the golden entry of version 2 is read as it was meant, and written alike", () => {
    const bytes = golden("log-v2/entry", () => encodeEntry(goldenEntry));

    assert.equal(decodeEntry(bytes), goldenEntry);
    assert.equal(encodeEntry(goldenEntry), bytes);
  });

  test("the golden entry of the lock engine is read as it was meant, and written alike", () => {
    const bytes = golden("log-v2/locks", () => encodeEntry(lockEntry));

    assert.equal(decodeEntry(bytes), lockEntry);
    assert.equal(encodeEntry(lockEntry), bytes);
  });

  test("every kind of operation is in a golden entry", () => {
    assert.equal(kindsOf(goldenEntry, lockEntry), new Set(kinds));
  });
});
