/**
 * SHA-1 (FIPS 180-4) of a byte string: the name of a script, as EVALSHA and `redis.sha1hex` know it.
 * Not for anything secret.
 */

const words = new Int32Array(80);

/** 40 lower-case hex digits of the SHA-1 of `bytes`, one character per byte. */
export function sha1Hex(bytes: string): string {
  const state = [0x67452301, 0xefcdab89 | 0, 0x98badcfe | 0, 0x10325476, 0xc3d2e1f0 | 0];
  const whole = bytes.length - (bytes.length % 64);
  for (let at = 0; at < whole; at += 64) digestBlock(state, bytes, at);

  // Padding: a one bit, zeroes, and the length in bits as a 64-bit number at the end of a block.
  const bitsHigh = Math.floor(bytes.length / 0x2000_0000);
  const bitsLow = (bytes.length % 0x2000_0000) * 8;
  const rest = bytes.slice(whole) + "\x80";
  const padded = rest + "\0".repeat((120 - rest.length) % 64);
  const tail = padded + bigEndian(bitsHigh) + bigEndian(bitsLow);
  for (let at = 0; at < tail.length; at += 64) digestBlock(state, tail, at);
  return state.map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
}

function bigEndian(word: number): string {
  return String.fromCharCode(word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255);
}

function digestBlock(state: number[], bytes: string, at: number): void {
  for (let index = 0; index < 16; index += 1) {
    const byte = at + index * 4;
    words[index] =
      (bytes.charCodeAt(byte) << 24) |
      (bytes.charCodeAt(byte + 1) << 16) |
      (bytes.charCodeAt(byte + 2) << 8) |
      bytes.charCodeAt(byte + 3);
  }
  for (let index = 16; index < 80; index += 1) {
    const mixed = word(index - 3) ^ word(index - 8) ^ word(index - 14) ^ word(index - 16);
    words[index] = rotate(mixed, 1);
  }
  let [a = 0, b = 0, c = 0, d = 0, e = 0] = state;
  for (let index = 0; index < 80; index += 1) {
    const next = (rotate(a, 5) + round(index, b, c, d) + e + word(index)) | 0;
    e = d;
    d = c;
    c = rotate(b, 30);
    b = a;
    a = next;
  }
  for (const [index, value] of [a, b, c, d, e].entries()) {
    state[index] = ((state[index] ?? 0) + value) | 0;
  }
}

function word(index: number): number {
  return words[index] ?? 0;
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

function round(index: number, b: number, c: number, d: number): number {
  if (index < 20) return ((b & c) | (~b & d)) + 0x5a827999;
  if (index < 40) return (b ^ c ^ d) + 0x6ed9eba1;
  if (index < 60) return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
  return (b ^ c ^ d) + 0xca62c1d6;
}
