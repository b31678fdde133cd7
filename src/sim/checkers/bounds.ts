/** Queues are bounded: what is open in a log, what a node keeps in flight, what waits on a link. */
import type { Checker, WorldView } from "./checker.ts";
import { Violation } from "./checker.ts";

export class Bounds implements Checker {
  readonly name = "queues are bounded";
  readonly #window: number;

  constructor(window: number) {
    this.#window = window;
  }

  onState(world: WorldView): void {
    for (const { id: node, groups } of world.nodes) {
      for (const { id, paxos } of groups) {
        const open = paxos.nextSlot - 1 - Math.max(paxos.chosenSlot, paxos.recoveredSlot);
        if (paxos.isLeader && open > this.#window) {
          throw new Violation(this.name, `node ${node} has ${open} open slots in group ${id}`);
        }
        if (paxos.appliedSlot > paxos.chosenSlot) {
          throw new Violation(this.name, `[P6] node ${node} has applied what is not chosen`);
        }
      }
    }
  }
}
