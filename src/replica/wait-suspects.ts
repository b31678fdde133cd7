/**
 * Whether owners may be waiting for one another in a circle: asked before all edges are looked at, which
 * takes milliseconds where thousands wait, while in most programs nobody can be in a circle.
 *
 * Nothing goes on in a circle. A lock of a circle is not freed, so its holder is in a circle and waits
 * elsewhere; or the lock is free and kept for the first in its queue, who waits for other locks as well.
 * So some owners, two at least, both stand in front at a lock that others wait for and wait for another
 * reason than that. A circle in which some owner is not there yet comes to a stop when it is.
 */
import type { OwnerVisitor, WaiterVisitor } from "../machine/locks/wait-parties.ts";

/** The locks of one group. */
export interface WaitParties {
  readonly waiterCount: number;
  visitFronts(visit: OwnerVisitor): void;
  visitWaiting(visit: WaiterVisitor): void;
}

/** Fewer are in no circle. */
const CIRCLE_OWNERS_MIN = 2;

/** False where nobody is in a circle, whatever the edges are. */
export function maybeInCircle(groups: readonly WaitParties[]): boolean {
  /** Per database: at how many locks an owner is in front. */
  const fronts: (Map<string, number> | undefined)[] = [];
  const suspects: (Set<string> | undefined)[] = [];
  let found = 0;
  const addFront = (db: number, owner: string): void => {
    const places = (fronts[db] ??= new Map<string, number>());
    places.set(owner, (places.get(owner) ?? 0) + 1);
  };
  const addWaiter = (db: number, owner: string, isFront: boolean): boolean => {
    const places = fronts[db]?.get(owner);
    if (places === undefined || places <= (isFront ? 1 : 0)) return true;
    const known = (suspects[db] ??= new Set<string>());
    if (known.has(owner)) return true;
    known.add(owner);
    found += 1;
    return found < CIRCLE_OWNERS_MIN;
  };
  for (const group of groups) if (group.waiterCount > 0) group.visitFronts(addFront);
  for (const group of groups) {
    if (found < CIRCLE_OWNERS_MIN && group.waiterCount > 0) group.visitWaiting(addWaiter);
  }
  return found >= CIRCLE_OWNERS_MIN;
}
