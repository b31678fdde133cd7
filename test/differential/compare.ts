/**
 * Whether two raw replies to one command are the same. Byte for byte, but where no two servers could
 * write the same bytes: an order that means nothing, a time that runs, a number made up by chance.
 */
import { Resp3Reader, RespError, type RespValue } from "../support/resp3-reader.ts";

/** One command and what came back from both. */
export interface Pair {
  readonly args: readonly string[];
  readonly theirs: string;
  readonly ours: string;
}

/** How far apart the two servers may be. */
export interface Tolerance {
  /** For times in milliseconds: as long as what may have passed between two commands. */
  readonly milliseconds: number;
}

type Comparison =
  | "bytes"
  /** Arrays in any order. */
  | "unordered"
  /** Numbers that are times differ by the tolerance, in seconds by one. */
  | "seconds"
  | "milliseconds"
  /** Any answer of the same kind. */
  | "kind"
  /** `field=value` or `field:value` texts, by some of the fields. */
  | "fields"
  /** What tells the server apart is left out. */
  | "hello"
  /** Names and values in any order of the names. */
  | "pairs"
  /** Name, arity, flags and places of keys; notes and tips are in each server's words. */
  | "command info";

const BY_NAME: Readonly<Record<string, Comparison>> = {
  keys: "unordered",
  ttl: "seconds",
  expiretime: "seconds",
  pttl: "milliseconds",
  pexpiretime: "milliseconds",
  randomkey: "kind",
  time: "kind",
  lastsave: "kind",
  hello: "hello",
  "object idletime": "seconds",
  "client id": "kind",
  "client info": "fields",
  "client list": "kind",
  "command info": "command info",
  "config get": "pairs",
  "command docs": "unordered",
  "command list": "unordered",
  "command getkeysandflags": "unordered",
  "slowlog get": "kind",
  "slowlog len": "kind",
  info: "kind",
};

/** Scripts that read a clock or a lease. */
const READS_TIME = /ttl|expiretime|idletime|['"]time['"]/i;

function comparisonOf(args: readonly string[]): Comparison {
  const [first = "", second = ""] = args.map((word) => word.toLowerCase());
  if (/^eval/.test(first)) return READS_TIME.test(args.join(" ")) ? "milliseconds" : "bytes";
  return BY_NAME[first] ?? BY_NAME[`${first} ${second}`] ?? "bytes";
}

export function agree({ args, theirs, ours }: Pair, tolerance: Tolerance): boolean {
  if (theirs === ours) return true;
  const how = comparisonOf(args);
  if (how === "bytes") return false;
  const [left, right] = [parse(theirs), parsed(ours)];
  if (right === undefined) return false;
  if (left instanceof RespError || right instanceof RespError) return false;
  // The kind of the reply is the first byte: `$-1` and `_` are both null and not the same.
  if (theirs.charAt(0) !== ours.charAt(0)) return false;
  switch (how) {
    case "unordered":
      return sorted(left) === sorted(right);
    case "seconds":
      return close(left, right, 1);
    case "milliseconds":
      return close(left, right, tolerance.milliseconds);
    case "kind":
      return kindOf(left) === kindOf(right);
    case "fields":
      return fieldsOf(left) === fieldsOf(right);
    case "hello":
      return helloOf(left) === helloOf(right);
    case "pairs":
      return sorted(pairsOf(left)) === sorted(pairsOf(right));
    case "command info":
      return commandInfoOf(left) === commandInfoOf(right);
  }
}

/** The value of a complete raw reply. */
export function parse(frame: string): RespValue {
  const [message] = new Resp3Reader().read(frame);
  if (message === undefined) throw new Error(`not a reply: ${JSON.stringify(frame)}`);
  return message.value;
}

/** The value, or undefined where the reply is not well-formed. */
function parsed(frame: string): RespValue | undefined {
  try {
    return parse(frame);
  } catch {
    return undefined;
  }
}

/** Text that is the same for all orders of sets and arrays. */
function sorted(value: RespValue): string {
  if (Array.isArray(value)) return `[${value.map(sorted).sort().join(",")}]`;
  if (value instanceof Set) return `{${[...value].map(sorted).sort().join(",")}}`;
  if (value instanceof Map) {
    const entries = [...value].map(([key, field]) => `${sorted(key)}:${sorted(field)}`);
    return `(${entries.sort().join(",")})`;
  }
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === "bigint" ? `${part}n` : part instanceof RespError ? part.message : part,
  );
}

/** Whether numbers are near each other and all else is equal. -1 and -2 are no times. */
function close(left: RespValue, right: RespValue, distance: number): boolean {
  if (typeof left === "number" && typeof right === "number") {
    if (left < 0 || right < 0) return left === right;
    return Math.abs(left - right) <= distance;
  }
  if (Array.isArray(left) && Array.isArray(right)) {
    if (left.length !== right.length) return false;
    return left.every((value, index) => close(value, right[index] ?? null, distance));
  }
  return sorted(left) === sorted(right);
}

function kindOf(value: RespValue): string {
  if (Array.isArray(value)) return `[${value.map(kindOf).join(",")}]`;
  return value === null ? "null" : typeof value;
}

/** What CLIENT LIST says of a connection that does not depend on the machine. */
const FIELDS = /^(name|db|sub|psub|ssub|multi|cmd|user|redir|resp|flags)=/;

function fieldsOf(value: RespValue): string {
  if (typeof value !== "string") return sorted(value);
  const fields = value.trimEnd().split(" ");
  return fields.filter((field) => FIELDS.test(field)).join(" ");
}

function helloOf(value: RespValue): string {
  return JSON.stringify(
    pairsOf(value).map(([field = null, text = null]) => [
      field,
      field === "version" || field === "id" ? "" : text,
    ]),
  );
}

function commandInfoOf(value: RespValue): string {
  const rows = (value as RespValue[]).map((row) => (Array.isArray(row) ? row.slice(0, 6) : row));
  return JSON.stringify(rows.map(sorted));
}

/** The entries of a map, or of the flat array that stands for one in RESP2. */
function pairsOf(value: RespValue): RespValue[][] {
  if (value instanceof Map) return [...value].map(([key, field]) => [key, field]);
  const list = value as RespValue[];
  const pairs: RespValue[][] = [];
  for (let index = 0; index + 1 < list.length; index += 2) {
    pairs.push([list[index] ?? null, list[index + 1] ?? null]);
  }
  return pairs;
}
