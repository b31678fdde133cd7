/**
 * What the clients did and saw, in the words of the simulator's history, so that the same checkers
 * judge both: every call with the times of its sending and its answer, and what came of it.
 */
import type { GroupId, NodeId } from "../../src/base/ids.ts";
import type { Reply } from "../../src/base/reply.ts";
import type { Step } from "../../src/sim/checkers/checker.ts";
import type { Action, Call } from "../../src/sim/history.ts";

/** What is known to have come of something that a client asked. */
export type Outcome<Value = unknown> =
  | { readonly kind: "done"; readonly value: Value }
  /** An error whose code promises that the operation has had no effect and never will. */
  | { readonly kind: "refused"; readonly code: string }
  /** It may have happened, may still happen, or never. */
  | { readonly kind: "unknown"; readonly why: string };

export interface Asked {
  readonly client: string;
  readonly node: NodeId;
  readonly group: GroupId;
  readonly action: Action;
}

export class History {
  readonly calls: Call[] = [];
  /** Sendings and answers in the order of time, for checkers that watch. */
  readonly steps: Extract<Step, { kind: "invoked" | "returned" }>[] = [];
  /** Names of the clients; a client's number is its place. */
  readonly clients: string[] = [];
  readonly #numbers = new Map<string, number>();
  /** Why a call was refused or has no known outcome. */
  readonly #reasons = new Map<Call, string>();

  /** Makes one call and keeps what came of it. Times are of this process's steady clock. */
  async record<Value extends Reply>(
    { client, node, group, action }: Asked,
    run: () => Promise<Outcome<Value>>,
  ): Promise<Outcome<Value>> {
    const call: Call = {
      id: this.calls.length + 1,
      client: this.#number(client),
      node,
      group,
      action,
      invokedMs: performance.now(),
      returnedMs: Infinity,
      outcome: "pending",
      reply: null,
    };
    this.calls.push(call);
    this.steps.push({ kind: "invoked", call, nowMs: call.invokedMs });
    const outcome = await run();
    const nowMs = performance.now();
    if (outcome.kind === "done") {
      call.outcome = "answered";
      call.reply = outcome.value;
      call.returnedMs = nowMs;
    } else {
      call.outcome = outcome.kind;
      if (outcome.kind === "refused") call.returnedMs = nowMs;
      this.#reasons.set(call, outcome.kind === "refused" ? outcome.code : outcome.why);
    }
    this.steps.push({ kind: "returned", call, nowMs });
    return outcome;
  }

  /** How the calls that were sent since `fromMs` ended. */
  count(fromMs = 0): Counts {
    const counts = { answered: 0, refused: 0, unknown: 0, pending: 0 };
    const reasons = new Map<string, number>();
    for (const call of this.calls) {
      if (call.invokedMs < fromMs) continue;
      counts[call.outcome] += 1;
      const reason = this.#reasons.get(call);
      if (reason !== undefined) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    }
    return { ...counts, reasons };
  }

  /** One line for each call, for people. */
  print(): string {
    return this.calls
      .map((call) => {
        const { action, invokedMs, returnedMs, outcome, reply, client, node } = call;
        const { kind, ...details } = action;
        const end = outcome === "answered" ? JSON.stringify(reply) : this.#reasons.get(call);
        const times = `${invokedMs.toFixed(2)} ${returnedMs.toFixed(2)}`;
        const name = this.clients[client] ?? "";
        return `${times} ${name} node ${node} ${kind} ${JSON.stringify(details)}: ${outcome} ${end ?? ""}\n`;
      })
      .join("");
  }

  #number(client: string): number {
    const known = this.#numbers.get(client);
    if (known !== undefined) return known;
    const number = this.clients.push(client) - 1;
    this.#numbers.set(client, number);
    return number;
  }
}

export interface Counts {
  readonly answered: number;
  readonly refused: number;
  readonly unknown: number;
  /** By code of refusal, or by why the outcome is unknown. */
  readonly reasons: ReadonlyMap<string, number>;
}
