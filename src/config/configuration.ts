/** What a node is started with: every option as a typed, checked and frozen value. */
import { resolve } from "node:path";
import { parseEndpoint, type Endpoint } from "../base/address.ts";
import { assert } from "../base/assert.ts";
import type { PeerAddress } from "../base/ports.ts";
import {
  DEFAULT_CLUSTER_ID,
  type LOG_FORMATS,
  type LOG_LEVELS,
  type OptionName,
} from "./options.ts";
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
  /** Empty: whatever cluster the folder belongs to. Never empty with peers. */
  readonly clusterId: string;
  /** All founding nodes, this one among them, by id; empty: a node on its own. Canonical addresses. */
  readonly peers: readonly PeerAddress[];
  /** This node founds no cluster but is added to a running one. */
  readonly join: boolean;
  /** Where to listen for other nodes, `*` for every address; null: a node on its own. */
  readonly peerBind: Endpoint | null;
  /** Absolute paths of PEM files for mutual TLS between nodes; null: no TLS. */
  readonly peerTls: PeerTlsFiles | null;
  readonly peerQueueBytesMax: number;
  readonly requestTimeoutMs: number;
  /** 0: a session ends with its connection. */
  readonly sessionGraceMs: number;
  readonly sessionTimeoutMs: number;
  /** The tick of all groups: half a heartbeat, so that one that is late by a tick does no harm. */
  readonly tickMs: number;
  readonly heartbeatTicks: number;
  readonly electionTicksMin: number;
  readonly electionTicksMax: number;
  readonly leaderLeaseMs: number;
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
  readonly subscriberOutputBytesMax: number;
  readonly subscriberOutputSoftBytesMax: number;
  readonly subscriberOutputSoftSeconds: number;
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

/** The PEM files of `peer-tls-cert`, `peer-tls-key` and `peer-tls-ca`, by absolute path. */
export interface PeerTlsFiles {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

/** Ticks in a heartbeat interval. */
const HEARTBEAT_TICKS = 2;

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
  const peers = peerList(values);
  const clusterId = text(values, "cluster-id");
  return Object.freeze({
    port: number(values, "port"),
    bind: list(values, "bind"),
    tcpKeepaliveSeconds: number(values, "tcp-keepalive"),
    idleTimeoutSeconds: number(values, "timeout"),
    directory: resolve(workingDirectory, text(values, "dir")),
    groups: number(values, "groups"),
    nodeId: number(values, "node-id"),
    clusterId: clusterId === "" && peers.length > 0 ? DEFAULT_CLUSTER_ID : clusterId,
    peers,
    join: boolean(values, "join"),
    peerBind: peerBind(values, peers),
    peerTls: peerTls(values, workingDirectory),
    peerQueueBytesMax: number(values, "peer-queue-bytes"),
    requestTimeoutMs: number(values, "request-timeout"),
    sessionGraceMs: number(values, "session-grace"),
    sessionTimeoutMs: number(values, "session-timeout"),
    ...ticks(values),
    leaderLeaseMs: number(values, "leader-lease"),
    password,
    protectedMode: boolean(values, "protected-mode"),
    maxClients: number(values, "maxclients"),
    bulkBytesMax: number(values, "proto-max-bulk-len"),
    queryBufferBytesMax: number(values, "client-query-buffer-limit"),
    outputBytesMax: number(values, "output-buffer-limit"),
    outputSoftBytesMax: number(values, "output-buffer-soft-limit"),
    outputSoftSeconds: number(values, "output-buffer-soft-time"),
    subscriberOutputBytesMax: number(values, "pubsub-output-buffer-limit"),
    subscriberOutputSoftBytesMax: number(values, "pubsub-output-buffer-soft-limit"),
    subscriberOutputSoftSeconds: number(values, "pubsub-output-buffer-soft-time"),
    slowlogMicroseconds: number(values, "slowlog-log-slower-than"),
    slowlogEntriesMax: number(values, "slowlog-max-len"),
    logLevel: text(values, "log-level") as LogLevel,
    logFormat: text(values, "log-format") as LogFormat,
    configFile: configFile === "" ? "" : resolve(workingDirectory, configFile),
    given,
  });
}

type Values = ParsedOptions["values"];

/** Election timeouts in whole ticks, never shorter than asked for. */
function ticks(
  values: Values,
): Pick<Configuration, "tickMs" | "heartbeatTicks" | "electionTicksMin" | "electionTicksMax"> {
  const tickMs = number(values, "heartbeat-interval") / HEARTBEAT_TICKS;
  const electionMs = number(values, "election-timeout");
  return {
    tickMs,
    heartbeatTicks: HEARTBEAT_TICKS,
    electionTicksMin: Math.ceil(electionMs / tickMs),
    electionTicksMax: Math.ceil((electionMs * 5) / (3 * tickMs)),
  };
}

/** Where to listen: as given, else as the others dial this node. */
function peerBind(values: Values, peers: readonly PeerAddress[]): Endpoint | null {
  if (peers.length === 0) return null;
  const given = text(values, "peer-bind");
  if (given.startsWith("*:")) return { host: "*", port: Number(given.slice(2)) };
  const own = peers.find(({ id }) => id === number(values, "node-id"));
  assert(own !== undefined, "this node is among its peers");
  const parsed = parseEndpoint(given === "" ? own.address : given);
  assert(parsed.ok, "addresses were checked when they were parsed");
  return parsed.endpoint;
}

function peerTls(values: Values, workingDirectory: string): PeerTlsFiles | null {
  if (text(values, "peer-tls-cert") === "") return null;
  const path = (name: OptionName): string => resolve(workingDirectory, text(values, name));
  return Object.freeze({
    cert: path("peer-tls-cert"),
    key: path("peer-tls-key"),
    ca: path("peer-tls-ca"),
  });
}

function peerList(values: Values): readonly PeerAddress[] {
  const value = values.get("peers");
  assert(Array.isArray(value), "option peers is a list");
  return value as readonly PeerAddress[];
}

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
  assert(Array.isArray(value), `option ${name} is a list`);
  return value as readonly string[];
}
