/** The texts of `paxlock --help` and `paxlock help serve`, the latter made from the table of options. */
import type { Option } from "../config/options.ts";
import { environmentName, OPTIONS, SECTIONS } from "../config/options.ts";
import { describeBounds, describeDefault, describeUnit } from "../config/values.ts";

const WIDTH = 92;

/** Every command of `paxlock`, with what it does. */
export const COMMANDS: ReadonlyMap<string, string> = new Map([
  ["serve", "Starts a node: a lock server for Redis clients, durable in its data folder."],
  ["help", "Explains a command and its options: paxlock help serve."],
]);

/** The text of `paxlock --help`. */
export function generalHelp(): string {
  const width = Math.max(...[...COMMANDS.keys()].map((name) => name.length)) + 2;
  return [
    "paxlock: a distributed lock server that speaks the Redis protocol.",
    "",
    "Usage: paxlock <command> [options]",
    "",
    "Commands:",
    ...[...COMMANDS].map(([name, meaning]) => `  ${name.padEnd(width)}${meaning}`),
    "",
    "Options:",
    "  -h, --help     Prints this, or the help of the command before it.",
    "  -v, --version  Prints the version.",
    "",
    "Start a node and try it from another terminal:",
    "  paxlock serve --port 6379 --dir ./paxlock-data",
    "  redis-cli -p 6379 SET my-lock me NX PX 30000",
    "",
  ].join("\n");
}

/** The text of `paxlock help serve`: every option with unit, default, bounds and danger. */
export function serveHelp(): string {
  const lines = [
    "paxlock serve: starts a node.",
    "",
    "Usage: paxlock serve [--option value]...",
    "",
    ...wrap(
      "An option may be given on the command line (--port 7000), in the environment (PAXLOCK_PORT=7000) or in the file that --config names (a line port 7000). The command line beats the environment, the environment beats the file, the file beats the default.",
      "",
    ),
    "",
    ...wrap(
      "Sizes take b, k, kb, m, mb, g, gb as in Redis: 1k is 1000 bytes, 1kb is 1024. Times take us, ms, s, m, h, d; a number alone is in the unit that the option names.",
      "",
    ),
    "",
    ...wrap(
      "SIGTERM and SIGINT stop the node in order, with exit code 0; a second signal ends it at once, which loses nothing that was acknowledged. Exit codes: 0 stopped in order, 1 could not start or go on, 2 wrong option, 70 bug.",
      "",
    ),
  ];
  for (const section of SECTIONS) {
    lines.push("", `${section}:`);
    for (const option of OPTIONS) {
      if (option.section === section) lines.push("", ...optionHelp(option));
    }
  }
  return `${lines.join("\n")}\n`;
}

function optionHelp(option: Option): string[] {
  const unit = describeUnit(option);
  const value = [
    `Default: ${describeDefault(option) ?? "empty"}.`,
    `Value: ${describeBounds(option)}${unit === null ? "" : ` (${unit})`}.`,
  ];
  if (option.zero !== null) {
    value.push(
      option.zero.startsWith("empty: ") ? `Empty: ${option.zero.slice(7)}.` : `0: ${option.zero}.`,
    );
  }
  if (option.kind === "duration" && option.minusOne !== undefined) {
    value.push(`-1: ${option.minusOne}.`);
  }
  return [
    `  --${option.name} <${option.placeholder}>  ${environmentName(option)}`,
    ...wrap(option.meaning, "      "),
    ...wrap(value.join(" "), "      "),
    ...wrap(`Danger: ${option.danger}`, "      "),
  ];
}

/** Breaks text between words so that no line is wider than the page. */
function wrap(text: string, indent: string): string[] {
  const lines: string[] = [];
  let line = indent;
  for (const word of text.split(" ")) {
    if (line !== indent && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = indent;
    }
    line += line === indent ? word : ` ${word}`;
  }
  lines.push(line);
  return lines;
}
