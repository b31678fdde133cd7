/** The `paxlock` command as users call it: help, version and complaints, without a node. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { generalHelp, localHelp, logHelp, serveHelp, statusHelp } from "../../src/cli/help.ts";
import { paxlockCommand, runPaxlock } from "../support/paxlock-process.ts";
import { suite } from "../support/suite.ts";
import { withTemporaryDirectory } from "../support/temporary-directory.ts";

suite(
  "cli/main",
  (test) => {
    test("--version prints the version of the package", async () => {
      const manifest = new URL("../../package.json", import.meta.url);
      const { version } = JSON.parse(readFileSync(manifest, "utf8")) as { version: string };
      for (const flag of ["--version", "-v"]) {
        const { code, stdout, stderr } = await runPaxlock([flag]);
        assert.equal({ code, stdout, stderr }, { code: 0, stdout: `${version}\n`, stderr: "" });
      }
    });

    test("help is printed on standard output, for the command that is asked for", async () => {
      const cases: [string[], string][] = [
        [["--help"], generalHelp()],
        [["-h"], generalHelp()],
        [["help"], generalHelp()],
        [["help", "serve"], serveHelp()],
        [["serve", "--help"], serveHelp()],
        [["serve", "--port", "1", "-h"], serveHelp()],
        [["help", "local"], localHelp()],
        [["local", "--help"], localHelp()],
        [["status", "-h"], statusHelp()],
        [["log", "dump", "--help"], logHelp()],
      ];
      for (const [args, expected] of cases) {
        const { code, stdout, stderr } = await runPaxlock(args);
        assert.is(stdout, expected, args.join(" "));
        assert.equal({ code, stderr }, { code: 0, stderr: "" });
      }
    });

    test("without a command help is printed as a complaint", async () => {
      const { code, stdout, stderr } = await runPaxlock([]);

      assert.equal({ code, stdout, stderr }, { code: 2, stdout: "", stderr: generalHelp() });
    });

    test("a wrong command or option is one line on standard error and exit code 2", async () => {
      const cases: [string[], string][] = [
        [["serv"], 'unknown command "serv" (did you mean serve?); see "paxlock --help"'],
        [["help", "nothing"], 'unknown command "nothing"; see "paxlock --help"'],
        [["--port", "1"], 'the command comes first: paxlock serve --port; see "paxlock --help"'],
        [
          ["serve", "--prot", "1"],
          'unknown option --prot (did you mean --port?); see "paxlock help serve"',
        ],
        [
          ["serve", "--port", "99999"],
          '--port: "99999" is out of bounds; give a whole number from 0 to 65535',
        ],
      ];
      for (const [args, message] of cases) {
        const { code, stdout, stderr } = await runPaxlock(args);
        const expected = { code: 2, stdout: "", stderr: `paxlock: ${message}\n` };
        assert.equal({ code, stdout, stderr }, expected);
      }
    });

    test("a wrong variable or line of the file is found before anything is started", async () => {
      await withTemporaryDirectory(async (cwd) => {
        writeFileSync(join(cwd, "paxlock.conf"), "# ours\nmaxclient 3\n");

        const variable = await runPaxlock(["serve"], { cwd, env: { PAXLOCK_PORTS: "1" } });
        const line = await runPaxlock(["serve", "--config", "paxlock.conf"], { cwd });

        assert.is(variable.code, 2);
        assert.match(variable.stderr, /^paxlock: unknown environment variable PAXLOCK_PORTS .*\n$/);
        assert.is(line.code, 2);
        assert.match(
          line.stderr,
          /^paxlock: unknown option in line 2 of paxlock.conf: maxclient .*\n$/,
        );
      });
    });

    test("a reader that goes away is no error", async () => {
      const { command, args, env } = paxlockCommand(["help", "serve"]);
      const child = spawn(command, args, { env, stdio: ["ignore", "pipe", "pipe"] });
      child.stdout.destroy();
      let stderr = "";
      child.stderr.on("data", (chunk) => (stderr += String(chunk)));

      const [code] = (await once(child, "close")) as [number | null];

      assert.equal({ code, stderr }, { code: 0, stderr: "" });
    });
  },
  { timeoutMs: 60_000 },
);
