/** What a node is started with: every option as a typed, checked and frozen value. */
import { resolve } from "node:path";
import { assert } from "../base/assert.ts";
import type { LOG_FORMATS, LOG_LEVELS, OptionName } from "./options.ts";
import type { OptionValue } from "./values.ts";

export type LogLevel = (typeof LOG_LEVELS)[number];
export type LogFormat = (typeof LOG_FORMATS)[number];

/**
 * The configuration of one node, as it was at start. `Settings` holds the present values of what
 * CONFIG SET may change. Bounds and the meaning of zero are in the table of options.
 */
export interface Configuration {
  /** 0: any free port. */
  readonly port: number;
  /** IP addresses or host names, or only `*` for every address. */
  readonly bind: readonly string[];
  /** 0: no probes. */
  readonly tcpKeepaliveSeconds: number;
  /** 0: an idle client is never closed. */
  readonly idleTimeoutSeconds: number;
  /** Absolute path. */
  readonly directory: string;
  /** For a new folder, and to be checked against an old one when `given` has "groups". */
  readonly groups: number;
  /** For a new folder, and to be checked against an old one when `given` has "node-id". */
  readonly nodeId: number;
  /** Empty: whatever cluster the folder belongs to. */
  readonly clusterId: string;
  /** Bytes, one character each; empty: no password. */
  readonly password: string;
  readonly protectedMode: boolean;
  readonly maxClients: number;
  readonly bulkBytesMax: number;
  readonly queryBufferBytesMax: number;
  /** 0: no limit. */
  readonly outputBytesMax: number;
  /** 0: no soft limit. */
  readonly outputSoftBytesMax: number;
  readonly outputSoftSeconds: number;
  /** 0: every command is slow; -1: none is. */
  readonly slowlogMicroseconds: number;
  readonly slowlogEntriesMax: number;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  /** Absolute path, or empty when there is no configuration file. */
  readonly configFile: string;
  /** The options that were given by flag, environment or file: the rest are defaults. */
  readonly given: ReadonlySet<OptionName>;
}

/** Values by name, already parsed and within bounds. */
export interface ParsedOptions {
  readonly values: ReadonlyMap<OptionName, OptionValue>;
  readonly given: ReadonlySet<OptionName>;
  /** The password, from `requirepass` or read from `requirepass-file`. */
  readonly password: string;
  /** Where relative paths start. */
  readonly workingDirectory: string;
}

/** Puts parsed values into their fields. */
export function buildConfiguration(parsed: ParsedOptions): Configuration {
  const { values, given, password, workingDirectory } = parsed;
  const configFile = text(values, "config");
  return Object.freeze({
    port: number(values, "port"),
    bind: list(values, "bind"),
    tcpKeepaliveSeconds: number(values, "tcp-keepalive"),
    idleTimeoutSeconds: number(values, "timeout"),
    directory: resolve(workingDirectory, text(values, "dir")),
    groups: number(values, "groups"),
    nodeId: number(values, "node-id"),
    clusterId: text(values, "cluster-id"),
    password,
    protectedMode: boolean(values, "protected-mode"),
    maxClients: number(values, "maxclients"),
    bulkBytesMax: number(values, "proto-max-bulk-len"),
    queryBufferBytesMax: number(values, "client-query-buffer-limit"),
    outputBytesMax: number(values, "output-buffer-limit"),
    outputSoftBytesMax: number(values, "output-buffer-soft-limit"),
    outputSoftSeconds: number(values, "output-buffer-soft-time"),
    slowlogMicroseconds: number(values, "slowlog-log-slower-than"),
    slowlogEntriesMax: number(values, "slowlog-max-len"),
    logLevel: text(values, "log-level") as LogLevel,
    logFormat: text(values, "log-format") as LogFormat,
    configFile: configFile === "" ? "" : resolve(workingDirectory, configFile),
    given,
  });
}

type Values = ParsedOptions["values"];

function number(values: Values, name: OptionName): number {
  const value = values.get(name);
  assert(typeof value === "number", `option ${name} is a number`);
  return value;
}

function boolean(values: Values, name: OptionName): boolean {
  const value = values.get(name);
  assert(typeof value === "boolean", `option ${name} is a boolean`);
  return value;
}

function text(values: Values, name: OptionName): string {
  const value = values.get(name);
  assert(typeof value === "string", `option ${name} is text`);
  return value;
}

function list(values: Values, name: OptionName): readonly string[] {
  const value = values.get(name);
  assert(typeof value === "object", `option ${name} is a list`);
  return value;
}
