/**
 * Which scripts are about to be known or forgotten: what was dispatched but is not applied yet.
 *
 * A pipeline may say SCRIPT FLUSH, SCRIPT LOAD, EVALSHA in one breath. What EVALSHA finds must follow
 * the order of the pipeline, although none of the three has passed through the log.
 */

/** A script whose loading is on its way. */
export interface LoadingScript {
  readonly sha: string;
  readonly body: string;
  /** Writes that carry it and are not applied. */
  writes: number;
}

export class ScriptsInFlight {
  /** Dispatched after the last flush. */
  readonly #loading = new Map<string, LoadingScript>();
  #flushes = 0;

  /** A flush is on its way: what groups have applied says nothing about what comes behind it. */
  get flushing(): boolean {
    return this.#flushes > 0;
  }

  /** The body of a script that was dispatched behind every flush, or null. */
  body(sha: string): string | null {
    return this.#loading.get(sha)?.body ?? null;
  }

  flushDispatched(): void {
    this.#flushes += 1;
    this.#loading.clear();
  }

  flushApplied(): void {
    this.#flushes -= 1;
    if (this.#flushes > 0) return;
    for (const script of this.#loading.values()) {
      if (script.writes === 0) this.#loading.delete(script.sha);
    }
  }

  loadDispatched(sha: string, body: string): LoadingScript {
    const script = this.#loading.get(sha) ?? { sha, body, writes: 0 };
    script.writes += 1;
    this.#loading.set(sha, script);
    return script;
  }

  /** While other groups are still to be flushed, what was loaded behind the flush stays known here. */
  loadApplied(script: LoadingScript): void {
    script.writes -= 1;
    if (script.writes > 0 || this.#flushes > 0) return;
    if (this.#loading.get(script.sha) === script) this.#loading.delete(script.sha);
  }
}
