/**
 * The comparison notices: for each kind of difference one is planted in what Paxlock answers, and the
 * program that ran without a difference before now has one, which is not taken for a meant one.
 */
import fc from "fast-check";
import * as assert from "uvu/assert";
import { suite } from "../support/suite.ts";
import { withBothServers } from "./both-servers.ts";
import { ANY_KEYS } from "./commands.ts";
import { dataProgram } from "./programs.ts";
import type { Program, Step } from "./program.ts";
import type { Exchange, Side } from "./raw-connection.ts";
import { runProgram, type Outcome } from "./run-program.ts";

/** Changes what comes back; the sentinel's two frames are the last. */
type Plant = (exchange: Exchange) => Exchange;

/** Answers with something planted from the `from`th exchange on, counted from the program's begin. */
class PlantedSide implements Side {
  readonly #inner: Side;
  readonly #plant: Plant;
  /** The program begins with an exchange that empties the server. */
  #exchanges = -1;

  constructor(inner: Side, plant: Plant) {
    this.#inner = inner;
    this.#plant = plant;
  }

  async exchange(pieces: readonly string[], last: string): Promise<Exchange> {
    const exchange = await this.#inner.exchange(pieces, last);
    this.#exchanges += 1;
    return this.#exchanges === 0 ? exchange : this.#plant(exchange);
  }

  reconnect(): Promise<void> {
    return this.#inner.reconnect();
  }

  close(): void {
    this.#inner.close();
  }
}

function pipeline(...commands: readonly string[]): Step {
  return {
    kind: "pipeline",
    commands: commands.map((line) => ({ args: line.split(" ") })),
    cuts: [],
  };
}

/** Replaces a part of each answer that has it. */
function instead(before: string | RegExp, after: string): Plant {
  return (exchange) => ({
    ...exchange,
    frames: exchange.frames.map((frame) => frame.replace(before, () => after)),
  });
}

interface Planted {
  readonly title: string;
  readonly program: Program;
  readonly plant: Plant;
}

const PLANTED: readonly Planted[] = [
  {
    title: "a status of another text",
    program: [pipeline("SET k v")],
    plant: instead("+OK\r\n", "+Ok\r\n"),
  },
  {
    title: "a byte of a value",
    program: [pipeline("SET k value", "GET k")],
    plant: instead("value", "vaLue"),
  },
  { title: "a number by one", program: [pipeline("INCR k")], plant: instead(":1\r\n", ":2\r\n") },
  {
    title: "a number that is a string",
    program: [pipeline("INCR k")],
    plant: instead(":1\r\n", "$1\r\n1\r\n"),
  },
  {
    title: "a word of an error",
    program: [pipeline("SET k")],
    plant: instead("wrong number", "Wrong number"),
  },
  {
    title: "an error where there is none",
    program: [pipeline("GET k")],
    plant: instead("$-1\r\n", "-ERR no\r\n"),
  },
  {
    title: "another kind of nothing",
    program: [pipeline("GET k")],
    plant: instead("$-1\r\n", "*-1\r\n"),
  },
  {
    title: "the nothing of RESP2 in RESP3",
    program: [pipeline("HELLO 3"), pipeline("GET k")],
    plant: instead("_\r\n", "$-1\r\n"),
  },
  {
    title: "an answer too few",
    program: [pipeline("SET k v", "GET k")],
    plant: (exchange) => ({ ...exchange, frames: exchange.frames.slice(1) }),
  },
  {
    title: "an answer too many",
    program: [pipeline("SET k v", "GET k")],
    plant: (exchange) => ({ ...exchange, frames: ["+OK\r\n", ...exchange.frames] }),
  },
  {
    title: "answers in another order",
    program: [pipeline("SET k v", "GET k")],
    plant: (exchange) => {
      const [first = "", second = "", ...rest] = exchange.frames;
      return { ...exchange, frames: [second, first, ...rest] };
    },
  },
  {
    title: "an answer where CLIENT REPLY is off",
    program: [pipeline("CLIENT REPLY OFF", "PING")],
    plant: (exchange) => ({ ...exchange, frames: ["+PONG\r\n", ...exchange.frames] }),
  },
  {
    title: "a connection that is closed",
    program: [pipeline("PING")],
    plant: (exchange) => ({ ...exchange, closed: true }),
  },
  {
    title: "half an answer before the end",
    program: [pipeline("PING", "QUIT")],
    plant: (exchange) => ({ ...exchange, rest: exchange.closed ? "+" : "" }),
  },
  {
    title: "some seconds of a lease",
    program: [pipeline("SET k v EX 1000", "TTL k")],
    plant: instead(/^:(1000|99\d)\r\n$/, ":980\r\n"),
  },
  {
    title: "milliseconds of a lease beyond what has passed",
    program: [pipeline("SET k v EX 1000", "PTTL k")],
    plant: instead(/^:(1000000|99\d{4})\r\n$/, ":900000\r\n"),
  },
  {
    title: "a key without lease for one with",
    program: [pipeline("SET k v EX 1000", "PTTL k")],
    plant: instead(/^:(1000000|99\d{4})\r\n$/, ":-1\r\n"),
  },
  {
    title: "a missing key for one without lease",
    program: [pipeline("TTL k")],
    plant: instead(":-2\r\n", ":-1\r\n"),
  },
  {
    title: "a point of time by a second and more",
    program: [pipeline("SET k v EXAT 4102444800", "EXPIRETIME k")],
    plant: instead(":4102444800\r\n", ":4102444802\r\n"),
  },
  {
    title: "a key that KEYS leaves out",
    program: [pipeline("MSET a 1 b 2", "KEYS *")],
    plant: instead(/^\*2\r\n\$1\r\n([ab])\r\n\$1\r\n[ab]\r\n$/, "*1\r\n$1\r\na\r\n"),
  },
  {
    title: "a key that KEYS shows twice",
    program: [pipeline("MSET a 1 b 2", "KEYS *")],
    plant: instead(/^\*2\r\n\$1\r\n([ab])\r\n\$1\r\n[ab]\r\n$/, "*2\r\n$1\r\na\r\n$1\r\na\r\n"),
  },
  {
    title: "a key that SCAN leaves out",
    program: [pipeline("MSET a 1 b 2"), { kind: "scan", options: [] }],
    plant: instead(/\*2\r\n\$1\r\n[ab]\r\n\$1\r\n[ab]\r\n$/, "*1\r\n$1\r\na\r\n"),
  },
  {
    title: "a random key that is none",
    program: [pipeline("SET a 1"), { kind: "randomkey" }],
    plant: instead("$1\r\na\r\n", "$1\r\nz\r\n"),
  },
  {
    title: "a field of HELLO",
    program: [pipeline("HELLO 3")],
    plant: instead("$4\r\nrole\r\n$6\r\nmaster\r\n", "$4\r\nrole\r\n$6\r\nslave!\r\n"),
  },
  {
    title: "HELLO as an array in RESP3",
    program: [pipeline("HELLO 3")],
    plant: instead("%7\r\n", "*14\r\n"),
  },
  {
    title: "the name of a connection",
    program: [pipeline("CLIENT SETNAME me", "CLIENT INFO")],
    plant: instead("name=me", "name=it"),
  },
  {
    title: "TIME as one number",
    program: [pipeline("TIME")],
    plant: instead(/^\*2\r\n[^]*$/, ":1700000000\r\n"),
  },
  {
    title: "the arity of a command",
    program: [pipeline("COMMAND INFO get")],
    plant: instead(":2\r\n", ":-2\r\n"),
  },
  {
    title: "a setting",
    program: [pipeline("CONFIG GET databases timeout")],
    plant: instead("$2\r\n16\r\n", "$2\r\n17\r\n"),
  },
  {
    title: "a value that only the look at the end sees",
    program: [pipeline("SET k value"), pipeline("SELECT 3", "SET j other")],
    plant: instead("other", "OTHER"),
  },
  {
    title: "a key that outlives its lease",
    program: [
      {
        kind: "leases",
        commands: [{ args: ["SET", "k", "v", "PX", "100"] }],
        shortestMs: 100,
        longestMs: 100,
      },
      pipeline("EXISTS k"),
    ],
    plant: instead(":0\r\n", ":1\r\n"),
  },
  {
    title: "what a script returns",
    program: [pipeline("EVAL return{1,KEYS[1]} 1 k")],
    plant: instead("*2\r\n:1\r\n", "*2\r\n:3\r\n"),
  },
];

/** What comes of a program, once the machine was fast enough to tell what its leases should be. */
async function certainly(run: () => Promise<Outcome>): Promise<Outcome> {
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await run();
    if (!outcome.doubtful || attempt === 50) return outcome;
  }
}

suite(
  "differential/planted",
  (test) => {
    test("each kind of difference is noticed, and only when it is there", async () => {
      const found: string[] = [];
      await withBothServers({}, async ({ redis, paxlock }) => {
        for (const { title, program, plant } of PLANTED) {
          const clean = await certainly(() => runProgram({ redis, paxlock }, program));
          if (clean.difference !== null) found.push(`${title}: ${clean.difference}`);
          const { difference } = await certainly(() =>
            runProgram({ redis, paxlock: new PlantedSide(paxlock, plant) }, program),
          );
          if (difference === null) found.push(`${title}: not noticed`);
        }
      });
      assert.equal(found, []);
    });

    test("one changed byte in one answer of a random program is noticed", async () => {
      await withBothServers({}, async ({ redis, paxlock }) => {
        let changes = 0;
        await fc.assert(
          fc.asyncProperty(dataProgram(ANY_KEYS), fc.nat(), async (program, place) => {
            const exact = program.filter(isExact);
            const change = { done: false };
            const planted = new PlantedSide(paxlock, (exchange) => {
              const frames = [...exchange.frames];
              const at = place % Math.max(1, frames.length - 2);
              const frame = frames[at] ?? "";
              if (change.done || frames.length < 3) return exchange;
              change.done = true;
              const byte = 1 + (place % (frame.length - 3));
              const other = frame.charAt(byte) === "x" ? "y" : "x";
              frames[at] = frame.slice(0, byte) + other + frame.slice(byte + 1);
              return { ...exchange, frames };
            });
            const { meant, difference } = await runProgram({ redis, paxlock: planted }, exact);
            if (meant !== null || !change.done) return;
            changes += 1;
            assert.is.not(difference, null);
          }),
          { numRuns: 60 },
        );
        assert.ok(changes > 30, `${changes} changes`);
      });
    });
  },
  { needs: "redis-server", timeoutMs: 90_000 },
);

/** Whether all answers of the step are compared byte by byte. */
function isExact(step: Step): boolean {
  return (
    step.kind === "pipeline" &&
    step.commands.every(
      ({ args }) => !/^(keys|p?ttl|p?expiretime|randomkey|hello|object)$/i.test(args[0] ?? ""),
    )
  );
}
