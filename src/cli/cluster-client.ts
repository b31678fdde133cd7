/** The client of the commands about locks: where the cluster is, and errors as exit codes. */
import { readFileSync } from "node:fs";
import { formatEndpoint, parseEndpoint } from "../base/address.ts";
import { Client } from "../client/client.ts";
import {
  LockLostError,
  NotAcquiredError,
  PaxlockError,
  UnavailableError,
} from "../client/errors.ts";
import { loadConfiguration } from "../config/load.ts";
import { fromBytes, quote } from "../config/values.ts";
import { ownNumber, type SplitOptions } from "./own-options.ts";
import { reachable } from "./status.ts";

/** Exit codes of the commands about locks. Those from 64 to 78 are in the sense of sysexits.h. */
export const EXIT = {
  failed: 1,
  usage: 2,
  /** No node answered, or none had a majority. */
  unavailable: 69,
  /** Somebody else had the lock for as long as was to be waited. */
  notAcquired: 73,
  /** The lock was lost while the command ran. */
  lost: 75,
  /** The command cannot be executed, and is not there, as in a shell. */
  notExecutable: 126,
  notFound: 127,
} as const;

type Options = Extract<SplitOptions, { readonly ok: true }>;

const DATABASE_MAX = 15;

/** A client as the options say, or what is wrong with them. */
export function openClient({ own, serve }: Options, name: string): Client | string {
  const db = ownNumber(own.get("db"), { name: "db", min: 0, max: DATABASE_MAX, otherwise: 0 });
  const loaded = loadConfiguration({
    argv: serve,
    env: process.env,
    workingDirectory: process.cwd(),
    readFile: (path) => readFileSync(path),
  });
  if (!loaded.ok) return loaded.message;
  if (typeof db === "string") return db;
  const { bind, port, password } = loaded.configuration;
  const addresses = addressesOf(own, { bind, port });
  if (typeof addresses === "string") return addresses;
  // Configuration is kept as bytes.
  const secret = fromBytes(password) ?? password;
  return new Client({ addresses, db, name, ...(secret === "" ? {} : { password: secret }) });
}

/** The nodes to ask, in order, or what is wrong with them. */
export function addressesOf(
  own: ReadonlyMap<string, string>,
  { bind, port }: { readonly bind: readonly string[]; readonly port: number },
): readonly string[] | string {
  const hosts = own.get("host")?.split(",") ?? [];
  const texts = [
    ...(own.get("address")?.split(",") ?? []),
    ...hosts.map((host) => formatEndpoint({ host, port })),
  ];
  if (texts.length === 0) texts.push(formatEndpoint({ host: reachable(bind[0] ?? ""), port }));
  for (const text of texts) {
    const parsed = parseEndpoint(text);
    if (!parsed.ok) return `the address ${quote(text)} ${parsed.problem}`;
  }
  return texts;
}

/** Says what went wrong and sets the exit code; anything but an error of the client is a bug. */
export function failed(thrown: unknown): void {
  if (!(thrown instanceof PaxlockError)) throw thrown;
  complain(messageOf(thrown), exitCodeOf(thrown));
}

/** The client's own advice names its options, which have other names here. */
function messageOf(error: PaxlockError): string {
  if (error instanceof NotAcquiredError) {
    const [key = ""] = error.keys;
    const waited = `${Math.round(error.waitedMs)} ms`;
    return `${quote(key)} is not free (waited ${waited}): raise --wait, or see paxlock info ${quote(key)}`;
  }
  if (error instanceof UnavailableError) {
    return error.message.replace("addresses names them", "--address names them");
  }
  return error.message;
}

function exitCodeOf(error: PaxlockError): number {
  if (error instanceof UnavailableError) return EXIT.unavailable;
  if (error instanceof NotAcquiredError) return EXIT.notAcquired;
  return error instanceof LockLostError ? EXIT.lost : EXIT.failed;
}

/** One line on standard error, and the exit code. */
export function complain(message: string, exitCode: number): void {
  process.stderr.write(`paxlock: ${message}\n`);
  process.exitCode = exitCode;
}
