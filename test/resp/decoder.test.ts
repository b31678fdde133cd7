/**
 * The decoder against a table of requests, each in one piece, byte by byte and cut at random; and
 * its rules about limits that change, back-pressure, chunks and memory.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import * as assert from "uvu/assert";
import { defaultDecoderLimits, RequestDecoder } from "../../src/resp/decoder.ts";
import { suite } from "../support/suite.ts";
import { decode, decoder, drain, everyCut } from "./decoding.ts";
import { multibulk, requestVectors } from "./request-vectors.ts";

for (const ways of ["whole", "byte by byte", "cut at random"] as const) {
  suite(`resp/decoder vectors ${ways}`, (test) => {
    for (const { title, bytes, commands, error, stranger = false } of requestVectors) {
      const expected = {
        commands,
        error: error === undefined ? null : `ERR Protocol error: ${error}`,
      };
      const decoded = (cuts: readonly number[]): unknown =>
        decode(decoder({}, { authenticated: !stranger }), bytes, cuts);
      test(title, () => {
        if (ways === "whole") {
          assert.equal(decoded([]), expected);
        } else if (ways === "byte by byte") {
          assert.equal(decoded(everyCut(bytes)), expected);
        } else {
          const cuts = fc.array(fc.nat(bytes.length), { maxLength: 8 });
          fc.assert(
            fc.property(cuts, (at) => {
              assert.equal(decoded(at), expected);
            }),
            { numRuns: 20 },
          );
        }
      });
    }
  });
}

suite("resp/decoder limits", (test) => {
  test("authentication between two commands of one chunk holds for the second", () => {
    const subject = new RequestDecoder();
    subject.feed(Buffer.from(multibulk("AUTH", "pw") + multibulk(...Array<string>(11).fill("x"))));

    assert.equal(subject.next(), ["AUTH", "pw"]);
    subject.authenticated = true;
    assert.is(subject.next()?.length, 11);
  });

  test("a decoder takes its client for a stranger unless told otherwise", () => {
    const { error } = decode(new RequestDecoder(), "*11\r\n");

    assert.is(error, "ERR Protocol error: unauthenticated multibulk length");
  });

  test("a changed limit holds for the next header", () => {
    const limits = defaultDecoderLimits();
    const subject = new RequestDecoder(limits, { authenticated: true });
    assert.equal(decode(subject, multibulk("x", "12345")).commands, [["x", "12345"]]);

    limits.maxBulkBytes = 4;

    assert.equal(decode(subject, multibulk("x", "1234")).commands, [["x", "1234"]]);
    assert.is(
      decode(subject, multibulk("x", "12345")).error,
      "ERR Protocol error: invalid bulk length",
    );
  });

  test("the bound on arguments counts the name", () => {
    assert.is(decode(decoder({ maxArguments: 3 }), multibulk("a", "b", "c")).error, null);
    assert.is(
      decode(decoder({ maxArguments: 3 }), multibulk("a", "b", "c", "d")).error,
      "ERR Protocol error: invalid multibulk length",
    );
  });

  test("the bound on a request counts every byte of it and nothing else (any cut)", () => {
    const request = multibulk("name", "a".repeat(20), "b");
    const stream = multibulk("before") + request + multibulk("after");
    for (let cut = 0; cut < stream.length; cut += 1) {
      const fits = decode(decoder({ maxRequestBytes: request.length }), stream, [cut]);
      const tooBig = decode(decoder({ maxRequestBytes: request.length - 1 }), stream, [cut]);

      assert.equal(
        fits.commands.map(([name]) => name),
        ["before", "name", "after"],
      );
      assert.is(fits.error, null);
      assert.equal(tooBig, {
        commands: [["before"]],
        error: "ERR Protocol error: too big request",
      });
    }
  });

  test("a bulk longer than a string can be is refused, whatever the limit says", () => {
    const limits = { maxBulkBytes: 2 ** 40, maxRequestBytes: 2 ** 40 };

    assert.is(
      decode(decoder(limits), "*1\r\n$536870889\r\n").error,
      "ERR Protocol error: invalid bulk length",
    );
    assert.is(decode(decoder(limits), "*1\r\n$536870888\r\n").error, null);
  });
});

suite("resp/decoder streams", (test) => {
  test("a caller may stop between two commands and feed on meanwhile", () => {
    const subject = decoder();
    subject.feed(Buffer.from(multibulk("a") + multibulk("b") + "*1\r\n$1\r"));

    assert.equal(subject.next(), ["a"]);
    subject.feed(Buffer.from("\nc\r\n"));
    subject.feed(Buffer.from(multibulk("d")));

    assert.equal(drain(subject), [["b"], ["c"], ["d"]]);
    assert.is(subject.bufferedBytes, 0);
  });

  test("the bytes buffered are those of commands not handed out", () => {
    const subject = decoder();
    const request = multibulk("SET", "key", "value");
    for (const cut of everyCut(request)) {
      subject.feed(Buffer.from(request.slice(0, cut)));
      assert.is(subject.bufferedBytes, cut);
      assert.is(subject.next(), null);
      assert.is(subject.bufferedBytes, cut);
      subject.feed(Buffer.from(request.slice(cut) + request));
      assert.is(subject.bufferedBytes, 2 * request.length);
      assert.is(subject.next()?.length, 3);
      assert.is(subject.bufferedBytes, request.length);
      assert.is(drain(subject).length, 1);
      assert.is(subject.bufferedBytes, 0);
    }
  });

  test("after an error nothing is decoded or kept", () => {
    const subject = decoder();
    decode(subject, `${multibulk("a")}*x\r\n${multibulk("b")}`);

    subject.feed(Buffer.from(multibulk("c")));

    assert.is(subject.next(), null);
    assert.is(subject.bufferedBytes, 0);
    assert.is(subject.error, "ERR Protocol error: invalid multibulk length");
  });

  test("an argument of 32 MB in chunks of any size arrives whole, in linear time", () => {
    const value = "0123456789abcdef".repeat(2 * 1024 * 1024);
    const stream = Buffer.from(multibulk("SET", "k", value) + multibulk("PING"), "latin1");
    for (const chunkBytes of [1_447, 65_536, stream.length]) {
      const subject = decoder();
      const commands: string[][] = [];
      for (let from = 0; from < stream.length; from += chunkBytes) {
        subject.feed(stream.subarray(from, from + chunkBytes));
        commands.push(...drain(subject));
      }

      assert.is(commands.length, 2);
      assert.ok(commands[0]?.[2] === value, "the value is the one that was sent");
    }
  });

  test("100 000 arguments fed byte by byte take linear time", () => {
    const request = Buffer.from(multibulk(...Array<string>(100_000).fill("x")), "latin1");
    const subject = decoder();
    for (let from = 0; from < request.length; from += 1) {
      subject.feed(request.subarray(from, from + 1));
      if (from < request.length - 1) assert.is(subject.next(), null);
    }

    assert.is(subject.next()?.length, 100_000);
  });
});

suite("resp/decoder memory", (test) => {
  setFlagsFromString("--expose-gc");
  const collectGarbage = runInNewContext("gc") as () => void;
  const heldBytes = (): number => {
    collectGarbage();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };

  test("a thousand clients that announce 60 MB and a million arguments hold next to nothing", () => {
    const before = heldBytes();
    const clients = Array.from({ length: 1_000 }, (_, index) => {
      const subject = decoder();
      decode(subject, index % 2 === 0 ? "*2\r\n$1\r\nx\r\n$60000000\r\nabc" : "*1000000\r\n$1\r\n");
      return subject;
    });

    const perClient = (heldBytes() - before) / clients.length;

    assert.ok(perClient < 4_096, `${perClient} bytes per client`);
  });

  test("a partial argument holds at most twice what has arrived", () => {
    const before = heldBytes();
    const subject = decoder();
    subject.feed(Buffer.from("*1\r\n$60000000\r\n"));
    const chunk = Buffer.alloc(10_000, "x");
    for (let sent = 0; sent < 20_000_000; sent += chunk.length) {
      subject.feed(chunk);
      subject.next();
    }

    const held = heldBytes() - before;

    assert.ok(held < 42_000_000, `${held} bytes for ${subject.bufferedBytes}`);
  });

  test("an argument that is kept does not keep the chunk it came in", () => {
    for (const length of [1, 5, 12, 13, 14, 40]) {
      const chunk = Buffer.from(
        multibulk("x", "k".repeat(length)) + multibulk("y", "z".repeat(65_000)),
      );
      const before = heldBytes();
      const kept: string[] = [];
      for (let round = 0; round < 200; round += 1) {
        const subject = decoder();
        subject.feed(chunk);
        kept.push(...(subject.next() ?? []));
        drain(subject);
      }

      const perArgument = (heldBytes() - before) / kept.length;

      assert.ok(perArgument < 2_000, `${perArgument} bytes per argument of ${length}`);
    }
  });
});
