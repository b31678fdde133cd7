/**
 * Holds what the machine answers against what the twin expects. The two number tokens and tickets by
 * themselves; which number stands for which is learnt when it is first seen, and must stay so.
 */
import * as assert from "uvu/assert";
import type { Reply } from "../../src/base/reply.ts";
import { isError } from "../../src/base/reply.ts";
import type { Operation } from "../../src/machine/operation.ts";
import type { Step } from "../machine/machine-fixture.ts";
import { bodyOf, programOf, shaOf } from "../machine/machine-fixture.ts";
import type { Expected } from "./lock-state.twin.ts";

/** A difference, told as where it is and what the two say. */
export class Difference extends Error {
  constructor(where: string, actual: unknown, expected: unknown) {
    super(`${where}: the machine says ${show(actual)}, the twin ${show(expected)}`);
  }
}

export class Comparison {
  readonly #tokens = new Names("token");
  readonly #tickets = new Names("ticket");
  /** How many single values were compared. */
  compared = 0;

  /** The same operation with the machine's tokens and tickets for the twin's. */
  translate(operation: Operation): Operation {
    if ("token" in operation) {
      const { token } = operation;
      return { ...operation, token: token === "" ? "" : this.#tokens.of(Number(token)) };
    }
    if ("tokens" in operation) {
      const tokens = operation.tokens.map((token) => this.#tokens.of(Number(token)));
      return { ...operation, tokens };
    }
    if ("ticket" in operation) {
      return { ...operation, ticket: Number(this.#tickets.of(operation.ticket)) };
    }
    if ("waiter" in operation) {
      return { ...operation, waiter: Number(this.#tickets.of(operation.waiter)) };
    }
    if (operation.kind !== "eval") return operation;
    const { steps, end } = programOf(operation.body ?? "");
    const translated = steps.map((step): Step => {
      return step.kind === "select" || step.kind === "time" ? step : this.translate(step);
    });
    const body = bodyOf({ steps: translated, end });
    return { ...operation, body, sha: shaOf(body) };
  }

  /** Learns that two numbers mean the same token. */
  token(actual: string, expected: number, where: string): void {
    this.#tokens.learn(actual, expected, where);
  }

  ticket(actual: string, expected: number, where: string): void {
    this.#tickets.learn(actual, expected, where);
  }

  knowsTicket(expected: number): boolean {
    return this.#tickets.knows(expected);
  }

  reply(actual: Reply, expected: Expected, where: string): void {
    this.compared += 1;
    if (expected === null || typeof expected !== "object") {
      if (actual !== expected) throw new Difference(where, actual, expected);
      return;
    }
    if ("length" in expected) {
      if (actual === null || typeof actual !== "object" || !("length" in actual)) {
        throw new Difference(where, actual, expected);
      }
      if (actual.length !== expected.length) throw new Difference(where, actual, expected);
      expected.forEach((part, index) => {
        this.reply(actual[index] ?? null, part, `${where}[${index}]`);
      });
      return;
    }
    switch (expected.kind) {
      case "anything":
        return;
      case "token":
        this.token(String(actual), expected.token, where);
        return;
      case "ticket":
        this.ticket(String(actual), expected.waiter, where);
        return;
      case "refusal":
        if (actual === null || !isError(actual) || !actual.text.startsWith(`${expected.code} `)) {
          throw new Difference(where, actual, expected);
        }
        return;
      case "map": {
        const isMap = actual !== null && typeof actual === "object" && "kind" in actual;
        if (!isMap || actual.kind !== "map") throw new Difference(where, actual, expected);
        for (const [name, part] of Object.entries(expected.fields)) {
          const field = actual.entries.find(([one]) => one === name);
          if (field === undefined) throw new Difference(`${where}.${name}`, actual, expected);
          this.reply(field[1], part, `${where}.${name}`);
        }
        return;
      }
      case "status":
      case "error":
        try {
          assert.equal(actual, expected);
        } catch {
          throw new Difference(where, actual, expected);
        }
    }
  }
}

/** Which of the machine's numbers stand for which of the twin's. */
class Names {
  readonly #kind: string;
  readonly #actual = new Map<number, string>();
  readonly #expected = new Map<string, number>();

  constructor(kind: string) {
    this.#kind = kind;
  }

  knows(expected: number): boolean {
    return this.#actual.has(expected);
  }

  /** One that the machine has not told yet stands for none of its own. */
  of(expected: number): string {
    return this.#actual.get(expected) ?? "999999999";
  }

  learn(actual: string, expected: number, where: string): void {
    const known = this.#actual.get(expected);
    const means = this.#expected.get(actual);
    if (known === undefined && means === undefined) {
      this.#actual.set(expected, actual);
      this.#expected.set(actual, expected);
    } else if (known !== actual || means !== expected) {
      throw new Difference(`${where} (${this.#kind} ${expected})`, actual, known);
    }
  }
}

export function show(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === "bigint" ? `${part}n` : part,
  );
}
