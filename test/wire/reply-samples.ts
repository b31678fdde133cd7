/** Replies to encode, and texts: generators and a fixed sample. */
import fc from "fast-check";
import type { Reply } from "../../src/base/reply.ts";

type Fields = Readonly<Record<string, fc.Arbitrary<unknown>>>;

const plain = { noNullPrototype: true };

/** A string of any bytes, one character per byte. */
export const text = fc
  .uint8Array({ maxLength: 40 })
  .map((bytes) => Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));

const double = fc.oneof(fc.double(), fc.constantFrom(0, -0, 1.5, Infinity, -Infinity, NaN));

/** Any reply, nested now and then. */
export const reply: fc.Arbitrary<Reply> = fc.letrec<{ reply: Reply }>((tie) => {
  const items = fc.array(tie("reply"), { maxLength: 4 });
  const record = (kind: string, fields: Fields): fc.Arbitrary<Reply> =>
    fc.record({ kind: fc.constant(kind), ...fields }, plain) as unknown as fc.Arbitrary<Reply>;
  return {
    reply: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      fc.constant(null),
      fc.maxSafeInteger().map((value) => value + 0),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      text,
      record("status", { text: fc.oneof(fc.constant("OK"), text) }),
      record("error", { text }),
      record("nil-array", {}),
      record("boolean", { value: fc.boolean() }),
      record("double", { value: double }),
      record("verbatim", { format: fc.constant("txt"), text }),
      items,
      record("set", { items }),
      record("push", { items }),
      record("map", {
        entries: fc.array(fc.tuple(tie("reply"), tie("reply")), { maxLength: 3 }),
      }),
    ),
  };
}).reply;

/** One reply of each shape: the content of the golden reply. */
export const goldenReply: Reply = [
  null,
  0,
  2 ** 53 - 1,
  -(2 ** 53 - 1),
  -(2n ** 63n),
  "",
  "owner\u0000\u00ff",
  { kind: "status", text: "OK" },
  { kind: "status", text: "QUEUED" },
  { kind: "error", text: "ERR syntax error" },
  { kind: "nil-array" },
  [],
  [[["deep"]]],
  {
    kind: "map",
    entries: [
      ["mode", "exclusive"],
      [1, { kind: "map", entries: [] }],
    ],
  },
  { kind: "set", items: [1, "a"] },
  { kind: "push", items: ["invalidate", ["k"]] },
  { kind: "boolean", value: true },
  { kind: "boolean", value: false },
  { kind: "double", value: -0.5 },
  { kind: "double", value: Infinity },
  { kind: "double", value: -Infinity },
  { kind: "double", value: NaN },
  { kind: "verbatim", format: "txt", text: "role:master" },
];
