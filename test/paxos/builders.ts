/**
 * Groups in a wanted state, brought there by messages alone, and short words for what goes in and
 * comes out. Times are milliseconds of the node's own clock; every group here starts at 0.
 */
import { ballotOf } from "../../src/paxos/ballot.ts";
import type { Effect, SendEffect } from "../../src/paxos/effects.ts";
import { PaxosGroup } from "../../src/paxos/group.ts";
import type { Member } from "../../src/paxos/membership.ts";
import type { PaxosMessage } from "../../src/paxos/messages.ts";
import type { GroupOptions } from "../../src/paxos/options.ts";
import type { AcceptedEntry, Recovered } from "../../src/paxos/records.ts";

/** Members that all vote, without addresses. */
export function voters(ids: readonly number[]): Member[] {
  return ids.map((id) => ({ id, voter: true, address: "" }));
}

/** Everything has a default: node 1 of three, a new disk, and a lease of 600 ms. */
export interface GroupShape {
  readonly self?: number;
  readonly members?: readonly number[];
  readonly options?: Partial<GroupOptions>;
  readonly recovered?: Partial<Recovered>;
}

export const LEASE_MS = 600;
/** When a group of the builders has waited out its lease after the start. */
export const AWAKE_MS = LEASE_MS;

/** A value that prints as its text. */
export function value(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

/** A started group that has seen time 0 and has nothing to say. */
export function group(shape: GroupShape = {}): PaxosGroup {
  const { self = 1, members = [1, 2, 3] } = shape;
  const made = new PaxosGroup(
    {
      self,
      members: voters(members),
      window: 4,
      leaseMs: LEASE_MS,
      electionTicksMin: 10,
      electionTicksMax: 10,
      heartbeatTicks: 2,
      retransmitTicks: 3,
      ...shape.options,
    },
    { promised: 0, accepted: [], appliedSlot: 0, ...shape.recovered },
  );
  made.start();
  made.takeEffects();
  return made;
}

/** A follower that has waited out the lease after its restart. */
export function follower(shape: GroupShape = {}): PaxosGroup {
  const made = group(shape);
  made.tick(0);
  made.tick(AWAKE_MS);
  made.takeEffects();
  return made;
}

/** Reports every persist effect as durable; returns all effects, those that followed included. */
export function settle(of: PaxosGroup): Effect[] {
  const all: Effect[] = [];
  for (;;) {
    const effects = of.takeEffects();
    if (effects.length === 0) return all;
    all.push(...effects);
    for (const effect of effects) if (effect.kind === "persist") of.stored(effect.mark);
  }
}

/** Ticks `count` times without moving the clock on from `nowMs`. */
export function tick(of: PaxosGroup, count: number, nowMs = AWAKE_MS): void {
  for (let ticked = 0; ticked < count; ticked += 1) of.tick(nowMs);
}

/** The round in which {@link candidate} and {@link leader} seek to lead, given what they recovered. */
export function candidate(shape: GroupShape = {}): PaxosGroup {
  const made = follower(shape);
  // The two ticks of waking up were among the ten of the election timeout.
  tick(made, 8);
  for (const { to, message } of sends(settle(made))) {
    if (message.kind !== "probe" || made.role !== "follower") continue;
    const ack = {
      kind: "probe-ack",
      ballot: message.ballot,
      granted: true,
      promised: 0,
      chosen: 0,
    };
    made.step(to, ack as PaxosMessage, AWAKE_MS);
  }
  return made;
}

/** A leader by the promises of everybody with `reported` accepted; nothing is left to say. */
export function leader(
  shape: GroupShape = {},
  reported: readonly AcceptedEntry[] = [],
): PaxosGroup {
  const made = candidate(shape);
  const prepares = sends(settle(made)).filter(({ message }) => message.kind === "prepare");
  for (const { to, message } of prepares) {
    if (message.kind !== "prepare") continue;
    const { ballot, from } = message;
    made.step(to, { kind: "promise", ballot, from, entries: reported, next: 0 }, AWAKE_MS);
  }
  made.takeEffects();
  return made;
}

/** The sends among some effects. */
export function sends(effects: readonly Effect[]): SendEffect[] {
  return effects.filter((effect) => effect.kind === "send");
}

/** What is sent of one kind, as `[to, message]`. */
export function sent<Kind extends PaxosMessage["kind"]>(
  effects: readonly Effect[],
  kind: Kind,
): [number, Extract<PaxosMessage, { kind: Kind }>][] {
  const found: [number, Extract<PaxosMessage, { kind: Kind }>][] = [];
  for (const { to, message } of sends(effects)) {
    if (message.kind === kind) {
      found.push([to, message as Extract<PaxosMessage, { kind: Kind }>]);
    }
  }
  return found;
}

/** `[slot, text]` of every commit, `-` for a no-op. */
export function commits(effects: readonly Effect[]): [number, string][] {
  const found: [number, string][] = [];
  for (const effect of effects) {
    if (effect.kind !== "commit") continue;
    found.push([effect.slot, String.fromCharCode(...effect.value) || "-"]);
  }
  return found;
}

export { ballotOf };
