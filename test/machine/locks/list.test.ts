/** LOCK.LIST: steps through all locks that miss nothing that stays. */
import * as assert from "uvu/assert";
import { Prng } from "../../../src/base/prng.ts";
import type { Reply } from "../../../src/base/reply.ts";
import type { LockListOperation } from "../../../src/machine/locks/lock-operation.ts";
import { suite } from "../../support/suite.ts";
import { many, set } from "../machine-fixture.ts";
import { asking, field, LockRig, releasing, SHARED, WAIT, withOptions } from "./lock-rig.ts";

function step(
  rig: LockRig,
  cursor: number,
  more: Partial<LockListOperation> = {},
): [number, string[]] {
  const filter = { count: 3, match: null, owner: null, which: "all", ...more } as const;
  const [next, locks] = rig.read({ kind: "lock-list", db: 0, cursor, ...filter }) as [
    number,
    readonly Reply[],
  ];
  return [next, locks.map((one) => String(field(one, "key")))];
}

function all(rig: LockRig, more: Partial<LockListOperation> = {}): string[] {
  const keys: string[] = [];
  let cursor = 0;
  do {
    const [next, found] = step(rig, cursor, more);
    keys.push(...found);
    cursor = next;
  } while (cursor !== 0);
  return keys;
}

suite("machine/locks/list", (test) => {
  test("it shows what is held or waited for, each once, and what was asked for alone", () => {
    const rig = new LockRig();
    rig.apply(set("plain", "p"));
    rig.acquire("read", "a", SHARED);
    rig.acquire("read", "b", SHARED);
    rig.acquire("queued", "a");
    rig.acquire("queued", "c", WAIT);
    rig.acquire("delayed", "a", { ttlMs: 5, delayMs: 5_000 });
    rig.acquire("delayed", "c", WAIT);
    rig.apply(withOptions("options", { limit: 3 }));
    rig.after(6);

    assert.equal(all(rig), ["plain", "read", "queued", "delayed"]);
    assert.equal(all(rig, { which: "held" }), ["plain", "read", "queued"]);
    assert.equal(all(rig, { which: "queued" }), ["queued", "delayed"]);
    assert.equal(all(rig, { owner: "a" }), ["read", "queued"]);
    assert.equal(all(rig, { owner: "c" }), ["queued", "delayed"]);
    assert.equal(all(rig, { match: "*e[ad]*" }), ["read", "queued", "delayed"]);
  });

  test("a step looks at so many locks and no more, and any replica can take the next one", () => {
    const rig = new LockRig();
    rig.apply(...Array.from({ length: 100 }, (_, index) => set(`k${index}`, "x")));
    const [next, keys] = step(rig, 0, { count: 10 });

    assert.is(keys.length, 10);
    assert.is(step(rig, next, { count: 10, match: "none" })[1].length, 0);
    assert.equal(step(rig, next, { count: 90 }), [
      0,
      Array.from({ length: 90 }, (_, index) => `k${index + 10}`),
    ]);
  });

  test("what is held or waited for all the time is shown, whatever becomes of it on the way", () => {
    for (let seed = 0; seed < 200; seed += 1) {
      const prng = new Prng(`list ${seed}`);
      const rig = new LockRig();
      const names = ["s0", "s1", "s2", "s3", "s4", "s5"];
      for (const name of names) rig.apply(asking(name, "a", { ttlMs: 1e9 }));
      const seen = new Set<string>();
      let owners = 0;
      let cursor = 0;
      do {
        const [next, keys] = step(rig, cursor, { count: prng.between(1, 2) });
        for (const key of keys) seen.add(key);
        cursor = next;
        for (let change = prng.below(4); change > 0; change -= 1) {
          // Handed from one to another, with a delay or readers in between; never free and forgotten.
          const key = prng.pick(names);
          const isReader = prng.chance(1, 3);
          owners += 1;
          const next = asking(key, `o${owners}`, {
            ...(isReader ? SHARED : {}),
            ttlMs: 1e9,
            waitMs: 1e9,
          });
          const holder = rig.who(key).split(" <")[0] ?? "";
          // DEL would take a reader along that has come in at once.
          const frees =
            isReader || prng.chance(1, 2)
              ? holder.split("+").map((owner) => releasing(key, owner))
              : [many("delete", key)];
          const steps = [next, ...frees, set(`noise${prng.below(3)}`, "x")];
          rig.apply(...(prng.chance(4, 5) ? steps : [next]));
          if (prng.chance(1, 3)) rig.apply(many("delete", `noise${prng.below(3)}`));
        }
      } while (cursor !== 0);

      assert.equal(
        names.filter((name) => !seen.has(name)),
        [],
        `seed ${seed}`,
      );
    }
  });
});
