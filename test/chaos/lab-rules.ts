/** The laboratory itself: what is cut is cut, in that direction alone, and clocks go as told. */
import { appendFileSync, mkdirSync, statfsSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { until } from "../clients/support.ts";
import { ManagedProcess } from "../support/managed-process.ts";
import { suite } from "../support/suite.ts";
import { withTemporaryDirectory } from "../support/temporary-directory.ts";
import { address, fakeClock, Lab, type Cut } from "./lab.ts";

/** Says what it hears, and something every 20 ms: the length of what it has heard so far. */
const ECHO = `
require("net").createServer((socket) => {
  let heard = 0;
  socket.on("data", (bytes) => (heard += bytes.length)).on("error", () => {});
  const timer = setInterval(() => socket.write(heard + ";"), 20);
  socket.on("close", () => clearInterval(timer));
}).listen(7000, () => console.log("listening"));`;

/** Longer than what is no word. */
const WORD = "x".repeat(100);
const HEARD = "100;";

/** The test process itself. */
const HERE = 254;

async function withLab(body: (lab: Lab) => Promise<void>): Promise<void> {
  const lab = await Lab.create();
  try {
    await body(lab);
  } finally {
    await lab.destroy();
  }
}

async function withProcess(
  program: ConstructorParameters<typeof ManagedProcess>[0],
  body: (process: ManagedProcess) => Promise<void>,
): Promise<void> {
  const process = new ManagedProcess(program);
  try {
    await body(process);
  } finally {
    await process.end("SIGKILL");
  }
}

suite(
  "chaos/lab",
  (test) => {
    const cases: [Cut, string][] = [
      ["all", "without acknowledgements, so that little more is said either"],
      ["messages", "and the other direction goes on"],
    ];
    for (const [cut, what] of cases) {
      test(`a cut of ${cut} lets no word through, ${what}, and is mended`, () =>
        withLab(async (lab) => {
          await lab.plug(1);
          const echo = { command: process.execPath, args: ["-e", ECHO] };
          await withProcess(lab.inside(1, echo), async (server) => {
            await server.until(() => (server.stdout.includes("listening") ? true : null));
            const socket = createConnection({ host: address(1), port: 7000 });
            let said = "";
            socket.setEncoding("utf8").on("data", (text: string) => (said += text));
            await until(() => said.includes("0;"));

            await lab.cut(HERE, 1, cut);
            socket.write(WORD);
            const before = said.length;
            await sleep(400);
            if (cut === "messages") await until(() => said.length > before + 20);
            assert.not.match(said, HEARD);

            assert.ok((await lab.mend(HERE, 1, cut)) > 0, "nothing was dropped");
            await until(() => said.includes(HEARD));
            socket.destroy();
          });
        }));
    }

    test("a wall clock moves while the process runs, and its steady clock does not", () =>
      withTemporaryDirectory(async (directory) => {
        const shift = join(directory, "shift");
        writeFileSync(shift, "+0\n");
        const code = `setInterval(() => console.log(Date.now(), performance.now()), 50)`;
        const env = { ...process.env, ...fakeClock(shift) };
        const program = { command: process.execPath, args: ["-e", code], env };
        await withProcess(program, async (clock) => {
          const latest = (): [number, number] => {
            const [wall, steady] = (clock.stdout.trimEnd().split("\n").at(-1) ?? "").split(" ");
            return [Number(wall), Number(steady)];
          };
          await clock.until(() => (clock.stdout.length > 0 ? true : null));
          const startedMs = performance.now();
          const [, steadyBefore] = latest();

          writeFileSync(shift, "-7200\n");
          await until(() => latest()[0] < Date.now() - 7_000_000);
          const passedMs = performance.now() - startedMs;
          const [, steady] = latest();

          // Either process may have been held up for a while; the wall clock has jumped by hours.
          const jumpMs = Math.abs(steady - steadyBefore - passedMs);
          assert.ok(jumpMs < 600_000, `the steady clock jumped by ${jumpMs} ms`);
        });
      }));

    test("a disk takes what it has room for", () =>
      withLab((lab) =>
        withTemporaryDirectory(async (directory) => {
          const disk = join(directory, "disk");
          mkdirSync(disk);
          await lab.mountDisk(disk, 1_048_576);
          const fill = (): void => {
            for (;;) appendFileSync(join(disk, "file"), new Uint8Array(65_536));
          };

          assert.throws(fill, /ENOSPC/);
          assert.is(statfsSync(disk).bavail, 0);
          await lab.unmountDisk(disk);
        }),
      ));
  },
  { timeoutMs: 60_000 },
);
