/**
 * What a benchmark run says: a head with machine, versions and command line, and tables in Markdown,
 * so that they can be quoted as they are. The same goes into the JSON file in full precision.
 */
import type { Summary } from "./statistics.ts";

/** How figures of one kind are written. */
export type Unit = "per second" | "µs" | "ms" | "s" | "bytes" | "MB" | "times";

/** A bound that a ratio or a value should keep. */
export interface Target {
  readonly relation: "at least" | "at most";
  readonly bound: number;
}

/** Something measured on Paxlock and on Redis. */
export interface ComparisonRow {
  readonly name: string;
  readonly unit: Unit;
  readonly paxlock: Summary;
  readonly redis: Summary;
  /** Ours divided by theirs, round by round. */
  readonly ratio: Summary;
  readonly target: Target | null;
  /** Null without a target, and in a short run, whose figures say nothing. */
  readonly reached: boolean | null;
  /** Share of the requests that got or freed a lock, 0 to 1; null where it was not counted. */
  readonly granted: { readonly paxlock: number | null; readonly redis: number | null };
  /** Processor time of the server process for one request or pair, in µs. */
  readonly serverMicros: { readonly paxlock: number | null; readonly redis: number | null };
  /** The same of the client process, where it was measured. */
  readonly clientMicros: { readonly paxlock: number | null; readonly redis: number | null };
}

/** Something measured on Paxlock alone. */
export interface FigureRow {
  readonly name: string;
  readonly unit: Unit;
  readonly value: number;
  readonly target: Target | null;
  /** As in {@link ComparisonRow}. */
  readonly reached: boolean | null;
}

/** Something measured on Paxlock alone in several rounds, with what it cost the processors. */
export interface LoadRow {
  readonly name: string;
  readonly unit: Unit;
  readonly value: Summary;
  readonly target: Target | null;
  /** As in {@link ComparisonRow}; judged by the median. */
  readonly reached: boolean | null;
  /** Processor time of all server processes for one of what is measured, in µs, median; or null. */
  readonly serverMicros: number | null;
  /** The same of the client process. */
  readonly clientMicros: number | null;
}

/** Whether a value keeps its target; null without one, and for figures that are not to be judged. */
export function reached(value: number, target: Target | null, judged: boolean): boolean | null {
  if (target === null || !judged) return null;
  return target.relation === "at least" ? value >= target.bound : value <= target.bound;
}

/** A table in Markdown with columns as wide as they need; the first is text, the others figures. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string => {
    const padded = cells.map((cell, column) => {
      const width = widths[column] ?? 0;
      return column === 0 ? cell.padEnd(width) : cell.padStart(width);
    });
    return `| ${padded.join(" | ")} |`;
  };
  const rule = widths.map((width, column) =>
    column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`,
  );
  return [line(head), line(rule), ...rows.map(line)].join("\n");
}

/** The table of a comparison. */
export function comparisonTable(rows: readonly ComparisonRow[]): string {
  return table(
    [
      "measurement",
      "Paxlock",
      "Redis",
      "ratio",
      "target",
      "reached",
      "granted or freed",
      "server CPU, µs each",
      "client CPU, µs each",
    ],
    rows.map((row) => [
      row.name,
      spread(row.paxlock, row.unit),
      spread(row.redis, row.unit),
      `${row.ratio.median.toFixed(2)} (${row.ratio.min.toFixed(2)}–${row.ratio.max.toFixed(2)})`,
      showTarget(row.target, (bound) => bound.toFixed(2)),
      showReached(row.reached),
      sides(row.granted, (share) => `${(share * 100).toFixed(0)} %`),
      sides(row.serverMicros, (micros) => micros.toFixed(1)),
      sides(row.clientMicros, (micros) => micros.toFixed(1)),
    ]),
  );
}

/** The table of figures of Paxlock alone. */
export function figureTable(rows: readonly FigureRow[]): string {
  return table(
    ["measurement", "Paxlock", "target", "reached"],
    rows.map((row) => [
      row.name,
      show(row.value, row.unit),
      showTarget(row.target, (bound) => show(bound, row.unit)),
      showReached(row.reached),
    ]),
  );
}

/** The table of measurements under load; the spread is left out where there was one round. */
export function loadTable(rows: readonly LoadRow[]): string {
  const micros = (value: number | null): string => (value === null ? "" : value.toFixed(1));
  return table(
    ["measurement", "Paxlock", "target", "reached", "server CPU, µs each", "client CPU, µs each"],
    rows.map((row) => [
      row.name,
      row.value.values.length === 1
        ? show(row.value.median, row.unit)
        : spread(row.value, row.unit),
      showTarget(row.target, (bound) => show(bound, row.unit)),
      showReached(row.reached),
      micros(row.serverMicros),
      micros(row.clientMicros),
    ]),
  );
}

/** A value with its unit, except for rates, whose name says it. */
export function show(value: number, unit: Unit): string {
  switch (unit) {
    case "per second":
      return `${thousands(value)}/s`;
    case "µs":
      return `${value.toFixed(1)} µs`;
    case "ms":
      return `${value.toFixed(3)} ms`;
    case "s":
      return `${value.toFixed(2)} s`;
    case "bytes":
      return `${thousands(value)} bytes`;
    case "MB":
      return `${value.toFixed(1)} MB`;
    case "times":
      return `${value.toFixed(2)} times`;
  }
}

function spread({ median, min, max }: Summary, unit: Unit): string {
  const bare = (value: number): string => show(value, unit).replace(/[^\d.,].*$/, "");
  return `${show(median, unit)} (${bare(min)}–${bare(max)})`;
}

/** Commas between thousands, whatever the locale. */
function thousands(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ",");
}

function showTarget(target: Target | null, showBound: (bound: number) => string): string {
  if (target === null) return "";
  return `${target.relation === "at least" ? "≥" : "≤"} ${showBound(target.bound)}`;
}

function showReached(value: boolean | null): string {
  if (value === null) return "";
  return value ? "yes" : "NO";
}

/** Ours and theirs in one cell; empty where neither was measured. */
function sides(
  { paxlock, redis }: { readonly paxlock: number | null; readonly redis: number | null },
  showOne: (value: number) => string,
): string {
  if (paxlock === null && redis === null) return "";
  const one = (value: number | null): string => (value === null ? "?" : showOne(value));
  return `${one(paxlock)} / ${one(redis)}`;
}
