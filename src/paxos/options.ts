/**
 * The options of a group, with meaning, unit, default and danger. Defaults exist only here.
 *
 * Elections, heartbeats and repeats count ticks, not milliseconds: a process that was paused sees
 * one late tick, not a second's worth of silence, and so does not start an election before it has
 * read the heartbeats that wait in its sockets. Only the lease, a promise about real time, is in
 * milliseconds. The defaults fit a tick of 50 ms.
 */
import { assert } from "../base/assert.ts";
import type { Millis, NodeId } from "../base/ids.ts";
import { Prng } from "../base/prng.ts";
import type { Member } from "./membership.ts";

export interface GroupOptions {
  readonly self: NodeId;
  /**
   * The members as of `Recovered.appliedSlot`: as in the checkpoint, or those the cluster began with.
   * This node need not be among them: it then answers, learns, and never seeks to lead.
   */
  readonly members: readonly Member[];
  /** Most slots proposed and not yet chosen, at least 1. More hides latency and lengthens recovery. */
  readonly window: number;
  /** Ticks between heartbeats. Default 2. */
  readonly heartbeatTicks?: number;
  /**
   * A follower that hears no leader for a number of ticks drawn from this range, both included,
   * seeks to lead. The least should last about as long as `leaseMs`; below it probes are refused.
   * A wide range avoids duels, a short one shortens failover. Defaults 12 and 20.
   */
  readonly electionTicksMin?: number;
  readonly electionTicksMax?: number;
  /** Ticks after which something unanswered is sent again. Default 4. */
  readonly retransmitTicks?: number;
  /**
   * For how long an acceptor that acknowledged a heartbeat promises to nobody else, by its own
   * clock. The same on all nodes: an acceptor with a shorter lease than its leader's breaks [P8].
   * Default 600.
   */
  readonly leaseMs?: Millis;
  /**
   * How far the rate of any node's monotonic clock may be from true, in parts per million. A clock
   * that is further off breaks [P8]. Default 1000; quartz is within 100, a slewed clock within 600.
   */
  readonly clockDriftPpm?: number;
  /** Most entries in one page of a promise or of catch-up. Default 1024. */
  readonly pageEntries?: number;
  /** Bytes of values after which a page ends; one entry always fits. Default 1 MiB. */
  readonly pageBytes?: number;
  /**
   * Where election timeouts are drawn from. Default: a stream seeded by the node's id. A node with
   * several groups gives each its own, or all of them seek to lead in the same tick.
   */
  readonly random?: Prng;
}

/** Options with every default filled in. */
export type GroupSettings = Required<Omit<GroupOptions, "members">>;

/** Fills in the defaults and checks the bounds. */
export function settle(options: GroupOptions): GroupSettings {
  const settings: GroupSettings = {
    self: options.self,
    window: options.window,
    heartbeatTicks: options.heartbeatTicks ?? 2,
    electionTicksMin: options.electionTicksMin ?? 12,
    electionTicksMax: options.electionTicksMax ?? 20,
    retransmitTicks: options.retransmitTicks ?? 4,
    leaseMs: options.leaseMs ?? 600,
    clockDriftPpm: options.clockDriftPpm ?? 1000,
    pageEntries: options.pageEntries ?? 1024,
    pageBytes: options.pageBytes ?? 1024 * 1024,
    random: options.random ?? new Prng(options.self),
  };
  assert(settings.window >= 1, "the window holds at least one slot");
  assert(settings.heartbeatTicks >= 1, "heartbeats are at least a tick apart");
  assert(settings.electionTicksMin > settings.heartbeatTicks, "elections wait for heartbeats");
  assert(settings.electionTicksMax >= settings.electionTicksMin, "election ticks are a range");
  assert(settings.retransmitTicks >= 1, "repeats are at least a tick apart");
  assert(settings.leaseMs > 0, "a lease has a length");
  assert(settings.clockDriftPpm >= 0, "clock drift is not negative");
  assert(settings.clockDriftPpm < 500_000, "clock drift is below one half");
  assert(settings.pageEntries >= 1, "a page holds an entry");
  return settings;
}
