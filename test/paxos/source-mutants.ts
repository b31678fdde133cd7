/**
 * Bugs of membership and of leases across it, planted in the source itself: a few lines of a copy of
 * `src/paxos` are replaced, and the simulation runs on the copy. Where an assert of the core would
 * give the bug away before the world notices, the assert goes too.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { PaxosGroup } from "../../src/paxos/group.ts";
import type { Setting } from "./world.ts";

/** Replaces `from`, which occurs once in `file`, by `to`. */
export interface Edit {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

export interface SourceMutant {
  readonly title: string;
  readonly edits: readonly Edit[];
  readonly setting: Setting;
  /** Which invariant must be reported as broken. */
  readonly breaks: RegExp;
}

const CHANGING: Setting = { nodes: 5, changing: true };

const noAssert = (file: string, from: string): Edit => ({ file, from, to: "" });

const NOTHING_BEYOND = noAssert(
  "leadership.ts",
  `assert(this.#log.chosen === this.#nextSlot - 1, "[P10] nothing is open beyond a membership");`,
);
const OWN_MEMBERSHIPS = noAssert(
  "group.ts",
  `assert(
          leadership.changeSlot === slot,
          "[P11] a leader has proposed its memberships itself",
        );`,
);
const ONLY_VOTERS = noAssert(
  "group.ts",
  `assert(this.#membership.has(this.#settings.self), "[P10] only a voter seeks to lead");`,
);

export const SOURCE_MUTANTS: readonly SourceMutant[] = [
  {
    title: "votes are counted by a membership that is only proposed [P10]",
    edits: [
      {
        file: "leadership.ts",
        from: `import type { Member, Membership } from "./membership.ts";`,
        to: `import type { Member } from "./membership.ts"; import { Membership } from "./membership.ts";`,
      },
      {
        file: "leadership.ts",
        from: "this.#proposeNext(encodeMembers(this.#change.members));",
        to: `this.#membership = new Membership(this.#change.members);
          this.#proposeNext(encodeMembers(this.#change.members));`,
      },
      {
        file: "leadership.ts",
        from: "entry.votes |= this.#membership.only(voter);",
        to: "if (this.#membership.has(voter)) entry.votes |= this.#membership.only(voter);",
      },
    ],
    setting: CHANGING,
    breaks: /\[P[23]\]/,
  },
  {
    title: "proposals go on while a membership is open [P10]",
    edits: [
      {
        file: "leadership.ts",
        from: "if (this.#handover !== null || this.#change !== null) return false;\n    return open",
        to: "if (this.#handover !== null) return false;\n    return open",
      },
      NOTHING_BEYOND,
    ],
    setting: CHANGING,
    breaks: /\[P[1-9]\]/,
  },
  {
    title: "learners count as voters [P13]",
    edits: [
      {
        file: "membership.ts",
        from: "this.members.filter(({ voter }) => voter).map(({ id }) => id)",
        to: "this.members.map(({ id }) => id)",
      },
    ],
    setting: CHANGING,
    breaks: /\[P[23]\]/,
  },
  {
    title: "a ballot that finds a membership goes on beyond it, without a new phase 1 [P11]",
    edits: [
      {
        file: "group.ts",
        from: "const membersSlot = candidacy.firstMembers();",
        to: "const membersSlot = candidacy.firstMembers() * 0;",
      },
      OWN_MEMBERSHIPS,
      NOTHING_BEYOND,
      noAssert(
        "leadership.ts",
        `assert(membership.has(this.#settings.self), "[P10] a leader does not remove itself");`,
      ),
    ],
    setting: CHANGING,
    breaks: /\[P[1-9]\]/,
  },
  {
    title: "a leader that changed the members goes on counting by those before [P10]",
    edits: [
      {
        file: "leadership.ts",
        from: "    this.#membership = membership;\n    this.#lease.adopt",
        to: "    this.#lease.adopt",
      },
      {
        file: "group.ts",
        from: 'if (message.ballot !== this.#ballot || !this.#membership.has(from)) return;\n    if (this.#state.kind === "leader") {',
        to: 'if (message.ballot !== this.#ballot) return;\n    if (this.#state.kind === "leader") {',
      },
      {
        file: "leadership.ts",
        from: "entry.votes |= this.#membership.only(voter);",
        to: "if (this.#membership.has(voter)) entry.votes |= this.#membership.only(voter);",
      },
    ],
    setting: CHANGING,
    breaks: /\[P[23]\]/,
  },
  {
    title: "the lease is counted from the members before [P8]",
    edits: [
      {
        file: "lease.ts",
        from: "    this.#membership = membership;\n    for (const known of [...this.#answers.keys()]) {\n      if (!membership.includes(known)) this.#answers.delete(known);\n    }",
        to: "",
      },
      {
        file: "group.ts",
        from: "message.ballot === this.#ballot &&\n          this.#membership.includes(from)",
        to: "message.ballot === this.#ballot",
      },
    ],
    setting: CHANGING,
    breaks: /\[P[89]\]/,
  },
  {
    title: "one of two that may be left alone takes that for done after a restart [P10]",
    edits: [
      {
        file: "group.ts",
        from: "    this.#electionTicks = this.#drawElectionTicks();\n    this.#isAlone",
        to: `    this.#electionTicks = this.#drawElectionTicks();
    for (const members of this.#log.openMembers()) {
      const accepted = new Membership(members);
      if (accepted.isAlone(options.self)) this.#membership = accepted;
    }
    this.#isAlone`,
      },
      {
        file: "group.ts",
        from: "this.#membership.isAlone(options.self) && this.#log.openMembers().length === 0",
        to: "this.#membership.isAlone(options.self)",
      },
    ],
    setting: CHANGING,
    breaks: /\[P[1-9]\]/,
  },
  {
    title: "a follower that commits a membership keeps the one before [P10]",
    edits: [
      {
        file: "group.ts",
        from: "    this.#membership = new Membership(members);\n    switch (this.#state.kind) {",
        to: `    if (this.#state.kind !== "follower") this.#membership = new Membership(members);
    switch (this.#state.kind) {`,
      },
    ],
    setting: CHANGING,
    breaks: /\[P[1-9]\]/,
  },
  {
    title: "a snapshot leaves the membership as it was [P12]",
    edits: [
      {
        file: "group.ts",
        from: "    this.#membership = new Membership(members);\n    this.#log.install(slot);",
        to: "    this.#log.install(slot);",
      },
    ],
    setting: CHANGING,
    breaks: /\[P[1-9]\]|\[P1[01]\]/,
  },
  {
    title: "a removed node seeks to lead, and its own vote counts [P10]",
    edits: [
      ONLY_VOTERS,
      {
        file: "membership.ts",
        from: "    return this.#indexOf.has(node);\n",
        to: "    return this.#indexOf.has(node) || this.members.length > 0;\n",
      },
      {
        file: "membership.ts",
        from: `return present(this.#indexOf.get(node), "the node is a voter");`,
        to: "return this.#indexOf.get(node) ?? 0;",
      },
    ],
    setting: CHANGING,
    breaks: /\[P[1-9]\]/,
  },
];

/** The core with the bugs of a mutant, and how to remove its copy. */
export async function plantInSource(
  mutant: SourceMutant,
): Promise<{ core: typeof PaxosGroup; remove: () => void }> {
  const folder = mkdtempSync(join(tmpdir(), "paxos-mutant-"));
  for (const part of ["base", "paxos"]) {
    cpSync(new URL(`../../src/${part}`, import.meta.url), join(folder, part), { recursive: true });
  }
  writeFileSync(join(folder, "package.json"), `{ "type": "module" }`);
  for (const { file, from, to } of mutant.edits) {
    const path = join(folder, "paxos", file);
    const parts = readFileSync(path, "utf8").split(from);
    if (parts.length !== 2) {
      throw new Error(`${file} has ${parts.length - 1} times, not once: ${from}`);
    }
    writeFileSync(path, parts.join(to));
  }
  const loaded: unknown = await import(pathToFileURL(join(folder, "paxos", "group.ts")).href);
  const { PaxosGroup: core } = loaded as { PaxosGroup: typeof PaxosGroup };
  return {
    core,
    remove: () => {
      rmSync(folder, { recursive: true });
    },
  };
}
