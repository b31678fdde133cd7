/**
 * The scripts a group knows. Replicated: EVALSHA must answer alike on every leader.
 *
 * SCRIPT LOAD is a promise that the script stays, so those are never evicted and loading one too
 * many is refused. EVAL keeps its script as a courtesy, as Redis does, so the oldest of those make
 * room. They go by age, not by use: to note a use would be a write for every EVALSHA.
 */
import {
  EVALUATED_SCRIPT_BYTES_MAX,
  EVALUATED_SCRIPTS_MAX,
  LOADED_SCRIPT_BYTES_MAX,
  LOADED_SCRIPTS_MAX,
} from "../base/limits.ts";
import type { Digest } from "./digest.ts";
import type { RowLedger } from "./row-ledger.ts";
import { markOf, NOT_STORED } from "./row-ledger.ts";
import type { ScriptRow } from "./state.ts";

interface Script {
  readonly row: number;
  readonly sha: string;
  readonly body: string;
  readonly loaded: boolean;
  stored: boolean;
}

export class ScriptCache {
  readonly #rows: RowLedger;
  /** In order of row id, so the first is the oldest. */
  readonly #evaluated = new Map<string, Script>();
  readonly #loaded = new Map<string, Script>();
  #evaluatedBytes = 0;
  #loadedBytes = 0;
  /** By row id. */
  readonly #dirty = new Map<number, Script>();
  #flushedBelow = 0;

  constructor(rows: RowLedger) {
    this.#rows = rows;
  }

  get size(): number {
    return this.#evaluated.size + this.#loaded.size;
  }

  get dirtySize(): number {
    return this.#dirty.size;
  }

  get flushedBelow(): number {
    return this.#flushedBelow;
  }

  *shas(): Iterable<string> {
    yield* this.#loaded.keys();
    yield* this.#evaluated.keys();
  }

  body(sha: string): string | null {
    return this.#find(sha)?.body ?? null;
  }

  /** Keeps a script that EVAL brought; the oldest ones may go for it. */
  addEvaluated(sha: string, body: string): void {
    if (this.#find(sha) !== null) return;
    this.#add({ row: this.#rows.take(), sha, body, loaded: false, stored: false });
    for (const oldest of this.#evaluated.values()) {
      const full =
        this.#evaluated.size > EVALUATED_SCRIPTS_MAX ||
        this.#evaluatedBytes > EVALUATED_SCRIPT_BYTES_MAX;
      if (!full) return;
      this.#remove(oldest);
    }
  }

  /** Keeps a script until SCRIPT FLUSH; false when there are too many. */
  addLoaded(sha: string, body: string): boolean {
    const known = this.#find(sha);
    if (known?.loaded === true) return true;
    if (this.#loaded.size >= LOADED_SCRIPTS_MAX) return false;
    if (this.#loadedBytes + body.length > LOADED_SCRIPT_BYTES_MAX) return false;
    if (known !== null) this.#remove(known);
    this.#add({ row: this.#rows.take(), sha, body, loaded: true, stored: false });
    return true;
  }

  /** Forgets all scripts. They are few enough to go one by one. */
  flush(): void {
    for (const script of this.#all()) this.#remove(script);
    this.#flushedBelow = this.#rows.next;
  }

  /** Hands over what changed. */
  takeChanged(): ScriptRow[] {
    const changed: ScriptRow[] = [];
    for (const script of this.#dirty.values()) {
      this.#rows.store(NOT_STORED, scriptMark(script.row));
      script.stored = true;
      const { row, sha, body, loaded } = script;
      changed.push({ kind: "script", row, sha, body, loaded });
    }
    this.#dirty.clear();
    return changed;
  }

  restoreFlushedBelow(row: number): void {
    this.#flushedBelow = row;
  }

  /**
   * Takes a row of a checkpoint; rows come in ascending order of row id. Returns false for a script
   * that another row has already.
   */
  restoreRow({ row, sha, body, loaded }: ScriptRow): boolean {
    this.#rows.store(NOT_STORED, scriptMark(row));
    if (row < this.#flushedBelow) {
      this.#rows.remove(row, scriptMark(row));
      return true;
    }
    if (this.#find(sha) !== null) return false;
    this.#link({ row, sha, body, loaded, stored: true });
    return true;
  }

  /** Adds everything that replicas must agree on. */
  digest(digest: Digest): void {
    digest.addNumber(this.#flushedBelow);
    digest.addNumber(this.size);
    for (const script of this.#all()) {
      digest.addNumber(script.row);
      digest.addNumber(script.loaded ? 1 : 0);
      digest.addString(script.sha);
      digest.addString(script.body);
    }
  }

  #all(): Script[] {
    return [...this.#evaluated.values(), ...this.#loaded.values()];
  }

  #find(sha: string): Script | null {
    return this.#evaluated.get(sha) ?? this.#loaded.get(sha) ?? null;
  }

  #add(script: Script): void {
    this.#link(script);
    this.#dirty.set(script.row, script);
  }

  #link(script: Script): void {
    if (script.loaded) {
      this.#loaded.set(script.sha, script);
      this.#loadedBytes += script.body.length;
    } else {
      this.#evaluated.set(script.sha, script);
      this.#evaluatedBytes += script.body.length;
    }
  }

  #remove(script: Script): void {
    if (script.loaded) {
      this.#loaded.delete(script.sha);
      this.#loadedBytes -= script.body.length;
    } else {
      this.#evaluated.delete(script.sha);
      this.#evaluatedBytes -= script.body.length;
    }
    this.#dirty.delete(script.row);
    if (script.stored) this.#rows.remove(script.row, scriptMark(script.row));
  }
}

/** A script's row is written once and never changed. */
function scriptMark(row: number): number {
  return markOf({ row, tokenCounter: 0, deadlineMs: 0, writtenMs: 0 });
}
