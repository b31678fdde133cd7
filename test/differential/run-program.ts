/** Runs one program on both servers and says where the answers part. */
import { setTimeout as sleep } from "node:timers/promises";
import { encodeCommand } from "../support/resp-client.ts";
import type { RespValue } from "../support/resp3-reader.ts";
import { agree, parse, type Pair } from "./compare.ts";
import {
  CLOSED_FOR_STRANGERS,
  meantDifference,
  type MeantDifference,
} from "./meant-differences.ts";
import {
  asRedisTakesIt,
  encode,
  endsConnection,
  pieces,
  ReplyModes,
  withoutSilentQuit,
  type Command,
  type Program,
  type Step,
} from "./program.ts";
import type { Exchange, Side } from "./raw-connection.ts";

export interface Sides {
  readonly redis: Side;
  readonly paxlock: Side;
}

export interface RunOptions {
  /** That of both servers; the program begins before it is given. */
  readonly password?: string;
  /** Paxlock has several groups, so that a command can ask for too much. */
  readonly severalGroups?: boolean;
}

export interface Outcome {
  /** Null, or what differs, for people. */
  readonly difference: string | null;
  /** A difference that is meant; the states may differ from there on, so the program ended. */
  readonly meant: MeantDifference | null;
  /** The machine was too slow to say what a lease that ends soon should have been. */
  readonly doubtful: boolean;
  /** How often keys were still there 50 ms after their end, and 50 ms later again. */
  readonly late: number;
  /** Those of the program; the looks at what is left are not counted. */
  readonly commands: number;
}

/** What a lease may be late on a busy machine before its end counts as an error. */
const LEASE_GRACE_MS = 50;
const LATE_MAX = 40;
/** Leases are counted in whole milliseconds by several clocks. */
const ROUNDING_MS = 5;

interface Answers {
  readonly theirs: Exchange;
  readonly ours: Exchange;
}

/** Begins with empty databases, no scripts and fresh connections; looks at all that is left. */
export async function runProgram(
  sides: Sides,
  program: Program,
  options: RunOptions = {},
): Promise<Outcome> {
  const run = new ProgramRun(sides, options);
  await run.begin();
  for (const step of program) {
    await run.step(step);
    if (run.ended) return run.outcome;
  }
  const { commands } = run.outcome;
  await run.compareStates();
  return { ...run.outcome, commands };
}

class ProgramRun {
  readonly #sides: Sides;
  readonly #options: RunOptions;
  #modes = new ReplyModes();
  #startedAt = 0;
  #commands = 0;
  #sentinels = 0;
  #difference: string | null = null;
  #meant: MeantDifference | null = null;
  #doubtful = false;
  #late = 0;
  readonly #history: string[] = [];

  constructor(sides: Sides, options: RunOptions) {
    this.#sides = sides;
    this.#options = options;
  }

  get ended(): boolean {
    return this.#difference !== null || this.#meant !== null || this.#doubtful;
  }

  get outcome(): Outcome {
    return {
      difference: this.#difference,
      meant: this.#meant,
      doubtful: this.#doubtful,
      late: this.#late,
      commands: this.#commands,
    };
  }

  async begin(): Promise<void> {
    await Promise.all([this.#sides.redis.reconnect(), this.#sides.paxlock.reconnect()]);
    const { password } = this.#options;
    const clean = [["FLUSHALL"], ["SCRIPT", "FLUSH"]];
    if (password !== undefined) clean.unshift(["AUTH", password]);
    if (password !== undefined) clean.push(["RESET"]);
    await this.#pipeline(
      clean.map((args) => ({ args })),
      [],
    );
    this.#commands = 0;
    this.#history.length = 0;
    this.#startedAt = performance.now();
  }

  async step(step: Step): Promise<void> {
    switch (step.kind) {
      case "pipeline":
        await this.#pipeline(step.commands, step.cuts);
        return;
      case "leases": {
        const before = performance.now();
        await this.#pipeline(step.commands, []);
        // A lease may have ended while the commands ran, or have begun late: nobody can say.
        const took = performance.now() - before;
        if (took > step.shortestMs / 2) {
          this.#doubtful = true;
          return;
        }
        await sleep(step.longestMs + LEASE_GRACE_MS);
        await this.#untilNothingIsDue();
        return;
      }
      case "scan":
        await this.#scan(step.options);
        return;
      case "randomkey":
        await this.#randomKey();
        return;
    }
  }

  /**
   * A due key is there, with 0 ms left, until an entry has taken it away, which on a busy disk takes
   * its time. How long is counted; past a bound it is an error.
   */
  async #untilNothingIsDue(): Promise<void> {
    const { paxlock } = this.#sides;
    const ask = async (...args: readonly string[]): Promise<RespValue> => {
      const { command, last } = this.#sentinel();
      const { frames } = await paxlock.exchange([encodeCommand(args) + command], last);
      return parse(frames[0] ?? "");
    };
    for (let waits = 0; ; waits += 1) {
      const keys = (await ask("KEYS", "*")) as string[];
      let due = 0;
      for (const key of keys) if ((await ask("PTTL", key)) === 0) due += 1;
      if (due === 0) return;
      this.#late += 1;
      if (waits === LATE_MAX) {
        this.#differ(`${due} keys are still there ${LATE_MAX * LEASE_GRACE_MS} ms after their end`);
        return;
      }
      await sleep(LEASE_GRACE_MS);
    }
  }

  /** All databases, key by key. */
  async compareStates(): Promise<void> {
    const { password } = this.#options;
    if (password !== undefined) await this.#pipeline([{ args: ["AUTH", password] }], []);
    for (let db = 0; db < 16 && !this.ended; db += 1) {
      const answers = await this.#ask(["SELECT", String(db)], ["KEYS", "*"]);
      const keys = parse(answers?.theirs.frames[1] ?? "_\r\n");
      if (!Array.isArray(keys) || keys.length === 0) continue;
      await this.#ask(
        ...(keys as string[]).flatMap((key) => [
          ["GET", key],
          ["PTTL", key],
        ]),
      );
    }
  }

  /** Sends commands, waits for all answers, compares each. Null where there are none. */
  async #pipeline(wanted: readonly Command[], cuts: readonly number[]): Promise<Answers | null> {
    const commands = withoutSilentQuit(wanted, this.#modes);
    for (const { args } of commands) this.#history.push(show(args));
    this.#commands += commands.length;
    const bytes = {
      redis: commands.map(asRedisTakesIt).map(encode).join(""),
      paxlock: commands.map(encode).join(""),
    };
    const answers = await this.#exchange(bytes, cuts).catch((error: unknown) => {
      this.#differ(String(error));
      return null;
    });
    if (answers === null) return null;
    const { theirs, ours } = answers;
    const answered: (readonly string[])[] = [];
    for (const { args } of commands) {
      if (this.#modes.answers(args)) answered.push(args);
      if (endsConnection(args)) break;
    }
    this.#compare(answered, theirs, ours);
    if (theirs.closed && !this.ended) await this.#reconnect();
    return answers;
  }

  #compare(answered: readonly (readonly string[])[], theirs: Exchange, ours: Exchange): void {
    const count = Math.max(theirs.frames.length, ours.frames.length);
    for (let index = 0; index < count && !this.ended; index += 1) {
      this.#judge({
        args: answered[index] ?? ["(no command)"],
        theirs: theirs.frames[index] ?? nothing(theirs),
        ours: ours.frames[index] ?? nothing(ours),
      });
    }
    if (this.ended) return;
    if (theirs.closed !== ours.closed) {
      this.#differ(`closed: Redis ${String(theirs.closed)}, Paxlock ${String(ours.closed)}`);
    } else if (theirs.rest !== "" || ours.rest !== "") {
      this.#differ(`cut short: Redis ${theirs.rest}, Paxlock ${ours.rest}`);
    } else if (count !== answered.length && !ours.closed) {
      // A connection that both have closed, after a protocol error, answers no more.
      this.#differ(`${answered.length} answers expected, ${count} came`);
    }
  }

  #judge(pair: Pair): void {
    const milliseconds = performance.now() - this.#startedAt + ROUNDING_MS;
    const whole = !pair.theirs.startsWith(NOTHING) && !pair.ours.startsWith(NOTHING);
    if (whole && agree(pair, { milliseconds })) return;
    if (this.#options.password !== undefined && pair.theirs === NOTHING_AND_CLOSED) {
      this.#meant = CLOSED_FOR_STRANGERS;
      return;
    }
    this.#meant = whole ? meantDifference(pair, this.#options.severalGroups === true) : null;
    if (this.#meant !== null) return;
    this.#differ(
      `${show(pair.args)}\n  Redis   ${shorten(pair.theirs)}\n  Paxlock ${shorten(pair.ours)}`,
    );
  }

  #differ(text: string): void {
    this.#difference = `${text}\nafter\n  ${this.#history.slice(-40).join("\n  ")}`;
  }

  async #ask(...commands: readonly (readonly string[])[]): Promise<Answers | null> {
    return this.#pipeline(
      commands.map((args) => ({ args })),
      [],
    );
  }

  /**
   * CLIENT REPLY ON and a command that nobody has mark the end, whatever was sent before: its error
   * comes to those who have not authenticated, too.
   */
  async #exchange(
    bytes: { readonly redis: string; readonly paxlock: string },
    cuts: readonly number[],
  ): Promise<Answers> {
    const { command, last } = this.#sentinel();
    const end = encodeCommand(["CLIENT", "REPLY", "ON"]) + command;
    const [theirs, ours] = await Promise.all([
      this.#sides.redis.exchange(pieces(bytes.redis + end, cuts), last),
      this.#sides.paxlock.exchange(pieces(bytes.paxlock + end, cuts), last),
    ]);
    this.#modes.answers(["CLIENT", "REPLY", "ON"]);
    return { theirs: withoutEnd(theirs, last), ours: withoutEnd(ours, last) };
  }

  #sentinel(): { readonly command: string; readonly last: string } {
    this.#sentinels += 1;
    const mark = `sentinel-${this.#sentinels}`;
    const last = `-ERR unknown command '${mark}', with args beginning with: \r\n`;
    return { command: encodeCommand([mark]), last };
  }

  async #reconnect(): Promise<void> {
    await Promise.all([this.#sides.redis.reconnect(), this.#sides.paxlock.reconnect()]);
    this.#modes = new ReplyModes();
  }

  async #scan(options: readonly string[]): Promise<void> {
    const theirs = await this.#scanAll("redis", options);
    const ours = await this.#scanAll("paxlock", options);
    this.#judge({ args: ["SCAN", "…", ...options], theirs, ours });
  }

  /** Everything a scan finds, sorted, as an array reply; or the reply that was no scan's. */
  async #scanAll(side: keyof Sides, options: readonly string[]): Promise<string> {
    const found = new Set<string>();
    for (let cursor = "0"; ;) {
      this.#commands += 0.5;
      const args = ["SCAN", cursor, ...options];
      const { command, last } = this.#sentinel();
      const { frames } = await this.#sides[side].exchange([encodeCommand(args) + command], last);
      const reply = parse(frames[0] ?? "");
      if (!Array.isArray(reply)) return frames[0] ?? "";
      for (const key of reply[1] as string[]) found.add(key);
      cursor = reply[0] as string;
      if (cursor === "0") return encodeCommand([...found].sort());
    }
  }

  async #randomKey(): Promise<void> {
    const randomKeys = Array.from({ length: 8 }, () => ["RANDOMKEY"]);
    const answers = await this.#ask(["KEYS", "*"], ...randomKeys);
    if (answers === null || this.ended) return;
    const keys = new Set(parse(answers.theirs.frames[0] ?? "*0\r\n") as string[]);
    for (const frame of answers.ours.frames.slice(1)) {
      const key = parse(frame);
      const member = key === null ? keys.size === 0 : keys.has(key as string);
      if (!member) this.#differ(`RANDOMKEY\n  Paxlock ${frame}\n  which is no key`);
    }
  }
}

const NOTHING = "(nothing";
const NOTHING_AND_CLOSED = `${NOTHING}, closed)`;

function nothing({ closed, rest }: Exchange): string {
  return `${NOTHING}${closed ? ", closed" : ""}${rest === "" ? "" : `, but ${rest}`})`;
}

function withoutEnd(exchange: Exchange, last: string): Exchange {
  const { frames, closed, rest } = exchange;
  if (frames.at(-1) !== last) return exchange;
  // What CLIENT REPLY ON is answered.
  if (!/^(\+OK|-NOAUTH Authentication required\.)\r\n$/.test(frames.at(-2) ?? "")) return exchange;
  return { frames: frames.slice(0, -2), closed, rest };
}

function show(args: readonly string[]): string {
  return args
    .map((text) => JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text))
    .join(" ");
}

function shorten(frame: string): string {
  return JSON.stringify(frame.length > 600 ? `${frame.slice(0, 600)}…` : frame);
}
