/**
 * Which applied entries are kept behind the checkpoint, for nodes that were away for a short while.
 *
 * Who lacks no more than these gets them one by one; who lacks more needs a snapshot, which costs the
 * whole state of the group.
 */
import type { Slot } from "../base/ids.ts";
import type { Weight } from "./load.ts";

export class CatchUpWindow {
  /** Bytes of the applied entries from the slot after {@link cut} on. */
  #bytes: number[] = [];
  #total = 0;
  #cut: Slot;

  constructor(cut: Slot) {
    this.#cut = cut;
  }

  /** The next slot is applied. */
  applied(bytes: number): void {
    this.#bytes.push(bytes);
    this.#total += bytes;
  }

  /** Moves the cut as far as `max` asks for and returns it. */
  advance(max: Weight): Slot {
    let gone = 0;
    while (this.#bytes.length - gone > max.operations || this.#total > max.bytes) {
      this.#total -= this.#bytes[gone] ?? 0;
      gone += 1;
    }
    if (gone > 0) this.#bytes.splice(0, gone);
    this.#cut += gone;
    return this.#cut;
  }

  /** A snapshot has replaced everything. */
  restart(cut: Slot): void {
    this.#bytes = [];
    this.#total = 0;
    this.#cut = cut;
  }
}
