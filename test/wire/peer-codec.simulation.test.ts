/**
 * Groups under every fault of the consensus simulation, with each message passing through the bytes of
 * a body: what real groups say is never refused, and means the same when it arrives.
 */
import * as assert from "uvu/assert";
import { ByteWriter } from "../../src/base/bytes.ts";
import type { PaxosMessage } from "../../src/paxos/messages.ts";
import { decodePeerBody, encodePeerBody } from "../../src/wire/peer-codec.ts";
import type { Letter, Setting } from "../paxos/world.ts";
import { World } from "../paxos/world.ts";
import { suite } from "../support/suite.ts";
import { consensusKinds } from "./peer-samples.ts";

const SETTINGS: readonly Setting[] = [
  { nodes: 3 },
  { nodes: 5, changing: true },
  { nodes: 3, growing: true },
];

const SEEDS = 20;

suite(
  "wire/peer-codec in the simulation",
  (test) => {
    test("every message that a group sends comes back as it was, and the group lives by it", () => {
      const seen = new Set<PaxosMessage["kind"]>();
      const writer = new ByteWriter();
      const deliver = (letter: Letter): Letter[] => {
        const sent = { kind: "paxos", group: 1, message: letter.message } as const;
        seen.add(letter.message.kind);
        writer.reset();
        encodePeerBody(writer, [sent]);
        const received = decodePeerBody(writer.take());
        assert.equal(received, [sent]);
        const [first] = received;
        assert.ok(typeof first === "object" && first.kind === "paxos");
        return [{ ...letter, message: first.message }];
      };

      for (const setting of SETTINGS) {
        for (let seed = 1; seed <= SEEDS; seed += 1) new World(seed, setting, { deliver }).run();
      }

      assert.equal([...seen].sort(), [...consensusKinds].sort());
    });
  },
  { timeoutMs: 60_000 },
);
