/**
 * What locks are for: a resource that takes a write only with a fencing token not lower than the
 * last it has seen, and that also notices when two clients are inside at a time at which each may
 * be sure, by its own clock, that it holds the lock.
 *
 * A client is sure from its grant until a lease after it had *asked* for the lock, for no lease may
 * end early. All clients live in this process, so one steady clock judges them.
 */

/** Tokens are decimal strings on the wire; beyond 2^53 only bigints compare them. */
export type Token = bigint;

export interface Visit {
  readonly key: string;
  /** Who, for the message. */
  readonly owner: string;
  readonly token: Token;
  /** Until when the client is sure to hold the lock, on the steady clock; an extension moves it. */
  sureUntilMs: number;
}

interface Door {
  highest: Token;
  /** Owner of each token that was ever shown. */
  readonly owners: Map<Token, string>;
  /** Who is inside or has not said that it left. */
  readonly visits: Set<Visit>;
}

export class GuardedResource {
  readonly #nowMs: () => number;
  readonly #doors = new Map<string, Door>();
  /** Sentences; empty while all is well. */
  readonly violations: string[] = [];
  /** Writes taken, and writes that came with a token of the past and were kept out. */
  writes = 0;
  fenced = 0;
  visits = 0;

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /**
   * A client begins its critical section. Null when it may not be sure of the lock any more: it has
   * to leave the resource alone.
   */
  enter(visit: Visit): Visit | null {
    const now = this.#nowMs();
    if (now >= visit.sureUntilMs) return null;
    const door = this.#door(visit.key);
    for (const other of door.visits) {
      // Who died inside, or overstays, is sure no more.
      if (other.sureUntilMs <= now) door.visits.delete(other);
      else this.#violation(visit, `is inside with ${describe(other, now)}`);
    }
    const before = door.owners.get(visit.token);
    if (before !== undefined && before !== visit.owner) {
      this.#violation(visit, `has a token that ${before} had`);
    }
    if (visit.token < door.highest) this.#violation(visit, `comes after token ${door.highest}`);
    door.owners.set(visit.token, visit.owner);
    door.visits.add(visit);
    this.visits += 1;
    return visit;
  }

  /** One write, also of a client that overstays: then the token alone decides. */
  write(visit: Visit): boolean {
    const door = this.#door(visit.key);
    const sure = this.#nowMs() < visit.sureUntilMs;
    if (visit.token < door.highest) {
      if (sure) this.#violation(visit, `is fenced by token ${door.highest} while its lease lasts`);
      this.fenced += 1;
      return false;
    }
    door.highest = visit.token;
    this.writes += 1;
    return true;
  }

  /** The client is done, before it releases the lock. */
  leave(visit: Visit): void {
    this.#door(visit.key).visits.delete(visit);
  }

  #door(key: string): Door {
    const found = this.#doors.get(key);
    if (found !== undefined) return found;
    const door: Door = { highest: 0n, owners: new Map(), visits: new Set() };
    this.#doors.set(key, door);
    return door;
  }

  #violation(visit: Visit, what: string): void {
    this.violations.push(`${describe(visit, this.#nowMs())} ${what}`);
  }
}

function describe({ key, owner, token, sureUntilMs }: Visit, now: number): string {
  return `${owner} at ${key} with token ${token}, sure for ${(sureUntilMs - now).toFixed(0)} ms more`;
}
