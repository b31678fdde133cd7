/** A node whose storage has lost a thread ends, so that whoever runs it can start a new one. */
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { ManagedProcess } from "../support/managed-process.ts";
import { paxlockCommand } from "../support/paxlock-process.ts";
import { freePort } from "../support/ports.ts";
import { RespClient } from "../support/resp-client.ts";
import { suite } from "../support/suite.ts";
import { withTemporaryDirectory } from "../support/temporary-directory.ts";

const preload = fileURLToPath(new URL("doomed-threads.mjs", import.meta.url));

suite(
  "storage/thread death",
  (test) => {
    test("a node whose storage has lost a thread ends with exit code 1 and says why", () =>
      withTemporaryDirectory(async (directory) => {
        const port = await freePort();
        const options = ["serve", "--port", String(port), "--dir", directory];
        const { command, args, env } = paxlockCommand(options);
        const spawned = { command, args: ["--import", preload, ...args] };
        const node = new ManagedProcess(env === undefined ? spawned : { ...spawned, env });
        await node.until(() => (/"msg":"[^"]*ready/.test(node.stdout) ? true : null));
        const client = await RespClient.connect({ port });
        assert.is(await client.call("SET", "key", "owner", "NX", "PX", 60_000), "OK");

        process.kill(node.pid, "SIGUSR2");
        const exit = await node.waitForExit(20_000);

        assert.is(exit.code, 1, node.describe());
        assert.match(
          node.stderr,
          /the node failed: the (log|state)-thread of the storage has ended/,
        );
        client.close();

        const again = new ManagedProcess(paxlockCommand(options));
        await again.until(() => (/"msg":"[^"]*ready/.test(again.stdout) ? true : null));
        const later = await RespClient.connect({ port });
        assert.is(await later.call("GET", "key"), "owner");
        later.close();
        await again.end("SIGTERM");
      }));
  },
  { timeoutMs: 60_000 },
);
