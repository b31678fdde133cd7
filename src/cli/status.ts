/**
 * `paxlock status`: asks one node, and through it the others, how the cluster is.
 *
 *     all is well ────────────────────────────────────▶ exit 0
 *     a group without a leader, a node that is down ──▶ exit 1, the reasons printed
 *     no node answers ────────────────────────────────▶ exit 1, one line on standard error
 */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { NodeStatus } from "../commands/paxos-status.ts";
import { readStatus } from "../commands/paxos-status.ts";
import { loadConfiguration } from "../config/load.ts";
import type { ClusterView } from "./cluster-view.ts";
import { viewCluster } from "./cluster-view.ts";
import type { NodeAddress } from "./node-client.ts";
import { isErrorReply, NodeClient, NodeUnreachable, place } from "./node-client.ts";
import { STATUS_COMMAND, STATUS_WAIT_MS } from "./own-commands.ts";
import { ownNumber, splitOptions } from "./own-options.ts";
import { Screen } from "./screen.ts";
import { statusJson, statusText } from "./status-text.ts";

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
const WATCH_INTERVAL_MS = 1_000;

interface Asked {
  readonly address: NodeAddress;
  readonly timeoutMs: number;
  readonly json: boolean;
}

/** Runs the command; the exit code is set, not taken. */
export async function status(argv: readonly string[]): Promise<void> {
  const split = splitOptions(argv, STATUS_COMMAND);
  if (!split.ok) {
    complain(split.message, EXIT_USAGE);
    return;
  }
  const timeoutMs = ownNumber(split.own.get("wait"), {
    name: "wait",
    min: 1,
    max: STATUS_WAIT_MS.max,
    otherwise: STATUS_WAIT_MS.default,
  });
  const address = addressOf(split.serve, split.own.get("host"));
  if (typeof timeoutMs === "string" || typeof address === "string") {
    complain(typeof address === "string" ? address : String(timeoutMs), EXIT_USAGE);
    return;
  }
  const asked = { address, timeoutMs, json: split.own.has("json") };
  if (split.own.has("quick")) await quick(asked);
  else if (split.own.has("watch")) await watch(asked);
  else await once(asked);
}

/** Where the node of a configuration is found, or what is wrong with the options. */
function addressOf(serve: readonly string[], host: string | undefined): NodeAddress | string {
  const loaded = loadConfiguration({
    argv: serve,
    env: process.env,
    workingDirectory: process.cwd(),
    readFile: (path) => readFileSync(path),
  });
  if (!loaded.ok) return loaded.message;
  const { bind, port, password } = loaded.configuration;
  return { host: host ?? reachable(bind[0] ?? ""), port, password };
}

/** An address to connect to, for one to listen on. */
export function reachable(bound: string): string {
  return bound === "*" || bound === "0.0.0.0" || bound === ""
    ? "127.0.0.1"
    : bound === "::"
      ? "::1"
      : bound;
}

async function quick({ address, timeoutMs }: Asked): Promise<void> {
  try {
    const client = await NodeClient.open(address, timeoutMs);
    const reply = await client.call("PING");
    client.close();
    if (reply !== "PONG") complain(`${place(address)} does not answer as a node`, EXIT_FAILED);
  } catch (thrown) {
    failed(thrown);
  }
}

async function once(asked: Asked): Promise<void> {
  try {
    const view = await askCluster(asked.address, asked.timeoutMs);
    process.stdout.write(asked.json ? statusJson(view) : statusText(view));
    if (view.problems.length > 0) process.exitCode = EXIT_FAILED;
  } catch (thrown) {
    failed(thrown);
  }
}

/** Goes on while the node is away: it may be the one that is restarted. */
async function watch(asked: Asked): Promise<void> {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      stop.abort();
    });
  }
  const screen = new Screen(process.stdout);
  while (!stop.signal.aborted) {
    let text: string;
    try {
      const view = await askCluster(asked.address, asked.timeoutMs);
      text = asked.json ? statusJson(view) : statusText(view);
    } catch (thrown) {
      if (!(thrown instanceof NodeUnreachable)) throw thrown;
      text = asked.json
        ? `${JSON.stringify({ problems: [thrown.message] })}\n`
        : `! ${thrown.message}\n`;
    }
    if (asked.json) process.stdout.write(text);
    else screen.show(text);
    await sleep(WATCH_INTERVAL_MS, null, { signal: stop.signal }).catch(() => null);
  }
}

/** Asks one node, and through it every other it can reach; rejects with {@link NodeUnreachable}. */
export async function askCluster(address: NodeAddress, timeoutMs: number): Promise<ClusterView> {
  const client = await NodeClient.open(address, timeoutMs);
  try {
    const asked = await askStatus(client, null);
    if (typeof asked === "string") throw new NodeUnreachable(`${place(address)}: ${asked}`);
    const others: NodeStatus[] = [];
    for (const { node, connected } of asked.nodes) {
      if (node === asked.node || !connected) continue;
      const other = await askStatus(client, node);
      // It was reached a moment ago and now is not: the view shows it as down.
      if (typeof other !== "string") others.push(other);
    }
    return viewCluster(asked, others);
  } finally {
    client.close();
  }
}

/** What a node says of itself, asked through the connected one; a text says why it did not. */
export async function askStatus(
  client: NodeClient,
  node: number | null,
): Promise<NodeStatus | string> {
  const reply = await client.call("PAXOS.STATUS", ...(node === null ? [] : [String(node)]));
  if (isErrorReply(reply)) return reply.text;
  return readStatus(reply) ?? "the answer to PAXOS.STATUS is not one of this version";
}

function failed(thrown: unknown): void {
  if (!(thrown instanceof NodeUnreachable)) throw thrown;
  complain(thrown.message, EXIT_FAILED);
}

function complain(message: string, exitCode: number): void {
  process.stderr.write(`paxlock: ${message}\n`);
  process.exitCode = exitCode;
}
