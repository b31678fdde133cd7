/**
 * SLOWLOG: the last commands that took longer than a threshold from being read to being answered.
 *
 * Unlike Redis's, this time includes the wait for the disk: that is what a client feels. Under load
 * every command may be slow, so recording one must cost next to nothing: a ring that is never moved,
 * and arguments that are copied only when they are long.
 */
import type { SlowEntry } from "../commands/contract.ts";

/** As Redis: at most 32 arguments of at most 128 characters each are kept. */
const ARGUMENTS_MAX = 32;
const ARGUMENT_CHARACTERS_MAX = 128;

export class SlowLog {
  /** The oldest entry is at `#oldest` once the ring is full. */
  #ring: SlowEntry[] = [];
  #oldest = 0;
  #nextId = 0;
  /** Threshold in microseconds; negative is off, 0 logs everything. */
  thresholdMicroseconds: number;
  #lengthMax: number;

  constructor(thresholdMicroseconds: number, lengthMax: number) {
    this.thresholdMicroseconds = thresholdMicroseconds;
    this.#lengthMax = lengthMax;
  }

  /** Whether any command can be recorded. */
  get isOn(): boolean {
    return this.thresholdMicroseconds >= 0;
  }

  /** Records the command if it was slow. */
  offer(command: Omit<SlowEntry, "id">): void {
    if (this.thresholdMicroseconds < 0) return;
    if (command.microseconds < this.thresholdMicroseconds) return;
    const { wallSeconds, microseconds, args, address, clientName } = command;
    const id = this.#nextId;
    this.#nextId += 1;
    const kept = isShort(args) ? args : shorten(args);
    const entry = { id, wallSeconds, microseconds, args: kept, address, clientName };
    if (this.#ring.length < this.#lengthMax) {
      this.#ring.push(entry);
    } else if (this.#lengthMax > 0) {
      this.#ring[this.#oldest] = entry;
      this.#oldest = (this.#oldest + 1) % this.#lengthMax;
    }
  }

  /** Keeps at most so many entries from now on, the newest. */
  setLengthMax(lengthMax: number): void {
    if (lengthMax === this.#lengthMax) return;
    this.#ring = lengthMax === 0 ? [] : this.#oldestFirst().slice(-lengthMax);
    this.#oldest = 0;
    this.#lengthMax = lengthMax;
  }

  /** Newest first, without passwords. */
  entries(): readonly SlowEntry[] {
    return this.#oldestFirst()
      .reverse()
      .map((entry) => ({ ...entry, args: redact(entry.args) }));
  }

  reset(): void {
    this.#ring = [];
    this.#oldest = 0;
  }

  #oldestFirst(): SlowEntry[] {
    return [...this.#ring.slice(this.#oldest), ...this.#ring.slice(0, this.#oldest)];
  }
}

function isShort(args: readonly string[]): boolean {
  if (args.length > ARGUMENTS_MAX) return false;
  for (const arg of args) if (arg.length > ARGUMENT_CHARACTERS_MAX) return false;
  return true;
}

function shorten(args: readonly string[]): readonly string[] {
  const kept = args.length > ARGUMENTS_MAX ? args.slice(0, ARGUMENTS_MAX - 1) : args;
  const shortened = kept.map((arg) =>
    arg.length > ARGUMENT_CHARACTERS_MAX
      ? `${copyOfStart(arg)}... (${arg.length - ARGUMENT_CHARACTERS_MAX} more bytes)`
      : arg,
  );
  if (args.length > ARGUMENTS_MAX)
    shortened.push(`... (${args.length - ARGUMENTS_MAX + 1} more arguments)`);
  return shortened;
}

/** A slice would be a pointer into the whole argument and keep all its megabytes. */
function copyOfStart(arg: string): string {
  return Buffer.from(arg.slice(0, ARGUMENT_CHARACTERS_MAX), "latin1").toString("latin1");
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
