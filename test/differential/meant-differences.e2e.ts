/** The list of meant differences says what is: each example differs, and for the reason it is for. */
import * as assert from "uvu/assert";
import { suite } from "../support/suite.ts";
import { withBothServers, type BothServers } from "./both-servers.ts";
import { MEANT_DIFFERENCES, type MeantDifference } from "./meant-differences.ts";
import type { Program } from "./program.ts";
import { runProgram } from "./run-program.ts";

/** What is wrong with the example, or null. */
async function complaint(sides: BothServers, meant: MeantDifference): Promise<string | null> {
  const program = meant.example.map((args): Program[number] => ({
    kind: "pipeline",
    commands: [{ args }],
    cuts: [],
  }));
  const severalGroups = meant.severalGroups === true;
  const before = await runProgram(sides, program.slice(0, -1), { severalGroups });
  const whole = await runProgram(sides, program, { severalGroups });
  if (before.difference !== null || before.meant !== null) return "differs before its last command";
  if (whole.difference !== null) return `differs for no reason: ${whole.difference}`;
  return whole.meant === meant ? null : `differs for ${whole.meant?.title ?? "nothing"}`;
}

suite(
  "differential/meant differences",
  (test) => {
    for (const groups of [1, 8]) {
      test(`each example differs at its last command, as its entry says (${groups} groups)`, async () => {
        const found: string[] = [];
        await withBothServers({ groups }, async (sides) => {
          for (const meant of MEANT_DIFFERENCES) {
            if (meant.example.length === 0) continue;
            if (groups > 1 !== (meant.severalGroups === true)) continue;
            const wrong = await complaint(sides, meant);
            if (wrong !== null) found.push(`${meant.title}: ${wrong}`);
          }
        });
        assert.equal(found, []);
      });
    }
  },
  { needs: "redis-server", timeoutMs: 60_000 },
);
