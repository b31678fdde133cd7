/** In true time no two nodes hold a valid lease of one group [P8]. */
import type { Checker, WorldView } from "./checker.ts";
import { Violation } from "./checker.ts";

export class OneLease implements Checker {
  readonly name = "one lease at a time [P8]";

  onState(world: WorldView): void {
    const holders: number[] = [];
    for (const { id: node, clockMs, groups } of world.nodes) {
      for (const { id, paxos } of groups) {
        if (!paxos.isLeader || paxos.leaseValidUntil <= clockMs) continue;
        const other = holders[id];
        if (other !== undefined) {
          throw new Violation(
            this.name,
            `[P8] nodes ${other} and ${node} hold that of group ${id}`,
          );
        }
        holders[id] = node;
      }
    }
  }
}
