/**
 * Options of commands other than `serve`: told apart from those of `serve`, which some commands
 * take too, because whatever starts a node also tells how to reach it.
 */
import { closest } from "../config/closest.ts";
import { OPTIONS } from "../config/options.ts";
import { quote } from "../config/values.ts";
import type { OwnCommand } from "./own-commands.ts";

export type SplitOptions =
  | {
      readonly ok: true;
      /** By name; the empty text for an option without a value. */
      readonly own: ReadonlyMap<string, string>;
      /** Options of `serve` with their values, as they were given. */
      readonly serve: readonly string[];
    }
  | { readonly ok: false; readonly message: string };

/** Splits the arguments behind a command, or says in one line what is wrong with them. */
export function splitOptions(argv: readonly string[], command: OwnCommand): SplitOptions {
  const own = new Map<string, string>();
  const serve: string[] = [];
  const refuse = (message: string): SplitOptions => ({ ok: false, message });
  for (let index = 0; index < argv.length; index += 1) {
    const argument = argv[index] ?? "";
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
    const value = equals >= 0 ? argument.slice(equals + 1) : argv[index + 1];
    // "--dir --json" is a forgotten folder, not a folder named "--json".
    if (value === undefined || (equals < 0 && value.startsWith("--"))) {
      const placeholder = option?.placeholder ?? known?.placeholder ?? "value";
      return refuse(`--${name} needs a value: --${name} <${placeholder}>`);
    }
    if (option === undefined) serve.push(`--${name}`, value);
    else own.set(name, value);
    if (equals < 0) index += 1;
  }
  return { ok: true, own, serve };
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
