/** The texts of `paxlock --help` and `paxlock help <command>`, made from the tables of options. */
import type { Option } from "../config/options.ts";
import { environmentName, OPTIONS, SECTIONS } from "../config/options.ts";
import { describeBounds, describeDefault, describeUnit } from "../config/values.ts";
import {
  LOCAL_COMMAND,
  LOG_DUMP_COMMAND,
  STATUS_COMMAND,
  type OwnCommand,
} from "./own-commands.ts";

const WIDTH = 92;

/** Every command of `paxlock`, with what it does. */
export const COMMANDS: ReadonlyMap<string, string> = new Map([
  ["serve", "Starts a node: a lock server for Redis clients, durable in its data folder."],
  ["local", "Starts a cluster of three nodes on this machine, to try it. npm start does so."],
  ["status", "Tells how a cluster is: nodes, leaders, lag. Exit code 1 when something is wrong."],
  ["log", "Prints the log of a node that is stopped: paxlock log dump --dir ./paxlock-data."],
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
    "Or three nodes on this machine, in a folder of their own:",
    "  paxlock local --dir ./paxlock-cluster",
    "  paxlock status",
    "",
  ].join("\n");
}

/** The help of one command; null where there is no such command. */
export function commandHelp(name: string): string | null {
  switch (name) {
    case "serve":
      return serveHelp();
    case "local":
      return localHelp();
    case "status":
      return statusHelp();
    case "log":
      return logHelp();
    default:
      return COMMANDS.has(name) ? generalHelp() : null;
  }
}

/** The text of `paxlock help local`. */
export function localHelp(): string {
  return ownHelp(LOCAL_COMMAND, {
    does: "starts a cluster on this machine, each node a process of its own.",
    usage: "paxlock local [--nodes number] [--option-of-serve value]...",
    paragraphs: [
      "Clients reach node 1 at --port (6379), node 2 at the port after it, and so on; among themselves the nodes use the ports 10000 above. Data is kept below --dir (./paxlock-data), in node-1, node-2, ..., with the log of each node beside it. The number of nodes and the first port are fixed with the folder. All options of paxlock serve are taken and given to every node, those excepted that tell the nodes apart.",
      "On a terminal one screen shows nodes, addresses, process ids and who leads which groups; elsewhere a line is printed for whatever changes. A node that dies is shown as down and the others go on. It is not started again by itself: press Enter for that, or stop and start the whole.",
      "SIGTERM and SIGINT (Ctrl-C) stop all nodes in order, with exit code 0; a second signal ends them at once, which loses nothing that was acknowledged. The nodes stop, too, when this process is killed or its terminal is closed. Exit codes: 0 stopped in order, 1 a node could not start, or all have ended, 2 wrong option.",
    ],
  });
}

/** The text of `paxlock help status`. */
export function statusHelp(): string {
  return ownHelp(STATUS_COMMAND, {
    does: "asks a node how its cluster is.",
    usage: "paxlock status [--host host] [--port port] [--json | --watch | --quick]",
    paragraphs: [
      "Prints the nodes with their addresses and whether they are up, and for each group its leader and ballot, the slots chosen and applied, what is left of the leader's lease, and by how many slots each other member is behind. A node that was added and does not vote yet is shown with how far it has caught up, and a change of members that is not through in every group with what is left of it.",
      "The node is found by the options of paxlock serve: --port, --bind, --requirepass-file, --config and their variables. What starts a node also finds it. One node is asked, and through it the others.",
      "Exit codes: 0 all is well; 1 a group has no leader, a node is down or the one asked does not answer, and the reason is printed; 2 wrong option.",
    ],
  });
}

/** The text of `paxlock help log`. */
export function logHelp(): string {
  return ownHelp(LOG_DUMP_COMMAND, {
    does: "prints what a node that is stopped has on its disk.",
    usage: "paxlock log dump --dir folder [--group number] [--from slot] [--json]",
    paragraphs: [
      "For each group: the ballot it promised, the slot its newest checkpoint stands for, and every log record behind that with its slot, ballot, time stamps and operations in words. A slot may come again under a higher ballot; the last one counts. Nothing is changed. A folder that a node has open is refused: stop the node, or copy the folder of a stopped one.",
      "Exit codes: 0 printed, 1 the folder is in use, damaged or not one of Paxlock, 2 wrong option.",
    ],
  });
}

function ownHelp(
  command: OwnCommand,
  text: { readonly does: string; readonly usage: string; readonly paragraphs: readonly string[] },
): string {
  const lines = [`paxlock ${command.name}: ${text.does}`, "", `Usage: ${text.usage}`];
  for (const paragraph of text.paragraphs) lines.push("", ...wrap(paragraph, ""));
  lines.push("", "Options:");
  for (const { name, placeholder, meaning, default: value } of command.options) {
    lines.push("", `  --${name}${placeholder === null ? "" : ` <${placeholder}>`}`);
    lines.push(...wrap(meaning, "      "));
    if (value !== null) lines.push(...wrap(`Default: ${value}.`, "      "));
  }
  if (command.takesServeOptions) {
    lines.push("", ...wrap('Those of serve: see "paxlock help serve".', "  "));
  }
  return `${lines.join("\n")}\n`;
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
      "SIGTERM and SIGINT stop the node in order, with exit code 0; a second signal ends it at once, which loses nothing that was acknowledged. A node that a program started with an IPC channel stops in order when the channel closes. Exit codes: 0 stopped in order, 1 could not start or go on, 2 wrong option, 70 bug.",
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
