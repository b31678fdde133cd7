/**
 * In whose way is whom: holders that a waiter's claim does not go with, and waiters in front of it that
 * theirs does not go with. Of those the nearest is named: it waits for all that stand further in front.
 *
 * A waiter in front that it goes with lets it wait, too: for whatever that one waits for, at all the
 * locks of its request. Requests for several locks may stand crosswise, each in front of the other
 * somewhere, perhaps by way of more of them. Such a knot is looked at as one, as all in it wait for the
 * same; and since none of it ever has its turn, each waits for those of the knot in front of it.
 *
 *     a: first, second     `first` and `second` read both keys and would go together, but neither is
 *     b: second, first     the first at both of them
 *
 * Shared and exclusive claims count as one and two permits of two: then all claims are compared alike.
 */
import { LOCK_EDGES_LOOKED_MAX } from "../../base/limits.ts";
import { limitOf } from "./grant.ts";
import type { LockMode } from "./lock-operation.ts";
import type { Holder, Lock, Waiter } from "./lock-records.ts";
import { inOrder, locksOf } from "./lock-facts.ts";
import { formatToken } from "./lock-token.ts";

/** Somebody has to let go, or have its turn, first. */
export interface Obstacle {
  readonly owner: string;
  /** Empty for one that waits itself. */
  readonly token: string;
  readonly lock: Lock;
}

/** A waiter that stands in front of another one at a lock. */
interface Front {
  readonly waiter: Waiter;
  readonly lock: Lock;
}

/** Who is at a lock: its holders, and the first of its waiters, in order. */
interface Standing {
  readonly holders: readonly Holder[];
  readonly queue: readonly Waiter[];
}

/** A waiter that is being looked at. */
interface Step {
  readonly waiter: Waiter;
  /** What is in its own way. */
  readonly obstacles: Obstacle[];
  /** Those in front that it goes with; one after another they are looked at as well. */
  readonly fronts: Front[];
  next: number;
  /** Its place among those that are not done. */
  readonly place: number;
  /** The lowest place that it leads to. */
  low: number;
}

/**
 * Obstacles that one look notes, mostly those of others again and again: more would be more edges than
 * one look tells in any case, and take longer than others can wait.
 */
const NOTED_MAX = 10 * LOCK_EDGES_LOOKED_MAX;

/** Up to so many are compared each with each; names of more are noted. */
const COMPARED_MAX = 8;

const NONE: readonly Obstacle[] = [];

/** One look at all queues, each of which is gone through once. Nothing may change meanwhile. */
export class Obstacles {
  /** What each waiter waits for, and with it those behind it that it goes with. */
  readonly #known = new Map<Waiter, readonly Obstacle[]>();
  /** Whom it waits for in turn since those wait for it; of most waiters there are none. */
  readonly #knots = new Map<Waiter, readonly Obstacle[]>();
  readonly #places = new Map<Lock, Standing>();
  /** How many more obstacles are noted. */
  #left = NOTED_MAX;

  of(waiter: Waiter): readonly Obstacle[] {
    if (!this.#isKnown(waiter)) this.#explore(waiter);
    const known = this.#known.get(waiter) ?? NONE;
    const knot = this.#knots.get(waiter);
    return knot === undefined ? known : distinct([...known, ...knot]);
  }

  #isKnown(waiter: Waiter): boolean {
    if (this.#known.has(waiter)) return true;
    this.#at(waiter.lock);
    if (waiter.others !== null) for (const lock of waiter.others) this.#at(lock);
    return this.#known.has(waiter);
  }

  /**
   * Who is at a lock. Its queue is gone through from the front, so that nobody has to look far: only
   * who stands behind one that waits for several locks is left to {@link #explore}.
   */
  #at(lock: Lock): Standing {
    const found = this.#places.get(lock);
    if (found !== undefined) return found;
    const queue: Waiter[] = [];
    for (const waiter of lock.queue ?? []) {
      if (queue.length >= LOCK_EDGES_LOOKED_MAX) break;
      queue.push(waiter);
    }
    const at = { holders: lock.crowd === null ? [] : inOrder(lock.crowd), queue };
    this.#places.set(lock, at);
    for (const [place, waiter] of queue.entries()) {
      if (waiter.others !== null || this.#known.has(waiter)) continue;
      const step = stepOf(waiter, 0);
      this.#lookFrom(step, lock, at, place);
      if (this.#isReady(step)) this.#finish([step]);
    }
    return at;
  }

  /** Strongly connected components by Tarjan, without recursion: a chain of waiters may be long. */
  #explore(root: Waiter): void {
    const first = this.#stepOf(root, 0);
    if (this.#isReady(first)) {
      this.#finish([first]);
      return;
    }
    const open = [first];
    const path = [first];
    const steps = new Map([[root, first]]);
    for (let step = path.at(-1); step !== undefined; step = path.at(-1)) {
      const front = step.fronts[step.next]?.waiter;
      step.next += 1;
      if (front !== undefined) {
        if (this.#isKnown(front)) continue;
        const seen = steps.get(front);
        if (seen !== undefined) {
          step.low = Math.min(step.low, seen.place);
          continue;
        }
        const entered = this.#stepOf(front, open.length);
        steps.set(front, entered);
        open.push(entered);
        path.push(entered);
        continue;
      }
      path.pop();
      const parent = path.at(-1);
      if (parent !== undefined) parent.low = Math.min(parent.low, step.low);
      if (step.low === step.place) this.#finish(open.splice(step.place));
    }
  }

  /** Whether all that it stands behind is known. */
  #isReady({ fronts }: Step): boolean {
    for (const { waiter } of fronts) if (!this.#known.has(waiter)) return false;
    return true;
  }

  #stepOf(waiter: Waiter, place: number): Step {
    const step = stepOf(waiter, place);
    for (const lock of locksOf(waiter)) {
      const at = this.#at(lock);
      const queued = lock.queue?.placeOf(waiter) ?? 0;
      if (queued < at.queue.length) this.#lookFrom(step, lock, at, queued);
    }
    return step;
  }

  /** Adds what is in a waiter's way at one of its locks. */
  #lookFrom(step: Step, lock: Lock, at: Standing, place: number): void {
    const { waiter, obstacles, fronts } = step;
    const limit = waiter.mode === "permits" ? limitOf(lock) : 2;
    const weight = weightOf(waiter.mode, waiter.permits);
    addHolders(obstacles, lock, at.holders, waiter);
    this.#left -= obstacles.length;
    for (let index = place - 1; index >= 0 && this.#left > 0; index -= 1) {
      const other = at.queue[index] as Waiter;
      const otherWeight = weightOf(other.mode, other.permits);
      this.#left -= 1;
      if (weight + otherWeight > limit) obstacles.push({ owner: other.owner, token: "", lock });
      else fronts.push({ waiter: other, lock });
      // Whoever is in this one's way further in front is in that one's way, too.
      if (otherWeight >= weight) break;
    }
  }

  /** Notes what a waiter waits for, or those of a knot, when all that they stand behind is known. */
  #finish(steps: readonly Step[]): void {
    const all = steps.length === 1 ? (steps[0] as Step).obstacles : [];
    for (const { waiter, obstacles, fronts } of steps) {
      if (obstacles !== all) for (const obstacle of obstacles) all.push(obstacle);
      let knot: Obstacle[] | null = null;
      for (const front of fronts) {
        const known = this.#known.get(front.waiter);
        // Of its own knot, or waiting for what its owner has.
        let comesBack = known === undefined;
        for (const obstacle of known ?? NONE) {
          if (this.#left <= 0) break;
          this.#left -= 1;
          all.push(obstacle);
          if (obstacle.owner === waiter.owner) comesBack = true;
        }
        if (!comesBack) continue;
        knot ??= [];
        knot.push({ owner: front.waiter.owner, token: "", lock: front.lock });
      }
      if (knot !== null) this.#knots.set(waiter, knot);
    }
    const obstacles = distinct(all);
    for (const { waiter } of steps) this.#known.set(waiter, obstacles);
  }
}

function stepOf(waiter: Waiter, place: number): Step {
  return { waiter, obstacles: [], fronts: [], next: 0, place, low: place };
}

function addHolders(
  obstacles: Obstacle[],
  lock: Lock,
  holders: readonly Holder[],
  { owner, mode, permits }: Waiter,
): void {
  const { item } = lock;
  if (item === null) return;
  if (holders.length === 0) {
    // Its own owner is in its way only where it asks for less than it has.
    if (item.value === owner && mode === "exclusive") return;
    const token = formatToken(item.tokenEpoch, item.tokenCounter);
    obstacles.push({ owner: item.value, token, lock });
    return;
  }
  const goTogether = (lock.mode === "permits") === (mode === "permits");
  const limit = lock.mode === "permits" ? limitOf(lock) : 2;
  const weight = weightOf(mode, permits);
  for (const holder of holders) {
    const fits = holder.owner === owner || weightOf(lock.mode, holder.permits) + weight <= limit;
    if (goTogether && fits) continue;
    const token = formatToken(holder.tokenEpoch, holder.tokenCounter);
    obstacles.push({ owner: holder.owner, token, lock });
  }
}

function weightOf(mode: LockMode, permits: number): number {
  return mode === "permits" ? permits : mode === "exclusive" ? 2 : 1;
}

/** Without repeats, in order. */
function distinct(obstacles: readonly Obstacle[]): readonly Obstacle[] {
  if (obstacles.length <= COMPARED_MAX) {
    return obstacles.filter((one, index) => {
      for (let before = 0; before < index; before += 1) {
        if (isSame(obstacles[before] as Obstacle, one)) return false;
      }
      return true;
    });
  }
  const seen = new Set<string>();
  return obstacles.filter(({ owner, token, lock }) => {
    const name = `${token} ${lock.row} ${owner}`;
    if (seen.has(name)) return false;
    seen.add(name);
    return true;
  });
}

function isSame(a: Obstacle, b: Obstacle): boolean {
  return a.lock === b.lock && a.token === b.token && a.owner === b.owner;
}
