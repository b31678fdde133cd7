/** SLOWLOG: the last commands that took longer than a threshold from being read to being answered. */
import type { SlowEntry } from "../commands/contract.ts";

/** As Redis: at most 32 arguments of at most 128 characters each are kept. */
const ARGUMENTS_MAX = 32;
const ARGUMENT_CHARACTERS_MAX = 128;

export class SlowLog {
  readonly #entries: SlowEntry[] = [];
  #nextId = 0;
  /** Threshold in microseconds; negative is off, 0 logs everything. */
  thresholdMicroseconds: number;
  #lengthMax: number;

  constructor(thresholdMicroseconds: number, lengthMax: number) {
    this.thresholdMicroseconds = thresholdMicroseconds;
    this.#lengthMax = lengthMax;
  }

  /** Records the command if it was slow. */
  offer(command: Omit<SlowEntry, "id">): void {
    if (this.thresholdMicroseconds < 0) return;
    if (command.microseconds < this.thresholdMicroseconds) return;
    this.#entries.unshift({ ...command, id: this.#nextId, args: shorten(redact(command.args)) });
    this.#nextId += 1;
    this.#trim();
  }

  /** Keeps at most so many entries from now on. */
  setLengthMax(lengthMax: number): void {
    this.#lengthMax = lengthMax;
    this.#trim();
  }

  /** Newest first. */
  entries(): readonly SlowEntry[] {
    return this.#entries;
  }

  reset(): void {
    this.#entries.length = 0;
  }

  #trim(): void {
    if (this.#entries.length > this.#lengthMax) this.#entries.length = this.#lengthMax;
  }
}

function shorten(args: readonly string[]): readonly string[] {
  const kept = args.length > ARGUMENTS_MAX ? args.slice(0, ARGUMENTS_MAX - 1) : args;
  const shortened = kept.map((arg) =>
    arg.length > ARGUMENT_CHARACTERS_MAX
      ? `${arg.slice(0, ARGUMENT_CHARACTERS_MAX)}... (${arg.length - ARGUMENT_CHARACTERS_MAX} more bytes)`
      : arg,
  );
  if (args.length > ARGUMENTS_MAX)
    shortened.push(`... (${args.length - ARGUMENTS_MAX + 1} more arguments)`);
  return shortened;
}

/** Passwords do not belong in a log that others read. */
function redact(args: readonly string[]): readonly string[] {
  const name = args[0]?.toLowerCase();
  if (name === "auth") return args.map((arg, index) => (index === 0 ? arg : "(redacted)"));
  if (name === "hello") {
    const auth = args.findIndex((arg) => arg.toLowerCase() === "auth");
    if (auth < 0) return args;
    return args.map((arg, index) =>
      index === auth + 1 || index === auth + 2 ? "(redacted)" : arg,
    );
  }
  if (name === "config" && args.some((arg) => arg.toLowerCase() === "requirepass")) {
    return args.map((arg, index) => (index < 2 ? arg : "(redacted)"));
  }
  return args;
}
