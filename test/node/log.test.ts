/** The log: JSON for programs, text for people. */
import { Writable } from "node:stream";
import * as assert from "uvu/assert";
import type { LogOptions } from "../../src/node/log.ts";
import { createLog, isPretty, streamSink } from "../../src/node/log.ts";
import { suite } from "../support/suite.ts";

suite("node/log", (test) => {
  test("auto is for people on a terminal and for programs elsewhere", () => {
    assert.ok(isPretty({ format: "auto", terminal: true }));
    assert.not(isPretty({ format: "auto", terminal: false }));
    assert.ok(isPretty({ format: "pretty", terminal: false }));
    assert.not(isPretty({ format: "json", terminal: true }));
  });

  test("for programs each message is one JSON object with level and time as words", () => {
    const lines = recorded({ format: "json" }, (log) => {
      log.info({ port: 1 }, "ready\nset");
    });

    assert.is(lines.length, 1);
    const [line = ""] = lines;
    assert.is(line.indexOf("\n"), line.length - 1);
    const parsed = JSON.parse(line) as Record<string, unknown>;
    assert.is(parsed["level"], "info");
    assert.is(parsed["msg"], "ready\nset");
    assert.is(parsed["port"], 1);
    assert.match(String(parsed["time"]), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  test("for people a message is text at once, with colours on a terminal only", () => {
    const write: Body = (log) => {
      log.warn({ port: 1 }, "hello");
    };
    const [plain = ""] = recorded({ format: "pretty" }, write);
    const [coloured = ""] = recorded({ format: "auto", terminal: true }, write);

    assert.match(plain, /^\[\d\d:\d\d:\d\d\.\d{3}\] WARN: hello \{"port":1\}\n$/);
    assert.match(coloured, /\u001B\[33mWARN/);
  });

  test("messages below the level are not written, and the level may change", () => {
    const lines = recorded({ format: "json", level: "warn" }, (log) => {
      log.info("no");
      log.level = "debug";
      log.debug("yes");
      log.level = "silent";
      log.fatal("no");
    });

    assert.is(lines.length, 1);
    assert.match(lines[0] ?? "", /yes/);
  });

  test("an error keeps its message, its stack and its cause", () => {
    const [line = ""] = recorded({ format: "json" }, (log) => {
      log.error({ err: new Error("outer", { cause: new Error("inner") }) }, "failed");
    });

    assert.match(line, /outer/);
    assert.match(line, /inner/);
    assert.match(line, /log\.test\.ts/);
  });
});

suite("node/log sink", (test) => {
  test("lines that nobody reads in time are dropped, counted, and told of", () => {
    const lines: string[] = [];
    let full = false;
    const sink = { write: (text: string) => !full && lines.push(text) > 0 };
    const log = createLog({ level: "info", format: "json", terminal: false, sink });

    log.info("1");
    full = true;
    log.info("2");
    log.info("3");
    full = false;
    log.info("4");
    log.info("5");

    const shown = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.equal(
      shown.map(({ msg, dropped }) => dropped ?? msg),
      ["1", 2, "4", "5"],
    );
    assert.is(shown[1]?.["level"], "warn");
  });

  test("a stream that is not read takes a bounded number of bytes", async () => {
    const takers: (() => void)[] = [];
    const stream = new Writable({ write: (_chunk, _encoding, done) => void takers.push(done) });
    const sink = streamSink(stream);
    const line = "x".repeat(1024 * 1024);

    let taken = 0;
    while (taken < 100 && sink.write(line)) taken += 1;

    assert.ok(taken >= 8 && taken <= 32, `${taken} MB`);
    const startedMs = performance.now();
    await sink.drained(50);
    assert.ok(performance.now() - startedMs >= 45, "it gave up before the limit");
    takers.shift()?.();
    assert.ok(sink.write("more"), "it never recovers");
  });

  test("a stream that breaks is given up without a word, and is drained", async () => {
    const stream = new Writable({
      write: (_chunk, _encoding, done) => {
        done(Object.assign(new Error("gone"), { code: "EPIPE" }));
      },
    });
    const sink = streamSink(stream);

    sink.write("one");
    await sink.drained(1_000);

    assert.ok(sink.write("two"));
    const throwing = new Writable();
    throwing.write = () => {
      throw new Error("disk full");
    };
    assert.ok(streamSink(throwing).write("three"));
  });
});

type Body = (log: ReturnType<typeof createLog>) => void;

function recorded(options: Partial<LogOptions>, body: Body): string[] {
  const lines: string[] = [];
  const sink = { write: (text: string) => lines.push(text) > 0 };
  body(createLog({ level: "info", format: "auto", terminal: false, sink, ...options }));
  return lines;
}
