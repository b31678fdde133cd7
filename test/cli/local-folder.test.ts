/** The folder of a cluster on one machine: it is told from a lone node's, and stays what it is. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import {
  LocalFolderError,
  nodePaths,
  openLocalFolder,
  readLocalCluster,
  refuseCluster,
  rotateLog,
} from "../../src/cli/local-folder.ts";
import { suite } from "../support/suite.ts";
import { withTemporaryDirectory } from "../support/temporary-directory.ts";

function refusal(body: () => void): string {
  try {
    body();
  } catch (thrown) {
    assert.instance(thrown, LocalFolderError);
    return (thrown as Error).message;
  }
  throw new Error("it was not refused");
}

suite("cli/local-folder", (test) => {
  test("a new folder remembers how many nodes it has and from which port on", async () => {
    await withTemporaryDirectory((scratch) => {
      const directory = join(scratch, "deep", "data");
      openLocalFolder(directory, { nodes: 3, port: 7_000 });

      openLocalFolder(directory, { nodes: 3, port: 7_000 });
      assert.equal(readLocalCluster(directory), { nodes: 3, port: 7_000 });
      for (const other of [
        { nodes: 5, port: 7_000 },
        { nodes: 3, port: 7_001 },
      ]) {
        assert.match(
          refusal(() => {
            openLocalFolder(directory, other);
          }),
          "holds a cluster of 3 nodes from port 7000 on; start it with --nodes 3 --port 7000, or",
        );
      }
      assert.match(
        refusal(() => {
          refuseCluster(directory);
        }),
        "start it with --nodes 3",
      );
    });
  });

  test("the data of a lone node is left as it is", async () => {
    await withTemporaryDirectory((directory) => {
      refuseCluster(directory);
      writeFileSync(join(directory, "data.mdb"), "x");

      assert.match(
        refusal(() => {
          openLocalFolder(directory, { nodes: 3, port: 7_000 });
        }),
        "holds the data of a single node; start that with --nodes 1, or",
      );
      assert.equal(readdirSync(directory), ["data.mdb"]);
    });
  });

  test("a file in the place of the folder, and a damaged description, are told", async () => {
    await withTemporaryDirectory((directory) => {
      writeFileSync(join(directory, "file"), "");
      assert.match(
        refusal(() => {
          openLocalFolder(join(directory, "file"), { nodes: 3, port: 1 });
        }),
        "is a file",
      );
      mkdirSync(join(directory, "data"));
      for (const text of ["", "{", "{}", '{"nodes":"3","port":1}']) {
        writeFileSync(join(directory, "data", "local.json"), text);
        assert.match(
          refusal(() => {
            openLocalFolder(join(directory, "data"), { nodes: 3, port: 1 });
          }),
          "local.json is damaged",
        );
      }
    });
  });

  test("the log of the run before is kept beside the new one", async () => {
    await withTemporaryDirectory((directory) => {
      const { log } = nodePaths(directory, 2);
      rotateLog(log);
      writeFileSync(log, "first");
      rotateLog(log);

      assert.is(existsSync(log), false);
      assert.is(readFileSync(`${log}.old`, "utf8"), "first");
    });
  });
});
