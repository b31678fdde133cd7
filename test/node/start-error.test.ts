/** Conditions that keep a node from starting: one line each, with what to do. */
import * as assert from "uvu/assert";
import * as errors from "../../src/node/start-error.ts";
import { StartError } from "../../src/node/start-error.ts";
import { suite } from "../support/suite.ts";

const folder = "/data";

suite("node/start-error", (test) => {
  test("every condition is one line that names an option or a remedy, and never exits with 0", () => {
    const all = [
      errors.badOption("--groups is wrong"),
      errors.folderNotOurs(folder),
      errors.folderOfAnotherCluster(folder, { found: "a", wanted: "b" }),
      errors.folderOfAnotherNode(folder, { found: 1, wanted: 2 }),
      errors.folderHasOtherGroups(folder, { found: 8, wanted: 4 }),
      errors.folderHasNewerFormat(folder, { found: 2, known: 1 }),
      errors.folderInUse(folder, 42),
      errors.folderInUse(folder, null),
      errors.folderDamaged(folder, "no meta\nrow"),
      ...["EADDRINUSE", "EACCES", "EADDRNOTAVAIL", "ENOTFOUND"].map((code) => listening({ code })),
      ...["EACCES", "EROFS", "ENOTDIR", "ENOSPC"].map((code) =>
        errors.folderError(Object.assign(new Error("no"), { code }), folder),
      ),
    ];
    for (const error of all) {
      assert.instance(error, StartError);
      if (!(error instanceof StartError)) continue;
      assert.not.match(error.message, /\n/);
      assert.match(error.message, /--[a-z]+|paxlock help serve/);
      assert.ok(error.exitCode > 0);
    }
  });

  test("a wrong option ends as usage errors do, any other condition with 1", () => {
    assert.is(errors.badOption("x").exitCode, 2);
    assert.is(errors.folderNotOurs(folder).exitCode, 1);
  });

  test("the address that failed is named, though several were asked for", () => {
    const taken = listening({ code: "EADDRINUSE", address: "::1" });

    assert.instance(taken, StartError);
    assert.match(String(taken), /\[::1\]:6379 is taken/);
    assert.match(
      String(listening({ code: "ENOTFOUND", hostname: "nowhere" })),
      /host name nowhere/,
    );
  });

  test("what is no condition of the machine stays what it was", () => {
    const bug = new TypeError("wrong");

    assert.is(errors.listenError(bug, { address: "a", port: 1 }), bug);
    assert.is(errors.folderError(bug, folder), bug);
    assert.is(errors.folderError(null, folder), null);
  });
});

function listening(fields: Record<string, unknown>): unknown {
  const thrown = Object.assign(new Error("listen"), fields);
  return errors.listenError(thrown, { address: "127.0.0.1, ::1", port: 6379 });
}
