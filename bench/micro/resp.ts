/**
 * How fast requests are decoded and replies encoded on one core.
 *
 * `node --import tsx bench/micro/resp.ts`. The decoder runs beside `redis-parser` on the same bytes,
 * so that the ratio holds on any machine: a lock command alone, in pipelines of 16 and of 500, and
 * in a stream cut into 64 KB chunks as a socket gives them.
 */
import Benchmark from "benchmark";
import RedisParser from "redis-parser";
import type { Reply } from "../../src/base/reply.ts";
import { OK } from "../../src/base/reply.ts";
import { RequestDecoder } from "../../src/resp/decoder.ts";
import { ReplyWriter } from "../../src/resp/encoder.ts";

const CHUNK_BYTES = 64 * 1024;

const lockCommands = {
  "SET lock:123 tok NX PX 30000": ["SET", "lock:123", "tok", "NX", "PX", "30000"],
  "SET, key of 20 bytes, uuid": [
    "SET",
    "lock:orders:12345678",
    "123e4567-e89b-12d3-a456-426614174000",
    "NX",
    "PX",
    "30000",
  ],
};

function request(args: readonly string[]): string {
  return `*${args.length}\r\n${args.map((arg) => `$${arg.length}\r\n${arg}\r\n`).join("")}`;
}

/** The chunks in which `count` requests arrive. */
function chunksOf(args: readonly string[], count: number): Buffer[] {
  const bytes = Buffer.from(request(args).repeat(count), "latin1");
  const chunks: Buffer[] = [];
  for (let from = 0; from < bytes.length; from += CHUNK_BYTES) {
    chunks.push(bytes.subarray(from, from + CHUNK_BYTES));
  }
  return chunks;
}

/** Runs the cases and gives how often a second each ran, by name. */
function measure(cases: Readonly<Record<string, () => void>>): Map<string, number> {
  const runs = new Map<string, number>();
  const suite = new Benchmark.Suite();
  for (const [name, run] of Object.entries(cases)) {
    suite.add(name, run, { minSamples: 20, maxTime: 0.3 });
  }
  suite.on("cycle", ({ target }: Benchmark.Event) => {
    runs.set(String(target.name), target.hz ?? 0);
  });
  suite.run();
  return runs;
}

function millions(perSecond: number): string {
  return `${(perSecond / 1e6).toFixed(2)} M/s`.padStart(11);
}

function benchDecoder(): void {
  console.log("decode, commands per second            requests       ours  redis-parser  ratio");
  for (const [name, args] of Object.entries(lockCommands)) {
    for (const count of [1, 16, 500, 20_000]) {
      const chunks = chunksOf(args, count);
      let decoded = 0;
      const decoder = new RequestDecoder(undefined, { authenticated: true });
      const parser = new RedisParser({
        returnReply: () => {
          decoded += 1;
        },
        returnError: () => undefined,
      });
      const runs = measure({
        ours: () => {
          for (const chunk of chunks) {
            decoder.feed(chunk);
            while (decoder.next() !== null) decoded += 1;
          }
        },
        parser: () => {
          for (const chunk of chunks) parser.execute(chunk);
        },
      });
      const ours = (runs.get("ours") ?? 0) * count;
      const theirs = (runs.get("parser") ?? 0) * count;
      if (decoded === 0) throw new Error("nothing was decoded");
      console.log(
        `${name.padEnd(36)} ${String(count).padStart(9)} ${millions(ours)}  ${millions(theirs)}` +
          `  ${(ours / theirs).toFixed(1).padStart(5)}`,
      );
    }
  }
}

function benchEncoder(): void {
  console.log("\nencode, replies per second         a turn of 1       of 100");
  const replies: Readonly<Record<string, Reply>> = {
    OK,
    nil: null,
    "integer 1": 1,
    "integer 29999": 29_999,
    "bulk of 3": "tok",
    "bulk of 36": "123e4567-e89b-12d3-a456-426614174000",
    "bulk of 1000": "x".repeat(1_000),
    "array of 5": ["tok", 1, null, "1", "30000"],
  };
  for (const [name, reply] of Object.entries(replies)) {
    let written = 0;
    const turn = (count: number) => () => {
      for (let index = 0; index < count; index += 1) writer.write(reply, 2);
      written += writer.take().length;
    };
    const writer = new ReplyWriter();
    const runs = measure({ single: turn(1), many: turn(100) });
    if (written === 0) throw new Error("nothing was written");
    console.log(
      `${name.padEnd(32)} ${millions(runs.get("single") ?? 0)}  ${millions((runs.get("many") ?? 0) * 100)}`,
    );
  }
}

benchDecoder();
benchEncoder();
