/** The tables of a comparison of peers, in Markdown. */
import { show, table, type Unit } from "../report.ts";
import type { Summary } from "../statistics.ts";
import type { FailoverRow, PeerRow, PeersReport, TargetRow, Workload } from "./results.ts";

/** Everything that is to be read or quoted. */
export function peersText(report: PeersReport): string {
  const sections: string[] = [
    `${list(["services:", ...report.services])}`,
    ...(report.missing.length === 0 ? [] : [list(["missing:", ...report.missing])]),
    `All services together, idle: ${(report.idleShare * 100).toFixed(0)} % of one processor. ` +
      `The run took ${show(report.seconds, "s")}.`,
    ...report.workloads.map(workloadSection),
  ];
  if (report.failover.length > 0) {
    sections.push(
      `### Time without a lock after kill -9 of the leader\n\n${failoverTable(report.failover)}`,
    );
  }
  if (report.loads.length > 0) {
    sections.push(`### redis-benchmark, SET NX PX\n\n${loadsTable(report)}`);
  }
  if (report.growth.length > 0) {
    sections.push(`### What grows, server CPU ms for a thousand pairs\n\n${growthTable(report)}`);
  }
  sections.push(`### Targets\n\n${targetTable(report.targets)}`);
  if (report.failures.length > 0) {
    const lines = report.failures.map(
      ({ system, workload, message }) => `${system}, ${workload}: ${message.split("\n")[0] ?? ""}`,
    );
    sections.push(`### Not measured\n\n${list(lines)}`);
  }
  return sections.join("\n\n");
}

function list(lines: readonly string[]): string {
  return lines.map((line) => `- ${line}`).join("\n");
}

function workloadSection({ title, kind, rows }: Workload): string {
  const head = {
    pairs: `### Locks of their own, ${title}`,
    contended: `### ${title}`,
    held: `### ${title}`,
  }[kind];
  return `${head}\n\n${rows.length === 0 ? "nothing was measured" : workloadTable(kind, rows)}`;
}

/** One row a system; what only some kinds of workload have stands last. */
export function workloadTable(kind: Workload["kind"], rows: readonly PeerRow[]): string {
  const extra = EXTRA[kind];
  return table(
    [
      "system",
      "pairs/s",
      "acquire p50",
      "p99",
      "p99.9",
      "server CPU, s/1,000 pairs",
      "client CPU",
      "written/pair",
      ...extra.map(({ title }) => title),
    ],
    rows.map((row) => [
      `${row.title}${promises(row)}`,
      spread(row.pairsPerSecond, "per second"),
      show(row.p50Ms.median, "ms"),
      show(row.p99Ms.median, "ms"),
      show(row.p999Ms.median, "ms"),
      row.serverSeconds.median.toFixed(3),
      row.clientSeconds.median.toFixed(3),
      show(row.writtenBytes.median, "bytes"),
      ...extra.map(({ value }) => value(row)),
    ]),
  );
}

const EXTRA: Readonly<
  Record<Workload["kind"], readonly { title: string; value: (row: PeerRow) => string }[]>
> = {
  pairs: [],
  contended: [
    {
      title: "turns of a worker",
      value: ({ fewestTurns, mostTurns }) => `${fewestTurns}–${mostTurns}`,
    },
  ],
  held: [
    { title: "held", value: ({ held }) => held.median.toFixed(0) },
    { title: "missed", value: ({ missedShare }) => `${(missedShare.median * 100).toFixed(1)} %` },
    { title: "server memory", value: ({ serverMegabytes }) => show(serverMegabytes.median, "MB") },
  ],
};

/** What an acknowledged lock does not survive. */
function promises({ durable, replicated }: PeerRow): string {
  if (durable && replicated) return "";
  if (durable) return " ¹";
  return replicated ? " ²" : " ¹ ²";
}

export const PROMISES = [
  "¹ one machine: when it is lost, so are the service and its locks.",
  "² acknowledged before it is on a disk: a restart forgets locks, and somebody else gets them.",
].join("\n");

function failoverTable(rows: readonly FailoverRow[]): string {
  return table(
    ["system", "longest gap of a trial", "p50 of all workers", "p99", "failed attempts"],
    rows.map((row) => [
      row.title,
      spread(row.worstMs, "ms"),
      show(row.p50Ms, "ms"),
      show(row.p99Ms, "ms"),
      row.failedAttempts.toFixed(0),
    ]),
  );
}

function loadsTable({ loads }: PeersReport): string {
  return table(
    ["load", "three Paxlock", "one Redis, fsync always", "sketch, measured before"],
    loads.map(({ name, unit, paxlock, redis, sketch }) => [
      name,
      spread(paxlock, unit),
      redis === null ? "" : spread(redis, unit),
      show(sketch, unit),
    ]),
  );
}

function growthTable({ growth }: PeersReport): string {
  const milliseconds = (summary: Summary): string => (summary.median * 1000).toFixed(1);
  return table(
    ["", "few", "many", "factor"],
    growth.map(({ name, few, many, factor }) => [
      name,
      milliseconds(few),
      milliseconds(many),
      spread(factor, "times"),
    ]),
  );
}

/** A target that was not measured has no verdict. */
export function targetTable(rows: readonly TargetRow[]): string {
  return table(
    ["target", "measured", "bound", "reached"],
    rows.map(({ name, unit, value, target, reached }) => [
      name,
      value === null ? "not measured" : spread(value, unit),
      `${target.relation === "at least" ? "≥" : "≤"} ${show(target.bound, unit)}`,
      reached === null ? "" : reached ? "yes" : "NO",
    ]),
  );
}

/** The median, with minimum and maximum where there was more than one round. */
export function spread({ median, min, max, values }: Summary, unit: Unit): string {
  if (values.length === 1) return show(median, unit);
  const bare = (value: number): string => show(value, unit).replace(/[^\d.,].*$/, "");
  return `${show(median, unit)} (${bare(min)}–${bare(max)})`;
}
