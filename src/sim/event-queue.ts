/**
 * Virtual time: an agenda of events and the one thread of the world that runs them.
 *
 * Time is a whole number of microseconds since the run began. It moves only from event to event, so
 * an hour of silence costs nothing, and two events never run at once: what is simultaneous runs in
 * the order in which it was put on the agenda.
 */
import { Heap, NOT_IN_HEAP } from "../base/heap.ts";

/** An event on the agenda. */
export interface Event {
  readonly atUs: number;
  readonly sequence: number;
  readonly run: () => void;
  heapIndex: number;
}

function before(left: Event, right: Event): boolean {
  return left.atUs === right.atUs ? left.sequence < right.sequence : left.atUs < right.atUs;
}

/** So many events at one moment are a loop without end. */
const AT_ONCE_MAX = 200_000;

/** Time stands still. */
export class Livelock extends Error {
  override readonly name = "Livelock";
}

export class EventQueue {
  readonly #agenda = new Heap<Event>(before);
  #nowUs = 0;
  #sequence = 0;
  #ran = 0;
  #atOnce = 0;

  /** True time, which nobody in the world can read. */
  get nowUs(): number {
    return this.#nowUs;
  }

  get nowMs(): number {
    return this.#nowUs / 1000;
  }

  /** How many events have run. */
  get ran(): number {
    return this.#ran;
  }

  /** Runs `run` once, `delayUs` from now; whole microseconds, at least 0. */
  in(delayUs: number, run: () => void): Event {
    this.#sequence += 1;
    const atUs = this.#nowUs + (delayUs > 0 ? Math.floor(delayUs) : 0);
    const event: Event = { atUs, sequence: this.#sequence, run, heapIndex: NOT_IN_HEAP };
    this.#agenda.push(event);
    return event;
  }

  /** Takes an event off the agenda, if it is still on it. */
  cancel(event: Event): void {
    if (event.heapIndex !== NOT_IN_HEAP) this.#agenda.remove(event);
  }

  /**
   * Runs everything due up to `endUs`, which is then the time. May be called from within an event:
   * that event is then held up in its middle while the others go on.
   */
  runUntil(endUs: number): void {
    let event = this.#agenda.peek();
    while (event !== null && event.atUs <= endUs) {
      this.#agenda.remove(event);
      if (event.atUs > this.#nowUs) {
        this.#nowUs = event.atUs;
        this.#atOnce = 0;
      }
      this.#ran += 1;
      this.#atOnce += 1;
      if (this.#atOnce > AT_ONCE_MAX) {
        throw new Livelock(`${AT_ONCE_MAX} events at ${this.nowMs} ms and no end`);
      }
      event.run();
      event = this.#agenda.peek();
    }
    if (endUs > this.#nowUs) this.#nowUs = endUs;
  }
}
