/**
 * Which holders came of which request, so that a grant can be given back whose client is gone. Split as
 * a `KeyMap` is, for a Map of a million stops for long when it grows.
 */
import type { Holder } from "./lock-records.ts";

/** A power of two. */
const PARTS = 64;

type Entry = Holder | readonly Holder[];

export class RequestIndex {
  readonly #parts: Map<number, Entry>[] = [];

  /** Adds a holder that has a request. Several of LOCK.ACQUIREALL, or of several nodes, share a number. */
  add(holder: Holder): void {
    while (this.#parts.length < PARTS) this.#parts.push(new Map());
    const part = this.#parts[holder.request & (PARTS - 1)] as Map<number, Entry>;
    const known = part.get(holder.request);
    if (known === undefined) part.set(holder.request, holder);
    else part.set(holder.request, [...listOf(known), holder]);
  }

  /** Removes a holder that is in the index. */
  remove(holder: Holder): void {
    const part = this.#parts[holder.request & (PARTS - 1)] as Map<number, Entry>;
    const rest = listOf(part.get(holder.request)).filter((one) => one !== holder);
    const [only] = rest;
    if (only === undefined) part.delete(holder.request);
    else part.set(holder.request, rest.length === 1 ? only : rest);
  }

  /** The holders of a number, in order of row id. */
  of(request: number): Holder[] {
    const known = this.#parts[request & (PARTS - 1)]?.get(request);
    return listOf(known).sort((a, b) => a.row - b.row);
  }
}

function listOf(entry: Entry | undefined): Holder[] {
  if (entry === undefined) return [];
  return "length" in entry ? [...entry] : [entry];
}
