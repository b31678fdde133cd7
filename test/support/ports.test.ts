/** Ports for servers under test. */
import * as assert from "uvu/assert";
import { freePort } from "./ports.ts";
import { suite } from "./suite.ts";

suite(
  "support/ports",
  (test) => {
    test("no port is given twice, also while nobody listens on those before", async () => {
      const ports = new Set<number>();
      // Of some 14,000 the system draws one at random: among 500 a few would come twice.
      for (let count = 0; count < 500; count += 1) ports.add(await freePort());
      assert.is(ports.size, 500);
    });
  },
  { timeoutMs: 30_000 },
);
