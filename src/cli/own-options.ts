/**
 * Options of commands other than `serve`: told apart from those of `serve`, which some commands
 * take too, because whatever starts a node also tells how to reach it.
 */
import { closest } from "../config/closest.ts";
import { OPTIONS } from "../config/options.ts";
import { parseDuration, quote, showDuration } from "../config/values.ts";
import type { OwnCommand, OwnOption } from "./own-commands.ts";

export type SplitOptions =
  | {
      readonly ok: true;
      /** By name; the empty text for an option without a value. */
      readonly own: ReadonlyMap<string, string>;
      /** Options of `serve` with their values, as they were given. */
      readonly serve: readonly string[];
      /** What the command takes beside options, all of it there. */
      readonly operands: readonly string[];
      /** The command to run; empty where none is taken. */
      readonly command: readonly string[];
    }
  | { readonly ok: false; readonly message: string };

/** Splits the arguments behind a command, or says in one line what is wrong with them. */
export function splitOptions(argv: readonly string[], command: OwnCommand): SplitOptions {
  const own = new Map<string, string>();
  const serve: string[] = [];
  const { operands: names = [], takesCommand = false } = command;
  const dashes = takesCommand ? argv.indexOf("--") : -1;
  const before = dashes < 0 ? argv : argv.slice(0, dashes);
  const words: string[] = [];
  const refuse = (message: string): SplitOptions => ({ ok: false, message });
  for (let index = 0; index < before.length; index += 1) {
    const argument = before[index] ?? "";
    if (!argument.startsWith("-") || argument === "-") {
      if (words.length < names.length || (takesCommand && dashes < 0)) {
        words.push(argument);
        continue;
      }
    }
    if (words.length > names.length) return refuse(needsDashes(argument));
    if (!argument.startsWith("--")) {
      return refuse(
        `unexpected argument ${quote(argument)}: options are written --name value; ${seeHelp(command)}`,
      );
    }
    const equals = argument.indexOf("=");
    const name = argument.slice(2, equals < 0 ? undefined : equals);
    const option = command.options.find((each) => each.name === name);
    const known = OPTIONS.find((each) => each.name === name);
    if (option === undefined && (known === undefined || !command.takesServeOptions)) {
      return refuse(unknownOption(name, command));
    }
    if (option?.placeholder === null) {
      if (equals >= 0) return refuse(`--${name} takes no value`);
      own.set(name, "");
      continue;
    }
    const value = equals >= 0 ? argument.slice(equals + 1) : before[index + 1];
    // "--dir --json" is a forgotten folder, not a folder named "--json".
    if (value === undefined || (equals < 0 && value.startsWith("--"))) {
      const placeholder = option?.placeholder ?? known?.placeholder ?? "value";
      return refuse(`--${name} needs a value: --${name} <${placeholder}>`);
    }
    if (option === undefined) serve.push(`--${name}`, value);
    else own.set(name, joined(own.get(name), option, value));
    if (equals < 0) index += 1;
  }
  const operands = words.slice(0, names.length);
  const run = dashes < 0 ? words.slice(names.length) : argv.slice(dashes + 1);
  const missing = names[operands.length] ?? (takesCommand && run.length === 0 ? "command" : null);
  if (missing !== null) return refuse(`the ${missing} is missing; ${seeHelp(command)}`);
  return { ok: true, own, serve, operands, command: run };
}

function joined(before: string | undefined, { repeats }: OwnOption, value: string): string {
  return before === undefined || repeats !== true ? value : `${before},${value}`;
}

/** Without `--` nobody could tell whose option it is. */
function needsDashes(argument: string): string {
  return `put -- before a command that has options of its own, such as ${quote(argument)}`;
}

/** A whole number within bounds, the default where none was given, or what is wrong. */
export function ownNumber(
  text: string | undefined,
  {
    name,
    min,
    max,
    otherwise,
  }: {
    readonly name: string;
    readonly min: number;
    readonly max: number;
    readonly otherwise: number;
  },
): number | string {
  if (text === undefined) return otherwise;
  const value = /^[0-9]{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  return `--${name}: ${quote(text)} is not a whole number from ${min} to ${max}`;
}

/** A time in milliseconds within bounds, `otherwise` where none was given, or what is wrong. */
export function ownDuration(
  text: string | undefined,
  {
    name,
    min,
    max,
    otherwise,
  }: {
    readonly name: string;
    readonly min: number;
    readonly max: number;
    readonly otherwise: number;
  },
): number | string {
  if (text === undefined) return otherwise;
  const value = parseDuration(text, "milliseconds");
  if (value !== null && Number.isInteger(value) && value >= min && value <= max) return value;
  const bounds = `${showDuration(min, "milliseconds")} to ${showDuration(max, "milliseconds")}`;
  return `--${name}: ${quote(text)} is not a time from ${bounds}, such as 500ms or 30s`;
}

function unknownOption(name: string, command: OwnCommand): string {
  const names = command.options.map((each) => `--${each.name}`);
  if (command.takesServeOptions) names.push(...OPTIONS.map((each) => `--${each.name}`));
  const guess = closest(`--${name}`, names);
  const shown = quote(`--${name}`).slice(1, -1);
  return `unknown option ${shown}${guess === null ? "" : ` (did you mean ${guess}?)`}; ${seeHelp(command)}`;
}

function seeHelp({ name }: OwnCommand): string {
  return `see "paxlock help ${name.split(" ")[0] ?? name}"`;
}
