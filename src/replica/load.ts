/** Counts what is on its way, so that a flood is refused and never fills the memory. */

/** How much work something stands for. */
export interface Weight {
  readonly operations: number;
  readonly bytes: number;
}

export const NOTHING: Weight = { operations: 0, bytes: 0 };

export class Load {
  readonly #operationsMax: number;
  readonly #bytesMax: number;
  #operations = 0;
  #bytes = 0;

  constructor(max: Weight) {
    this.#operationsMax = max.operations;
    this.#bytesMax = max.bytes;
  }

  get operations(): number {
    return this.#operations;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get full(): boolean {
    return this.#operations >= this.#operationsMax || this.#bytes >= this.#bytesMax;
  }

  add(operations: number, bytes: number): void {
    this.#operations += operations;
    this.#bytes += bytes;
  }

  remove(operations: number, bytes: number): void {
    this.#operations -= operations;
    this.#bytes -= bytes;
  }
}
