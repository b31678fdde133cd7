/**
 * The trace: one line of fixed width per event, and a digest over all of them.
 *
 * ```
 * column   width  holds
 * ms          12  true time, milliseconds with three decimals
 * node         4  the node it happened on, `-` for none
 * group        4  the group, `-` for none
 * event       14  what happened, see {@link TraceKind}
 * a           14  slot, peer, client or count, by the event; `-` for none
 * b           14  ballot, milliseconds, bytes or call, by the event; `-` for none
 * ```
 * Lines are kept as numbers and written only when somebody reads them, so that tracing is nearly
 * free. Two runs of one seed have the same digest.
 */

/** With what `a` and `b` mean. */
export const TRACE_KINDS = [
  "start", // a boot
  "crash", // a writes lost, b writes kept
  "refused-start",
  "pause", // b ms
  "stall", // b ms
  "role", // a leader, b ballot
  "propose", // a slot, b bytes
  "commit", // a slot, b bytes
  "apply", // a slot, b operations
  "durable", // a records, b promises
  "checkpoint", // a slot
  "install", // a slot
  "member", // a slot, b members
  "send", // a peer, b bytes
  "deliver", // a peer, b bytes
  "drop", // a peer, b bytes
  "link-up", // a peer
  "link-down", // a peer
  "partition", // a pairs cut
  "disk-full", // b ms
  "disk-slow", // b ms
  "rot", // a bits
  "wipe",
  "clock-jump", // b ms
  "clock-rate", // b parts per million
  "handover", // a to
  "admin", // a target node
  "invoke", // a client, b call
  "return", // a client, b call
  "give-up", // a client, b call
  "ask", // a client, b call, of the lock engine
  "tell", // a client, b call
  "cut-off", // a client, b call
  "disconnect", // a connection
  "heal",
] as const;

export type TraceKind = (typeof TRACE_KINDS)[number];

export type TraceLevel = "full" | "short" | "off";

const CODES = new Map<TraceKind, number>(TRACE_KINDS.map((kind, code) => [kind, code]));

/** Events that `--trace=short` leaves out: those of every message and operation. */
const FREQUENT: ReadonlySet<TraceKind> = new Set<TraceKind>([
  "propose",
  "commit",
  "apply",
  "durable",
  "send",
  "deliver",
  "invoke",
  "return",
  "ask",
  "tell",
]);

const FIELDS = 6;
/** Lines shown when a run fails. */
export const LAST_LINES = 50;

export const TRACE_HEADER = `${"ms".padStart(12)} ${"node".padStart(4)} ${"grp".padStart(4)} ${"event".padEnd(14)} ${"a".padStart(14)} ${"b".padStart(14)}`;

/** A place that an event has none of. */
export const NONE = -1;

export class Trace {
  readonly #level: TraceLevel;
  readonly #write: (line: string) => void;
  readonly #ring = new Float64Array(LAST_LINES * FIELDS);
  #lines = 0;
  #one = 0x9e3779b9;
  #two = 0x85ebca6b;

  constructor(level: TraceLevel, write: (line: string) => void) {
    this.#level = level;
    this.#write = write;
  }

  /** How many lines there were. */
  get lines(): number {
    return this.#lines;
  }

  line(kind: TraceKind, nowUs: number, node: number, group: number, a: number, b: number): void {
    const code = CODES.get(kind) ?? 0;
    const at = (this.#lines % LAST_LINES) * FIELDS;
    const ring = this.#ring;
    ring[at] = code;
    ring[at + 1] = nowUs;
    ring[at + 2] = node;
    ring[at + 3] = group;
    ring[at + 4] = a;
    ring[at + 5] = b;
    this.#lines += 1;
    this.#mix(code + 64 * node + 65_536 * group);
    this.#mix(nowUs);
    this.#mix(a);
    this.#mix(b);
    if (this.#level === "off" || (this.#level === "short" && FREQUENT.has(kind))) return;
    this.#write(this.#format(at));
  }

  /** 16 hexadecimal digits over every line so far. */
  digest(): string {
    return hex(this.#one) + hex(this.#two);
  }

  /** The last lines, oldest first. */
  last(): readonly string[] {
    const lines: string[] = [];
    for (let line = Math.max(0, this.#lines - LAST_LINES); line < this.#lines; line += 1) {
      lines.push(this.#format((line % LAST_LINES) * FIELDS));
    }
    return lines;
  }

  #mix(value: number): void {
    // Both halves: microseconds outgrow 32 bits in little more than an hour.
    const low = value | 0;
    const high = Math.floor(value / 4_294_967_296) | 0;
    this.#one = Math.imul(this.#one ^ low, 0x01000193) ^ high;
    this.#two = (Math.imul(this.#two ^ (low + high), 0xcc9e2d51) ^ (this.#two >>> 15)) | 0;
  }

  #format(at: number): string {
    const field = (index: number): number => this.#ring[at + index] ?? NONE;
    const number = (value: number, width: number): string =>
      (value === NONE ? "-" : String(Math.round(value * 1000) / 1000)).padStart(width);
    const ms = (field(1) / 1000).toFixed(3).padStart(12);
    const kind = (TRACE_KINDS[field(0)] ?? "").padEnd(14);
    return `${ms} ${number(field(2), 4)} ${number(field(3), 4)} ${kind} ${number(field(4), 14)} ${number(field(5), 14)}`;
  }
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, "0");
}
