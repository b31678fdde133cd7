/**
 * What happens to locks, told on this node: events of every group's log as they are applied here, in
 * the order of the log for each key. Nothing is made while nobody listens.
 */
import type { LockEvent } from "../machine/locks/lock-event.ts";
import type { Machine } from "../machine/machine.ts";

export type LockListener = (event: LockEvent) => void;

export class LockFeed {
  readonly #machines: () => Iterable<Machine>;
  readonly #listeners = new Set<LockListener>();

  constructor(machines: () => Iterable<Machine>) {
    this.#machines = machines;
  }

  /** Calls `listener` for each event from now on; the answer ends that, and may be called again. */
  subscribe(listener: LockListener): () => void {
    // A listener of its own, so that one function may listen twice.
    const own: LockListener = (event) => {
      listener(event);
    };
    this.#listeners.add(own);
    this.#tellMachines();
    return () => {
      if (this.#listeners.delete(own)) this.#tellMachines();
    };
  }

  /** Another state has taken the place of a group's. */
  installed(machine: Machine): void {
    machine.wantsEvents = this.#listeners.size > 0;
  }

  /** An entry was applied. */
  applied(machine: Machine): void {
    // Also where nobody listens any more: nothing may be left for somebody who listens later.
    for (const event of machine.takeEvents()) {
      for (const listener of this.#listeners) listener(event);
    }
  }

  #tellMachines(): void {
    const wants = this.#listeners.size > 0;
    for (const machine of this.#machines()) machine.wantsEvents = wants;
  }
}
