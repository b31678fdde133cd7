/**
 * A 64-bit digest of a sequence of strings and numbers, to compare replicas. Not a cryptographic
 * one: it finds differences that happen, not differences that are made.
 */

export class Digest {
  #high = 0x2545f491;
  #low = 0x4f6cdd1d;

  addString(text: string): void {
    this.#mix(text.length);
    for (let index = 0; index < text.length; index += 1) this.#mix(text.charCodeAt(index));
  }

  /** Adds an integer of up to 53 bits. */
  addNumber(value: number): void {
    this.#mix(value | 0);
    this.#mix(Math.floor(value / 0x1_0000_0000));
  }

  /** 16 hexadecimal digits. */
  toString(): string {
    const high = scramble(this.#high ^ this.#low);
    const low = scramble(this.#low ^ high);
    return hex(high) + hex(low);
  }

  #mix(word: number): void {
    this.#high = Math.imul(this.#high ^ word, 0x85ebca6b);
    this.#high ^= this.#high >>> 13;
    this.#low = Math.imul(this.#low ^ word, 0xc2b2ae35) + 0x27d4eb2f;
    this.#low ^= this.#low >>> 16;
  }
}

function scramble(word: number): number {
  const mixed = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  return Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35) ^ (mixed >>> 16);
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, "0");
}
