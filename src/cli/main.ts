#!/usr/bin/env node
/**
 * The `paxlock` command: finds the command among the arguments and runs it.
 *
 * What a program reads goes to standard output, complaints go to standard error as one line.
 */
import { closest } from "../config/closest.ts";
import { quote } from "../config/values.ts";
import { VERSION } from "../config/version.ts";
import { commandHelp, COMMANDS, generalHelp } from "./help.ts";

/** A wrong command or option. */
const EXIT_USAGE = 2;

// Whoever reads us may go away (`paxlock help serve | head`, a closed terminal). That is no reason
// to crash, least of all for a node that serves locks.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);

await main(process.argv.slice(2));

async function main(argv: readonly string[]): Promise<void> {
  const [command, ...rest] = argv;
  switch (command) {
    case "serve":
    case "local":
    case "status":
    case "log":
    case "exec":
    case "locks":
    case "info":
    case "break":
      if (asksForHelp(rest)) help([command]);
      else await run(command, rest);
      return;
    case "help":
      help(rest);
      return;
    case "-h":
    case "--help":
      process.stdout.write(generalHelp());
      return;
    case "-v":
    case "--version":
      process.stdout.write(`${VERSION}\n`);
      return;
    case undefined:
      process.stderr.write(generalHelp());
      process.exitCode = EXIT_USAGE;
      return;
    default:
      complain(unknownCommand(command));
  }
}

/** Each command is loaded only now, so that help and version need no logger and no database. */
async function run(
  command: "serve" | "local" | "status" | "log" | "exec" | "locks" | "info" | "break",
  rest: readonly string[],
): Promise<void> {
  switch (command) {
    case "serve":
      return (await import("./serve.ts")).serve(rest);
    case "local":
      return (await import("./local.ts")).local(rest);
    case "status":
      return (await import("./status.ts")).status(rest);
    case "log":
      return (await import("./log-dump.ts")).log(rest);
    case "exec":
      return (await import("./exec.ts")).exec(rest);
    case "locks":
      return (await import("./locks.ts")).locks(rest);
    case "info":
      return (await import("./lock-info.ts")).info(rest);
    case "break":
      return (await import("./lock-break.ts")).breakLock(rest);
  }
}

function help(topics: readonly string[]): void {
  const [topic = "help"] = topics;
  const text = commandHelp(topic);
  if (text === null) complain(unknownCommand(topic));
  else process.stdout.write(text);
}

function unknownCommand(name: string): string {
  if (name.startsWith("-")) {
    return `the command comes first: paxlock serve ${quote(name).slice(1, -1)}; see "paxlock --help"`;
  }
  const guess = closest(name, COMMANDS.keys());
  return `unknown command ${quote(name)}${guess === null ? "" : ` (did you mean ${guess}?)`}; see "paxlock --help"`;
}

function complain(message: string): void {
  process.stderr.write(`paxlock: ${message}\n`);
  process.exitCode = EXIT_USAGE;
}

/** What is behind `--` is for the command that `paxlock exec` runs. */
function asksForHelp(argv: readonly string[]): boolean {
  const dashes = argv.indexOf("--");
  const own = dashes < 0 ? argv : argv.slice(0, dashes);
  return own.includes("--help") || own.includes("-h");
}
