/**
 * The README from top to bottom: its commands are run, its transcripts are compared, its files are
 * used, in one reader's folder with the node that it starts. What is not run says why.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { VERSION } from "../../src/config/version.ts";
import { suite } from "../support/suite.ts";
import { withTemporaryDirectory } from "../support/temporary-directory.ts";
import { mermaid } from "../tidy/layers.cjs";
import { readMarkdown } from "../tidy/markdown.ts";
import { shownFiles, taskOf, type Task } from "./blocks.ts";
import { Stage } from "./stage.ts";
import type { Step } from "./transcript.ts";

const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
const planned = readMarkdown(readme).blocks.map(taskOf);
const tasks = planned.filter((task): task is Task => typeof task !== "string");

async function withStage(body: (stage: Stage) => Promise<void>): Promise<void> {
  await withTemporaryDirectory(async (folder) => {
    const stage = await Stage.open(folder);
    try {
      await body(stage);
      await stage.close();
    } finally {
      await stage.destroy();
    }
  });
}

async function perform(task: Task, stage: Stage): Promise<void> {
  const where = `README.md:${task.line}`;
  switch (task.kind) {
    case "shell":
      await stage.shell(task.commands, task.inCheckout);
      return;
    case "transcript": {
      const problem = await stage.play(task.steps, task.varies);
      assert.is(problem, null, `${where}: ${problem ?? ""}`);
      return;
    }
    case "file":
      stage.write(task.name, task.text);
      return;
    case "drawing":
      assert.is(task.text, mermaid(), where);
      return;
    case "left":
      return;
  }
}

suite(
  "readme/readme",
  (test) => {
    test("every block is run, compared, or left for a reason that is given", () => {
      assert.equal(
        planned.filter((task) => typeof task === "string"),
        [],
      );
      assert.ok(tasks.filter(({ kind }) => kind === "shell").length > 3);
      assert.ok(tasks.filter(({ kind }) => kind === "transcript").length > 3);
    });

    test("every file that is shown is used by a command", () => {
      const commands = tasks.flatMap((task) => {
        if (task.kind === "shell") return task.commands;
        return task.kind === "transcript" ? task.steps.map(({ command }) => command) : [];
      });

      for (const name of shownFiles(tasks)) {
        assert.ok(
          commands.some((command) => command.includes(name)),
          name,
        );
      }
    });

    test("all of it does what it says, in order", async () => {
      await withStage(async (stage) => {
        for (const task of tasks) {
          try {
            await perform(task, stage);
          } catch (thrown) {
            if (thrown instanceof assert.Assertion) throw thrown;
            throw new Error(`README.md:${task.line}: ${String(thrown)}`, { cause: thrown });
          }
        }
      });
    });

    test("npm start runs three nodes, and after kill -9 a held lock is still held", async () => {
      await withStage(async (stage) => {
        await stage.startCheckout();
        const data = join(stage.folder, "paxlock-data");
        for (const text of [
          `Paxlock ${VERSION} runs 3 nodes; data and logs in ${data}, pid `,
          ...[0, 1, 2].map((step) => `is up at 127.0.0.1:${stage.port + step}, pid `),
          `redis-cli -p ${stage.port} SET my-lock me NX PX 30000`,
        ]) {
          assert.match(stage.log, text);
        }
        const shell = (command: string, ...expected: readonly string[]): Step => {
          return { prompt: "shell", command, expected };
        };
        const held = shell("redis-cli -p 6380 LOCK.TOKEN kept", '"1"');
        const take = "SET kept me NX PX 600000";
        assert.is(await stage.play([shell(`redis-cli ${take}`, "OK"), held], []), null);

        await stage.kill();
        await stage.startCheckout();

        const again = shell(`redis-cli -p 6381 ${take}`, "(nil)");
        assert.is(await stage.play([again, held], []), null);
      });
    });
  },
  { timeoutMs: 300_000, needs: "redis-cli" },
);
