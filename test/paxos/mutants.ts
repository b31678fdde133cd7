/**
 * Known bugs of consensus and leases, planted one at a time in the world around a correct core: in
 * what it sends and when, in what arrives, in what it finds after a crash, in its clocks. Each makes
 * the whole behave as if the core had the bug; the checks of a run must then fail.
 */
import type { AcceptedEntry } from "../../src/paxos/records.ts";
import type { Tamper } from "./world.ts";
import { LEASE_MS } from "./world.ts";

export interface Mutant {
  readonly title: string;
  /** Makes it anew for each run, as some remember things. */
  readonly plant: () => Tamper;
  /** A vote too many matters only where two votes are no majority. */
  readonly nodes: 3 | 5;
  /** Which invariant must be reported as broken. */
  readonly breaks: RegExp;
}

/** A voter that is neither of the two; there are at least three nodes, numbered from 1. */
const third = (from: number, to: number): number =>
  [1, 2, 3].find((id) => id !== from && id !== to) ?? 1;

const withoutWait = (kind: string): Tamper => ({
  send: ({ message, after }) => ({ after: message.kind === kind ? 0 : after }),
});

/** The same answer seems to come from two nodes. */
const counted = (kind: string): Tamper => ({
  deliver: (letter) =>
    letter.message.kind === kind
      ? [letter, { from: third(letter.from, letter.to), message: letter.message }]
      : [letter],
});

export const MUTANTS: readonly Mutant[] = [
  {
    title: "an acceptance counts twice [P4]",
    nodes: 3,
    plant: () => counted("accepted"),
    breaks: /\[P[23]\]/,
  },
  {
    title: "a promise counts twice [P4]",
    nodes: 5,
    plant: () => counted("promise"),
    breaks: /\[P[128]\]/,
  },
  {
    title: "a heartbeat's answer counts twice [P4]",
    nodes: 5,
    plant: () => counted("heartbeat-ack"),
    breaks: /\[P[89]\]/,
  },
  {
    title: "accepted leaves before its record is durable [P3]",
    nodes: 3,
    plant: () => withoutWait("accepted"),
    breaks: /\[P[23]\]/,
  },
  {
    title: "a promise leaves before its record is durable [P3]",
    nodes: 3,
    plant: () => withoutWait("promise"),
    breaks: /\[P[1-9]\]/,
  },
  {
    title: "the promise is forgotten on restart [P3]",
    nodes: 3,
    plant: () => ({ recover: (found) => ({ ...found, promised: 0 }) }),
    breaks: /\[P[1-9]\]/,
  },
  {
    title: "accepted values are forgotten on restart [P3]",
    nodes: 3,
    plant: () => ({ recover: (found) => ({ ...found, accepted: [] }) }),
    breaks: /\[P[1-9]\]/,
  },
  {
    title: "the last acknowledged record is lost in a crash [P3]",
    nodes: 3,
    plant: () => ({
      recover: (found) => ({ ...found, accepted: found.accepted.slice(0, -1) }),
    }),
    breaks: /\[P[1-9]\]/,
  },
  {
    title: "a new leader takes the first promise's value, not the highest ballot's [P5]",
    nodes: 3,
    plant: (): Tamper => {
      const first = new Map<number, number>();
      return {
        deliver: ({ from, message }) => {
          if (message.kind !== "promise") return [{ from, message }];
          const { ballot, entries } = message;
          if (!first.has(ballot)) first.set(ballot, from);
          // As if what came first outbid all that came later.
          const claimed = first.get(ballot) === from ? ballot - 1 : 1;
          const forged = entries.map((entry): AcceptedEntry => ({ ...entry, ballot: claimed }));
          return [{ from, message: { ...message, entries: forged } }];
        },
      };
    },
    breaks: /\[P[1-9]\]/,
  },
  {
    title: "a promise leaves out a slot [P5]",
    nodes: 3,
    plant: () => ({
      deliver: ({ from, message }) =>
        message.kind === "promise"
          ? [{ from, message: { ...message, entries: message.entries.slice(1) } }]
          : [{ from, message }],
    }),
    breaks: /\[P[1-9]\]/,
  },
  {
    title: "a leader says that one slot more is chosen than is [P6]",
    nodes: 3,
    plant: () => ({
      deliver: ({ from, message }) =>
        message.kind === "heartbeat" || message.kind === "accept"
          ? [{ from, message: { ...message, chosen: message.chosen + 1 } }]
          : [{ from, message }],
    }),
    breaks: /\[P[23]\]/,
  },
  {
    title: "a restarted acceptor does not wait out the lease [P8]",
    nodes: 3,
    plant: () => ({ firstTickMs: -2 * LEASE_MS }),
    breaks: /\[P[89]\]/,
  },
  {
    title: "a leader counts its lease from the answer, not from the question [P8]",
    nodes: 3,
    plant: () => ({
      deliver: ({ from, to, message }, world) =>
        message.kind === "heartbeat-ack"
          ? [{ from, message: { ...message, sentMs: world.localMs(to) } }]
          : [{ from, message }],
    }),
    breaks: /\[P[89]\]/,
  },
  {
    title: "a candidate claims a lease to be released that is not [P8]",
    nodes: 3,
    plant: (): Tamper => {
      let led = 0;
      return {
        deliver: ({ from, message }) => {
          if (message.kind === "heartbeat") led = Math.max(led, message.ballot);
          if (message.kind === "probe-ack")
            return [{ from, message: { ...message, granted: true } }];
          if (message.kind !== "prepare") return [{ from, message }];
          return [{ from, message: { ...message, released: led } }];
        },
      };
    },
    breaks: /\[P[89]\]/,
  },
  {
    title: "clocks drift further than assumed [P8]",
    nodes: 3,
    plant: () => ({ driftPpm: 600_000 }),
    breaks: /\[P[89]\]/,
  },
];
