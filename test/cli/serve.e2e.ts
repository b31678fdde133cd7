/** `paxlock serve` as a real process: how it greets, how it refuses to start, and how it ends. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { openRoot, openTable, SYNCHRONOUS } from "../../src/storage/environment.ts";
import { FOLDER_FORMAT, LOCK_FILE, MAXIMUM_GROUPS, META_KEY } from "../../src/storage/format.ts";
import { VERSION } from "../../src/config/version.ts";
import { ManagedProcess, type Exit } from "../support/managed-process.ts";
import { Paxlock, paxlockCommand, runPaxlock, withPaxlock } from "../support/paxlock-process.ts";
import { RespClient } from "../support/resp-client.ts";
import { RespError } from "../support/resp3-reader.ts";
import { suite } from "../support/suite.ts";
import { withTemporaryDirectory } from "../support/temporary-directory.ts";

suite(
  "cli/serve",
  (test) => {
    test("a program is told in one line of JSON that the node is ready, and where", async () => {
      await withPaxlock({ args: ["--groups", "3"] }, (paxlock) => {
        const line = paxlock.log.find(({ msg }) => msg === "ready") ?? {};
        const { address, port, directory, version, groups, try: command } = line;

        assert.equal(
          { address, port, directory, version, groups, try: command },
          {
            address: "127.0.0.1",
            port: paxlock.port,
            directory: paxlock.directory,
            version: VERSION,
            groups: 3,
            try: `redis-cli -p ${paxlock.port} SET my-lock me NX PX 30000`,
          },
        );
        assert.is(paxlock.stderr, "");
      });
    });

    test("a person is told the address, the data folder, the version and a line to try", async () => {
      await withTemporaryDirectory(async (cwd) => {
        const args = ["serve", "--port", "0", "--dir", "data", "--log-format", "pretty"];
        const node = new ManagedProcess(paxlockCommand(args, {}, cwd));
        const port = await node.until(
          () => /^ {2}address +127\.0\.0\.1:(\d+)$/m.exec(node.stdout)?.[1] ?? null,
        );

        assert.not.equal(port, "0");
        assert.match(node.stdout, `Paxlock ${VERSION} is ready.`);
        assert.match(node.stdout, join(cwd, "data"));
        assert.match(node.stdout, `redis-cli -p ${port} SET my-lock me NX PX 30000`);
        const { code } = await node.end("SIGINT");
        assert.is(code, 0);
        assert.match(node.stdout, /INFO: stopped\n$/);
      });
    });

    test("options come from the file and from variables too, and a password is asked for", async () => {
      await withTemporaryDirectory(async (cwd) => {
        writeFileSync(join(cwd, "secret"), "s3 cret\n");
        writeFileSync(join(cwd, "paxlock.conf"), "requirepass-file secret\nmaxclients 77\n");
        const env = { PAXLOCK_CONFIG: join(cwd, "paxlock.conf"), PAXLOCK_TIMEOUT: "5m" };
        const options = { directory: join(cwd, "data"), env };
        const paxlock = await Paxlock.start(options, cwd);
        try {
          const client = await paxlock.client();

          const refusal = await client.call("GET", "a");
          assert.instance(refusal, RespError);
          assert.is((refusal as RespError).code, "NOAUTH");
          assert.is(await client.call("AUTH", "s3 cret"), "OK");
          assert.equal(await client.call("CONFIG", "GET", "maxclients"), ["maxclients", "77"]);
          assert.equal(await client.call("CONFIG", "GET", "timeout"), ["timeout", "300"]);
          assert.not.match(paxlock.stdout, /s3 cret/);
          await paxlock.stop();
        } finally {
          await paxlock.destroy();
        }
      });
    });

    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      test(`${signal} stops in order: exit code 0, and what was answered is there again`, async () => {
        await withPaxlock({}, async (paxlock) => {
          const client = await paxlock.client();
          assert.is(await client.call("SET", "lock", "me", "NX", "PX", 60_000), "OK");

          assert.equal(await paxlock.kill(signal), { code: 0, signal: null });

          assert.is(paxlock.log.at(-1)?.msg, "stopped");
          assert.is(paxlock.stderr, "");
          await paxlock.restart();
          assert.is(await (await paxlock.client()).call("GET", "lock"), "me");
        });
      });
    }

    test("SHUTDOWN stops in order with exit code 0", async () => {
      await withPaxlock({}, async (paxlock) => {
        await (await paxlock.client()).send("SHUTDOWN\r\n");

        await until(() => paxlock.exit !== null);

        assert.equal(paxlock.exit, { code: 0, signal: null });
        assert.is(paxlock.log.at(-1)?.msg, "stopped");
      });
    });

    for (const [signal, expected] of [
      ["SIGTERM", 143],
      ["SIGINT", 130],
    ] as const) {
      test(`a second signal (${signal}) ends the process at once with code ${expected}`, async () => {
        const { exit, longerMs } = await endedByTwoSignals(signal);

        assert.equal(exit, { code: expected, signal: null });
        assert.ok(longerMs < 1_000, `it waited: ${longerMs} ms longer than one that does not`);
      });
    }

    test("a bug that nobody catches is logged as fatal and ends the process with code 70", async () => {
      const throwOnSignal =
        "process.once('SIGUSR2', () => { throw new Error('broken invariant'); })";
      const env = {
        NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(throwOnSignal)}`,
      };
      await withPaxlock({ env }, async (paxlock) => {
        assert.equal(await paxlock.kill("SIGUSR2"), { code: 70, signal: null });

        const last = paxlock.log.at(-1);
        assert.is(last?.["level"], "fatal");
        assert.match(JSON.stringify(last), /broken invariant/);
        assert.is(paxlock.stderr, "paxlock: stopped by a bug: broken invariant\n");
      });
    });

    test("a node whose log nobody reads any more goes on, and still stops in order", async () => {
      await withTemporaryDirectory(async (cwd) => {
        const { command, args, env } = paxlockCommand(["serve", "--port", "0"], {}, cwd);
        const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
        try {
          let stdout = "";
          child.stdout.on("data", (chunk) => (stdout += String(chunk)));
          await until(() => stdout.includes('"ready"') && stdout.endsWith("\n"));
          const port = Number(/"port":(\d+)/.exec(stdout)?.[1]);
          child.stdout.destroy();
          child.stderr.destroy();
          const client = await RespClient.connect({ port });
          assert.is(await client.call("PING"), "PONG");
          client.close();
          const closed = once(child, "close");

          child.kill("SIGTERM");

          assert.equal(await closed, [0, null]);
        } finally {
          child.kill("SIGKILL");
        }
      });
    });
  },
  { timeoutMs: 60_000 },
);

suite(
  "cli/serve refuses to start",
  (test) => {
    test("on a port that is taken, and leaves no folder behind", async () => {
      await withTemporaryDirectory(async (cwd) => {
        const other = createServer().listen(0, "127.0.0.1");
        await once(other, "listening");
        const { port } = other.address() as AddressInfo;

        const end = await refused(["--port", String(port)], cwd);
        other.close();

        assert.match(end, `127.0.0.1:${port} is taken: `);
        assert.match(end, "--port");
        assert.equal(await contents(cwd), []);
      });
    });

    test("on an address that is not this machine's", async () => {
      await withTemporaryDirectory(async (cwd) => {
        const end = await refused(["--port", "0", "--bind", "192.0.2.1"], cwd);

        assert.match(end, "192.0.2.1 is no address of this machine");
        assert.equal(await contents(cwd), []);
      });
    });

    test("in a folder that cannot be made or written", async () => {
      await withTemporaryDirectory(async (cwd) => {
        const file = join(cwd, "file");
        writeFileSync(file, "mine");
        // No rights stop root, but nobody makes a folder of a file or in a file.
        // Under /proc the system answers "no such file" for a folder whose parent is there.
        for (const folder of [file, join(file, "data"), "/proc/paxlock-data"]) {
          const end = await refused(["--port", "0", "--dir", folder], cwd);
          assert.match(end, folder);
          assert.match(end, "--dir");
        }
        assert.is(readFileSync(file, "utf8"), "mine");
        assert.equal(await contents(cwd), ["file: mine"]);
      });
    });

    test("in a folder that holds somebody else's files", async () => {
      await withTemporaryDirectory(async (cwd) => {
        mkdirSync(join(cwd, "data"));
        writeFileSync(join(cwd, "data", "thesis.txt"), "mine");

        const end = await refused(["--port", "0", "--dir", "data"], cwd);

        assert.match(end, `the folder ${join(cwd, "data")} is no Paxlock data folder`);
        assert.match(end, "thesis.txt");
        assert.equal(await contents(cwd), ["data/thesis.txt: mine"]);
      });
    });

    test("in a folder of another cluster, of another node or with other groups", async () => {
      await withTemporaryDirectory(async (cwd) => {
        const directory = join(cwd, "data");
        const own = ["--cluster-id", "blue", "--node-id", "2", "--groups", "3"];
        await Paxlock.start({ directory, args: own }, cwd).then(async (paxlock) => paxlock.stop());
        const before = await contents(cwd);

        const cases: [string[], RegExp][] = [
          [["--cluster-id", "red"], /belongs to cluster blue, not red; .*--dir/],
          [["--node-id", "1"], /belongs to node 2, not 1; .*--dir/],
          [["--groups", "8"], /has 3 groups, not 8; .*--groups 3 .*--dir/],
        ];
        for (const [args, expected] of cases) {
          assert.match(await refused(["--port", "0", "--dir", "data", ...args], cwd), expected);
          assert.equal(await contents(cwd), before, args.join(" "));
        }
        // What was fixed when the folder was made need not be said again.
        const again = await Paxlock.start({ directory }, cwd);
        assert.is(again.log.find(({ msg }) => msg === "ready")?.["groups"], 3);
        await again.stop();
      });
    });

    test("in a folder of a newer format", async () => {
      await withTemporaryDirectory(async (cwd) => {
        const directory = join(cwd, "data");
        await Paxlock.start({ directory }, cwd).then(async (paxlock) => paxlock.stop());
        await makeNewer(directory);
        const before = await contents(cwd);

        const end = await refused(["--port", "0", "--dir", "data"], cwd);

        assert.match(end, `has format ${FOLDER_FORMAT + 1}, `);
        assert.match(end, "use the newer version");
        assert.equal(await contents(cwd), before);
      });
    });

    test("in a folder that another node has open, which goes on", async () => {
      await withPaxlock({}, async (paxlock) => {
        const end = await refused(
          ["--port", "0", "--dir", paxlock.directory],
          dirname(paxlock.directory),
        );

        assert.match(end, new RegExp(`is in use by process ${paxlock.pid}; .*--dir`));
        const client = await paxlock.client();
        assert.is(await client.call("SET", "lock", "me", "NX"), "OK");
      });
    });
  },
  { timeoutMs: 60_000 },
);

/** Runs a node that must not start, and returns the one line it says. */
async function refused(args: readonly string[], cwd: string): Promise<string> {
  const { code, stdout, stderr } = await runPaxlock(["serve", ...args], { cwd });
  assert.is(code, 1, `${stdout}${stderr}`);
  assert.match(stderr, /^paxlock: [^\n]+\n$/);
  assert.is(stdout, "");
  return stderr;
}

/** Gives the folder the format number of the next one. */
async function makeNewer(directory: string): Promise<void> {
  const root = openRoot(directory, MAXIMUM_GROUPS);
  const table = openTable(root, "folder", false);
  root.transactionSync(() => {
    table?.putSync(META_KEY, Uint8Array.of(FOLDER_FORMAT + 1, 1, 2, 3));
  }, SYNCHRONOUS);
  await root.close();
}

/**
 * Every file below a folder with its content, or what stands for a long one, to see that nothing was
 * touched. LMDB's table of readers is left out: it holds no data, and looking is enough to change it.
 */
async function contents(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true });
  return names
    .sort()
    .filter((name) => basename(name) !== LOCK_FILE && statSync(join(folder, name)).isFile())
    .map((name) => {
      const bytes = readFileSync(join(folder, name));
      const digest = createHash("sha256").update(bytes).digest("hex");
      return `${name}: ${bytes.length <= 64 ? bytes.toString("latin1") : digest}`;
    });
}

interface Ended {
  readonly exit: Exit;
  /** How much longer it took than a process that a signal ends without more ado. */
  readonly longerMs: number;
}

/** A node that has something to wait for is stopped, and before it has, it is told again. */
async function endedByTwoSignals(signal: "SIGTERM" | "SIGINT"): Promise<Ended> {
  for (let attempt = 1; ; attempt += 1) {
    const ended = await withPaxlock({}, async (paxlock) =>
      withClientThatDoesNotRead(paxlock.port, async () => {
        const bystander = await startBystander();
        paxlock.signal(signal);
        await until(() => paxlock.log.some(({ msg }) => msg === "stopping"));
        const startedMs = performance.now();
        const referenceMs = bystander.end(signal).then(() => performance.now() - startedMs);

        const exit = await paxlock.kill(signal);

        const longerMs = performance.now() - startedMs - (await referenceMs);
        return { exit, longerMs };
      }),
    );
    // On a busy machine all that it waits for may be over before the second signal.
    if (ended.exit.code !== 0 || attempt === 5) return ended;
  }
}

/** A process that a signal ends at once. */
async function startBystander(): Promise<ManagedProcess> {
  const code = `
    for (const name of ["SIGTERM", "SIGINT"]) process.on(name, () => process.exit());
    setInterval(() => {}, 1_000);
    console.log("up");`;
  const bystander = new ManagedProcess({ command: process.execPath, args: ["-e", code] });
  await bystander.until(() => (bystander.stdout === "" ? null : true));
  return bystander;
}

/** Keeps replies waiting in the node, so that stopping in order takes its time. */
async function withClientThatDoesNotRead<T>(port: number, body: () => Promise<T>): Promise<T> {
  const client = await RespClient.connect({ port });
  const watcher = await RespClient.connect({ port });
  try {
    assert.is(await client.call("SET", "big", "x".repeat(500_000)), "OK");
    const id = String(await client.call("CLIENT", "ID"));
    client.pause();
    await client.send("GET big\r\n".repeat(60));
    // The node reads the requests, and its system takes what it can of the replies: it is asked for
    // other things again and again, and takes up none of these any more.
    let [taken, looks] = [2, 0];
    const endMs = performance.now() + 20_000;
    while (looks < 20 && performance.now() < endMs) {
      const list = String(await watcher.call("CLIENT", "LIST", "ID", id));
      const now = Number(/ tot-cmds=(\d+)/.exec(list)?.[1]);
      looks = now > 2 && now === taken ? looks + 1 : 0;
      taken = now;
      await sleep(10);
    }
    assert.ok(taken > 2 && taken < 62, `${taken} requests were taken up`);
    watcher.close();
    return await body();
  } finally {
    client.close();
    watcher.close();
  }
}

async function until(condition: () => boolean): Promise<void> {
  const endMs = performance.now() + 20_000;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error("not within 20 s");
    await sleep(10);
  }
}
