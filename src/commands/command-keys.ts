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
      if (key !== undefined) found.push({ key, flags: keySpec.flags });
    }
  }
  return found;
}

interface Range {
  readonly first: number;
  readonly last: number;
  readonly step: number;
}

function rangeOf({ begin, find }: KeySpec, args: readonly string[]): Range | null {
  if (find.kind === "range") {
    const last = find.last >= 0 ? begin + find.last : args.length + find.last;
    return { first: begin, last, step: find.step };
  }
  const count = parseInteger(args[begin] ?? "");
  if (count === null || count < 0 || count > args.length - begin - 1) return null;
  return { first: begin + 1, last: begin + Number(count), step: 1 };
}
