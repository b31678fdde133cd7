/** How often this client holds a key for an owner: what tells a repeated request from a new one. */

export class HoldLedger {
  readonly #counts = new Map<string, number>();

  count(owner: string, key: string): number {
    return this.#counts.get(id(owner, key)) ?? 0;
  }

  add(owner: string, key: string): void {
    this.#counts.set(id(owner, key), this.count(owner, key) + 1);
  }

  remove(owner: string, key: string): void {
    const count = this.count(owner, key) - 1;
    if (count > 0) this.#counts.set(id(owner, key), count);
    else this.#counts.delete(id(owner, key));
  }
}

/** No two pairs have the same. */
function id(owner: string, key: string): string {
  return `${owner.length}:${owner}${key}`;
}
