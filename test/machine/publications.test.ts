/** What scripts publish: told once, after the entry, of what has happened and of nothing else. */
import * as assert from "uvu/assert";
import {
  ENTRY_MESSAGES_BYTES_MAX,
  SCRIPT_MESSAGE_OVERHEAD_BYTES,
  SCRIPT_MESSAGES_BYTES_MAX,
  SCRIPT_MESSAGES_MAX,
} from "../../src/base/limits.ts";
import type { Reply } from "../../src/base/reply.ts";
import { errorReply, OK } from "../../src/base/reply.ts";
import type { EvalOperation } from "../../src/machine/operation.ts";
import { suite } from "../support/suite.ts";
import type { Program, PublishStep, Step } from "./machine-fixture.ts";
import { Disk, evaluation, get, localEntry, Rig, set } from "./machine-fixture.ts";

const READ_ONLY = errorReply("ERR Write commands are not allowed from read-only scripts.");

function publish(channel: string, message = "m"): PublishStep {
  return { kind: "publish", channel, message };
}

function script(...steps: readonly (Step | PublishStep)[]): EvalOperation {
  return scriptThat("done", steps);
}

function scriptThat(end: Program["end"], steps: readonly (Step | PublishStep)[]): EvalOperation {
  return evaluation({ steps: steps as readonly Step[], end });
}

/** What was published since this was last asked, as `channel message`. */
function told({ machine }: Rig): string[] {
  return machine.takePublished().map(({ channel, message }) => `${channel} ${message}`);
}

function textOf(reply: Reply): string {
  return (reply as { readonly text: string }).text;
}

suite("machine/publications", (test) => {
  test("what the scripts of an entry publish is told in their order, and each is answered 0", () => {
    const rig = new Rig();
    const unlock = script(publish("a", "1"), set("k", "v"), publish("b", "2"));

    assert.equal(rig.apply(unlock), [0, OK, 0]);
    assert.equal(told(rig), ["a 1", "b 2"]);
    assert.equal(told(rig), []);
    rig.apply(script(publish("\xff\0", "")), set("k", "w"), script(publish("c")));
    assert.equal(told(rig), ["\xff\0 ", "c m"]);
  });

  test("what nobody has taken is forgotten with the next entry", () => {
    const rig = new Rig();
    rig.apply(script(publish("a")));
    rig.apply(set("k", "v"));
    assert.equal(told(rig), []);
  });

  test("an aborted script has published nothing, those before and behind it have", () => {
    const rig = new Rig();
    const steps = [set("k", "v"), publish("a"), publish("b")];
    rig.apply(script(publish("1")), scriptThat("aborted", steps), script(publish("2")));
    assert.equal(told(rig), ["1 m", "2 m"]);
    assert.is(rig.read(get("k")), null);
  });

  test("the repeat of a forwarded script is answered and publishes nothing", () => {
    const rig = new Rig();
    const operation = script(publish("a"));
    const origin = { node: 2, boot: 1, sequence: 1, floor: 0 };
    assert.equal(rig.forwarded([operation], [origin]), [[0]]);
    assert.equal(told(rig), ["a m"]);
    assert.equal(rig.forwarded([operation], [origin]), [[0]]);
    assert.equal(told(rig), []);
  });

  test("a void entry publishes nothing", () => {
    const { machine } = new Rig();
    const entry = (number: number, after: number): Parameters<typeof machine.apply>[0] => ({
      ...localEntry({ nowMs: 1_000, wallMs: 0, operations: [script(publish(`${number}`))] }),
      proposal: { node: 1, boot: 1, number, after },
    });
    machine.apply(entry(1, 0), 1);
    machine.apply(entry(3, 2), 2);
    assert.equal(machine.takePublished(), []);
    machine.apply(entry(2, 1), 3);
    assert.equal(
      machine.takePublished().map(({ channel }) => channel),
      ["2"],
    );
  });

  test("a read-only script may not publish, neither in an entry nor as a read", () => {
    const rig = new Rig();
    const operation = { ...script(publish("a")), readOnly: true };
    assert.equal(rig.apply(operation), [READ_ONLY]);
    assert.equal(rig.read(operation), [READ_ONLY]);
    assert.equal(told(rig), []);
  });

  test("a read between the writes of an entry takes nothing away of what those publish", () => {
    const { machine } = new Rig();
    const writes = [script(publish("a")), script(publish("b"))];
    const read = { operation: { ...script(get("k")), readOnly: true }, after: 1, reply: OK };
    machine.apply(localEntry({ nowMs: 1_000, wallMs: 0, operations: writes }), 1, [read]);
    assert.equal(
      machine.takePublished().map(({ channel }) => channel),
      ["a", "b"],
    );
  });

  test("a script past its number or bytes of messages never happened, whatever it did then", () => {
    const rig = new Rig();
    const many = Array.from({ length: SCRIPT_MESSAGES_MAX }, () => publish("a", ""));
    const half = "x".repeat(SCRIPT_MESSAGES_BYTES_MAX / 2);
    assert.equal(
      rig.apply(script(...many)),
      many.map(() => 0),
    );
    assert.is(told(rig).length, SCRIPT_MESSAGES_MAX);
    assert.equal(rig.apply(script(publish("", half), publish("", half))), [0, 0]);
    assert.is(told(rig).length, 2);

    for (const steps of [
      [...many, publish("a", ""), set("k", "v")],
      [publish("", half), publish("", half), publish("a", ""), set("k", "v"), publish("b")],
    ]) {
      const before = rig.machine.digest();
      assert.match(textOf(rig.apply(script(...steps))), /^LIMIT a script publishes 256 messages/);
      assert.equal(told(rig), []);
      assert.is(rig.read(get("k")), null);
      assert.is.not(rig.machine.digest(), before, "the script is kept, as one that did nothing");
    }
    assert.equal(rig.apply(script(publish("c"))), [0]);
    assert.equal(told(rig), ["c m"]);
  });

  test("past the bytes of an entry a script is undone and told to come again; small ones go on", () => {
    const rig = new Rig();
    const large = script(publish("", "x".repeat(SCRIPT_MESSAGES_BYTES_MAX)), set("k", "v"));
    const each = SCRIPT_MESSAGES_BYTES_MAX + SCRIPT_MESSAGE_OVERHEAD_BYTES;
    const fitting = Math.floor(ENTRY_MESSAGES_BYTES_MAX / each);
    const operations = Array.from({ length: fitting }, () => large);

    assert.match(textOf(rig.apply(...operations, large)), /^TRYAGAIN scripts publish too much/);
    assert.is(told(rig).length, fitting);
    assert.equal(rig.apply(...operations, large, script(publish("a"))), [0]);
    assert.is(told(rig).at(-1), "a m");
    assert.equal(rig.apply(large), [0, OK], "the next entry begins anew");
  });

  test("a replica restored from a checkpoint publishes what the others do", () => {
    const rig = new Rig();
    rig.apply(set("k", "v"), script(publish("a")));
    const disk = new Disk();
    disk.write(rig.machine);
    const restored = disk.restore();
    assert.equal(restored.takePublished(), []);
    const { nowMs, wallMs } = rig;
    const entry = localEntry({ nowMs, wallMs, operations: [script(publish("b"))] });
    told(rig);
    const slot = rig.machine.appliedSlot + 1;
    assert.equal(restored.apply(entry, slot), rig.machine.apply(entry, slot));
    assert.equal(restored.takePublished(), rig.machine.takePublished());
    assert.is(restored.digest(), rig.machine.digest());
  });
});
