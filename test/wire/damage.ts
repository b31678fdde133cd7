/** Ways to damage bytes, shared by the codec tests. */

/** Each proper prefix of the bytes. */
export function* truncations(bytes: Uint8Array): Generator<Uint8Array> {
  for (let length = 0; length < bytes.length; length++) yield bytes.slice(0, length);
}

/** The bytes with each single bit flipped, one at a time, and the number of that bit. */
export function* bitFlips(bytes: Uint8Array): Generator<[Uint8Array, number]> {
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = bytes.slice();
    flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
    yield [flipped, bit];
  }
}
