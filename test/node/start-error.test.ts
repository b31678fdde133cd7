/** Conditions that keep a node from starting: one line each, with what to do. */
import * as assert from "uvu/assert";
import * as errors from "../../src/node/start-error.ts";
import { StartError } from "../../src/node/start-error.ts";
import { suite } from "../support/suite.ts";

suite("node/start-error", (test) => {
  test("an address that cannot be had is one line that names the option to change", () => {
    const codes: [string, string, RegExp][] = [
      ["EADDRINUSE", "port-taken", /:6379 is taken: .*--port/],
      ["EACCES", "port-forbidden", /may not listen on .*--port/],
      ["EADDRNOTAVAIL", "address-not-available", /no address of this machine; .*--bind/],
      ["ENOTFOUND", "address-not-available", /has no address; .*--bind/],
    ];
    for (const [code, expected, message] of codes) {
      const error = listening({ code });
      assert.instance(error, StartError);
      if (!(error instanceof StartError)) continue;
      assert.is(error.code, expected);
      assert.is(error.exitCode, 1);
      assert.match(error.message, message);
      assert.not.match(error.message, /\n/);
    }
  });

  test("a folder that cannot be used is one line that names it and the option to change", () => {
    for (const [code, expected] of [
      ["EACCES", "folder-unwritable"],
      ["EROFS", "folder-unwritable"],
      ["ENOTDIR", "folder-unwritable"],
      ["ENOSPC", "folder-full"],
    ] as const) {
      const error = errors.folderError(Object.assign(new Error("no"), { code }), "/data");
      assert.instance(error, StartError);
      if (!(error instanceof StartError)) continue;
      assert.equal([error.code, error.exitCode], [expected, 1]);
      assert.match(error.message, new RegExp(`/data .*${code}.*--dir$`));
    }
  });

  test("a message of several lines becomes one", () => {
    assert.is(new StartError("folder-damaged", "one\n  two").message, "one two");
  });

  test("a wrong option ends as usage errors do", () => {
    assert.is(new StartError("bad-option", "x").exitCode, 2);
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
    assert.is(errors.folderError(bug, "/data"), bug);
    assert.is(errors.folderError(null, "/data"), null);
  });
});

function listening(fields: Record<string, unknown>): unknown {
  const thrown = Object.assign(new Error("listen"), fields);
  return errors.listenError(thrown, { address: "127.0.0.1, ::1", port: 6379 });
}
