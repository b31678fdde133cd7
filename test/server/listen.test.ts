/** A listener that fails later costs a connection, not the process. */
import { createServer } from "node:net";
import * as assert from "uvu/assert";
import { listenOn } from "../../src/server/listen.ts";
import { suite } from "../support/suite.ts";

const anyPort = { port: 0, host: "127.0.0.1" };

suite("server/listen", (test) => {
  test("an error while accepting is handed over", async () => {
    const listener = createServer();
    const errors: Error[] = [];
    await listenOn(listener, anyPort, (error) => errors.push(error));
    const problem = new Error("accept ENOBUFS");

    // As Node reports it; without a listener this would throw.
    listener.emit("error", problem);
    listener.emit("error", problem);

    assert.equal(errors, [problem, problem]);
    listener.close();
  });

  test("a port that is taken is refused", async () => {
    const first = createServer();
    const { port } = await listenOn(first, anyPort, () => undefined);
    const second = createServer();
    const errors: Error[] = [];

    const refused = await listenOn(second, { port, host: "127.0.0.1" }, (error) =>
      errors.push(error),
    ).then(
      () => null,
      (error: unknown) => error,
    );

    assert.is((refused as { code?: string } | null)?.code, "EADDRINUSE");
    assert.equal(errors, []);
    first.close();
  });
});
