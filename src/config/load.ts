/**
 * From command line, environment and configuration file to a {@link Configuration}.
 *
 * A flag beats a variable, a variable beats the file, the file beats the default. Everything is
 * checked, also what another source overrides: a mistake that waits for its day is still one.
 * Whatever is wrong ends in one line that names where it stands, the option and the remedy.
 *
 * `util.parseArgs` splits the command line: it comes with Node, and its tokens leave errors to us.
 */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { formatPeers } from "../base/address.ts";
import { assert } from "../base/assert.ts";
import type { PeerAddress } from "../base/ports.ts";
import { closest } from "./closest.ts";
import { parseConfigFile } from "./config-file.ts";
import type { Configuration } from "./configuration.ts";
import { buildConfiguration } from "./configuration.ts";
import type { Option, OptionName } from "./options.ts";
import { environmentName, EXEC_VARIABLES, findOption, OPTIONS } from "./options.ts";
import type { OptionValue } from "./values.ts";
import { parseValue, quote, showDuration, showSize, toBytes } from "./values.ts";

export interface LoadInput {
  /** The arguments after the command, as in `--port 7000`. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where relative paths start. */
  readonly workingDirectory: string;
  /** Reads a whole file; throws as `fs.readFileSync` does. */
  readonly readFile: (path: string) => Uint8Array;
}

export type Loaded =
  | { readonly ok: true; readonly configuration: Configuration }
  /** One line without a line end; it never holds the value of a secret. */
  | { readonly ok: false; readonly message: string };

/** Loads the configuration. The same input gives the same result. */
export function loadConfiguration(input: LoadInput): Loaded {
  const loader = new Loader(input);
  return loader.load();
}

/** One value as it was found. */
interface Setting {
  readonly option: Option & { readonly name: OptionName };
  /** Byte string. */
  readonly text: string;
  /** Where it stands, for messages: `--port`, `PAXLOCK_PORT`, `port in line 3 of paxlock.conf`. */
  readonly place: string;
}

/** The first problem found; caught in `load` and nowhere else. */
class Problem {
  readonly message: string;
  constructor(message: string) {
    this.message = message;
  }
}

type Settings = Map<OptionName, { readonly value: OptionValue; readonly place: string }>;

const HELP = 'see "paxlock help serve"';

class Loader {
  readonly #input: LoadInput;

  constructor(input: LoadInput) {
    this.#input = input;
  }

  load(): Loaded {
    const flags = this.#fromFlags();
    if (flags instanceof Problem) return { ok: false, message: flags.message };
    const environment = this.#fromEnvironment();
    if (environment instanceof Problem) return { ok: false, message: environment.message };
    const path = (flags.get("config") ?? environment.get("config"))?.value ?? "";
    assert(typeof path === "string", "the path of the configuration file is text");
    const file = path === "" ? new Map() : this.#fromFile(path);
    if (file instanceof Problem) return { ok: false, message: file.message };

    const settings: Settings = new Map([...file, ...environment, ...flags]);
    const password = this.#password(settings);
    if (password instanceof Problem) return { ok: false, message: password.message };
    const values = new Map<OptionName, OptionValue>();
    for (const option of OPTIONS) {
      values.set(option.name, settings.get(option.name)?.value ?? option.default);
    }
    const relation = checkRelations(values) ?? checkCluster(values, settings);
    if (relation !== null) return { ok: false, message: relation.message };
    return {
      ok: true,
      configuration: buildConfiguration({
        values,
        given: new Set(settings.keys()),
        password,
        workingDirectory: this.#input.workingDirectory,
      }),
    };
  }

  #fromFlags(): Settings | Problem {
    const { tokens } = parseArgs({
      args: [...this.#input.argv],
      options: Object.fromEntries(OPTIONS.map(({ name }) => [name, { type: "string" }])),
      strict: false,
      allowPositionals: true,
      tokens: true,
    });
    const found = new Map<OptionName, Setting>();
    for (const token of tokens) {
      if (token.kind === "positional") {
        return new Problem(
          `unexpected argument ${quote(token.value)}: options are written --name value; ${HELP}`,
        );
      }
      if (token.kind === "option-terminator") continue;
      const option = token.rawName.startsWith("--") ? findOption(token.name) : undefined;
      if (option === undefined) return unknown("option", token.rawName, flagNames());
      const { value } = token;
      // "--dir --port 7000" is a forgotten folder, not a folder named "--port".
      if (value === undefined || (!token.inlineValue && value.startsWith("--"))) {
        return new Problem(
          `${token.rawName} needs a value: ${token.rawName} <${option.placeholder}>`,
        );
      }
      const before = isList(option) ? found.get(option.name) : undefined;
      const text = before === undefined ? toBytes(value) : `${before.text} ${toBytes(value)}`;
      found.set(option.name, { option, text, place: token.rawName });
    }
    return parseAll(found.values());
  }

  #fromEnvironment(): Settings | Problem {
    const options = new Map(OPTIONS.map((option) => [environmentName(option), option]));
    const found: Setting[] = [];
    for (const [name, value] of Object.entries(this.#input.env).sort()) {
      if (!name.startsWith("PAXLOCK_") || value === undefined) continue;
      if (isServiceLink(name, value)) continue;
      if (EXEC_VARIABLES.some((each) => each === name)) continue;
      const option = options.get(name);
      if (option === undefined) return unknown("environment variable", name, options.keys());
      found.push({ option, text: toBytes(value), place: name });
    }
    return parseAll(found);
  }

  #fromFile(path: string): Settings | Problem {
    const bytes = this.#read(path, "configuration file");
    if (bytes instanceof Problem) return bytes;
    const parsed = parseConfigFile(bytes);
    if (!parsed.ok) return new Problem(`line ${parsed.number} of ${path} ${parsed.problem}`);
    const found = new Map<OptionName, Setting>();
    const lineOf = new Map<OptionName, number>();
    for (const line of parsed.lines) {
      const where = `line ${line.number} of ${path}`;
      const option = findOption(line.name);
      if (option === undefined || option.notInFile === true) {
        return unknown(`option in ${where}:`, line.name, fileNames());
      }
      const before = lineOf.get(option.name);
      if (before !== undefined) {
        return new Problem(`${where} sets ${option.name} again; line ${before} did so already`);
      }
      if (line.values.length === 0) {
        return new Problem(`${where} gives ${option.name} no value; an empty one is written ""`);
      }
      if (line.values.length > 1 && !isList(option)) {
        return new Problem(
          `${where} gives ${option.name} several values; one with spaces stands in quotes, and a comment on its own line`,
        );
      }
      lineOf.set(option.name, line.number);
      found.set(option.name, {
        option,
        text: line.values.join(" "),
        place: `${option.name} in ${where}`,
      });
    }
    return parseAll(found.values());
  }

  #password(settings: Settings): string | Problem {
    const direct = settings.get("requirepass");
    const file = settings.get("requirepass-file");
    const password = typeof direct?.value === "string" ? direct.value : "";
    if (file === undefined || typeof file.value !== "string" || file.value === "") return password;
    if (direct !== undefined && password !== "") {
      return new Problem(
        `the password is given twice, by ${direct.place} and by ${file.place}; take one away`,
      );
    }
    const bytes = this.#read(file.value, "password file");
    if (bytes instanceof Problem) return bytes;
    const content = bytes.replace(/\r?\n$/, "");
    if (content === "") return new Problem(`the password file ${file.value} is empty`);
    const row = findOption("requirepass");
    assert(row?.kind === "secret", "requirepass is a secret");
    return content.length <= row.bytesMax
      ? content
      : new Problem(`the password in ${file.value} is longer than ${row.bytesMax} bytes`);
  }

  #read(path: string, what: string): string | Problem {
    try {
      const bytes = this.#input.readFile(resolve(this.#input.workingDirectory, path));
      return Buffer.from(bytes).toString("latin1");
    } catch (thrown) {
      return new Problem(`the ${what} ${path} ${readFailure(thrown)}`);
    }
  }
}

function parseAll(found: Iterable<Setting>): Settings | Problem {
  const settings: Settings = new Map();
  for (const { option, text, place } of found) {
    const parsed = parseValue(option, text);
    if (!parsed.ok) {
      const shown = option.kind === "secret" ? "its value" : quote(text);
      return new Problem(`${place}: ${shown} ${parsed.problem}`);
    }
    settings.set(option.name, { value: parsed.value, place });
  }
  return settings;
}

/** Bounds that concern two options. */
function checkRelations(values: ReadonlyMap<OptionName, OptionValue>): Problem | null {
  for (const prefix of ["", "pubsub-"] as const) {
    const hard = Number(values.get(`${prefix}output-buffer-limit`));
    const soft = Number(values.get(`${prefix}output-buffer-soft-limit`));
    if (hard !== 0 && soft > hard) {
      return new Problem(
        `${prefix}output-buffer-soft-limit (${showSize(soft)}) is above ${prefix}output-buffer-limit (${showSize(hard)}) and would never count; lower the one or raise the other`,
      );
    }
  }
  return null;
}

/** What the options of a cluster need of one another. */
function checkCluster(
  values: ReadonlyMap<OptionName, OptionValue>,
  settings: Settings,
): Problem | null {
  const peers = values.get("peers");
  assert(Array.isArray(peers), "option peers is a list");
  return (
    checkPeers(peers as readonly PeerAddress[], values, settings) ??
    checkTlsFiles(values) ??
    checkTimes(values)
  );
}

function checkPeers(
  peers: readonly PeerAddress[],
  values: ReadonlyMap<OptionName, OptionValue>,
  settings: Settings,
): Problem | null {
  if (peers.length === 0) {
    for (const name of ["join", "peer-bind", "peer-tls-cert"] as const) {
      const value = values.get(name);
      if (value === "" || value === false) continue;
      return new Problem(`${name} does nothing without peers; give peers too, or take it away`);
    }
    return null;
  }
  if (!settings.has("node-id")) {
    return new Problem(
      "peers needs node-id, which says which of them this node is: --node-id <number>",
    );
  }
  const self = Number(values.get("node-id"));
  if (!peers.some(({ id }) => id === self)) {
    return new Problem(
      `node-id is ${self}, but peers (${formatPeers(peers)}) has no node ${self}; add it, or correct node-id`,
    );
  }
  if (values.get("join") === true && peers.length === 1) {
    return new Problem(
      "join needs the nodes of the running cluster in peers, not this node alone; add them",
    );
  }
  return null;
}

function checkTlsFiles(values: ReadonlyMap<OptionName, OptionValue>): Problem | null {
  const names = ["peer-tls-cert", "peer-tls-key", "peer-tls-ca"] as const;
  const given = names.filter((name) => values.get(name) !== "");
  const missing = names.filter((name) => values.get(name) === "");
  if (given.length === 0 || missing.length === 0) return null;
  return new Problem(
    `peer-tls-cert, peer-tls-key and peer-tls-ca go together; ${missing.join(" and ")} ${missing.length === 1 ? "is" : "are"} missing`,
  );
}

/**
 * A lease outlives two lost heartbeats, nobody asks for votes before it can be over, and clients of a
 * node that leads nothing are not given up between two heartbeats, to which alone it has to answer.
 */
function checkTimes(values: ReadonlyMap<OptionName, OptionValue>): Problem | null {
  const heartbeat = Number(values.get("heartbeat-interval"));
  const lease = Number(values.get("leader-lease"));
  const election = Number(values.get("election-timeout"));
  const show = (amount: number): string => showDuration(amount, "milliseconds");
  if (lease < 3 * heartbeat) {
    return new Problem(
      `leader-lease (${show(lease)}) is less than three times heartbeat-interval (${show(heartbeat)}), so that two lost heartbeats would end it; raise the one or lower the other`,
    );
  }
  if (election < lease) {
    return new Problem(
      `election-timeout (${show(election)}) is below leader-lease (${show(lease)}), before whose end nobody is elected; raise the one or lower the other`,
    );
  }
  const session = Number(values.get("session-timeout"));
  if (session < 3 * heartbeat) {
    return new Problem(
      `session-timeout (${show(session)}) is less than three times heartbeat-interval (${show(heartbeat)}), so that clients of nodes that are well would lose their locks; raise the one or lower the other`,
    );
  }
  return null;
}

/** Options whose values add up when they are given several times. */
function isList(option: Option): boolean {
  return option.kind === "addresses" || option.kind === "peers";
}

function unknown(what: string, name: string, names: Iterable<string>): Problem {
  const guess = closest(name, names);
  return new Problem(
    `unknown ${what} ${quote(name).slice(1, -1)}${guess === null ? "" : ` (did you mean ${guess}?)`}; ${HELP}`,
  );
}

function flagNames(): string[] {
  return OPTIONS.map(({ name }) => `--${name}`);
}

function fileNames(): string[] {
  return OPTIONS.filter((option: Option) => option.notInFile !== true).map(({ name }) => name);
}

/**
 * Whether Kubernetes made this variable for a service that is called paxlock or paxlock-something:
 * it sets PAXLOCK_SERVICE_HOST, PAXLOCK_PORT=tcp://… and their like in every pod, and a node that
 * took them for its options could not start there.
 */
function isServiceLink(name: string, value: string): boolean {
  return (
    /_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_[A-Z]+)?)$/.test(name) ||
    (name.endsWith("_PORT") && /^(tcp|udp|sctp):\/\//.test(value))
  );
}

function readFailure(thrown: unknown): string {
  const code =
    typeof thrown === "object" && thrown !== null && "code" in thrown ? thrown.code : undefined;
  switch (code) {
    case "ENOENT":
    case "ENOTDIR":
      return "does not exist";
    case "EACCES":
    case "EPERM":
      return "may not be read by this user";
    case "EISDIR":
      return "is a folder, not a file";
    default:
      return `cannot be read: ${thrown instanceof Error ? thrown.message : String(thrown)}`;
  }
}
