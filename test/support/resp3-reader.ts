/** RESP3 for the test client: slow, small and strict. It reads RESP2 as well, which RESP3 includes. */

/**
 * An error reply as a value; the message is the whole line, code first. It is no `Error`, since
 * `assert.equal` holds any two errors of one class for equal, whatever their messages.
 */
export class RespError {
  readonly message: string;

  constructor(message: string) {
    this.message = message;
  }

  /** The first word, such as `WRONGTYPE`. */
  get code(): string {
    return this.message.split(" ", 1)[0] ?? "";
  }
}

export type RespValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | RespError
  | RespValue[]
  | Set<RespValue>
  | Map<RespValue, RespValue>;

export interface Resp3Message {
  /** Out of band, not the answer to a command. */
  readonly push: boolean;
  readonly value: RespValue;
}

/** What the bytes so far do not hold yet. */
class Incomplete extends Error {}

export class Resp3Reader {
  #pending = "";
  #at = 0;

  /** Adds latin-1 bytes and gives the messages that are complete. Throws on bytes that are not RESP. */
  read(bytes: string): Resp3Message[] {
    this.#pending += bytes;
    const messages: Resp3Message[] = [];
    for (let done = 0; ; done = this.#at) {
      this.#at = done;
      try {
        if (done === this.#pending.length) throw new Incomplete();
        messages.push({ push: this.#pending[done] === ">", value: this.#value() });
      } catch (error) {
        if (!(error instanceof Incomplete)) throw error;
        this.#pending = this.#pending.slice(done);
        return messages;
      }
    }
  }

  #value(): RespValue {
    const line = this.#line();
    const rest = line.slice(1);
    switch (line.charAt(0)) {
      case "+":
        return rest;
      case "-":
        return new RespError(rest);
      case ":":
        return integer(rest);
      case ",":
        return double(rest);
      case "(":
        return BigInt(rest);
      case "#":
        if (rest !== "t" && rest !== "f") throw new Error(`not a boolean: ${line}`);
        return rest === "t";
      case "_":
        if (rest !== "") throw new Error(`not a null: ${line}`);
        return null;
      case "$":
        return rest === "-1" ? null : this.#bulk(rest);
      case "=":
        // Verbatim text: three letters of format and a colon come first.
        return this.#bulk(rest).slice(4);
      case "!":
        return new RespError(this.#bulk(rest));
      case "*":
        return rest === "-1" ? null : this.#values(integer(rest));
      case ">":
        return this.#values(integer(rest));
      case "~":
        return new Set(this.#values(integer(rest)));
      case "%":
        return this.#map(integer(rest));
      case "|":
        // Attributes describe the reply that follows; no test asks for them.
        this.#map(integer(rest));
        return this.#value();
      default:
        throw new Error(`not RESP: ${JSON.stringify(line.slice(0, 80))}`);
    }
  }

  #line(): string {
    const end = this.#pending.indexOf("\r\n", this.#at);
    if (end === -1) throw new Incomplete();
    const line = this.#pending.slice(this.#at, end);
    this.#at = end + 2;
    return line;
  }

  #bulk(digits: string): string {
    const end = this.#at + integer(digits);
    if (this.#pending.length < end + 2) throw new Incomplete();
    const text = this.#pending.slice(this.#at, end);
    if (this.#pending.slice(end, end + 2) !== "\r\n") throw new Error("bulk without its end");
    this.#at = end + 2;
    return text;
  }

  #values(count: number): RespValue[] {
    const values: RespValue[] = [];
    while (values.length < count) values.push(this.#value());
    return values;
  }

  #map(count: number): Map<RespValue, RespValue> {
    const map = new Map<RespValue, RespValue>();
    for (let index = 0; index < count; index += 1) map.set(this.#value(), this.#value());
    return map;
  }
}

function integer(digits: string): number {
  if (!/^[+-]?\d+$/.test(digits)) throw new Error(`not an integer: ${digits}`);
  return Number(digits);
}

function double(text: string): number {
  if (text === "inf") return Infinity;
  if (text === "-inf") return -Infinity;
  if (text === "nan") return NaN;
  if (!/^[+-]?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(text)) throw new Error(`not a double: ${text}`);
  return Number(text);
}
