/**
 * The parts of the README that code declares: commands, differences, errors, options, layers,
 * dependencies, limits. `npm run docs` writes them, `docs.test.ts` compares them.
 *
 * A part stands between `<!-- generated: name -->` and `<!-- /generated: name -->`. To add one: a
 * row in {@link SECTIONS} and the two marks in the README.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as limits from "../../src/base/limits.ts";
import { ERROR_CODES, type ErrorCode } from "../../src/commands/errors.ts";
import type { CommandSpec } from "../../src/commands/contract.ts";
import { ALL } from "../../src/commands/table.ts";
import { OPTIONS, SECTIONS as OPTION_SECTIONS } from "../../src/config/options.ts";
import type { Option } from "../../src/config/options.ts";
import { describeBounds, describeDefault, describeUnit } from "../../src/config/values.ts";
import { MEANT_DIFFERENCES } from "../differential/meant-differences.ts";
import { COMMAND_GROUPS, COMMAND_NOTES, OWN_GROUPS } from "./command-notes.ts";
import { commandSyntax } from "./command-syntax.ts";
import { DEPENDENCY_REASONS, DEV_DEPENDENCY_REASONS } from "./dependency-reasons.ts";
import { layers, mermaid } from "./layers.cjs";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** The generated parts by name, in Markdown. */
export const SECTIONS: ReadonlyMap<string, () => string> = new Map([
  ["commands", () => commandTables(ALL)],
  ["differences", differenceTable],
  ["errors", () => errorTable(ERROR_CODES)],
  ["options", () => optionTables(OPTIONS)],
  ["layers-drawing", () => fenced("mermaid", mermaid())],
  ["layers", layerTable],
  ["dependencies", dependencyTable],
  ["limits", limitTable],
]);

/** The text with all generated parts as the code has them; marks that do not fit are problems. */
export function withSections(text: string): { readonly text: string; readonly problems: string[] } {
  const problems: string[] = [];
  const seen: string[] = [];
  const pattern = /^<!-- generated: (\S+) -->\n([^]*?)^<!-- \/generated: (\S+) -->$/gm;
  const written = text.replace(pattern, (whole, name: string, _: string, end: string) => {
    const make = SECTIONS.get(name);
    seen.push(name);
    if (end !== name) problems.push(`the part ${name} ends as ${end}`);
    if (make !== undefined && end === name) return section(name, make());
    if (make === undefined) problems.push(`the part ${name} is in the README and nothing makes it`);
    return whole;
  });
  for (const name of SECTIONS.keys()) {
    const count = seen.filter((other) => other === name).length;
    if (count !== 1) problems.push(`the part ${name} is in the README ${count} times, not once`);
  }
  return { text: written, problems };
}

/** Prettier would pad the tables to their longest cell, so that one new row changes every line. */
function section(name: string, body: string): string {
  return [
    `<!-- generated: ${name} -->`,
    "<!-- prettier-ignore-start -->",
    body.trimEnd(),
    "<!-- prettier-ignore-end -->",
    `<!-- /generated: ${name} -->`,
  ].join("\n\n");
}

// --- tables ---------------------------------------------------------------------------------------

/** A table with cells as they are, in which only what would end a cell is escaped. */
export function markdownTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replace(/\n/g, " ").replaceAll("|", "\\|")).join(" | ")} |\n`;
  return `${line(head)}|${"---|".repeat(head.length)}\n${rows.map(line).join("")}`;
}

function fenced(language: string, text: string): string {
  return `\`\`\`${language}\n${text}\`\`\`\n`;
}

/** One table for each group of commands. */
export function commandTables(specs: readonly CommandSpec[]): string {
  return [...COMMAND_GROUPS]
    .map(([group, title]) => {
      const rows = specs
        .filter((spec) => spec.group === group)
        .map((spec) => [
          `\`${commandSyntax(spec)}\``,
          spec.summary,
          COMMAND_NOTES.get(spec.name) ?? (OWN_GROUPS.has(group) ? "Paxlock's own" : "the same"),
        ]);
      return markdownTable([title, "what it does", "beside Redis 7.2"], rows);
    })
    .join("\n");
}

function differenceTable(): string {
  return markdownTable(
    ["difference", "why", "example"],
    MEANT_DIFFERENCES.map(({ title, reason, example }) => [
      title,
      reason,
      example.map((args) => `\`${args.map(shown).join(" ")}\``).join(", then "),
    ]),
  );
}

/** An argument as one would type it, cut where it is long. */
function shown(argument: string): string {
  const text = argument.length > 60 ? `${argument.slice(0, 50)}…` : argument;
  return /^[^\s"'`\\\x00-\x1f\x7f-\xff]+$/.test(text)
    ? text
    : JSON.stringify(text).replace(/[`\x7f-\xff]/g, (byte) => {
        return `\\x${byte.charCodeAt(0).toString(16).padStart(2, "0")}`;
      });
}

const RETRY: Readonly<Record<ErrorCode["retry"], string>> = {
  never: "no",
  "after-change": "after a change",
  safe: "yes",
};

/** Every error code with what a client should do about it. */
export function errorTable(codes: readonly ErrorCode[]): string {
  return markdownTable(
    ["code", "meaning", "retry", "what to do"],
    codes.map(({ code, meaning, retry, advice }) => [`\`${code}\``, meaning, RETRY[retry], advice]),
  );
}

/** One table for each section of the options. */
export function optionTables(options: readonly Option[]): string {
  return OPTION_SECTIONS.map((title) => {
    const rows = options.filter(({ section: of }) => of === title).map(optionRow);
    return markdownTable(
      [title, "meaning", "unit", "default", "value", "zero or empty", "danger"],
      rows,
    );
  }).join("\n");
}

function optionRow(option: Option): string[] {
  const minusOne = option.kind === "duration" ? option.minusOne : undefined;
  return [
    `\`--${option.name}\``,
    option.meaning,
    describeUnit(option) ?? "",
    describeDefault(option) ?? "empty",
    describeBounds(option) + (minusOne === undefined ? "" : `; -1: ${minusOne}`),
    (option.zero ?? "").replace(/^empty: /, ""),
    option.danger,
  ].map((cell) => cell.replaceAll("*", "\\*"));
}

function layerTable(): string {
  const ranks = [...layers].sort((one, other) => one.rank - other.rank);
  const absent = ranks.filter(({ folder }) => !existsSync(join(root, "src", folder)));
  const table = markdownTable(
    ["rank", "folder", "holds", "pure", "packages"],
    ranks
      .filter((layer) => !absent.includes(layer))
      .map(({ rank, folder, holds, pure, ports, packages = [] }) => [
        String(rank),
        `[\`${folder}\`](src/${folder})`,
        holds,
        pure ? "yes" : ports === true ? "ports only" : "no",
        packages.map((name) => `\`${name}\``).join(", "),
      ]),
  );
  if (absent.length === 0) return table;
  const names = absent.map(({ folder }) => `\`${folder}\``).join(", ");
  return `${table}\nThese have a place in the drawing and no code yet: ${names}.\n`;
}

function dependencyTable(): string {
  const rows = (reasons: ReadonlyMap<string, string>): string[][] =>
    [...reasons].map(([name, reason]) => [`\`${name}\``, reason]);
  return [
    markdownTable(["to run", "why"], rows(DEPENDENCY_REASONS)),
    markdownTable(["to build and test", "why"], rows(DEV_DEPENDENCY_REASONS)),
  ].join("\n");
}

// --- limits ---------------------------------------------------------------------------------------

/** A bound with the reason that stands above it in the source. */
interface Limit {
  readonly name: string;
  readonly reason: string;
}

/** The documented constants of a file, in order. */
export function documentedLimits(source: string): Limit[] {
  const pattern = /\/\*\*((?:(?!\*\/)[^])*)\*\/\nexport const ([A-Z][A-Z0-9_]*)\b/g;
  return [...source.matchAll(pattern)].map(([, comment = "", name = ""]) => ({
    name,
    reason: comment
      .replace(/^\s*\* ?/gm, "")
      .replace(/\{@link (\w+)\}/g, "`$1`")
      .replace(/\s+/g, " ")
      .trim(),
  }));
}

function limitTable(): string {
  const source = readFileSync(join(root, "src/base/limits.ts"), "utf8");
  const values = new Map<string, number>();
  for (const [name, value] of Object.entries(limits)) {
    // A bound that depends on the configuration is a function; its comment explains it.
    if (typeof value === "number") values.set(name, value);
  }
  const documented = documentedLimits(source);
  const undocumented = [...values.keys()].filter(
    (name) => !documented.some((limit) => limit.name === name),
  );
  if (undocumented.length > 0) throw new Error(`no comment above ${undocumented.join(", ")}`);
  return markdownTable(
    ["bound", "value", "what, and why"],
    documented.map(({ name, reason }) => [
      `\`${name}\``,
      limitValue(name, values.get(name) ?? NaN),
      reason,
    ]),
  );
}

const KILOBYTE = 1024;

/** With the unit its name tells. */
export function limitValue(name: string, value: number): string {
  if (/(^|_)MS(_|$)/.test(name)) return `${withPowers(value)} ms`;
  if (!/(^|_)BYTES(_|$)/.test(name)) return withPowers(value);
  if (value % KILOBYTE ** 3 === 0) return `${value / KILOBYTE ** 3} GB`;
  if (value % KILOBYTE ** 2 === 0) return `${value / KILOBYTE ** 2} MB`;
  if (value % KILOBYTE === 0) return `${value / KILOBYTE} KB`;
  return `${withPowers(value)} bytes`;
}

function withPowers(value: number): string {
  const exponent = Math.log2(value);
  return Number.isInteger(exponent) && exponent >= 30
    ? `2^${exponent}`
    : value.toString().replace(/\B(?=(\d{3})+$)/g, ",");
}
