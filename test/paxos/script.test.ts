/**
 * Stories of three nodes, told step by step in `data/*.txt`: commands, `----`, what happened.
 *
 * - `wait ms` the time goes on and every node ticks once · `tick n count` one node ticks
 * - `propose n text` · `handover n to` · `crash n` forgets what was not stored, and starts again
 * - `store n` the oldest write of a node is durable
 * - `deliver from to` everything on the way from one node to another arrives · `lose from to`
 * - `join n` a new node starts that is no member · `add n id` `promote n id` `remove n id` node n is
 *   asked to change the members · `members n` as node n sees them, `?` behind who has no vote
 * - `cut n …` from now on nothing goes to or from these nodes; `cut` alone ends that
 * - `settle` everything arrives and is stored until nothing is left; shows commits and roles only
 * - `show` one line per node
 *
 * `REWRITE=1` records what happens now: read the difference as you would read code.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { suite } from "../support/suite.ts";
import { Stage } from "./stage.ts";

const folder = new URL("data/", import.meta.url);

/** The script with what happens now in place of what is recorded. */
function perform(script: string): string {
  const stage = new Stage(3);
  const blocks = script.trimEnd().split("\n\n");
  const told = blocks.map((block) => {
    const commands = (block.split("\n----")[0] ?? "").split("\n");
    const happened = commands
      .filter((line) => line !== "" && !line.startsWith("#"))
      .flatMap((command) => stage.perform(command));
    const isProse = commands.every((line) => line.startsWith("#"));
    return isProse ? block : [...commands, "----", ...happened].join("\n");
  });
  return `${told.join("\n\n")}\n`;
}

suite("paxos/script", (test) => {
  for (const file of readdirSync(folder).sort()) {
    test(`the story of ${file} goes as it is written`, () => {
      const script = readFileSync(new URL(file, folder), "utf8");

      const told = perform(script);

      if (process.env["REWRITE"] === "1") writeFileSync(new URL(file, folder), told);
      else assert.fixture(told, script);
    });
  }
});
