/** Replies as raw bytes: where each ends, without saying anything about what it means. */

/** Cuts a stream of RESP2 and RESP3 into its replies. Latin-1, one character per byte. */
export class FrameCutter {
  #pending = "";

  /** Adds bytes and gives the replies that are complete now. Throws on bytes that are no RESP. */
  cut(bytes: string): string[] {
    this.#pending += bytes;
    const frames: string[] = [];
    let start = 0;
    for (let end = frameEnd(this.#pending, 0); end !== -1; end = frameEnd(this.#pending, start)) {
      frames.push(this.#pending.slice(start, end));
      start = end;
    }
    this.#pending = this.#pending.slice(start);
    return frames;
  }

  /** Bytes of a reply that is not complete. */
  get rest(): string {
    return this.#pending;
  }
}

/** Where the reply that begins at `at` ends, or -1 where it is not complete. */
function frameEnd(text: string, at: number): number {
  let position = at;
  for (let missing = 1; missing > 0; missing -= 1) {
    const lineEnd = text.indexOf("\r\n", position);
    if (lineEnd === -1) return -1;
    const kind = text.charAt(position);
    const count = text.slice(position + 1, lineEnd);
    position = lineEnd + 2;
    switch (kind) {
      case "+":
      case "-":
      case ":":
      case ",":
      case "(":
      case "#":
      case "_":
        break;
      case "$":
      case "=":
      case "!":
        if (count !== "-1") position += lengthOf(count) + 2;
        break;
      case "*":
      case "~":
      case ">":
        if (count !== "-1") missing += lengthOf(count);
        break;
      case "%":
        missing += 2 * lengthOf(count);
        break;
      case "|":
        missing += 2 * lengthOf(count) + 1;
        break;
      default:
        throw new Error(`not RESP: ${JSON.stringify(text.slice(at, at + 80))}`);
    }
    if (position > text.length) return -1;
  }
  return position;
}

function lengthOf(digits: string): number {
  if (!/^\d+$/.test(digits)) throw new Error(`not a length: ${JSON.stringify(digits)}`);
  return Number(digits);
}
