/** What `paxlock status` prints: the picture of the cluster as tables, or as JSON. */
import type { ClusterView, ViewGroup, ViewMember, ViewNode } from "./cluster-view.ts";

/** Tables for a person; changes under way and problems stand at the end, one line each. */
export function statusText(view: ClusterView): string {
  const nodes = view.nodes.map((node) => nodeRow(node, view.asked));
  const groups = view.groups.map(groupRow);
  return [
    `cluster ${view.cluster}, as seen from node ${view.asked}`,
    "",
    ...table(["node", "peer address", "state", "votes", "leads", "version"], nodes),
    "",
    ...table(["group", "leader", "ballot", "chosen", "applied", "lease", "behind"], groups),
    "",
    ...view.changes.map((text) => `~ under way: ${text}`),
    ...(view.problems.length === 0 ? ["All is well."] : view.problems.map((text) => `! ${text}`)),
    "",
  ].join("\n");
}

/** One JSON object in one line, with the fields of {@link ClusterView}. */
export function statusJson(view: ClusterView): string {
  return `${JSON.stringify(view)}\n`;
}

function nodeRow(
  { node, address, state, voter, leads, version }: ViewNode,
  asked: number,
): string[] {
  return [
    String(node),
    address === "" ? "-" : address,
    node === asked ? `${state}, asked` : state,
    voter ? "yes" : "learns",
    leads.length === 0 ? "-" : ranges(leads),
    version ?? "-",
  ];
}

function groupRow(group: ViewGroup): string[] {
  const { leader, ballot, chosenSlot, appliedSlot, leaseMs, members } = group;
  return [
    String(group.group),
    leader === 0 ? "none" : String(leader),
    ballot,
    String(chosenSlot),
    String(appliedSlot),
    leaseText(group, leaseMs),
    members
      .filter(({ node }) => node !== leader)
      .map((member) => memberText(member, chosenSlot))
      .join(", ") || "-",
  ];
}

function leaseText({ members }: ViewGroup, leaseMs: number | null): string {
  // Who votes alone needs no lease.
  if (leaseMs === null || members.filter(({ voter }) => voter).length <= 1) return "-";
  return `${leaseMs} ms`;
}

/** `n3 0`, or for one that learns how much of the log it has: `n4 learns, 1200 of 4800 (25 %)`. */
function memberText({ node, voter, chosenSlot, behind }: ViewMember, leaderSlot: number): string {
  if (voter) return `n${node} ${behind ?? "?"}`;
  if (chosenSlot === null) return `n${node} learns, not heard of yet`;
  const percent =
    leaderSlot === 0 ? 100 : Math.floor((Math.min(chosenSlot, leaderSlot) / leaderSlot) * 100);
  return `n${node} learns, ${chosenSlot} of ${leaderSlot} (${percent} %)`;
}

/** Ascending numbers with runs drawn together: `0-2, 5`. */
export function ranges(numbers: readonly number[]): string {
  const runs: { first: number; last: number }[] = [];
  for (const number of numbers) {
    const run = runs.at(-1);
    if (run?.last === number - 1) run.last = number;
    else runs.push({ first: number, last: number });
  }
  return runs
    .map(({ first, last }) => (first === last ? String(first) : `${first}-${last}`))
    .join(", ");
}

/** Columns two spaces apart, as wide as their widest cell. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((cell, column) =>
    Math.max(cell.length, ...rows.map((row) => (row[column] ?? "").length)),
  );
  return [head, ...rows].map((row) =>
    `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ")}`.trimEnd(),
  );
}
