/** The replica against a clock, a scheduler and a disk that the test moves by hand. */
import * as assert from "uvu/assert";
import { present } from "../../src/base/assert.ts";
import {
  CHECKPOINT_REMOVED_PER_ROW,
  CHECKPOINT_ROWS,
  EVALUATED_SCRIPTS_MAX,
  EXPIRY_INTERVAL_MS,
  STORAGE_PATIENCE_MS,
  STORAGE_RETRY_MS,
} from "../../src/base/limits.ts";
import { isError, OK } from "../../src/base/reply.ts";
import type { EvalOperation } from "../../src/machine/operation.ts";
import { decodeEntry } from "../../src/wire/entry-codec.ts";
import { suite } from "../support/suite.ts";
import type { Answer } from "./world.ts";
import { get, setNx, World } from "./world.ts";

const SHA = "a".repeat(40);

function script(body: string | null, readOnly = false): EvalOperation {
  return { kind: "eval", db: 0, sha: SHA, body, keys: [], args: [], readOnly };
}

function text({ replies }: Answer): string {
  const [reply = null] = replies;
  return isError(reply) ? reply.text : String(reply);
}

suite("replica/durability", (test) => {
  test("no write is answered before its commit is durable", () => {
    const world = World.ready();

    const answer = world.write(0, setNx("a", "me"));
    world.scheduler.settle();

    assert.equal(answer.replies, []);
    assert.is(world.storage.inFlight?.log.length, 1);
    assert.is(
      world.replica.tryRead(0, get("a")),
      null,
      "nothing changes before the entry is applied",
    );
    world.storage.succeed();
    world.scheduler.settle();
    assert.equal(answer.replies, [OK]);
    assert.is(world.replica.tryRead(0, get("a")), "me");
  });

  test("all groups of a turn share one disk commit", () => {
    const world = World.ready({ groups: 3 });

    const answers = [0, 1, 2].map((group) => world.write(group, setNx("k", "v")));
    world.scheduler.settle();

    assert.equal(
      world.storage.inFlight?.log.map((record) => record.group),
      [0, 1, 2],
    );
    world.finishDisk();
    assert.is(world.storage.stored.length, 1);
    for (const answer of answers) assert.equal(answer.replies, [OK]);
  });

  test("what arrives while the disk works shares the next slot and commit", () => {
    const world = World.ready();
    world.write(0, setNx("first", "v"));
    world.scheduler.settle();

    for (let index = 0; index < 100; index += 1) {
      world.write(0, setNx(`k${index}`, "v"));
      // One event-loop turn may take in only some of them.
      if (index % 40 === 0) world.scheduler.settle();
    }
    world.scheduler.settle();
    world.finishDisk();

    const slots = world.storage.stored.map((commit) => commit.log.length);
    assert.ok(slots.length <= 3, `commits: ${slots.join(" ")}`);
    assert.is(world.replica.tryRead(0, get("k99")), "v");
  });

  test("the next commit is with the disk before the last one is answered", () => {
    const world = World.ready();
    let inFlightWhenAnswered: unknown = null;
    world.replica.write(0, setNx("a", "v"), {
      resolve: () => {
        inFlightWhenAnswered = world.storage.inFlight;
      },
    });
    world.scheduler.settle();
    world.write(0, setNx("b", "v"));
    world.scheduler.settle();

    world.storage.succeed();

    assert.is.not(inFlightWhenAnswered, null);
  });

  test("a failed commit is tried again as it is, and acknowledged only then", () => {
    const world = World.ready();
    const answer = world.write(0, setNx("a", "v"));
    world.scheduler.settle();
    const first = world.storage.inFlight;

    world.storage.fail("no space");
    world.scheduler.settle();

    assert.equal(answer.replies, []);
    assert.equal(world.storageReports, ["no space"]);
    world.scheduler.pass(STORAGE_RETRY_MS);
    assert.equal(world.storage.inFlight, first);
    world.finishDisk();
    assert.equal(answer.replies, [OK]);
    assert.equal(world.storageReports, ["no space", null]);
  });

  test("while the disk fails new writes are refused with the reason, and reads go on", () => {
    const world = World.ready();
    world.write(0, setNx("a", "v"));
    world.finishDisk();
    world.write(0, setNx("b", "v"));
    world.scheduler.settle();
    world.storage.fail("no space");

    const refused = world.write(1, setNx("c", "v"));

    const [reply = null] = refused.replies;
    assert.ok(isError(reply) && /^MISCONF .*no space/.test(reply.text));
    assert.is(world.replica.tryRead(0, get("a")), "v");
    world.scheduler.pass(STORAGE_RETRY_MS);
    world.finishDisk();
    assert.is(world.replica.tryRead(1, get("c")), null, "what was refused never happens");
    assert.equal(world.write(1, setNx("c", "v")).replies, [], "writes are taken again");
  });
});

suite("replica/broken disk", (test) => {
  test("what had no slot yet is refused at once, what had one is unknown after a while", () => {
    const world = World.ready();
    const inFlight = world.write(0, setNx("a", "v"));
    world.scheduler.settle();
    // The window holds a second slot; the third batch waits.
    const second = world.write(0, setNx("b", "v"));
    world.scheduler.settle();
    const waiting = world.write(0, setNx("c", "v"));
    world.scheduler.settle();

    world.storage.fail("no space");
    world.scheduler.settle();

    assert.match(text(waiting), /^MISCONF .*nothing was changed/);
    assert.equal([inFlight.replies, second.replies], [[], []]);
    for (let ms = 0; ms < STORAGE_PATIENCE_MS; ms += STORAGE_RETRY_MS) {
      world.scheduler.pass(STORAGE_RETRY_MS);
      if (world.storage.inFlight !== null) world.storage.fail("no space");
    }
    assert.match(text(inFlight), /^UNKNOWN /);
    assert.match(text(second), /^UNKNOWN /);
    assert.equal(world.storageReports, ["no space"], "one report for one failure");

    world.scheduler.pass(STORAGE_RETRY_MS);
    world.finishDisk();
    assert.is(world.replica.tryRead(0, get("a")), "v", "it may still take effect");
    assert.is(world.replica.tryRead(0, get("c")), null, "what was refused never happens");
    assert.equal([inFlight.replies.length, second.replies.length], [1, 1], "nobody hears twice");
    assert.equal(world.write(0, setNx("d", "v")).replies, []);
  });

  test("a read that comes after an unknown outcome is answered, and does not wait for the disk", () => {
    const world = World.ready();
    world.write(0, setNx("a", "v"));
    world.scheduler.settle();
    world.storage.fail("no space");
    for (let ms = 0; ms < STORAGE_PATIENCE_MS; ms += STORAGE_RETRY_MS) {
      world.scheduler.pass(STORAGE_RETRY_MS);
      if (world.storage.inFlight !== null) world.storage.fail("no space");
    }

    const read = world.readBehindWrites(0, get("a"));

    assert.equal(read.replies, [null]);
    world.scheduler.pass(STORAGE_RETRY_MS);
    world.finishDisk();
    assert.is(world.replica.tryRead(0, get("a")), "v");
  });

  test("stopping gives up with the reason instead of waiting for ever", () => {
    const world = World.ready();
    const answer = world.write(0, setNx("a", "v"));
    world.scheduler.settle();
    world.storage.fail("no space");
    let ended: string | null | undefined;

    world.replica.stop((failure) => {
      ended = failure?.message ?? null;
    });
    world.scheduler.settle();

    assert.is(ended, "no space");
    assert.match(text(answer), /^UNKNOWN /);
    world.scheduler.pass(10_000);
    assert.is(world.storage.inFlight, null, "nothing is handed to a storage that is closed");
  });

  test("a disk that refuses the first commits ends the start", () => {
    const world = new World();
    let ended: string | null | undefined;

    world.replica.start((failure) => {
      ended = failure?.message ?? null;
    });
    world.scheduler.settle();
    world.storage.fail("MDB_CORRUPTED");

    assert.is(ended, "MDB_CORRUPTED");
  });
});

suite("replica/reads", (test) => {
  test("a read behind writes sees all writes handed over before it", () => {
    const world = World.ready();
    world.write(0, setNx("a", "1"));
    world.scheduler.settle();
    world.write(0, setNx("b", "2"));

    const a = world.readBehindWrites(0, get("a"));
    const b = world.readBehindWrites(0, get("b"));

    assert.equal([a.replies, b.replies], [[], []]);
    world.finishDisk();
    assert.equal([a.replies, b.replies], [["1"], ["2"]]);
  });

  test("a read keeps its place between the writes of a pipeline", () => {
    const world = World.ready();

    const before = world.readBehindWrites(0, get("a"));
    world.write(0, setNx("a", "1"));
    const between = world.readBehindWrites(0, get("a"));
    world.write(0, { kind: "delete", db: 0, keys: ["a"] });
    const after = world.readBehindWrites(0, get("a"));
    world.finishDisk();

    assert.equal([before.replies, between.replies, after.replies], [[null], ["1"], [null]]);
  });

  test("a read behind writes does not wait for other groups", () => {
    const world = World.ready();
    world.write(0, setNx("a", "1"));
    world.scheduler.settle();

    assert.equal(world.readBehindWrites(1, get("x")).replies, [null]);
  });
});

suite("replica/time", (test) => {
  test("stamps follow the monotonic clock, whatever the wall clock does", () => {
    const world = World.ready();
    world.write(0, setNx("a", "v"));
    world.finishDisk();
    world.clock.monotonic += 250.9;
    world.clock.wall -= 3_600_000;
    world.write(0, setNx("b", "v"));
    world.finishDisk();

    const stamps = world.storage.stored
      .flatMap((commit) => commit.log)
      .map((record) => decodeEntry(record.value)?.nowMs);

    assert.equal(stamps, [0, 250]);
  });

  test("a point of the wall clock is one deadline at any moment, and reads as it was given", () => {
    const world = World.ready();
    const atMs = world.clock.wall + 1_000_000;
    const read = { kind: "ttl", db: 0, key: "a", unit: "ms", absolute: true } as const;
    const found: unknown[] = [];

    for (let passedMs = 0; passedMs < 10; passedMs += 0.3) {
      // The clocks tick at different moments.
      world.clock.monotonic = 2_000.25 + passedMs;
      world.clock.wall = Math.floor(atMs - 1_000_000 + 0.6 + passedMs);
      world.write(0, { ...setNx("a", "v", atMs), when: "always", expireMode: "at" });
      world.finishDisk();
      world.clock.monotonic += 0.15;
      found.push(world.replica.tryRead(0, read));
    }
    world.clock.wall += 60_000;
    found.push(world.replica.tryRead(0, read));

    assert.equal([...new Set(found)], [atMs, atMs + 60_000], "and follows a clock that was set");
  });

  test("a key that comes due is expired without any traffic", () => {
    const world = World.ready();
    world.write(0, setNx("a", "v", 100));
    world.finishDisk();

    world.scheduler.pass(100);
    world.finishDisk();
    assert.is(world.replica.tryRead(0, get("a")), "v", "a lease is never cut short");
    world.scheduler.pass(1);
    world.finishDisk();

    assert.is(world.replica.tryRead(0, get("a")), null);
  });

  test("entries that only carry time keep their distance", () => {
    const world = World.ready();
    for (let index = 0; index < 100; index += 1)
      world.write(0, setNx(`k${index}`, "v", 50 + index));
    world.finishDisk();
    world.storage.stored.length = 0;

    for (let ms = 0; ms < 200; ms += 1) {
      world.scheduler.pass(1);
      world.finishDisk();
    }

    assert.ok(world.storage.stored.length <= 100 / EXPIRY_INTERVAL_MS + 2);
    assert.is(world.replica.groups[0]?.machine.counts(0).keys, 0);
  });
});

suite("replica/checkpoints", (test) => {
  test("a checkpoint names exactly the slots whose effects it holds, and cuts the log there", () => {
    const world = World.ready();
    for (let index = 0; index < CHECKPOINT_ROWS; index += 1)
      world.write(0, setNx(`k${index}`, "v"));
    world.finishDisk();
    world.write(0, setNx("later", "v"));
    world.finishDisk();

    const states = world.storage.checkpoints;
    const [state] = states;

    assert.is(states.length, 1);
    assert.is([...(state?.rows ?? [])].length, CHECKPOINT_ROWS);
    assert.is(state?.cutThrough, state?.appliedSlot);
    assert.is(state?.appliedSlot, 1);
  });

  test("removed rows call for a checkpoint later than changed ones", () => {
    const world = World.ready();
    const most = CHECKPOINT_REMOVED_PER_ROW * CHECKPOINT_ROWS;
    for (let index = 0; index < most; index += 1) world.write(0, setNx(`k${index}`, "v"));
    world.finishDisk();
    world.scheduler.pass(3_000);
    world.finishDisk();
    const before = world.storage.checkpoints.length;
    const remove = (from: number, to: number): void => {
      const keys = Array.from({ length: to - from }, (_, index) => `k${from + index}`);
      world.write(0, { kind: "delete", db: 0, keys });
      world.finishDisk();
    };

    remove(0, most - 1);
    assert.is(world.storage.checkpoints.length, before);
    remove(most - 1, most);

    assert.is(world.storage.checkpoints.length, before + 1);
    const rows = [...(world.storage.checkpoints.at(-1)?.rows ?? [])];
    assert.is(rows.filter(({ bytes }) => bytes === null).length, most);
  });

  test("an idle node ends with everything in the state and nothing in the log", () => {
    const world = World.ready();
    world.write(0, setNx("a", "v"));
    world.write(1, setNx("b", "v"));
    world.finishDisk();

    world.scheduler.pass(3_000);
    world.finishDisk();
    const states = world.storage.checkpoints;

    assert.equal(states.map((state) => state.group).sort(), [0, 1]);
  });

  test("a quiet moment calls for one checkpoint of a group, whatever goes on after it", () => {
    const world = World.ready();
    world.write(0, setNx("before", "v"));
    world.finishDisk();
    world.scheduler.pass(1_000);
    assert.is.not(world.storage.checkpointInFlight, null, "it is quiet");

    // Each is applied while a checkpoint is in flight, if there is one: something is always new.
    for (let round = 0; round < 5; round += 1) {
      world.write(0, setNx(`k${round}`, "v"));
      world.scheduler.settle();
      world.storage.succeed();
      world.scheduler.settle();
      if (world.storage.checkpointInFlight !== null) world.storage.succeedCheckpoint();
      world.scheduler.settle();
    }

    assert.is(world.storage.checkpoints.length, 1);
  });

  test("a stop does not wait for the rows of a flush to be removed", () => {
    const world = World.ready();
    // Removed rows count a quarter towards a checkpoint that is due: enough for several of them.
    for (let key = 0; key < 12 * CHECKPOINT_ROWS; key += 1) world.write(0, setNx(`k${key}`, "v"));
    world.finishDisk();
    world.scheduler.pass(10_000);
    world.finishDisk();
    world.write(0, { kind: "flush", db: null });
    world.storage.checkpoints.length = 0;
    let stopped = false;

    world.replica.stop(() => {
      stopped = true;
    });
    world.finishDisk();

    assert.is(stopped, true);
    assert.is(world.storage.checkpoints.length, 1, "the flush is in it; the next start goes on");
    assert.ok(present(world.replica.groups[0], "there is a group").machine.dirtyRows() > 0);
  });

  test("an idle node without leases writes nothing", () => {
    const world = World.ready();
    world.write(0, { ...setNx("a", "v"), expireMode: "none" });
    world.finishDisk();
    world.scheduler.pass(3_000);
    world.finishDisk();
    world.storage.stored.length = 0;

    world.scheduler.pass(60_000);
    world.finishDisk();

    assert.equal(world.storage.stored, []);
  });

  test("an idle node with leases stamps its time now and then, and when it stops", () => {
    const world = World.ready();
    world.write(0, setNx("a", "v", 3_600_000));
    world.finishDisk();
    world.storage.stored.length = 0;

    for (let second = 0; second < 60; second += 1) {
      world.scheduler.pass(1_000);
      world.finishDisk();
    }
    const entries = world.storage.stored.flatMap((commit) => commit.log);
    world.clock.monotonic += 1_500;
    world.replica.stop(() => undefined);
    world.finishDisk();

    assert.ok(entries.length >= 10 && entries.length <= 13, `${entries.length} entries`);
    assert.is(world.replica.groups[0]?.machine.nowMs, 61_500);
  });

  test("a checkpoint on disk cuts the log in memory too", () => {
    const world = World.ready();
    let cutBefore = 0;
    for (let round = 0; round < 5; round += 1) {
      world.write(0, setNx(`k${round}`, "v"));
      world.finishDisk();
      // In a second in which only time is stamped, the checkpoint follows a second later.
      for (const ms of [1_000, 1_000]) {
        world.scheduler.pass(ms);
        world.finishDisk();
      }
      const cut = present(world.replica.groups[0], "there is a group").paxos.cutSlot;
      assert.ok(cut > cutBefore, `cut ${cut} after ${cutBefore}`);
      cutBefore = cut;
    }
  });

  test("stopping answers what is in flight, checkpoints, and refuses what comes after", () => {
    const world = World.ready();
    const before = world.write(0, setNx("a", "v"));
    let stopped = false;

    world.replica.stop(() => {
      stopped = true;
    });
    const after = world.write(0, setNx("b", "v"));
    world.scheduler.settle();
    assert.is(stopped, false, "the commit is not durable yet");
    world.finishDisk();

    assert.is(stopped, true);
    assert.equal(before.replies, [OK]);
    const [refusal = null] = after.replies;
    assert.ok(isError(refusal) && refusal.text.startsWith("TRYAGAIN"));
    assert.is(world.storage.checkpoints.length, 1);
  });

  test("commits and answers go on while a checkpoint is on its way to the disk", () => {
    const world = World.ready();
    for (let index = 0; index < CHECKPOINT_ROWS; index += 1) {
      world.write(0, setNx(`k${index}`, "v"));
    }
    world.scheduler.settle();
    world.storage.succeed();
    world.scheduler.settle();
    assert.is(world.storage.checkpointInFlight?.appliedSlot, 1);

    const answers = ["a", "b", "c"].map((key) => {
      const answer = world.write(0, setNx(key, "v"));
      world.scheduler.settle();
      world.storage.succeed();
      world.scheduler.settle();
      return answer;
    });

    assert.equal(
      answers.map(({ replies }) => replies),
      [[OK], [OK], [OK]],
    );
    assert.is(world.storage.checkpointInFlight?.appliedSlot, 1, "the same one, still");
    assert.is(world.replica.groups[0]?.paxos.cutSlot, 0);
    world.storage.succeedCheckpoint();
    assert.is(world.replica.groups[0]?.paxos.cutSlot, 1);
  });

  test("a failed checkpoint refuses new writes and is tried again as it is", () => {
    const world = World.ready();
    world.write(0, setNx("a", "v"));
    world.finishDisk();
    world.scheduler.pass(1_000);
    const checkpoint = world.storage.checkpointInFlight;
    assert.is.not(checkpoint, null);

    world.storage.failCheckpoint("no space");
    world.scheduler.settle();

    const refused = world.write(0, setNx("b", "v"));
    assert.match(text(refused), /^MISCONF .*no space/);
    world.scheduler.pass(STORAGE_RETRY_MS);
    assert.is(world.storage.checkpointInFlight, checkpoint);
    world.storage.succeedCheckpoint();
    assert.equal(world.storageReports, ["no space", null]);
    assert.equal(world.write(0, setNx("b", "v")).replies, [], "writes are taken again");
  });

  test("stopping gives up when its checkpoint fails, and waits for it when it does not", () => {
    for (const fails of [true, false]) {
      const world = World.ready({ groups: 1 });
      world.write(0, setNx("a", "v"));
      world.scheduler.settle();
      world.storage.succeed();
      world.scheduler.settle();
      let ended: string | null | undefined;
      world.replica.stop((failure) => {
        ended = failure?.message ?? null;
      });
      world.scheduler.settle();
      while (world.storage.inFlight !== null) {
        world.storage.succeed();
        world.scheduler.settle();
      }
      assert.is(ended, undefined, "the checkpoint is not durable yet");

      if (fails) world.storage.failCheckpoint("no space");
      else world.storage.succeedCheckpoint();
      world.scheduler.settle();

      assert.is(ended, fails ? "no space" : null);
      world.scheduler.pass(10_000);
      assert.is(world.storage.checkpointInFlight, null);
      assert.is(world.storage.inFlight, null);
    }
  });
});

suite("replica/scripts", (test) => {
  test("an EVALSHA behind a script that is still loading finds it", () => {
    const world = World.ready();
    world.write(0, { kind: "script-load", sha: SHA, body: "body" });

    assert.is(world.replica.scriptBody(SHA), "body");
    world.finishDisk();
    assert.is(world.replica.scriptBody(SHA), "body");
    assert.is(world.replica.groupHasScript(0, SHA), true);
    assert.is(world.replica.groupHasScript(1, SHA), false);
  });

  test("an EVALSHA behind a flush and a load finds what was loaded", () => {
    const world = World.ready();
    world.write(0, script("body"));
    world.finishDisk();

    for (const group of [0, 1]) world.write(group, { kind: "script-flush" });
    assert.is(world.replica.scriptBody(SHA), null);
    world.write(0, { kind: "script-load", sha: SHA, body: "body" });
    const answer = world.write(1, script(world.replica.scriptBody(SHA)));
    world.finishDisk();

    assert.equal(answer.replies, ["body"]);
    assert.is(world.replica.scriptBody(SHA), "body");
  });

  test("an EVAL whose script is evicted before its turn runs all the same, in its place", () => {
    const world = World.ready();
    world.write(0, script("body"));
    world.finishDisk();

    for (let index = 0; index < EVALUATED_SCRIPTS_MAX + 10; index += 1) {
      const sha = String(index).padStart(40, "0");
      world.write(0, { ...script(`other ${index}`), sha });
    }
    const answer = world.write(0, script("body"));
    world.finishDisk();

    assert.equal(answer.replies, ["body"]);
  });

  test("the body of a script that the group has does not pass through the log again", () => {
    const world = World.ready();
    world.write(0, script("a body that is easy to find"));
    world.finishDisk();
    world.storage.stored.length = 0;

    world.write(0, script("a body that is easy to find"));
    world.finishDisk();

    const values = world.storage.stored.flatMap((commit) => commit.log);
    assert.is(values.length, 1);
    assert.not.match(Buffer.from(present(values[0], "one").value).toString("latin1"), /easy/);
  });

  test("a body that is no Lua is never known", () => {
    const world = World.ready();

    world.write(0, { kind: "script-load", sha: SHA, body: "no Lua" });

    assert.is(world.replica.scriptBody(SHA), null);
  });

  test("while a flush is on its way no script is known", () => {
    const world = World.ready();
    world.write(0, script("body"));
    world.finishDisk();

    world.write(0, { kind: "script-flush" });

    assert.is(world.replica.scriptBody(SHA), null);
    world.finishDisk();
    assert.is(world.replica.scriptBody(SHA), null);
    assert.is(world.replica.scriptCount, 0);
  });

  test("a script that its group has lost is run again with the body of another group", () => {
    const world = World.ready();
    world.write(1, script("body"));
    world.finishDisk();

    const answer = world.write(0, script(null));
    world.finishDisk();

    assert.equal(answer.replies, ["body"]);
    assert.is(world.replica.groupHasScript(0, SHA), true);
  });

  test("a script that no group has is NOSCRIPT", () => {
    const world = World.ready();

    const answer = world.write(0, script(null));
    world.finishDisk();

    const [reply = null] = answer.replies;
    assert.ok(isError(reply) && reply.text.startsWith("NOSCRIPT "));
  });
});
