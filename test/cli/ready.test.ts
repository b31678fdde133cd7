/** What a person is told when the node is ready. */
import * as assert from "uvu/assert";
import type { Ready } from "../../src/cli/ready.ts";
import { readyText, tryLine } from "../../src/cli/ready.ts";
import { suite } from "../support/suite.ts";

const ready: Ready = {
  address: "127.0.0.1",
  port: 6379,
  directory: "/srv/paxlock-data",
  version: "1.2.3",
  groups: 8,
  password: false,
};

suite("cli/ready", (test) => {
  test("the line to try can be pasted, for any address and with a password", () => {
    const line = "SET my-lock me NX PX 30000";
    assert.is(tryLine(ready), `redis-cli -p 6379 ${line}`);
    assert.is(tryLine({ ...ready, address: "::" }), `redis-cli -p 6379 ${line}`);
    assert.is(tryLine({ ...ready, address: "::1" }), `redis-cli -h ::1 -p 6379 ${line}`);
    assert.is(tryLine({ ...ready, password: true }), `redis-cli -p 6379 --askpass ${line}`);
  });

  test("address, data folder, version, groups and the line to try are shown", () => {
    const text = readyText({ ...ready, address: "::1" });
    for (const part of ["1.2.3", "[::1]:6379", ready.directory, "groups       8"]) {
      assert.ok(text.includes(part), part);
    }
    assert.ok(text.includes(tryLine({ ...ready, address: "::1" })));
  });
});
