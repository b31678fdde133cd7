/**
 * A replica in a world that the test turns by hand: a clock that stands still, deferred tasks that
 * run when told, and a disk that keeps each commit until the test lets it succeed or fail.
 */
import { present } from "../../src/base/assert.ts";
import type { GroupId } from "../../src/base/ids.ts";
import type {
  Clock,
  Commit,
  Scheduler,
  SnapshotInstall,
  SnapshotView,
  StateWrite,
  Storage,
  Stored,
} from "../../src/base/ports.ts";
import type { Reply } from "../../src/base/reply.ts";
import { scriptCommands } from "../../src/commands/script-commands.ts";
import { Machine } from "../../src/machine/machine.ts";
import type { Operation, SetOperation } from "../../src/machine/operation.ts";
import type { ScriptEngine } from "../../src/machine/script/port.ts";
import { PaxosGroup } from "../../src/paxos/group.ts";
import type { ReplySink } from "../../src/replica/batch.ts";
import type { RecoveredGroup } from "../../src/replica/group-replica.ts";
import { Replica } from "../../src/replica/replica.ts";

/** A clock that moves only when told. */
export class ManualClock implements Clock {
  monotonic = 1_000;
  wall = 1_700_000_000_000;

  monotonicMs(): number {
    return this.monotonic;
  }

  wallMs(): number {
    return this.wall;
  }
}

/** Deferred tasks and timers that run when told. */
export class ManualScheduler implements Scheduler {
  readonly #clock: ManualClock;
  #deferred: (() => void)[] = [];
  #timers: { readonly atMs: number; readonly task: () => void }[] = [];

  constructor(clock: ManualClock) {
    this.#clock = clock;
  }

  defer(task: () => void): void {
    this.#deferred.push(task);
  }

  after(delayMs: number, task: () => void): () => void {
    const timer = { atMs: this.#clock.monotonic + delayMs, task };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Runs deferred tasks until there are none. */
  settle(): void {
    while (this.#deferred.length > 0) {
      const tasks = this.#deferred;
      this.#deferred = [];
      for (const task of tasks) task();
    }
  }

  /** Lets time pass, running the timers that come due, in order. */
  pass(ms: number): void {
    const endMs = this.#clock.monotonic + ms;
    for (;;) {
      const due = this.#timers.filter((timer) => timer.atMs <= endMs);
      due.sort((a, b) => a.atMs - b.atMs);
      const next = due[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#clock.monotonic = Math.max(this.#clock.monotonic, next.atMs);
      next.task();
      this.settle();
    }
    this.#clock.monotonic = endMs;
    this.settle();
  }
}

/** A write that waits for the test's word. */
interface Held<Write> {
  readonly write: Write;
  readonly done: Stored;
}

/** A disk that holds each write back. What succeeded is kept in `stored` and `checkpoints`. */
export class ManualStorage implements Storage {
  readonly stored: Commit[] = [];
  readonly checkpoints: StateWrite[] = [];
  #commit: Held<Commit> | null = null;
  #checkpoint: Held<StateWrite> | null = null;
  readonly bytes = new Map<GroupId, number>();

  get inFlight(): Commit | null {
    return this.#commit?.write ?? null;
  }

  get checkpointInFlight(): StateWrite | null {
    return this.#checkpoint?.write ?? null;
  }

  commit(commit: Commit, done: Stored): void {
    if (this.#commit !== null) throw new Error("two commits in flight");
    // The replica may go on to use its arrays; what was handed over is what counts.
    this.#commit = { write: { log: [...commit.log], promises: [...commit.promises] }, done };
  }

  checkpoint(write: StateWrite, done: Stored): void {
    if (this.#checkpoint !== null) throw new Error("two checkpoints in flight");
    this.#checkpoint = { write, done };
  }

  logBytes(group: GroupId): number {
    return this.bytes.get(group) ?? 0;
  }

  openSnapshot(): SnapshotView | null {
    throw new Error("nothing here asks for a snapshot");
  }

  install(): SnapshotInstall {
    throw new Error("nothing here installs a snapshot");
  }

  succeed(): void {
    const { write, done } = present(this.#commit, "a commit is in flight");
    this.stored.push(write);
    for (const record of write.log) {
      this.bytes.set(record.group, this.logBytes(record.group) + record.value.length);
    }
    this.#commit = null;
    done(null);
  }

  succeedCheckpoint(): void {
    const { write, done } = present(this.#checkpoint, "a checkpoint is in flight");
    this.checkpoints.push(write);
    this.bytes.set(write.group, 0);
    this.#checkpoint = null;
    done(null);
  }

  fail(reason: string): void {
    const { done } = present(this.#commit, "a commit is in flight");
    this.#commit = null;
    done(new Error(reason));
  }

  failCheckpoint(reason: string): void {
    const { done } = present(this.#checkpoint, "a checkpoint is in flight");
    this.#checkpoint = null;
    done(new Error(reason));
  }
}

/** Keeps the answers to one operation. */
export class Answer implements ReplySink {
  readonly replies: Reply[] = [];

  resolve(reply: Reply): void {
    this.replies.push(reply);
  }
}

/** A script engine for scripts that run the command that is their arguments, or return their own body. */
export const echoEngine: ScriptEngine = {
  compile: () => null,
  run: ({ body, args }, host) => ({
    kind: "done",
    reply: args.length === 0 ? body : host.call(args),
  }),
};

export class World {
  readonly clock = new ManualClock();
  readonly scheduler = new ManualScheduler(this.clock);
  readonly storage: ManualStorage;
  readonly replica: Replica;
  readonly storageReports: (string | null)[] = [];
  answeredRounds = 0;

  constructor(options: { readonly groups?: number; readonly storage?: ManualStorage } = {}) {
    this.storage = options.storage ?? new ManualStorage();
    this.replica = new Replica({
      self: 1,
      boot: 1,
      transport: null,
      storage: this.storage,
      clock: this.clock,
      scheduler: this.scheduler,
      newSessionId: sessionIds(),
      onAnswered: () => {
        this.answeredRounds += 1;
      },
      onStorage: (reason) => {
        this.storageReports.push(reason === null ? null : reason.message);
      },
      compiles: (_, body) => !body.includes("no Lua"),
      newMachine,
    });
    for (let id = 0; id < (options.groups ?? 2); id += 1) this.replica.addGroup(this.#group(id));
  }

  /** A replica that leads all its groups, with nothing in flight. */
  static ready(options: { readonly groups?: number } = {}): World {
    const world = new World(options);
    const started = { ready: false };
    world.replica.start((failure) => {
      started.ready = failure === null;
    });
    world.scheduler.settle();
    world.finishDisk();
    if (!started.ready)
      throw new Error("a replica of groups of one leads after its promises are stored");
    world.storage.stored.length = 0;
    world.storage.checkpoints.length = 0;
    return world;
  }

  /** Lets every commit and every checkpoint succeed until nothing is left to write. */
  finishDisk(): void {
    this.scheduler.settle();
    for (;;) {
      if (this.storage.inFlight !== null) this.storage.succeed();
      else if (this.storage.checkpointInFlight !== null) this.storage.succeedCheckpoint();
      else return;
      this.scheduler.settle();
    }
  }

  write(group: GroupId, operation: Operation): Answer {
    const answer = new Answer();
    this.replica.write(group, operation, answer);
    return answer;
  }

  readBehindWrites(group: GroupId, operation: Operation): Answer {
    const answer = new Answer();
    this.replica.readBehindWrites(group, operation, answer);
    return answer;
  }

  #group(id: GroupId): RecoveredGroup {
    return {
      id,
      machine: newMachine(),
      paxos: new PaxosGroup(
        { self: 1, members: [{ id: 1, voter: true, address: "" }], window: 2 },
        { promised: 0, accepted: [], appliedSlot: 0 },
      ),
    };
  }
}

/** Ids of sessions, as regular as can be. */
export function sessionIds(first = 1): () => string {
  let next = first;
  return () => {
    next += 1;
    return (next - 1).toString(16).padStart(32, "0");
  };
}

/** A state without a key, whose scripts are those of {@link echoEngine}. */
export function newMachine(): Machine {
  return new Machine({ scripts: echoEngine, commands: scriptCommands, owns: () => true });
}

/** `SET key value NX PX ms`. */
export function setNx(key: string, value: string, expireMs = 30_000): SetOperation {
  return {
    kind: "set",
    db: 0,
    key,
    value,
    when: "nx",
    compare: "",
    expireMode: "after",
    expireMs,
    answer: "status",
  };
}

export function get(key: string): Operation {
  return { kind: "get", db: 0, key };
}
