/**
 * What the clients did and saw: every operation with the times of its call and its return, and what
 * came of it. The checkers judge it afterwards; nothing here has an opinion.
 */

/** What a client asked of one key. */
export type Command =
  /** `SET`; `leaseMs` as `PX`, `onlyIfFree` as `NX`. Replies 1 (done) or 0 (held by somebody). */
  | {
      readonly kind: "set";
      readonly value: string;
      readonly leaseMs: number;
      readonly onlyIfFree: boolean;
    }
  /** The compare-and-delete script. Replies 1 or 0. */
  | { readonly kind: "release"; readonly value: string }
  /** The compare-and-expire script. Replies 1 or 0. */
  | { readonly kind: "extend"; readonly value: string; readonly leaseMs: number }
  /** `GET`. Replies the value or null. */
  | { readonly kind: "get" }
  /** `LOCK.TOKEN`. Replies a decimal number or null. */
  | { readonly kind: "token" };

/** What is known to have come of an operation. */
export type Outcome<Value = unknown> =
  | { readonly kind: "done"; readonly value: Value }
  /** An error whose code promises that the operation has had no effect and never will. */
  | { readonly kind: "refused"; readonly code: string }
  /** It may have happened, may still happen, or never. */
  | { readonly kind: "unknown"; readonly why: string };

export type Answer = string | number | null;

/** One operation. Times are of the steady clock of the process in which all clients live. */
export interface Operation {
  readonly client: string;
  readonly key: string;
  readonly command: Command;
  readonly calledMs: number;
  returnedMs: number;
  /** Null while it is under way. */
  outcome: Outcome<Answer> | null;
}

export class History {
  readonly operations: Operation[] = [];

  /** Runs one operation and keeps what came of it. */
  async record<Value extends Answer>(
    asked: Pick<Operation, "client" | "key" | "command">,
    run: () => Promise<Outcome<Value>>,
  ): Promise<Outcome<Value>> {
    const operation: Operation = {
      ...asked,
      calledMs: performance.now(),
      returnedMs: Infinity,
      outcome: null,
    };
    this.operations.push(operation);
    const outcome = await run();
    operation.outcome = outcome;
    operation.returnedMs = performance.now();
    return outcome;
  }

  /** How many came to each kind of end, and the codes of refusal. */
  count(fromMs = 0, untilMs = Infinity): Counts {
    const counts = { done: 0, refused: 0, unknown: 0, codes: new Map<string, number>() };
    for (const { outcome, calledMs } of this.operations) {
      if (outcome === null || calledMs < fromMs || calledMs >= untilMs) continue;
      counts[outcome.kind] += 1;
      if (outcome.kind === "done") continue;
      const code = outcome.kind === "refused" ? outcome.code : outcome.why;
      counts.codes.set(code, (counts.codes.get(code) ?? 0) + 1);
    }
    return counts;
  }
}

export interface Counts {
  readonly done: number;
  readonly refused: number;
  readonly unknown: number;
  /** By code of refusal, or by why the outcome is unknown. */
  readonly codes: ReadonlyMap<string, number>;
}
