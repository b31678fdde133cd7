/**
 * All nodes are restarted, one after the other, while clients take and free locks in every group
 * through every node. Two promises are measured: a request needs at most one retry, at another node,
 * and between two answers of one group lie never more than 200 ms.
 *
 * A worker is on one node and one group. It takes a lock, frees it, and begins anew; when its
 * connection ends, or its request is told to be tried again, it goes to the next node with the same
 * request. The pause of a group is the longest time without an answer to any of its workers.
 */
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { groupOfSlot, hashSlot } from "../../src/cluster/hash-slot.ts";
import { waitedMs } from "../support/bystander.ts";
import { withPaxlockCluster, type PaxlockCluster } from "../support/paxlock-cluster.ts";
import { RespClient } from "../support/resp-client.ts";
import { RespError, type RespValue } from "../support/resp3-reader.ts";
import { suite } from "../support/suite.ts";

const GROUPS = 8;
const NODES = [1, 2, 3] as const;
const PAUSE_MS_MAX = 200;
/** How often the kernel is asked what the processes waited for a processor. */
const LOOK_MS = 10;
/** Without an answer to any of 24 workers for so long, nothing runs. */
const STALL_MS = 20;
/** Between two requests of one worker: load enough to see a pause, little enough to share two cores. */
const THINK_MS = 5;
const RELEASE =
  "if redis.call('get',KEYS[1]) == ARGV[1] then return redis.call('del',KEYS[1]) else return 0 end";

/** A key that belongs to a group. */
function keyOf(group: number, worker: number): string {
  for (let number = 0; ; number += 1) {
    const key = `lock-${worker}-${number}`;
    if (groupOfSlot(hashSlot(key), GROUPS) === group) return key;
  }
}

/**
 * What the machine takes: the processes of test and nodes share two cores with whatever else runs. The
 * time in which no group at all was answered is printed: what stalls everything is no pause of a group.
 * Nor is the time that one of them was ready to run and waited for a processor.
 */
class Machine {
  readonly #pids: () => readonly number[];
  /** By place: whose, and how long it has waited. */
  #last: { readonly pid: number; readonly ms: number }[] = [];
  /** How long each, test and nodes, has waited for a processor since the beginning. */
  #waitsMs: number[] = [];
  #lastMs = performance.now();
  stalledMs = 0;
  longestMs = 0;

  /** `pids` gives the processes, each always in the same place, also when it has been restarted. */
  constructor(pids: () => readonly number[]) {
    this.#pids = pids;
  }

  /** Of each process since the beginning, as of the last {@link look}. */
  get waitsMs(): readonly number[] {
    return this.#waitsMs;
  }

  /** Asks the kernel; what a process has waited between the last look and its end is lost. */
  look(): void {
    const now = this.#pids().map((pid) => ({ pid, ms: waitedMs([pid]) }));
    this.#waitsMs = now.map(({ pid, ms }, place) => {
      const last = this.#last[place];
      const more = ms - (last?.pid === pid ? last.ms : 0);
      return (this.#waitsMs[place] ?? 0) + Math.max(0, more);
    });
    this.#last = now;
  }

  answered(nowMs: number): void {
    const gapMs = nowMs - this.#lastMs;
    this.#lastMs = nowMs;
    if (gapMs < STALL_MS) return;
    this.stalledMs += gapMs;
    this.longestMs = Math.max(this.longestMs, gapMs);
  }
}

/** What was seen of one group by all its workers. */
class Progress {
  readonly #machine: Machine;
  #lastMs = performance.now();
  #stalledBeforeMs = 0;
  #waitsBeforeMs: readonly number[] = [];
  /** The longest time without an answer, less what the machine took of it. */
  longestMs = 0;
  requests = 0;
  retried = 0;
  /** Requests that needed a second retry, or were answered wrongly. */
  readonly faults: string[] = [];

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  answered(): void {
    const nowMs = performance.now();
    this.#machine.answered(nowMs);
    const gapMs = nowMs - this.#lastMs;
    // Shorter ones are not worth a look.
    if (gapMs > PAUSE_MS_MAX / 4) this.#machine.look();
    const { stalledMs, waitsMs } = this.#machine;
    // The way of a request leads from one process to the next, so no two of them are added up.
    const waitedLongestMs = Math.max(
      ...waitsMs.map((ms, place) => ms - (this.#waitsBeforeMs[place] ?? 0)),
    );
    const takenMs = Math.max(stalledMs - this.#stalledBeforeMs, waitedLongestMs);
    this.longestMs = Math.max(this.longestMs, gapMs - takenMs);
    this.#lastMs = nowMs;
    this.#stalledBeforeMs = stalledMs;
    this.#waitsBeforeMs = waitsMs;
    this.requests += 1;
  }
}

class Worker {
  readonly #cluster: PaxlockCluster;
  readonly #progress: Progress;
  readonly #key: string;
  #node: number;
  #client: RespClient | null = null;

  constructor(cluster: PaxlockCluster, at: { progress: Progress; key: string; node: number }) {
    this.#cluster = cluster;
    this.#progress = at.progress;
    this.#key = at.key;
    this.#node = at.node;
  }

  async run(stopped: () => boolean): Promise<void> {
    for (let round = 0; !stopped(); round += 1) {
      const owner = `${this.#node}-${round}`;
      // After a lost answer the lock may be held already, by this very request.
      const taken = await this.#ask(["SET", this.#key, owner, "NX", "PX", 60_000, "GET"]);
      if (taken !== null && taken !== owner)
        this.#fault(`it got ${String(taken)} and not the lock`);
      const held = await this.#ask(["GET", this.#key]);
      if (held !== owner) this.#fault(`${owner} took the lock, and ${String(held)} holds it`);
      await this.#ask(["EVAL", RELEASE, 1, this.#key, owner]);
      await sleep(THINK_MS);
    }
    this.#client?.close();
  }

  async #ask(request: readonly (string | number)[]): Promise<RespValue> {
    for (let attempt = 0; ; attempt += 1) {
      const answer = await this.#attempt(request);
      if (!(answer instanceof Error)) {
        this.#progress.answered();
        if (attempt > 0) this.#progress.retried += 1;
        return answer;
      }
      if (attempt === 1) this.#fault(`two attempts failed, the last with ${answer.message}`);
      if (attempt > 100) throw answer;
      this.#client?.close();
      this.#client = null;
      this.#node = (this.#node % NODES.length) + 1;
    }
  }

  async #attempt(request: readonly (string | number)[]): Promise<RespValue | Error> {
    try {
      this.#client ??= await RespClient.connect({ port: this.#cluster.clientPort(this.#node) });
      const reply = await this.#client.call(...request);
      return reply instanceof RespError ? new Error(reply.message) : reply;
    } catch (thrown) {
      return thrown instanceof Error ? thrown : new Error(String(thrown));
    }
  }

  #fault(text: string): void {
    this.#progress.faults.push(`${this.#key} at node ${this.#node}: ${text}`);
  }
}

suite(
  "cluster/rolling-restart",
  (test) => {
    test("a rolling restart loses no request beyond a retry and pauses no group for over 200 ms", async () => {
      await withPaxlockCluster({ args: ["--groups", String(GROUPS)] }, async (cluster) => {
        let stop = false;
        const machine = new Machine(() => [
          process.pid,
          ...NODES.map((id) => cluster.node(id).pid),
        ]);
        machine.look();
        const looking = setInterval(() => {
          machine.look();
        }, LOOK_MS);
        // A failure must not be kept from ending the process.
        looking.unref();
        const groups = Array.from({ length: GROUPS }, () => new Progress(machine));
        const workers = groups.flatMap((progress, group) =>
          NODES.map(async (node) => {
            const key = keyOf(group, node);
            await new Worker(cluster, { progress, key, node }).run(() => stop);
          }),
        );
        const begunMs = performance.now();

        for (const id of NODES) {
          await sleep(1_000);
          await cluster.node(id).restart();
          await cluster.until(`node ${id} leads again`, ({ nodes, problems }) => {
            const leads = nodes.find(({ node }) => node === id)?.leads.length ?? 0;
            return problems[0] ?? (leads > 0 ? null : "not yet");
          });
        }
        await sleep(1_000);
        const seconds = (performance.now() - begunMs) / 1_000;
        stop = true;
        await Promise.all(workers);
        clearInterval(looking);

        const pauses = groups.map(({ longestMs }) => Math.round(longestMs));
        const requests = groups.reduce((sum, group) => sum + group.requests, 0);
        const retried = groups.reduce((sum, group) => sum + group.retried, 0);
        console.log(
          `summary: rolling restart: ${requests} requests in ${seconds.toFixed(1)} s, ${retried} retried, ` +
            `longest pause per group ${pauses.join(", ")} ms; ` +
            `nothing ran for ${Math.round(machine.longestMs)} ms at the longest`,
        );
        assert.ok(requests > 1_000);
        assert.equal(
          groups.flatMap(({ faults }) => faults),
          [],
        );
        assert.ok(Math.max(...pauses) <= PAUSE_MS_MAX, `pauses of ${pauses.join(", ")} ms`);
      });
    });
  },
  { timeoutMs: 240_000 },
);
