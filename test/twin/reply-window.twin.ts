/**
 * The dumb twin of the reply window, around counters: it forgets nothing, drops nothing, and looks for
 * what counts by going through everything that ever came.
 */
import type { Reply } from "../../src/base/reply.ts";
import type { OperationOrigin } from "../../src/machine/entry.ts";

/** Adds one to a counter, reads a long text, or fails. */
export type TwinOperation =
  | { readonly kind: "count"; readonly key: string }
  | { readonly kind: "long" }
  | { readonly kind: "fail" }
  /** A script that is known only once somebody has brought its body. */
  | { readonly kind: "script"; readonly body: boolean };

interface Arrival {
  readonly origin: Omit<OperationOrigin, "index">;
  /** Undefined when it was not executed. */
  readonly reply: Reply | undefined;
  readonly bytes: number;
}

/** What the twin expects: this very reply, or one of the machine's refusals. */
export type Expected =
  | { readonly kind: "reply"; readonly reply: Reply }
  | { readonly kind: "straggler" | "too-far" | "not-kept" };

export class ReplyWindowTwin {
  readonly counters = new Map<string, number>();
  readonly #arrivals: Arrival[] = [];
  readonly #limits: { readonly operationsMax: number; readonly bytesMax: number };
  readonly #answers: {
    readonly long: string;
    readonly fail: Reply;
    readonly script: Reply;
    readonly bodyNeeded: Reply;
  };
  #scriptKnown = false;

  constructor(
    limits: { readonly operationsMax: number; readonly bytesMax: number },
    answers: {
      readonly long: string;
      readonly fail: Reply;
      readonly script: Reply;
      readonly bodyNeeded: Reply;
    },
  ) {
    this.#limits = limits;
    this.#answers = answers;
  }

  /** Times an operation of an origin was executed; never more than once. */
  executions({ node, boot, sequence }: Omit<OperationOrigin, "index">): number {
    return this.#of(node).filter(
      ({ origin, reply }) =>
        origin.boot === boot && origin.sequence === sequence && reply !== undefined,
    ).length;
  }

  arrive(operation: TwinOperation, origin: Omit<OperationOrigin, "index">): Expected {
    const before = this.#of(origin.node);
    const boot = Math.max(-1, ...before.map((arrival) => arrival.origin.boot));
    const same = before.filter((arrival) => arrival.origin.boot === origin.boot);
    const known = Math.max(-1, ...same.map((arrival) => arrival.origin.floor));
    // A straggler says nothing new about the floor.
    if (origin.boot < boot || origin.sequence < known) return { kind: "straggler" };
    const floor = Math.max(known, origin.floor);
    const done = same.find(
      ({ origin: { sequence }, reply }) => sequence === origin.sequence && reply !== undefined,
    );
    if (done?.reply !== undefined) {
      this.#arrivals.push({ origin, reply: undefined, bytes: 0 });
      return done.bytes === Infinity ? { kind: "not-kept" } : { kind: "reply", reply: done.reply };
    }
    if (origin.sequence - floor >= this.#limits.operationsMax) {
      this.#arrivals.push({ origin, reply: undefined, bytes: 0 });
      return { kind: "too-far" };
    }
    const reply = this.#execute(operation);
    if (reply === this.#answers.bodyNeeded) {
      this.#arrivals.push({ origin, reply: undefined, bytes: 0 });
      return { kind: "reply", reply };
    }
    const live = same.filter(
      (arrival) => arrival.origin.sequence >= floor && arrival.bytes !== Infinity,
    );
    const used = live.reduce((sum, { bytes }) => sum + bytes, 0);
    const bytes = bytesOf(reply);
    const kept = used + bytes <= this.#limits.bytesMax;
    this.#arrivals.push({ origin, reply, bytes: kept ? bytes : Infinity });
    return { kind: "reply", reply };
  }

  #execute(operation: TwinOperation): Reply {
    switch (operation.kind) {
      case "count": {
        const count = (this.counters.get(operation.key) ?? 0) + 1;
        this.counters.set(operation.key, count);
        return count;
      }
      case "long":
        return this.#answers.long;
      case "fail":
        return this.#answers.fail;
      case "script":
        this.#scriptKnown ||= operation.body;
        return this.#scriptKnown ? this.#answers.script : this.#answers.bodyNeeded;
    }
  }

  #of(node: number): Arrival[] {
    return this.#arrivals.filter((arrival) => arrival.origin.node === node);
  }
}

function bytesOf(reply: Reply): number {
  if (typeof reply === "string") return 8 + reply.length;
  if (typeof reply === "object" && reply !== null && "kind" in reply && reply.kind === "error")
    return 8 + reply.text.length;
  return 8;
}
