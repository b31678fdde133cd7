/** What one MSET wrote together is read together: an MGET of its keys sees one value in all of them. */
import type { Checker, Step } from "./checker.ts";
import { Violation } from "./checker.ts";

export class AtomicPuts implements Checker {
  readonly name = "keys written together are read together";

  onStep(step: Step): void {
    if (step.kind !== "returned" || step.call.outcome !== "answered") return;
    const { action, reply, id } = step.call;
    if (action.kind !== "get-all" || !Array.isArray(reply)) return;
    if (reply.length === action.keys.length && reply.every((value) => value === reply[0])) return;
    throw new Violation(this.name, `call ${id} reads ${JSON.stringify(reply)}`);
  }
}
