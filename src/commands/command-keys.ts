/** The keys in a command's arguments, found by its key specs alone: for COMMAND GETKEYS. */
import { parseInteger } from "./arguments.ts";
import type { CommandSpec, KeySpec } from "./contract.ts";

/** A key and what the command does with it. */
export interface FoundKey {
  readonly key: string;
  readonly flags: readonly string[];
}

/** The keys of a call in order, or null where its count of keys makes no sense. */
export function findKeys(spec: CommandSpec, args: readonly string[]): readonly FoundKey[] | null {
  const found: FoundKey[] = [];
  for (const keySpec of spec.keySpecs ?? []) {
    const range = rangeOf(keySpec, args);
    if (range === null) return null;
    for (let index = range.first; index <= range.last; index += range.step) {
      const key = args[index];
      if (key === undefined) continue;
      const flags = range.guessed ? [] : (spec.keyFlags?.(args) ?? keySpec.flags);
      found.push({ key, flags });
    }
  }
  return found;
}

const INT64_MAX = 2n ** 63n - 1n;

interface Range {
  readonly first: number;
  readonly last: number;
  readonly step: number;
  /** Redis finds such keys by other means, and says nothing of what is done with them. */
  readonly guessed: boolean;
}

function rangeOf({ begin, find }: KeySpec, args: readonly string[]): Range | null {
  if (find.kind === "range") {
    const last = find.last >= 0 ? begin + find.last : args.length + find.last;
    return { first: begin, last, step: find.step, guessed: false };
  }
  const countMax = args.length - begin - 1;
  const strict = parseInteger(args[begin] ?? "");
  const guessed = strict === null || strict < 0;
  const count = leadingInteger(args[begin] ?? "");
  if (count < 1 || count > countMax) return null;
  return { first: begin + 1, last: begin + count, step: 1, guessed };
}

/** As C's `atoi` reads a number: digits until something else, and the low 32 bits of it. */
function leadingInteger(text: string): number {
  const digits = /^[ \t\n\v\f\r]*([+-]?\d{1,40})/.exec(text)?.[1];
  if (digits === undefined) return 0;
  const value = BigInt(digits);
  const clamped = value > INT64_MAX ? INT64_MAX : value < -INT64_MAX ? -INT64_MAX - 1n : value;
  return Number(BigInt.asIntN(32, clamped));
}
