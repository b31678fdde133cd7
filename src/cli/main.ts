#!/usr/bin/env node
/**
 * The `paxlock` command: finds the command among the arguments and runs it.
 *
 * What a program reads goes to standard output, complaints go to standard error as one line.
 */
import { closest } from "../config/closest.ts";
import { quote } from "../config/values.ts";
import { VERSION } from "../config/version.ts";
import { COMMANDS, generalHelp, serveHelp } from "./help.ts";

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
      if (asksForHelp(rest)) {
        process.stdout.write(serveHelp());
        return;
      }
      // Loaded only now, so that help and version need no logger and no database.
      return (await import("./serve.ts")).serve(rest);
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

function help(topics: readonly string[]): void {
  const [topic = "help"] = topics;
  if (topic === "serve") process.stdout.write(serveHelp());
  else if (COMMANDS.has(topic)) process.stdout.write(generalHelp());
  else complain(unknownCommand(topic));
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

function asksForHelp(argv: readonly string[]): boolean {
  return argv.includes("--help") || argv.includes("-h");
}
