/** What `paxlock local` shows: one screen on a terminal, lines of what changed elsewhere. */
import type { LocalNode } from "./local-node.ts";
import { place } from "./node-client.ts";
import { ranges, table } from "./status-text.ts";

/** How a node ends that was asked to, in its `ending`. */
const STOPPED = "exit code 0";

/** A node as it is shown. */
export type ShownNode = Pick<LocalNode, "state" | "pid" | "ending" | "complaint" | "status"> & {
  readonly options: Pick<LocalNode["options"], "id" | "host" | "port">;
};

export interface Shown {
  readonly version: string;
  /** As it was given or made absolute. */
  readonly directory: string;
  readonly password: boolean;
  readonly nodes: readonly ShownNode[];
  readonly stopping: boolean;
  /** Whether Enter starts again what has ended. */
  readonly enterStarts: boolean;
}

/** Who leads each group, by node; groups that nobody who answers leads are under 0. */
export function leaders(nodes: readonly ShownNode[]): ReadonlyMap<number, readonly number[]> {
  const answering = nodes.flatMap(({ status }) => (status === null ? [] : [status]));
  const count = Math.max(0, ...answering.map(({ groups }) => groups.length));
  const byNode = new Map<number, number[]>();
  for (let group = 0; group < count; group += 1) {
    const leader = answering.find(({ groups }) => groups[group]?.role === "leader")?.node ?? 0;
    byNode.set(leader, [...(byNode.get(leader) ?? []), group]);
  }
  return byNode;
}

/** Whether every node answers and every group has a leader. */
export function isWhole(nodes: readonly ShownNode[]): boolean {
  const found = leaders(nodes);
  return nodes.every(({ state }) => state === "up") && found.size > 0 && !found.has(0);
}

/** The screen. */
export function localScreen(shown: Shown): string {
  const { version, directory, nodes } = shown;
  const found = leaders(nodes);
  const rows = nodes.map((node) => [
    String(node.options.id),
    place(node.options),
    stateText(node),
    node.pid === null ? "-" : String(node.pid),
    ranges(found.get(node.options.id) ?? []) || "-",
  ]);
  return [
    "",
    `Paxlock ${version}: ${nodes.length} nodes on this machine.`,
    "",
    ...table(["node", "address", "state", "pid", "leads groups"], rows),
    "",
    `  ${groupsText(nodes, found)}`,
    `  data and logs  ${directory}/node-1, node-1.log, …`,
    ...tryLines(shown).map((line, index) => `  ${index === 0 ? "try" : "   "}            ${line}`),
    "",
    `  ${hint(shown)}`,
    "",
  ].join("\n");
}

/** A line that takes a lock through one node, and one that sees it through another. */
export function tryLines({ nodes, password }: Shown): string[] {
  const up = nodes.filter(({ state }) => state === "up");
  const reached = up.length >= 2 ? up : nodes;
  const lines = ["SET my-lock me NX PX 30000", "GET my-lock"];
  return reached.slice(0, lines.length).map(({ options: { host, port } }, index) => {
    const at = host === "127.0.0.1" ? "" : ` -h ${host}`;
    return `redis-cli${at} -p ${port}${password ? " --askpass" : ""} ${lines[index] ?? ""}`;
  });
}

/** What has changed from one look to the next, in lines for a log; of leaders not while it stops. */
export function changes(
  before: readonly ShownNode[],
  now: readonly ShownNode[],
  stopping: boolean,
): string[] {
  const lines: string[] = [];
  for (const [index, node] of now.entries()) {
    const last = before[index];
    if (last?.state === node.state && last.pid === node.pid) continue;
    const { id } = node.options;
    switch (node.state) {
      case "starting":
        lines.push(`node ${id} starts at ${place(node.options)}, pid ${node.pid ?? "-"}`);
        break;
      case "up":
        lines.push(`node ${id} is up at ${place(node.options)}, pid ${node.pid ?? "-"}`);
        break;
      case "silent":
        lines.push(`node ${id} runs, pid ${node.pid ?? "-"}, and does not answer`);
        break;
      case "ended":
        lines.push(`node ${id} ${stateText(node)}`);
        break;
    }
  }
  if (stopping) return lines;
  const found = leadersText(now);
  // That nobody leads anything yet goes without saying at the start.
  const begins = leadersText(before) === "" && leaders(now).size === 1 && leaders(now).has(0);
  if (found !== leadersText(before) && found !== "" && !begins) lines.push(found);
  return lines;
}

function leadersText(nodes: readonly ShownNode[]): string {
  const found = leaders(nodes);
  return [...found]
    .sort(([one], [other]) => one - other)
    .map(([leader, groups]) => {
      const many = groups.length === 1 ? "group" : "groups";
      return `${many} ${ranges(groups)}: ${leader === 0 ? "no leader" : `led by node ${leader}`}`;
    })
    .join("; ");
}

function stateText({ state, ending, complaint }: ShownNode): string {
  switch (state) {
    case "starting":
      return "starts";
    case "up":
      return "up";
    case "silent":
      return "does not answer";
    case "ended":
      if (ending === STOPPED) return "stopped";
      return `down: ${ending}${complaint === "" ? "" : `, ${complaint}`}`;
  }
}

function groupsText(
  nodes: readonly ShownNode[],
  found: ReadonlyMap<number, readonly number[]>,
): string {
  const count = [...found.values()].reduce((sum, groups) => sum + groups.length, 0);
  const without = found.get(0) ?? [];
  if (count === 0) return "groups         none answers yet";
  if (without.length === 0) return `groups         ${count}, each with a leader`;
  const down = nodes.filter(({ state }) => state !== "up").length;
  const why = down * 2 >= nodes.length ? "; too few nodes are up to elect one" : "";
  return `groups         ${count}; no leader: ${ranges(without)}${why}`;
}

function hint({ stopping, enterStarts, nodes }: Shown): string {
  if (stopping) return "Stopping all nodes in order; Ctrl-C again ends them at once.";
  const ended = nodes.filter(({ state }) => state === "ended").map(({ options }) => options.id);
  if (ended.length === 0 || !enterStarts) return "Ctrl-C stops all nodes.";
  return `Ctrl-C stops all nodes. Enter starts node ${ended.join(" and ")} again.`;
}
