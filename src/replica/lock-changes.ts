/**
 * Which locks of a group have changed lately, as far as this node has applied its log: what LOCK.WATCH
 * waits for.
 *
 *          forgotten, cannot tell │ since ─ ─ newest change per key ─ ─▶ applied
 *
 * Nothing is kept before the first watcher, nor for long after the last one.
 */
import type { Slot } from "../base/ids.ts";
import { LOCK_CHANGES_KEPT_MAX } from "../base/limits.ts";
import type { Machine } from "../machine/machine.ts";

/** Called when the lock has changed, or may have. */
export type ChangeListener = () => void;

export class LockChanges {
  /** Every change after this slot is known; null while nothing is kept. */
  #since: Slot | null = null;
  /** The slot of the newest change by key, least recent first. */
  readonly #changedAt = new Map<string, Slot>();
  readonly #watchers = new Map<string, Set<ChangeListener>>();
  /** Keys that the entry in work has changed; a database's name alone stands for all its keys. */
  #touched: string[] = [];
  #watcherCount = 0;
  #idleSinceTick = 0;

  get watcherCount(): number {
    return this.#watcherCount;
  }

  /** Calls `listener` after each entry that changes the lock, from now on; the answer ends that. */
  watch(
    machine: Machine,
    lock: { readonly db: number; readonly key: string },
    listener: ChangeListener,
  ): () => void {
    if (this.#since === null) this.#begin(machine);
    const name = nameOf(lock.db, lock.key);
    const listeners = this.#watchers.get(name) ?? new Set<ChangeListener>();
    this.#watchers.set(name, listeners);
    const own: ChangeListener = () => {
      listener();
    };
    listeners.add(own);
    this.#watcherCount += 1;
    return () => {
      if (!listeners.delete(own)) return;
      this.#watcherCount -= 1;
      if (listeners.size === 0) this.#watchers.delete(name);
    };
  }

  /** Whether the lock has changed after `version`; true as well where this node cannot tell. */
  mayHaveChanged(db: number, key: string, version: Slot): boolean {
    if (this.#since === null || version < this.#since) return true;
    return (this.#changedAt.get(nameOf(db, key)) ?? 0) > version;
  }

  /** An entry was applied. */
  applied(machine: Machine): void {
    if (this.#touched.length === 0) return;
    const touched = this.#touched;
    this.#touched = [];
    const slot = machine.appliedSlot;
    const called = new Set<string>();
    for (const name of touched) {
      if (name.includes(":")) this.#changed(name, slot, called);
      else this.#allChanged(`${name}:`, slot, called);
    }
    for (const name of called) {
      // One that begins to watch meanwhile waits for the next entry.
      for (const listener of [...(this.#watchers.get(name) ?? [])]) listener();
    }
  }

  /** Another state has taken the place of the group's: anything may have changed. */
  installed(machine: Machine): void {
    this.#touched = [];
    if (this.#since === null) return;
    this.#begin(machine);
    for (const listeners of [...this.#watchers.values()]) {
      for (const listener of [...listeners]) listener();
    }
  }

  /** Stops keeping changes when nobody has watched for `patienceTicks`. */
  tick(machine: Machine, tick: number, patienceTicks: number): void {
    if (this.#since === null) return;
    if (this.#watcherCount > 0) this.#idleSinceTick = tick;
    else if (tick - this.#idleSinceTick > patienceTicks) {
      this.#since = null;
      this.#changedAt.clear();
      this.#touched = [];
      machine.onLockChanged = null;
    }
  }

  #begin(machine: Machine): void {
    this.#since = machine.appliedSlot;
    this.#changedAt.clear();
    machine.onLockChanged = (db, key) => {
      this.#touched.push(key === null ? String(db) : nameOf(db, key));
    };
  }

  #changed(name: string, slot: Slot, called: Set<string>): void {
    this.#changedAt.delete(name);
    this.#changedAt.set(name, slot);
    if (this.#watchers.has(name)) called.add(name);
    if (this.#changedAt.size <= LOCK_CHANGES_KEPT_MAX) return;
    for (const [oldest, changedAt] of this.#changedAt) {
      this.#changedAt.delete(oldest);
      this.#since = changedAt;
      return;
    }
  }

  #allChanged(prefix: string, slot: Slot, called: Set<string>): void {
    // Which keys there were is not known: nobody can tell about any of them.
    this.#since = slot;
    for (const name of this.#watchers.keys()) {
      if (!name.startsWith(prefix)) continue;
      called.add(name);
      this.#changedAt.set(name, slot);
    }
  }
}

function nameOf(db: number, key: string): string {
  return `${db}:${key}`;
}
