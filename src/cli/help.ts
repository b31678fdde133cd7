/** The texts of `paxlock --help` and `paxlock help <command>`, made from the tables of options. */
import type { Option } from "../config/options.ts";
import { environmentName, OPTIONS, SECTIONS } from "../config/options.ts";
import { describeBounds, describeDefault, describeUnit } from "../config/values.ts";
import {
  BREAK_COMMAND,
  EXEC_COMMAND,
  INFO_COMMAND,
  LOCAL_COMMAND,
  LOCKS_COMMAND,
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
  ["exec", "Runs a command while holding a lock: paxlock exec nightly -- make report."],
  ["locks", "Shows who holds and who waits for which lock, once or as a live table."],
  ["info", "Tells all about one lock: paxlock info nightly."],
  ["break", "Takes a lock away from whoever holds it, after asking: paxlock break nightly."],
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
    case "exec":
      return execHelp();
    case "locks":
      return locksHelp();
    case "info":
      return infoHelp();
    case "break":
      return breakHelp();
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

const WHERE =
  "The node is found by the options of paxlock serve, or by --address; with several the next one is asked when one does not answer. What starts a node also finds it.";

/** The text of `paxlock help exec`. */
export function execHelp(): string {
  return ownHelp(EXEC_COMMAND, {
    does: "runs a command while holding a lock.",
    usage: "paxlock exec [--option value]... KEY [--] command [argument]...",
    paragraphs: [
      "Waits in the queue of the lock, runs the command when it is its turn, renews the lease while the command runs, and releases the lock when it has ended. Put -- before a command that has options of its own. The command finds the key in PAXLOCK_KEY, the fencing token in PAXLOCK_TOKEN and the owner in PAXLOCK_OWNER.",
      "A lock that cannot be renewed, or was broken, is lost: the command gets SIGTERM, and SIGKILL after --kill-after. On a terminal the command alone gets them; elsewhere it runs in a process group of its own, and the group does. Signals are passed on to the command. That somebody asks for the lock back is said on standard error, and the command goes on. SIGKILL of paxlock itself reaches nobody else: the command goes on, and the lock ends with its lease.",
      WHERE,
      "Exit codes: that of the command, or 128 and the number of the signal that ended it; 1 the server refused, 2 wrong option, 69 no node answered or none had a majority, 73 not acquired within --wait, 75 the lock was lost, 126 the command cannot be run, 127 it is not there. With 1, 2, 69 and 73 of paxlock's own nothing was run, and a line on standard error says why.",
    ],
  });
}

/** The text of `paxlock help locks`. */
export function locksHelp(): string {
  return ownHelp(LOCKS_COMMAND, {
    does: "shows who holds and who waits for which lock.",
    usage:
      "paxlock locks [--watch] [--match pattern] [--owner name] [--held | --queued]\n" +
      "                     [--limit number] [--json]",
    paragraphs: [
      "One row for each holder, with its fencing token, for how long it has held the lock and what is left of its lease, and for the first five who wait. With --watch it goes on until Ctrl-C.",
      WHERE,
      "Exit codes: 0 shown, 1 the server refused, 2 wrong option, 69 no node answered or none had a majority.",
    ],
  });
}

/** The text of `paxlock help info`. */
export function infoHelp(): string {
  return ownHelp(INFO_COMMAND, {
    does: "tells all about one lock.",
    usage: "paxlock info [--json] KEY",
    paragraphs: [
      "Its holders with token, lease, address, session and data, the first twenty who wait, whether it was revoked or broken lately, and its options.",
      WHERE,
      "Exit codes: 0 told, also of a lock that is free; 1 the server refused, 2 wrong option, 69 no node answered or none had a majority.",
    ],
  });
}

/** The text of `paxlock help break`. */
export function breakHelp(): string {
  return ownHelp(BREAK_COMMAND, {
    does: "takes a lock away from whoever holds it.",
    usage: "paxlock break [--reason text] [--yes] KEY",
    paragraphs: [
      "Whoever waits is next. Who held it learns of it with the next renewal at the latest, and may work on as if nothing had happened until then: only a resource that refuses old fencing tokens is safe from that. To ask the holder to let go, there is LOCK.REVOKE.",
      WHERE,
      "Exit codes: 0 broken, 1 nobody held it, the answer was no, or the server refused, 2 wrong option or no terminal to ask on, 69 no node answered or none had a majority.",
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
