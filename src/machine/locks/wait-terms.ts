/**
 * Terms that many waiters have in common, once each: the clients of one program ask alike. A few are
 * remembered, the oldest forgotten first; who comes with others has its own.
 */
import type { SharedWaitTerms, WaitTerms } from "./lock-records.ts";

const REMEMBERED = 8;

export class SharedTerms {
  readonly #known: SharedWaitTerms[] = [];
  #oldest = 0;

  /** The same terms, in an object that others may have, too. */
  of(asked: WaitTerms, upgrade: boolean): SharedWaitTerms {
    for (const known of this.#known) {
      if (known.upgrade === upgrade && isSame(known, asked)) return known;
    }
    const { mode, permits, ttlMs, reentrant, bind, provisional, all, delayMs } = asked;
    const { data, node, boot, priority, async, claimMs } = asked;
    const common = { mode, permits, ttlMs, reentrant, bind, provisional, all, delayMs };
    const more = { data, node, boot, priority, async, claimMs, upgrade };
    const terms: SharedWaitTerms = { ...common, ...more };
    this.#known[this.#oldest] = terms;
    this.#oldest = (this.#oldest + 1) % REMEMBERED;
    return terms;
  }
}

function isSame(a: WaitTerms, b: WaitTerms): boolean {
  return (
    a.mode === b.mode &&
    a.permits === b.permits &&
    a.ttlMs === b.ttlMs &&
    a.node === b.node &&
    a.boot === b.boot &&
    a.priority === b.priority &&
    a.reentrant === b.reentrant &&
    a.bind === b.bind &&
    a.provisional === b.provisional &&
    a.all === b.all &&
    a.async === b.async &&
    a.claimMs === b.claimMs &&
    a.delayMs === b.delayMs &&
    a.data === b.data
  );
}
