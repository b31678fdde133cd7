/** What a comparison of peers computes, reads and draws. */
import fc from "fast-check";
import * as assert from "uvu/assert";
import { chartSvg, peersChart, type Chart } from "../../bench/peers/chart.ts";
import { predecessor } from "../../bench/peers/clients/zookeeper.ts";
import { failoverRow } from "../../bench/peers/failover.ts";
import { LatencyRecorder } from "../../bench/peers/latency.ts";
import type { StepResult } from "../../bench/peers/order.ts";
import { Findings, peerRow, type PeersReport } from "../../bench/peers/results.ts";
import type { Service } from "../../bench/peers/servers/contract.ts";
import { zookeeperMode } from "../../bench/peers/servers/zookeeper.ts";
import { missingSentences } from "../../bench/peers/services.ts";
import { SYSTEMS, type System } from "../../bench/peers/systems.ts";
import { peersText, spread, workloadTable } from "../../bench/peers/tables.ts";
import { targetRows } from "../../bench/peers/targets.ts";
import { writtenBytes } from "../../bench/peers/usage.ts";
import { keysOf } from "../../bench/peers/workloads.ts";
import { ratioOf, summarize } from "../../bench/statistics.ts";
import { suite } from "../support/suite.ts";

const MOMENT = { warmUpMs: 1, measureMs: 1 };

function system(id: string): System {
  const found = SYSTEMS.find((each) => each.id === id);
  if (found === undefined) throw new Error(`no system ${id}`);
  return found;
}

function stepResult(changes: Partial<StepResult> = {}): StepResult {
  const latency = { count: 100, p50Ms: 1, p99Ms: 2, p999Ms: 3, maxMs: 4 };
  return {
    pairs: 1_000,
    seconds: 2,
    acquire: latency,
    release: latency,
    clientSeconds: 0.5,
    serverSeconds: 1.5,
    writtenBytes: 4_096_000,
    serverResidentBytes: 2 * 1024 * 1024,
    fewestTurns: 3,
    mostTurns: 5,
    heldAtEnd: 7,
    missed: 0,
    ...changes,
  };
}

function report(changes: Partial<PeersReport> = {}): PeersReport {
  return {
    services: ["three Paxlock 0.1.0"],
    missing: [],
    idleShare: 0.1,
    workloads: [],
    failover: [],
    loads: [],
    growth: [],
    targets: [],
    failures: [],
    seconds: 12,
    ...changes,
  };
}

function service(name: string, missing: readonly string[]): Service {
  return {
    id: "etcd",
    name,
    missing: () => missing,
    title: () => name,
    start: () => Promise.reject(new Error("not to be started")),
  };
}

suite("benchmark of peers", (test) => {
  test("latencies have three digits, whatever their size", () => {
    fc.assert(
      fc.property(fc.double({ min: 0.01, max: 10_000, noNaN: true }), (ms) => {
        const recorder = new LatencyRecorder();
        recorder.record(ms);
        const { p50Ms, maxMs, count } = recorder.result();
        assert.is(count, 1);
        for (const read of [p50Ms, maxMs]) {
          assert.ok(Math.abs(read - ms) <= ms / 1000 + 0.001, `${ms} was read as ${read}`);
        }
      }),
    );
  });

  test("quantiles tell the slow ones apart, and nothing recorded is no latency", () => {
    const recorder = new LatencyRecorder();
    for (let count = 0; count < 985; count += 1) recorder.record(1);
    for (let count = 0; count < 13; count += 1) recorder.record(50);
    for (let count = 0; count < 2; count += 1) recorder.record(900);
    const { p50Ms, p99Ms, p999Ms } = recorder.result();
    assert.equal([p50Ms, p99Ms, p999Ms].map(Math.round), [1, 50, 900]);
    assert.ok(Number.isNaN(new LatencyRecorder().result().p99Ms));
  });

  test("bytes written are those that go to the disk, not those of every write", () => {
    const text = "rchar: 1\nwchar: 999\nsyscr: 2\nsyscw: 3\nread_bytes: 4\nwrite_bytes: 8192\n";
    assert.is(writtenBytes(`${text}cancelled_write_bytes: 7\n`), 8192);
    assert.throws(() => writtenBytes("wchar: 999\n"), /no write_bytes/);
  });

  test("a row is costs for each pair, and medians over rounds", () => {
    const row = peerRow(system("etcd-lock"), [
      stepResult(),
      stepResult({ pairs: 4_000, fewestTurns: 1, missed: 100 }),
      stepResult({ pairs: 2_000, mostTurns: 9 }),
    ]);
    assert.equal(row.pairsPerSecond.values, [500, 2_000, 1_000]);
    assert.is(row.pairsPerSecond.median, 1_000);
    assert.equal(row.serverSeconds.values, [1.5, 0.375, 0.75]);
    assert.equal(row.writtenBytes.values, [4_096, 1_024, 2_048]);
    assert.is(row.serverMegabytes.median, 2);
    assert.equal([row.fewestTurns, row.mostTurns], [1, 9]);
    assert.equal(row.missedShare.values, [0, 0.5, 0]);
  });

  test("a ratio is taken round by round, and is none where a side was not measured", () => {
    const rows = [
      peerRow(system("paxlock-set"), [stepResult({ pairs: 800 }), stepResult({ pairs: 400 })]),
      peerRow(system("zookeeper"), [stepResult({ pairs: 100 }), stepResult({ pairs: 50 })]),
    ];
    const found = new Findings([{ id: "pairs-100", title: "", kind: "pairs", rows }]);
    const ratio = (theirs: string) =>
      found.ratio("pairs-100", ["paxlock-set", theirs], ({ pairsPerSecond }) => pairsPerSecond);
    assert.equal(ratio("zookeeper")?.values, [8, 8]);
    assert.is(ratio("etcd-lock"), null);
    assert.equal(ratioOf(summarize([6]), summarize([1, 2, 3]))?.values, [3]);
  });

  test("every target is shown; what was not measured, and a short run, have no verdict", () => {
    const rows = [
      peerRow(system("paxlock-set"), [stepResult({ pairs: 800 })]),
      peerRow(system("zookeeper"), [stepResult({ pairs: 100 })]),
    ];
    const workloads = [{ id: "pairs-100", title: "", kind: "pairs", rows }] as const;
    const given = { workloads, failover: [], growth: null, loads: [] };
    const judged = targetRows({ ...given, judged: true });
    const name = "pairs/s, 100 workers: paxlock-set / zookeeper";
    assert.is(judged.find((row) => row.name === name)?.reached, true);
    assert.is(judged.filter(({ reached }) => reached !== null).length, 1);
    assert.ok(judged.filter(({ value }) => value === null).length > 15);
    const short = targetRows({ ...given, judged: false });
    assert.ok(short.every(({ reached }) => reached === null));
    assert.is(short.length, judged.length);
  });

  test("every system that a target names is measured", () => {
    const names = targetRows({
      workloads: [],
      failover: [],
      growth: null,
      loads: [],
      judged: true,
    }).flatMap(({ name }) => /^pairs\/s, \d+ workers: (\S+) \/ (\S+)$/.exec(name)?.slice(1) ?? []);
    assert.ok(names.length > 0);
    for (const name of names) assert.is(system(name).id, name);
  });

  test("a gap of a trial is that of the worker who waited longest", () => {
    const row = failoverRow({
      system: "etcd",
      title: "etcd",
      gapsMs: [
        [10, 1_200, 15],
        [20, 30, 900],
      ],
      failed: 4,
    });
    assert.equal(row.worstMs.values, [1_200, 900]);
    assert.is(row.p99Ms, 1_200);
    assert.is(row.failedAttempts, 4);
  });

  test("in ZooKeeper's recipe one waits for the next before one's own, not for the first", () => {
    const children = ["holder-0000000009", "holder-0000000002", "holder-0000000005"];
    assert.is(predecessor(children, "holder-0000000009"), "holder-0000000005");
    assert.is(predecessor(children, "holder-0000000002"), null);
    assert.is(predecessor([], "holder-0000000002"), null);
  });

  test("ZooKeeper's mode is read from its answer, and a server that serves nobody has none", () => {
    assert.is(zookeeperMode("Zookeeper version: 3.8.0\nMode: leader\nNode count: 5\n"), "leader");
    assert.is(zookeeperMode("This ZooKeeper instance is not currently serving requests\n"), null);
  });

  test("what is not installed is named once with its packages, and then one command for all", () => {
    assert.equal(missingSentences([service("etcd", []), service("paxlock", [])]), []);
    const sentences = missingSentences([
      service("redis-server", ["redis-server"]),
      service("redis-server", ["redis-server"]),
      service("zookeeper", ["zookeeper", "default-jre-headless"]),
    ]);
    assert.equal(sentences, [
      "redis-server is not installed (apt-get install redis-server)",
      "zookeeper is not installed (apt-get install zookeeper default-jre-headless)",
      "to have them all: RUNLEVEL=1 apt-get install -y redis-server zookeeper default-jre-headless",
    ]);
  });

  test("workers have keys of their own; one worker has many, so that it meets every group", () => {
    const one = keysOf({ kind: "pairs", workers: 1, ...MOMENT }, "a");
    const many = keysOf({ kind: "pairs", workers: 500, ...MOMENT }, "a");
    assert.is(new Set(one).size, 64);
    assert.is(new Set(many).size, 500);
  });

  test("a connection that keeps locks has a free one whenever the next is due", () => {
    const step = {
      kind: "held",
      connections: 5,
      everyMs: 1_000,
      holdMs: 2_000,
      ...MOMENT,
    } as const;
    assert.is(new Set(keysOf(step, "a")).size, 15);
  });

  test("a table says what a lock does not survive, and who was served how often", () => {
    const rows = ["paxlock-set", "redlock-five", "redis-fsync", "redis-memory"].map((id) =>
      peerRow(system(id), [stepResult()]),
    );
    const text = workloadTable("contended", rows);
    assert.match(text, /Paxlock, SET NX PX +\|/);
    assert.match(text, "redlock, 5 Redis, no fsync ²");
    assert.match(text, /1 Redis, fsync always ¹ +\|/);
    assert.match(text, "1 Redis, no persistence ¹ ²");
    assert.match(text, /\| +3–5 \|/);
    assert.is(spread(summarize([2, 1, 3]), "per second"), "2/s (1–3)");
    assert.is(spread(summarize([2]), "per second"), "2/s");
  });

  test("what is missing and what failed is said beside the figures", () => {
    const text = peersText(
      report({
        missing: ["etcd is not installed (apt-get install etcd-server)"],
        failures: [{ system: "zookeeper", workload: "held", message: "refused\nat line 1" }],
      }),
    );
    assert.match(text, "- etcd is not installed (apt-get install etcd-server)");
    assert.match(text, "- zookeeper, held: refused");
    assert.not.match(text, "at line 1");
  });
});

suite("chart", (test) => {
  const chart: Chart = {
    title: 'A & B < "C"',
    panels: [
      {
        title: "rates",
        bars: [
          { label: "one", value: 50, text: "50/s", style: "ours" },
          { label: "two", value: 100, text: "100/s", style: "peer" },
          { label: "none", value: 0, text: "0/s", style: "weaker" },
        ],
      },
    ],
    notes: ["a note"],
  };

  test("bars are as long as their values, and one of nothing is still seen", () => {
    const widths = [...chartSvg(chart).matchAll(/<rect [^>]*width="([\d.]+)"/g)].map(([, width]) =>
      Number(width),
    );
    assert.is(widths.length, 3);
    assert.is(widths[1], 2 * (widths[0] ?? NaN));
    assert.is(widths[2], 1);
  });

  test("each bar has its label and its figure as text, and the ground may be dark", () => {
    const svg = chartSvg(chart);
    for (const text of [">one<", ">50/s<", ">two<", ">rates<", ">a note<"]) assert.match(svg, text);
    assert.match(svg, "prefers-color-scheme: dark");
  });

  test("text means itself, and every element is closed", () => {
    fc.assert(
      fc.property(fc.string(), (title) => {
        const svg = chartSvg({ ...chart, title });
        const inner = /<title>([^]*?)<\/title>/.exec(svg)?.[1] ?? "";
        assert.not.match(inner, /[<>"]|&(?!(amp|lt|gt|quot);)/);
        const opened = svg.match(/<(svg|title|style|text)[ >]/g) ?? [];
        const closed = svg.match(/<\/(svg|title|style|text)>/g) ?? [];
        assert.is(opened.length, closed.length);
      }),
    );
  });

  test("a value without a length is refused, not drawn", () => {
    const bars = [{ label: "broken", value: NaN, text: "?", style: "peer" }] as const;
    assert.throws(() => chartSvg({ ...chart, panels: [{ title: "", bars }] }), /broken/);
  });

  test("a run is drawn with its rates and its failover, ours standing out", () => {
    const rows = [
      peerRow(system("paxlock-set"), [stepResult()]),
      peerRow(system("redis-memory"), [stepResult()]),
      peerRow(system("etcd-lock"), [stepResult()]),
    ];
    const { panels } = peersChart(
      report({
        workloads: [
          { id: "pairs-1", title: "1 worker", kind: "pairs", rows },
          { id: "pairs-100", title: "100 workers", kind: "pairs", rows },
        ],
        failover: [
          failoverRow({ system: "paxlock", title: "Paxlock", gapsMs: [[700]], failed: 0 }),
        ],
      }),
      "a machine",
    );
    assert.equal(
      panels.map(({ title }) => title),
      [
        "Locks taken and freed in a second, 100 workers",
        "Longest time without a lock after kill -9 of the leader, median",
      ],
    );
    assert.equal(
      panels[0]?.bars.map(({ style }) => style),
      ["ours", "weaker", "peer"],
    );
    assert.is(panels[1]?.bars[0]?.text, "700 ms");
  });
});
