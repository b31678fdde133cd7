/** The size of a reply before it is made: enough to refuse one that is too long. */
import * as assert from "uvu/assert";
import type { Reply } from "../../src/base/reply.ts";
import { errorReply, NIL_ARRAY, OK } from "../../src/base/reply.ts";
import { encodeReply } from "../../src/resp/encoder.ts";
import { replyBytes } from "../../src/resp/reply-size.ts";
import { suite } from "../support/suite.ts";

const text = "x".repeat(1000);

const replies: readonly Reply[] = [
  null,
  7,
  2n ** 62n,
  text,
  OK,
  errorReply(`ERR ${text}`),
  NIL_ARRAY,
  [text, null, [text, [text, 1]]],
  { kind: "map", entries: [[text, [text]]] },
  { kind: "set", items: [text, text] },
  { kind: "push", items: [text] },
  { kind: "verbatim", format: "txt", text },
  { kind: "double", value: 1.5 },
  { kind: "boolean", value: true },
];

suite("resp/reply-size", (test) => {
  test("all text of a reply is counted, and little besides", () => {
    for (const reply of [...replies, replies]) {
      const encoded = encodeReply(reply, 3).length;
      const estimate = replyBytes(reply, 1e9);
      assert.ok(Math.abs(estimate - encoded) <= 800, `${estimate} for ${encoded}`);
      if (encoded > 1000) assert.ok(estimate >= encoded / 1.1, `${estimate} for ${encoded}`);
    }
  });

  test("counting stops past the bound, so that a long reply costs no more than a short one", () => {
    const items = new Array<string>(1000).fill(text);
    const bytes = replyBytes(items, 5_000);

    assert.ok(bytes > 5_000 && bytes < 10_000, String(bytes));
  });

  test("a reply nested without end is counted without a deep stack", () => {
    let nested: Reply = "end";
    for (let depth = 0; depth < 100_000; depth += 1) nested = [nested];

    assert.ok(replyBytes(nested, 1e9) > 100_000);
  });
});
