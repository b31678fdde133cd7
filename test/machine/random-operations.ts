/** Random operations on few keys, values and deadlines, so that they meet each other often. */
import type { Prng } from "../../src/base/prng.ts";
import type { ExpireMode, Operation } from "../../src/machine/operation.ts";
import { isWrite } from "../../src/machine/operation.ts";
import type { Program, Step } from "./machine-fixture.ts";
import { bodyOf, evaluation, FOREIGN, shaOf } from "./machine-fixture.ts";

const KEYS = ["a", "b", "c", "lock:1", "lock:2", "{x}é", ""];
const VALUES = [
  "",
  "me",
  "you",
  "0",
  "7",
  "-12",
  "007",
  "-0",
  "9999",
  "10000",
  "9007199254740992",
  "9223372036854775807",
  "-9223372036854775808",
  "9223372036854775808",
  "x".repeat(44),
  "x".repeat(45),
];
const STEPS = [1n, -1n, 5n, 2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n)];
const PATTERNS = [null, "*", "lock:*", "?", "[a-b]", "**", "*1", "l?ck:\\2"];

/** Draws operations at the clocks of the entry they are for. */
export class RandomOperations {
  readonly #prng: Prng;
  readonly #kinds: readonly (() => Operation)[];
  wallMs = 0;

  constructor(prng: Prng) {
    this.#prng = prng;
    // Swarm: a run in which some kinds are absent reaches states that an even mix never does.
    const kinds = this.#allKinds().filter(() => prng.chance(4, 5));
    this.#kinds = kinds.length > 0 ? kinds : this.#allKinds();
  }

  any(): Operation {
    return this.#prng.pick(this.#kinds)();
  }

  read(): Operation {
    for (;;) {
      const operation = this.#prng.pick(this.#allKinds())();
      if (!isWrite(operation)) return operation;
    }
  }

  #allKinds(): (() => Operation)[] {
    const take = this.#prng;
    const key = (): string => take.pick(KEYS);
    const keys = (): string[] => Array.from({ length: take.between(1, 4) }, key);
    const value = (): string => take.pick(VALUES);
    const db = (): number => take.pick([0, 0, 0, 1, 15]);
    const pick = (): number => take.next();
    const on = (kinds: readonly string[]) => (): Operation =>
      ({ kind: take.pick(kinds), db: db(), key: key() }) as Operation;
    const when = ["always", "nx", "xx", "ifeq", "ifne"] as const;
    const answers = ["status", "old", "integer"] as const;
    const set = (): Operation => {
      const [condition, answer] = [take.pick(when), take.pick(answers)];
      const common = { db: db(), key: key(), value: value(), compare: value() };
      return { kind: "set", ...common, when: condition, answer, ...this.#expiry() };
    };
    return [
      set,
      set,
      set,
      () => ({ kind: "getex", db: db(), key: key(), ...this.#expiry() }),
      () => {
        const names = keys();
        const values = names.map(value);
        return { kind: "mset", db: db(), keys: names, values, onlyIfNone: take.chance(1, 2) };
      },
      () => ({ kind: "increment", db: db(), key: key(), by: take.pick(STEPS) }),
      () => {
        const condition = take.pick(["always", "nx", "xx", "gt", "lt", "xx-lt"] as const);
        const expireMode = take.pick(["after", "at"] as const);
        const expireMs = this.#expireMs(expireMode);
        return { kind: "expire", db: db(), key: key(), expireMode, expireMs, condition };
      },
      () => {
        const condition = take.pick(["always", "ifeq", "ifne"] as const);
        return { kind: "delex", db: db(), key: key(), when: condition, compare: value() };
      },
      () => {
        const onlyIfNone = take.chance(1, 2);
        return { kind: "rename", db: db(), key: key(), newKey: key(), onlyIfNone };
      },
      () => {
        const to = { newDb: db(), newKey: key(), replace: take.chance(1, 2) };
        return { kind: "copy", db: db(), key: key(), ...to };
      },
      on(["get", "strlen", "type", "lock-info", "lock-token"]),
      on(["object-encoding", "object-idletime", "object-refcount"]),
      on(["getdel", "persist"]),
      () => ({ kind: "delete", db: db(), keys: keys() }),
      () => ({ kind: take.pick(["exists", "touch", "mget"] as const), db: db(), keys: keys() }),
      () => ({ kind: "append", db: db(), key: key(), value: take.pick(["", "1", "x"]) }),
      () => {
        const [unit, absolute] = [take.pick(["s", "ms"] as const), take.chance(1, 3)];
        return { kind: "ttl", db: db(), key: key(), unit, absolute };
      },
      () => {
        const [match, type] = [take.pick(PATTERNS), take.pick([null, null, "string", "hash"])];
        const cursor = take.pick([0, 0, take.below(2_000)]);
        return { kind: "scan", db: db(), cursor, count: take.pick([1, 2, 10]), match, type };
      },
      () => ({ kind: take.pick(["dbsize", "randomkey"] as const), db: db(), pick: pick() }),
      () => this.#rarely({ kind: "flush", db: take.pick([null, 0, 1]) }),
      () => this.#script(),
      () => this.#script(),
      () => {
        const body = bodyOf(this.#program());
        return { kind: "script-load", sha: shaOf(body), body };
      },
      () => this.#rarely({ kind: "script-flush" }),
    ];
  }

  /** The operation one time in ten, else one that changes nothing. */
  #rarely(operation: Operation): Operation {
    return this.#prng.chance(1, 10) ? operation : { kind: "dbsize", db: 0, pick: 0 };
  }

  #expiry(): { expireMode: ExpireMode; expireMs: number } {
    const expireMode = this.#prng.pick(["none", "keep", "after", "after", "at"] as const);
    return { expireMode, expireMs: this.#expireMs(expireMode) };
  }

  #expireMs(mode: ExpireMode): number {
    const ms = this.#prng.pick([-5, 0, 1, 2, 3, 5, 8, 1_499, 1_500, 100_000]);
    return mode === "at" ? Math.max(1, this.wallMs + ms) : ms;
  }

  #script(): Operation {
    const program = this.#program();
    const readOnly = this.#prng.chance(1, 3);
    const sent = evaluation(program, { db: this.#prng.pick([0, 1]), readOnly });
    return this.#prng.chance(1, 3) ? { ...sent, body: null } : sent;
  }

  #program(): Program {
    const end = this.#prng.chance(1, 2) ? "aborted" : "done";
    // Few programs, so that some are known already when they come by their sha.
    if (this.#prng.chance(1, 2)) return { steps: [{ kind: "time" }], end };
    return { steps: Array.from({ length: this.#prng.below(6) }, () => this.#step()), end };
  }

  #step(): Step {
    if (this.#prng.chance(1, 10)) return { kind: "select", db: this.#prng.pick([0, 1]) };
    if (this.#prng.chance(1, 20)) {
      return { kind: "get", db: 0, key: FOREIGN };
    }
    const nested = new Set(["eval", "script-load", "script-flush"]);
    for (;;) {
      const operation = this.any();
      if (!nested.has(operation.kind)) return operation;
      if (this.#kinds.length < 4) return { kind: "time" };
    }
  }
}
