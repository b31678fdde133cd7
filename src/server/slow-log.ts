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
  lengthMax: number;

  constructor(thresholdMicroseconds: number, lengthMax: number) {
    this.thresholdMicroseconds = thresholdMicroseconds;
    this.lengthMax = lengthMax;
  }

  /** Records the command if it was slow. */
  offer(command: Omit<SlowEntry, "id">): void {
    if (this.thresholdMicroseconds < 0) return;
    if (command.microseconds < this.thresholdMicroseconds) return;
    this.#entries.unshift({ ...command, id: this.#nextId, args: shorten(command.args) });
    this.#nextId += 1;
    if (this.#entries.length > this.lengthMax) this.#entries.length = this.lengthMax;
  }

  /** Newest first. */
  entries(): readonly SlowEntry[] {
    return this.#entries;
  }

  reset(): void {
    this.#entries.length = 0;
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
