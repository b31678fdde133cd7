/** What was once found to differ from Redis, and no longer does. */
import * as assert from "uvu/assert";
import { suite } from "../support/suite.ts";
import { withBothServers } from "./both-servers.ts";
import { runProgram } from "./run-program.ts";
import { REGRESSIONS } from "./regressions.ts";

suite(
  "differential/regressions",
  (test) => {
    test("what once differed is the same, in RESP2 and RESP3", async () => {
      const found: string[] = [];
      await withBothServers({}, async (sides) => {
        for (const { title, commands, pipelined = false } of REGRESSIONS) {
          for (const version of ["2", "3"]) {
            const all = [["HELLO", version], ...commands].map((args) => ({ args }));
            const chunks = pipelined ? [all] : all.map((command) => [command]);
            const { difference, meant } = await runProgram(
              sides,
              chunks.map((chunk) => ({ kind: "pipeline", commands: chunk, cuts: [] })),
            );
            if (difference !== null) found.push(`${title} (RESP${version})\n${difference}`);
            else if (meant !== null) found.push(`${title} (RESP${version}): ${meant.title}`);
          }
        }
      });
      assert.is(found.join("\n\n"), "");
    });
  },
  { needs: "redis-server", timeoutMs: 60_000 },
);
