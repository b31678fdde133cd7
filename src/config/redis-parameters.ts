/**
 * What CONFIG GET and CONFIG SET know: Redis's parameters, by Redis's names and in its spelling.
 *
 * Three kinds: those that are options and may change at run time; those that are fixed while the
 * node runs; and those that in Paxlock can have only one value, which clients and tools ask for all
 * the same (`save`, `appendonly`). A parameter that Paxlock has nothing for is not here, so that
 * CONFIG GET leaves it out and CONFIG SET says it is unknown: no value is made up or thrown away.
 */
import type { Configuration, LogLevel } from "./configuration.ts";
import { findOption } from "./options.ts";
import type { OptionName } from "./options.ts";
import { splitWords } from "./config-file.ts";
import { parseSize, toBytes, wholeNumber } from "./values.ts";
import { assert } from "../base/assert.ts";

/** What CONFIG SET may change. The fields are those of {@link Configuration}. */
export interface RuntimeValues {
  readonly tcpKeepaliveSeconds: number;
  readonly idleTimeoutSeconds: number;
  readonly password: string;
  readonly protectedMode: boolean;
  readonly maxClients: number;
  readonly bulkBytesMax: number;
  readonly queryBufferBytesMax: number;
  readonly outputBytesMax: number;
  readonly outputSoftBytesMax: number;
  readonly outputSoftSeconds: number;
  readonly subscriberOutputBytesMax: number;
  readonly subscriberOutputSoftBytesMax: number;
  readonly subscriberOutputSoftSeconds: number;
  readonly slowlogMicroseconds: number;
  readonly slowlogEntriesMax: number;
  readonly logLevel: LogLevel;
}

/** What parameters are printed from. */
export interface ParameterSource {
  readonly configuration: Configuration;
  readonly values: RuntimeValues;
  /** The port that is listened on, which `--port 0` leaves open. */
  readonly port: number;
}

/** The changes a new value makes, or the reason why it is refused, in Redis's words. */
export type Change = Partial<RuntimeValues> | string;

/** One parameter. Values are byte strings. */
export interface RedisParameter {
  /** Lower case. */
  readonly name: string;
  readonly print: (source: ParameterSource) => string;
  readonly change: (value: string) => Change;
}

const IMMUTABLE = "can't set immutable config";

type NumberField = {
  [Field in keyof RuntimeValues]: RuntimeValues[Field] extends number ? Field : never;
}[keyof RuntimeValues];

/** All parameters, in the order in which CONFIG GET prints them. */
export const REDIS_PARAMETERS: readonly RedisParameter[] = [
  immutable("port", ({ port }) => String(port)),
  immutable("bind", ({ configuration }) => configuration.bind.join(" ")),
  immutable("dir", ({ configuration }) => toBytes(configuration.directory)),
  number("tcp-keepalive", "tcpKeepaliveSeconds"),
  number("timeout", "idleTimeoutSeconds"),
  number("maxclients", "maxClients"),
  size("proto-max-bulk-len", "bulkBytesMax"),
  size("client-query-buffer-limit", "queryBufferBytesMax"),
  number("slowlog-log-slower-than", "slowlogMicroseconds"),
  number("slowlog-max-len", "slowlogEntriesMax"),
  {
    name: "client-output-buffer-limit",
    print: ({ values }) =>
      `normal ${values.outputBytesMax} ${values.outputSoftBytesMax} ${values.outputSoftSeconds} ` +
      `pubsub ${values.subscriberOutputBytesMax} ${values.subscriberOutputSoftBytesMax} ${values.subscriberOutputSoftSeconds}`,
    change: changeOutputLimits,
  },
  {
    name: "requirepass",
    print: ({ values }) => values.password,
    change: (value: string): Change => {
      const option = findOption("requirepass");
      assert(option?.kind === "secret", "requirepass is a secret");
      return value.length <= option.bytesMax
        ? { password: value }
        : `argument must be at most ${option.bytesMax} bytes`;
    },
  },
  {
    name: "protected-mode",
    print: ({ values }) => (values.protectedMode ? "yes" : "no"),
    change: (value: string): Change => {
      const word = value.toLowerCase();
      if (word === "yes") return { protectedMode: true };
      return word === "no" ? { protectedMode: false } : "argument must be 'yes' or 'no'";
    },
  },
  {
    name: "loglevel",
    print: ({ values }) => redisLevel(values.logLevel),
    change: (value: string): Change => {
      const logLevel = LEVELS.get(value.toLowerCase());
      return logLevel === undefined
        ? `argument(s) must be one of the following: ${[...LEVELS.keys()].join(", ")}`
        : { logLevel };
    },
  },
  only("appendonly", "yes", "Paxlock logs every change before it answers"),
  only("appendfsync", "always", "Paxlock syncs every change before it answers"),
  only("save", "", "Paxlock checkpoints by itself"),
  only("maxmemory", "0", "Paxlock never evicts a lock"),
  only("maxmemory-policy", "noeviction", "Paxlock never evicts a lock"),
  only("notify-keyspace-events", "", "Paxlock has no keyspace notifications"),
  only("replica-read-only", "yes", "every node answers alike"),
  only("slave-read-only", "yes", "every node answers alike"),
  only("tls-port", "0", "Paxlock has no TLS port"),
  immutable("databases", () => "16"),
  immutable("cluster-enabled", () => "no"),
  immutable("daemonize", () => "no"),
  immutable("unixsocket", () => ""),
  immutable("logfile", () => ""),
];

/** A parameter that is the same as long as the node runs. */
function immutable(name: string, print: (source: ParameterSource) => string): RedisParameter {
  return { name, print, change: () => IMMUTABLE };
}

/** A parameter with one possible value; setting that one changes nothing and is fine. */
function only(name: string, value: string, reason: string): RedisParameter {
  return {
    name,
    print: () => value,
    change: (wanted) =>
      wanted.toLowerCase() === value ? {} : `argument must be '${value}': ${reason}`,
  };
}

function number(name: OptionName, field: NumberField): RedisParameter {
  return {
    name,
    print: ({ values }) => String(values[field]),
    change: (text) => {
      const value = wholeNumber(text);
      if (value === null) return "argument couldn't be parsed into an integer";
      return bounded({ name, field, value });
    },
  };
}

function size(name: OptionName, field: NumberField): RedisParameter {
  return {
    name,
    print: ({ values }) => String(values[field]),
    change: (text) => {
      const value = parseSize(text);
      return value === null ? "argument must be a memory value" : bounded({ name, field, value });
    },
  };
}

/** The bounds are those of the option with the same name. */
function bounded(change: {
  readonly name: OptionName;
  readonly field: NumberField;
  readonly value: number;
}): Change {
  const option = findOption(change.name);
  assert(option !== undefined && "min" in option, "the option has bounds");
  return change.value >= option.min && change.value <= option.max
    ? { [change.field]: change.value }
    : `argument must be between ${option.min} and ${option.max} inclusive`;
}

/**
 * `normal <hard> <soft> <seconds>` or `pubsub …`, also several times, of which the last of a class
 * counts. Redis's class `replica` is for connections that Paxlock has none of.
 */
function changeOutputLimits(value: string): Change {
  const words = splitWords(value) ?? [];
  if (words.length === 0 || words.length % 4 !== 0) {
    return "Wrong number of arguments in buffer limit configuration.";
  }
  let change: Partial<RuntimeValues> = {};
  for (let index = 0; index < words.length; index += 4) {
    const [className = "", hard = "", soft = "", time = ""] = words.slice(index, index + 4);
    const subscribers = className.toLowerCase() === "pubsub";
    if (!subscribers && className.toLowerCase() !== "normal") {
      return "Invalid client class specified in buffer limit configuration.";
    }
    // The bounds are the same for both classes.
    const bytes = withinBounds("output-buffer-limit", parseSize(hard));
    const softBytes = withinBounds("output-buffer-soft-limit", parseSize(soft));
    const softSeconds = withinBounds("output-buffer-soft-time", wholeNumber(time));
    if (bytes === null || softBytes === null || softSeconds === null) {
      return "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
    }
    const limits: Partial<RuntimeValues> = subscribers
      ? {
          subscriberOutputBytesMax: bytes,
          subscriberOutputSoftBytesMax: softBytes,
          subscriberOutputSoftSeconds: softSeconds,
        }
      : {
          outputBytesMax: bytes,
          outputSoftBytesMax: softBytes,
          outputSoftSeconds: softSeconds,
        };
    change = { ...change, ...limits };
  }
  return change;
}

function withinBounds(name: OptionName, value: number | null): number | null {
  const option = findOption(name);
  assert(option !== undefined && "min" in option, "the option has bounds");
  return value !== null && value >= option.min && value <= option.max ? value : null;
}

/** Redis's levels and ours, from most to least talkative. */
const LEVELS: ReadonlyMap<string, LogLevel> = new Map([
  ["debug", "trace"],
  ["verbose", "debug"],
  ["notice", "info"],
  ["warning", "warn"],
  ["nothing", "silent"],
]);

function redisLevel(level: LogLevel): string {
  for (const [name, ours] of LEVELS) if (ours === level) return name;
  // Redis has nothing between "warning" and silence; ours has "error" and "fatal".
  return "warning";
}
