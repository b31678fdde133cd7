/**
 * Text to value and back, for each kind of option.
 *
 * The text is a byte string (latin-1, one character per byte) whatever its source, because a
 * password is bytes; what must be text is decoded as UTF-8 here.
 */
import { isIP } from "node:net";
import { formatEndpoint, formatPeers, isHostName, parseEndpoint } from "../base/address.ts";
import { unreachable } from "../base/assert.ts";
import { NODE_ID_MAX } from "../base/limits.ts";
import type { PeerAddress } from "../base/ports.ts";
import type { DurationOption, DurationUnit, Option } from "./options.ts";

export type OptionValue = number | boolean | string | readonly string[] | readonly PeerAddress[];

/** The value, or what is wrong: the end of a sentence that begins with the option and the text. */
export type Parsed =
  | { readonly ok: true; readonly value: OptionValue }
  | { readonly ok: false; readonly problem: string };

/** Parses and checks the value of an option. */
export function parseValue(option: Option, bytes: string): Parsed {
  switch (option.kind) {
    case "integer":
      return inBounds(option, wholeNumber(bytes), "is not a whole number");
    case "size":
      return inBounds(option, parseSize(bytes), "is not a size");
    case "duration":
      return inBounds(option, parseDuration(bytes, option.unit), "is not a time");
    case "boolean":
      return parseBoolean(bytes);
    case "choice":
      return option.choices.includes(bytes.toLowerCase())
        ? good(bytes.toLowerCase())
        : bad(`is not one of ${option.choices.join(", ")}`);
    case "addresses":
      return parseAddresses(bytes, option.countMax);
    case "peers":
      return parsePeers(bytes, option.countMax);
    case "listen-address":
      return parseListenAddress(bytes);
    case "text":
      return /^[A-Za-z0-9._-]*$/.test(bytes) && bytes.length <= option.lengthMax
        ? good(bytes)
        : bad(`is not up to ${option.lengthMax} letters, digits, dots, underscores and dashes`);
    case "secret":
      return bytes.length <= option.bytesMax
        ? good(bytes)
        : bad(`is longer than ${option.bytesMax} bytes`);
    case "path":
      return bytes === "" && option.default !== ""
        ? bad("is empty; give a path")
        : parsePath(bytes);
    default:
      return unreachable(option);
  }
}

/** What a value may be, as a phrase: "a whole number from 0 to 65535". */
export function describeBounds(option: Option): string {
  switch (option.kind) {
    case "integer":
      return `a whole number from ${option.min} to ${option.max}`;
    case "size":
      return `a size from ${showSize(option.min)} to ${showSize(option.max)}`;
    case "duration":
      return `a time from ${showDuration(Math.max(0, option.min), option.unit)} to ${showDuration(option.max, option.unit)}${option.min < 0 ? ", or -1" : ""}`;
    case "boolean":
      return "yes or no";
    case "choice":
      return `one of ${option.choices.join(", ")}`;
    case "addresses":
      return `1 to ${option.countMax} IP addresses or host names, or *`;
    case "peers":
      return `up to ${option.countMax} nodes as number=host:port, an IPv6 host in brackets`;
    case "listen-address":
      return "host:port or *:port, an IPv6 host in brackets";
    case "text":
      return `up to ${option.lengthMax} letters, digits, dots, underscores and dashes`;
    case "secret":
      return `up to ${option.bytesMax} bytes`;
    case "path":
      return "a path";
    default:
      return unreachable(option);
  }
}

/** How the value is written, with an example where there are several ways; null when obvious. */
export function describeUnit(option: Option): string | null {
  switch (option.kind) {
    case "size":
      return "bytes";
    case "duration":
      return option.unit;
    case "integer":
    case "boolean":
    case "choice":
    case "addresses":
    case "peers":
    case "listen-address":
    case "text":
    case "secret":
    case "path":
      return null;
    default:
      return unreachable(option);
  }
}

/** The default as a person would write it; null when it is empty. */
export function describeDefault(option: Option): string | null {
  switch (option.kind) {
    case "integer":
      return String(option.default);
    case "size":
      return showSize(option.default);
    case "duration":
      return showDuration(option.default, option.unit);
    case "boolean":
      return option.default ? "yes" : "no";
    case "choice":
      return option.default;
    case "addresses":
      return option.default.join(" ");
    case "peers":
      return option.default.length === 0 ? null : formatPeers(option.default);
    case "listen-address":
    case "text":
    case "secret":
    case "path":
      return option.default === "" ? null : option.default;
    default:
      return unreachable(option);
  }
}

/** A whole number in plain decimal, or null. */
export function wholeNumber(text: string): number | null {
  if (!/^(0|-?[1-9][0-9]*)$/.test(text)) return null;
  return Number(text);
}

const SIZE_UNITS: ReadonlyMap<string, number> = new Map([
  ["", 1],
  ["b", 1],
  ["k", 1000],
  ["kb", 1024],
  ["m", 1000 ** 2],
  ["mb", 1024 ** 2],
  ["g", 1000 ** 3],
  ["gb", 1024 ** 3],
]);

/** Bytes, with Redis's suffixes; null when it is no size. */
export function parseSize(text: string): number | null {
  const parts = /^([0-9]+)([a-z]*)$/.exec(text.toLowerCase());
  const factor = SIZE_UNITS.get(parts?.[2] ?? "");
  return parts === null || factor === undefined ? null : Number(parts[1]) * factor;
}

/** The shortest exact way to write a size. */
export function showSize(bytes: number): string {
  for (const suffix of ["gb", "mb", "kb"]) {
    const factor = SIZE_UNITS.get(suffix) ?? 1;
    if (bytes >= factor && bytes % factor === 0) return `${bytes / factor}${suffix}`;
  }
  return String(bytes);
}

const MICROSECONDS: ReadonlyMap<string, number> = new Map([
  ["d", 86_400_000_000],
  ["h", 3_600_000_000],
  ["m", 60_000_000],
  ["s", 1_000_000],
  ["ms", 1000],
  ["us", 1],
]);

const UNIT_SUFFIX: Readonly<Record<DurationUnit, string>> = {
  seconds: "s",
  milliseconds: "ms",
  microseconds: "us",
};

/** A time in `unit`; null when the text is none. A plain number is in that unit, and may be a fraction. */
export function parseDuration(text: string, unit: DurationUnit): number | null {
  if (text === "-1") return -1;
  const parts = /^([0-9]+)([a-z]*)$/.exec(text.toLowerCase());
  if (parts === null) return null;
  const suffix = parts[2] === "" ? UNIT_SUFFIX[unit] : (parts[2] ?? "");
  const factor = MICROSECONDS.get(suffix);
  const own = MICROSECONDS.get(UNIT_SUFFIX[unit]);
  if (factor === undefined || own === undefined) return null;
  return (Number(parts[1]) * factor) / own;
}

/** The shortest exact way to write a time that was counted in `unit`. */
export function showDuration(amount: number, unit: DurationUnit): string {
  if (amount <= 0) return String(amount);
  const microseconds = amount * (MICROSECONDS.get(UNIT_SUFFIX[unit]) ?? 1);
  for (const suffix of ["h", "m", "s", "ms"]) {
    const factor = MICROSECONDS.get(suffix) ?? 1;
    // Beyond an hour only whole hours read better than the plain unit.
    if (microseconds >= factor && microseconds % factor === 0)
      return `${microseconds / factor}${suffix}`;
  }
  return `${amount}${UNIT_SUFFIX[unit]}`;
}

/** Text as the bytes of its UTF-8. */
export function toBytes(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}

/** Bytes as text; null when they are not UTF-8. */
export function fromBytes(bytes: string): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(bytes, "latin1"));
  } catch {
    return null;
  }
}

function good(value: OptionValue): Parsed {
  return { ok: true, value };
}

function bad(problem: string): Parsed {
  return { ok: false, problem };
}

interface Bounded {
  readonly min: number;
  readonly max: number;
}

function inBounds(
  option: (Option & Bounded) | (DurationOption & Bounded),
  value: number | null,
  problem: string,
): Parsed {
  if (value === null) return bad(`${problem}; give ${describeBounds(option)}${example(option)}`);
  if (!Number.isInteger(value)) {
    return bad(`is not a whole number of ${describeUnit(option) ?? "units"}`);
  }
  if (value < option.min || value > option.max) {
    return bad(`is out of bounds; give ${describeBounds(option)}`);
  }
  return good(value);
}

function example(option: Option): string {
  if (option.kind === "size") return ", such as 1048576 or 1mb";
  if (option.kind === "duration") {
    return `, such as 30 (${option.unit}) or ${option.unit === "seconds" ? "5m" : "30ms"}`;
  }
  return "";
}

function parseBoolean(text: string): Parsed {
  switch (text.toLowerCase()) {
    case "yes":
    case "true":
      return good(true);
    case "no":
    case "false":
      return good(false);
    default:
      return bad("is neither yes nor no");
  }
}

function parseAddresses(text: string, countMax: number): Parsed {
  const addresses = text.split(/[\s,]+/).filter((address) => address !== "");
  if (addresses.length === 0) return bad("names no address");
  if (addresses.length > countMax) return bad(`names more than ${countMax} addresses`);
  const seen = new Set<string>();
  for (const address of addresses) {
    if (address !== "*" && isIP(address) === 0 && !isHostName(address)) {
      return bad(`holds ${quote(address)}, which is neither an IP address nor a host name`);
    }
    if (seen.has(address)) return bad(`names ${address} twice`);
    seen.add(address);
  }
  if (seen.has("*") && seen.size > 1) return bad("names * and other addresses; * alone is all");
  return good(Object.freeze(addresses));
}

/**
 * Nodes by number, `1=host:port`, with spaces or commas between them; in the order of their ids.
 * Each id and each address once: two nodes cannot listen on one address.
 */
function parsePeers(text: string, countMax: number): Parsed {
  const peers: PeerAddress[] = [];
  const byAddress = new Map<string, number>();
  for (const entry of text.split(/[\s,]+/)) {
    if (entry === "") continue;
    const equals = entry.indexOf("=");
    if (equals < 0) {
      return bad(`holds ${quote(entry)} without a node's number; write it as 1=host:port`);
    }
    const id = wholeNumber(entry.slice(0, equals));
    if (id === null || id < 1 || id > NODE_ID_MAX) {
      return bad(
        `holds ${quote(entry)}, whose node number is not a whole number from 1 to ${NODE_ID_MAX}`,
      );
    }
    const parsed = parseEndpoint(entry.slice(equals + 1));
    if (!parsed.ok) return bad(`holds ${quote(entry)}, which ${parsed.problem}`);
    const address = formatEndpoint(parsed.endpoint);
    if (peers.some((peer) => peer.id === id)) {
      return bad(`names node ${id} twice; every node has a number of its own`);
    }
    const holder = byAddress.get(address);
    if (holder !== undefined) {
      return bad(`gives nodes ${holder} and ${id} one address, ${address}`);
    }
    byAddress.set(address, id);
    peers.push(Object.freeze({ id, address }));
  }
  if (peers.length > countMax) return bad(`names more than ${countMax} nodes`);
  return good(Object.freeze(peers.sort((one, other) => one.id - other.id)));
}

/** One address to listen on, `host:port`, or `*:port` for every address of the machine. */
function parseListenAddress(text: string): Parsed {
  if (text === "") return good("");
  if (text.startsWith("*:")) {
    const parsed = parseEndpoint(`every${text.slice(1)}`);
    return parsed.ok ? good(`*:${parsed.endpoint.port}`) : bad(parsed.problem);
  }
  const parsed = parseEndpoint(text);
  return parsed.ok ? good(formatEndpoint(parsed.endpoint)) : bad(parsed.problem);
}

function parsePath(bytes: string): Parsed {
  const text = fromBytes(bytes);
  if (text === null) return bad("is not UTF-8 text");
  if (text.includes("\0")) return bad("holds a zero byte");
  return good(text);
}

/** A value in a message: quoted, cut, and free of control characters and line ends. */
export function quote(text: string): string {
  const clean = [...text]
    .map((character) => (/\p{C}/u.test(character) ? "?" : character))
    .slice(0, 100);
  return `"${clean.join("")}${text.length > 100 ? "…" : ""}"`;
}
