/**
 * Random entries for the lock machine, from bytes: a list of bytes is a list of operations, and a
 * smaller byte is a simpler choice, so that fast-check can shrink what went wrong. What an operation
 * has to know (a holder's token, a ticket, the node of a session) comes from the twin's state, by the
 * twin's numbers.
 */
import type { Claim, LockMode } from "../../src/machine/locks/lock-operation.ts";
import type { Operation } from "../../src/machine/operation.ts";
import type { Program } from "../machine/machine-fixture.ts";
import { evaluation } from "../machine/machine-fixture.ts";
import type { LockMachineTwin } from "./lock-machine.twin.ts";

export const KEYS = ["a", "b", "c"] as const;
export const DATABASES = [0, 1] as const;
const OWNERS = ["me", "you", "they", "7"] as const;
const SESSIONS = ["s1", "s2", "s3"] as const;
const LEASES_MS = [20, 5, 1, 60, 200, 100_000] as const;
const WAITS_MS = [30, 0, 0, 8, 1, 100, 40_000, 100_000] as const;
const DELAYS_MS = [0, 0, 0, 0, 10, 3, 50] as const;
/** How far group time goes between two entries; some steps make those who waited long come first. */
const STEPS_MS = [0, 1, 0, 2, 0, 5, 9, 0, 30, 1, 1, 0, 12_000, 0, 1, 0, 3, 95_000] as const;

/** How many bytes one operation is drawn from. */
export const BYTES_PER_OPERATION = 16;

/** One entry to be: how time goes on, and the bytes of its operations. */
export interface Draft {
  readonly step: number;
  readonly operations: readonly Uint8Array[];
  /** Whether the second replica is written down and restored after it. */
  readonly restore: boolean;
  readonly checkpoint: boolean;
}

/** A run: which kinds of operations it leaves out, and its entries. */
export interface Plan {
  readonly left: readonly boolean[];
  readonly drafts: readonly Draft[];
}

export function stepOf({ step }: Draft): number {
  return STEPS_MS[step % STEPS_MS.length] ?? 0;
}

/** Choices from bytes, one after the other; zeros when they are used up. */
class Choices {
  readonly #bytes: Uint8Array;
  #next = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  below(bound: number): number {
    const byte = this.#bytes[this.#next] ?? 0;
    this.#next += 1;
    return byte % bound;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  chance(inOf: number): boolean {
    return this.below(inOf) === inOf - 1;
  }
}

type Maker = (world: World, choices: Choices) => Operation;

/** What the scenario remembers beside the twin: where sessions are, and who asked what. */
export class World {
  readonly twin: LockMachineTwin;
  readonly #homes = new Map<string, { node: number; boot: number }>();
  readonly #makers: readonly Maker[];
  /** The number of the last request. */
  requests = 0;
  /** Waiters that tickets were given for. */
  readonly tickets: number[] = [];
  wallMs = 0;

  constructor(twin: LockMachineTwin, left: readonly boolean[]) {
    this.twin = twin;
    const makers = MAKERS.filter((_, index) => left[index] !== true);
    this.#makers = makers.length > 0 ? makers : MAKERS;
  }

  operation(bytes: Uint8Array): Operation {
    const choices = new Choices(bytes);
    return choices.pick(this.#makers)(this, choices);
  }

  home(session: string): { node: number; boot: number } {
    return (
      this.#homes.get(session) ?? { node: 1 + (SESSIONS.indexOf(session as "s1") % 2), boot: 1 }
    );
  }

  move(session: string, home: { node: number; boot: number }): void {
    this.#homes.set(session, home);
  }
}

function key(choices: Choices): { db: number; key: string } {
  return { db: choices.chance(12) ? 1 : 0, key: choices.pick(KEYS) };
}

function someKeys(choices: Choices): string[] {
  const first = choices.below(KEYS.length);
  const count = 1 + choices.below(KEYS.length);
  return Array.from({ length: count }, (_, index) => KEYS[(first + index) % KEYS.length] ?? "a");
}

function claim(world: World, choices: Choices, mode: LockMode): Omit<Claim, "db"> {
  world.requests += 1;
  const session = choices.pick(SESSIONS);
  const bind = choices.chance(5);
  const limit = choices.pick([3, 3, 3, 2, 5]);
  const permits = mode === "permits" ? 1 + choices.below(3) : 1;
  return {
    session,
    ...world.home(session),
    request: world.requests,
    address: `10.0.0.1:${world.requests}`,
    owner: choices.pick(OWNERS),
    ttlMs: bind && choices.chance(2) ? 0 : choices.pick(LEASES_MS),
    waitMs: choices.pick(WAITS_MS),
    mode,
    permits,
    limit: mode === "permits" ? limit : 0,
    priority: choices.pick([5, 5, 0, 9, 6]),
    reentrant: choices.chance(5),
    bind,
    delayMs: choices.pick(DELAYS_MS),
    data: `for ${world.requests}`,
  };
}

function acquire(mode: LockMode): Maker {
  return (world, choices) => {
    const where = key(choices);
    const asked = claim(world, choices, mode);
    const async = choices.chance(6);
    return {
      kind: "lock-acquire",
      ...where,
      ...asked,
      async,
      claimMs: async ? choices.pick([20, 5, 100]) : 0,
    };
  };
}

/** A key and one who holds it, mostly; at times any key and any owner. */
function someHolder(
  world: World,
  choices: Choices,
): { where: { db: number; key: string }; owner: string } {
  const found = choices.pick([...world.twin.state.keys, undefined]);
  const owner = choices.pick([...(found?.holders ?? []), undefined])?.owner;
  const where = found === undefined ? key(choices) : { db: found.db, key: found.key };
  return { where, owner: owner ?? choices.pick(OWNERS) };
}

/** The token of a present holder, one under which it has read, one that nobody has, or none. */
function someToken(world: World, choices: Choices, where: { db: number; key: string }): string {
  const which = choices.below(4);
  if (which < 2) return "";
  const held = world.twin.state.keys.find((one) => one.db === where.db && one.key === where.key);
  const { token = 0, reader = null } = held?.holders[choices.below(2)] ?? {};
  return String(which === 2 ? token : (reader?.token ?? Math.max(0, token - 1)));
}

function looks(kinds: readonly string[]): Maker {
  return (_, choices) => ({ kind: choices.pick(kinds), ...key(choices) }) as Operation;
}

function set(when: "always" | "nx"): Maker {
  return (world, choices) => {
    const where = key(choices);
    const others = ["xx", "ifeq", "ifne"] as const;
    const condition = when === "always" && choices.chance(3) ? choices.pick(others) : when;
    const expireMode = choices.pick(["after", "after", "none", "keep", "at"] as const);
    const leaseMs = choices.pick([...LEASES_MS, 0, -3]);
    return {
      kind: "set",
      ...where,
      value: choices.pick(OWNERS),
      when: condition,
      compare: choices.pick(OWNERS),
      expireMode,
      expireMs: expireMode === "at" ? world.wallMs + leaseMs : leaseMs,
      answer: choices.pick(["status", "old", "integer"] as const),
    };
  };
}

function script(world: World, choices: Choices): Operation {
  const nested: readonly Maker[] = [
    (_, draws) => ({ kind: "delete", db: 0, keys: someKeys(draws) }),
    set("nx"),
    set("always"),
    acquire("exclusive"),
    acquire("shared"),
    release,
    looks(["get", "type", "lock-info", "lock-token"]),
    (_, draws) => ({ kind: "exists", db: 0, keys: someKeys(draws) }),
    (_, draws) => ({ kind: "rename", ...key(draws), newKey: draws.pick(KEYS), onlyIfNone: false }),
    acquire("permits"),
    acquireAll,
    setOptions,
    breakOrRevoke,
  ];
  const end = choices.chance(3) ? "aborted" : "done";
  const steps = Array.from({ length: 1 + choices.below(3) }, () => {
    return choices.pick(nested)(world, choices);
  });
  const program: Program = { steps, end };
  return evaluation(program, { db: 0 });
}

function release(world: World, choices: Choices): Operation {
  const { where, owner } = someHolder(world, choices);
  const all = choices.chance(3);
  return { kind: "lock-release", ...where, owner, all, token: someToken(world, choices, where) };
}

/** One who holds a lock asks for it again, in another mode or the same. */
function again(world: World, choices: Choices): Operation {
  const { where, owner } = someHolder(world, choices);
  const held = world.twin.state.keys.find((one) => one.db === where.db && one.key === where.key);
  const other = held?.mode === "shared" ? "exclusive" : "shared";
  const mode = choices.chance(3) ? (held?.mode ?? "exclusive") : other;
  const asked = acquire(mode)(world, choices);
  return { ...asked, ...where, owner } as Operation;
}

function acquireAll(world: World, choices: Choices): Operation {
  const keys = [...new Set(someKeys(choices))];
  const mode = choices.pick(["exclusive", "exclusive", "shared"] as const);
  const provisional = choices.chance(4);
  const asked = claim(world, choices, mode);
  return { kind: "lock-acquire-all", db: 0, keys, provisional, ...asked };
}

function setOptions(_: World, choices: Choices): Operation {
  const where = key(choices);
  const which = choices.below(6);
  return {
    kind: "lock-set-options",
    ...where,
    policy: which < 2 ? choices.pick(["priority", "fifo"] as const) : null,
    limit: which === 2 ? choices.pick([0, 3, 2, 5]) : null,
    maxTtlMs: which === 3 ? choices.pick([0, 0, 10]) : null,
    delayMs: which === 4 ? choices.pick([0, 5, 20]) : null,
    maxWaiters: which === 5 ? choices.pick([0, 1, 2]) : null,
  };
}

function breakOrRevoke(_: World, choices: Choices): Operation {
  const kind = choices.pick(["lock-break", "lock-revoke"] as const);
  const reason = choices.pick(["", "because"]);
  return { kind, ...key(choices), reason, address: "10.0.0.9:9" };
}

const MAKERS: readonly Maker[] = [
  acquire("exclusive"),
  acquire("exclusive"),
  acquire("exclusive"),
  acquire("shared"),
  acquire("shared"),
  acquire("permits"),
  acquire("permits"),
  acquireAll,
  acquireAll,
  release,
  release,
  release,
  release,
  (world, choices) => {
    const { where, owner } = someHolder(world, choices);
    const ttlMs = choices.pick([...LEASES_MS, 0]);
    return { kind: "lock-renew", ...where, owner, ttlMs, token: someToken(world, choices, where) };
  },
  again,
  again,
  setOptions,
  breakOrRevoke,
  (world, choices) => {
    const ticket = world.tickets.at(-1 - choices.below(4)) ?? 0;
    const kind = choices.pick(["lock-ticket", "lock-cancel"] as const);
    if (choices.chance(3)) return { kind, ticket };
    const { session, node, boot, request, address } = claim(world, choices, "exclusive");
    return { kind, ticket, claimer: { session, node, boot, request, address } };
  },
  (world, choices) => {
    const { waiters, keys } = world.twin.state;
    const waiting = waiters.filter(({ async }) => !async).map(({ claim: asked }) => asked);
    const holding = keys.flatMap(({ holders }) => holders);
    const reading = holding.map(({ reader }) => reader).filter((one) => one !== null);
    const asker = [...waiting, ...holding, ...reading][choices.below(6)];
    const { session, node, boot, request } = asker ?? {
      session: "s1",
      node: 1,
      boot: 1,
      request: 0,
    };
    return { kind: "lock-withdraw", session, node, boot, request };
  },
  (world, choices) => {
    const session = choices.pick(SESSIONS);
    const graceMs = choices.pick([0, 5, 20]);
    return { kind: "lock-session-end", session, ...world.home(session), graceMs };
  },
  (world, choices) => {
    const session = choices.pick(SESSIONS);
    const home = { node: 1 + choices.below(2), boot: world.home(session).boot + choices.below(2) };
    world.move(session, home);
    return { kind: "lock-session-attach", session, ...home };
  },
  (_, choices) => {
    const node = 1 + choices.below(2);
    const boot = 1 + choices.below(2);
    return { kind: "lock-node-lost", node, boot, graceMs: choices.pick([5, 0, 20]) };
  },
  (world, choices) => {
    const waiter = world.twin.state.waiters[choices.below(4)];
    const cycle = ["me", "you", "me"];
    return { kind: "lock-victim", waiter: waiter?.id ?? 0, cycle };
  },
  (world, choices) => {
    const keys = [...new Set(someKeys(choices))];
    const held = keys.map((name) => world.twin.state.keys.find((one) => one.key === name));
    const owner = held[0]?.holders[0]?.owner ?? choices.pick(OWNERS);
    const tokens = held.map((one) => {
      const token = one?.holders.find((holder) => holder.owner === owner)?.token ?? 0;
      return String(choices.chance(6) ? Math.max(0, token - 1) : token);
    });
    return { kind: "lock-confirm", db: 0, keys, owner, tokens };
  },
  (world, choices) => {
    const where = key(choices);
    return { kind: "lock-check", ...where, token: someToken(world, choices, where) || "0" };
  },
  set("nx"),
  set("nx"),
  set("always"),
  (_, choices) => ({ kind: "delete", db: choices.chance(12) ? 1 : 0, keys: someKeys(choices) }),
  (_, choices) => {
    const when = choices.pick(["ifeq", "always", "ifne"] as const);
    return { kind: "delex", ...key(choices), when, compare: choices.pick(OWNERS) };
  },
  script,
  script,
  looks(["get", "getdel", "strlen", "type", "persist", "lock-info", "lock-token"]),
  (world, choices) => {
    const where = key(choices);
    const expireMode = choices.pick(["after", "at"] as const);
    const ms = choices.pick([...LEASES_MS, 0, -3]);
    const expireMs = expireMode === "at" ? world.wallMs + ms : ms;
    const condition = choices.pick(["always", "nx", "xx", "gt", "lt", "xx-lt"] as const);
    switch (choices.below(4)) {
      case 0:
        return { kind: "expire", ...where, expireMode, expireMs, condition };
      case 1:
        return { kind: "getex", ...where, expireMode, expireMs };
      case 2:
        return { kind: "increment", ...where, by: BigInt(choices.below(3)) };
      default:
        return { kind: "append", ...where, value: choices.pick(["", "1", "x"]) };
    }
  },
  (_, choices) => {
    const where = key(choices);
    const newKey = choices.pick(KEYS);
    const yes = choices.chance(2);
    switch (choices.below(8)) {
      case 0:
      case 1:
        return { kind: "rename", ...where, newKey, onlyIfNone: yes };
      case 2:
        return { kind: "copy", ...where, newDb: choices.chance(6) ? 1 : 0, newKey, replace: yes };
      case 3: {
        const keys = someKeys(choices);
        const values = keys.map(() => choices.pick(OWNERS));
        return { kind: "mset", db: 0, keys, values, onlyIfNone: yes };
      }
      case 4:
        return { kind: choices.pick(["exists", "touch", "mget"]), db: 0, keys: someKeys(choices) };
      case 5:
        return { kind: "ttl", ...where, unit: choices.pick(["ms", "s"]), absolute: yes };
      case 6:
        return { kind: "dbsize", db: where.db, pick: 0 };
      default:
        return choices.chance(3)
          ? { kind: "flush", db: choices.pick([0, null, 1]) }
          : { kind: "dbsize", db: 0, pick: 0 };
    }
  },
];

export const MAKER_COUNT = MAKERS.length;
