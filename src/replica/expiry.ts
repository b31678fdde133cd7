/**
 * Sees to it that time goes on in the logs of the groups this node leads: an entry when a deadline
 * comes due and nothing else carries the time, and now and then where there are leases at all.
 */
import type { Millis } from "../base/ids.ts";
import { EXPIRY_INTERVAL_MS, TIME_CARRIED_INTERVAL_MS } from "../base/limits.ts";
import type { Clock, Scheduler } from "../base/ports.ts";
import type { GroupReplica } from "./group-replica.ts";

export class Expiry {
  readonly #clock: Clock;
  readonly #scheduler: Scheduler;
  readonly #groups: readonly GroupReplica[];
  readonly #list: (group: GroupReplica) => void;
  #atMs = Infinity;
  #cancel: () => void = () => undefined;
  #lastMs = -Infinity;
  #carriedAtMs = 0;
  #stopped = false;

  /** `list` gives a group its part in the next turn. */
  constructor(
    ports: { readonly clock: Clock; readonly scheduler: Scheduler },
    groups: readonly GroupReplica[],
    list: (group: GroupReplica) => void,
  ) {
    this.#clock = ports.clock;
    this.#scheduler = ports.scheduler;
    this.#groups = groups;
    this.#list = list;
  }

  /** The earliest deadline of `group` may have changed, or whether this node stamps its entries. */
  watch(group: GroupReplica): void {
    if (this.#stopped) return;
    const waitMs = group.msUntilDue();
    if (waitMs === null) return;
    const now = this.#clock.monotonicMs();
    // A flood of keys that are due is behind its time: its entries follow one another. One that nobody
    // else accepts is no reason for haste: when it is applied, this is asked again.
    const hurries = waitMs < -EXPIRY_INTERVAL_MS && !group.proposes;
    const earliestMs = hurries ? now : this.#lastMs + EXPIRY_INTERVAL_MS;
    const atMs = Math.max(now + waitMs, earliestMs);
    if (atMs >= this.#atMs) return;
    this.#atMs = atMs;
    this.#cancel();
    this.#cancel = this.#scheduler.after(Math.max(0, Math.ceil(atMs - now)), () => {
      this.#expire();
    });
  }

  /**
   * Group time goes on from the last applied stamp after a restart, so what was not stamped is given
   * to every lease once more. Groups with leases therefore stamp now and then, also without traffic.
   */
  carryTimeIfDue(): void {
    if (this.#clock.monotonicMs() - this.#carriedAtMs >= TIME_CARRIED_INTERVAL_MS) this.carryTime();
  }

  /** Stamps the time in every group with leases. */
  carryTime(): void {
    this.#carriedAtMs = this.#clock.monotonicMs();
    for (const group of this.#groups) {
      if (group.msUntilDue() === null) continue;
      group.carryTime();
      this.#list(group);
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  /** Lets an entry carry the time forward in each group where something is due. */
  #expire(): void {
    this.#atMs = Infinity;
    this.#lastMs = this.#clock.monotonicMs();
    for (const group of this.#groups) {
      const waitMs: Millis | null = group.msUntilDue();
      if (waitMs === null) continue;
      if (waitMs <= 0) {
        group.carryTime();
        this.#list(group);
      }
      this.watch(group);
    }
  }
}
