/** The connection of `paxlock` commands to a node: replies in any pieces, and nothing else's. */
import { createServer, type AddressInfo, type Socket } from "node:net";
import * as assert from "uvu/assert";
import { NodeClient, NodeUnreachable, parseReply } from "../../src/cli/node-client.ts";
import { suite } from "../support/suite.ts";

/** Runs `body` with the port of a server that answers each piece of input with what `answer` gives. */
async function withServer(
  answer: (input: string, socket: Socket) => void,
  body: (port: number) => Promise<void>,
): Promise<void> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("data", (chunk) => {
      answer(chunk.toString("latin1"), socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await body((server.address() as AddressInfo).port);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

async function refused(asking: Promise<unknown>): Promise<string> {
  try {
    await asking;
  } catch (thrown) {
    assert.instance(thrown, NodeUnreachable);
    return (thrown as Error).message;
  }
  throw new Error("it was answered");
}

suite("cli/node-client", (test) => {
  test("replies are read whole, wherever the bytes are split", () => {
    const text = "*5\r\n:-7\r\n$3\r\na\r\n\r\n+OK\r\n$-1\r\n*1\r\n-ERR no\r\n";
    for (let end = 0; end < text.length; end += 1) {
      assert.is(parseReply(text.slice(0, end)), null, String(end));
    }
    assert.equal(parseReply(`${text}+MORE`), {
      reply: [-7, "a\r\n", "OK", null, [{ kind: "error", text: "ERR no" }]],
      end: text.length,
    });
  });

  test("what is no reply is malformed, not waited for", () => {
    const deep = "*1\r\n".repeat(40);
    for (const text of [
      "HTTP/1.1 200\r\n",
      ":x\r\n",
      "$-2\r\n",
      "*-2\r\n",
      "$99999999999\r\n",
      deep,
    ]) {
      assert.is(parseReply(text), "malformed", text);
    }
  });

  test("the password is given first, and a refusal of it is told", async () => {
    const inputs: string[] = [];
    await withServer(
      (input, socket) => {
        inputs.push(input);
        socket.write(inputs.length === 1 ? "+OK\r\n" : "-WRONGPASS x\r\n");
      },
      async (port) => {
        const address = { host: "127.0.0.1", port, password: "s\xe9" };
        const client = await NodeClient.open(address, 2_000);
        assert.is(inputs[0], "*2\r\n$4\r\nAUTH\r\n$2\r\ns\xe9\r\n");
        client.close();

        assert.is(await refused(NodeClient.open(address, 2_000)), `127.0.0.1:${port}: WRONGPASS x`);
      },
    );
  });

  test("no listener, no answer and another protocol are told apart", async () => {
    let port = 0;
    await withServer(
      (input, socket) => {
        if (input.includes("SPEAK")) socket.write("HTTP/1.1 400 Bad Request\r\n");
      },
      async (open) => {
        port = open;
        const address = { host: "127.0.0.1", port, password: "" };
        const silent = await NodeClient.open(address, 50);
        assert.is(await refused(silent.call("PING")), "no answer within 50 ms");
        assert.is(silent.isOpen, false);
        const other = await NodeClient.open(address, 2_000);
        assert.match(await refused(other.call("SPEAK")), "this is no Paxlock");
      },
    );
    assert.match(
      await refused(NodeClient.open({ host: "127.0.0.1", port, password: "" }, 2_000)),
      `no node answers at 127.0.0.1:${port}`,
    );
  });
});
