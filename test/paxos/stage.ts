/**
 * Nodes on a stage, moved by hand: for scripts that tell a story step by step. Nothing is delivered,
 * stored or ticked unless a line says so. See `script.test.ts` for the commands.
 */
import { describeBallot } from "../../src/paxos/ballot.ts";
import type { Effect } from "../../src/paxos/effects.ts";
import { PaxosGroup } from "../../src/paxos/group.ts";
import type { MemberChange } from "../../src/paxos/members.ts";
import { decodeMembers, isMembersValue } from "../../src/paxos/members.ts";
import type { Member } from "../../src/paxos/membership.ts";
import type { PaxosMessage } from "../../src/paxos/messages.ts";
import type { AcceptedEntry, PaxosRecord } from "../../src/paxos/records.ts";
import { value, voters } from "./builders.ts";

interface Actor {
  group: PaxosGroup;
  promised: number;
  accepted: AcceptedEntry[];
  unsynced: { readonly mark: number; readonly records: readonly PaxosRecord[] }[];
  waiting: { readonly to: number; readonly message: PaxosMessage; readonly after: number }[];
}

interface Letter {
  readonly from: number;
  readonly to: number;
  readonly message: PaxosMessage;
}

export class Stage {
  readonly #actors = new Map<number, Actor>();
  readonly #members: number[];
  #letters: Letter[] = [];
  #nowMs = 0;
  /** Nothing goes from or to these. */
  #cutOff: number[] = [];
  #lines: string[] = [];

  /** Nodes 1 to `nodes` are members from the start. */
  constructor(nodes: number) {
    this.#members = Array.from({ length: nodes }, (_, index) => index + 1);
    for (const id of this.#members) this.#boot(id, 0, []);
    this.#lines = [];
  }

  /** Performs one command, words apart by blanks; returns what happened, one line each. */
  perform(command: string): string[] {
    this.#lines = [];
    const [verb = "", ...words] = command.split(" ");
    const [first = 0, second = 0] = words.map(Number);
    switch (verb) {
      case "wait":
        this.#nowMs += first;
        for (const id of this.#actors.keys()) this.#tick(id);
        break;
      case "tick":
        for (let count = 0; count < second; count += 1) this.#tick(first);
        break;
      case "propose":
        this.#actor(first).group.propose(value(words[1] ?? ""));
        this.#collect(first);
        break;
      case "handover":
        this.#say(`n${first} ${this.#actor(first).group.handOver(second) ? "agrees" : "refuses"}`);
        this.#collect(first);
        break;
      case "join":
        this.#boot(first, 0, []);
        break;
      case "add":
      case "promote":
      case "remove":
        this.#change(first, { kind: verb, id: second, address: `host${second}` });
        break;
      case "members":
        this.#say(describeMembers(this.#actor(first).group.members));
        break;
      case "cut":
        this.#cutOff = words.map(Number);
        break;
      case "store":
        this.#store(first);
        break;
      case "deliver":
        this.#deliver((letter) => letter.from === first && letter.to === second);
        break;
      case "lose":
        this.#lose((letter) => letter.from === first && letter.to === second);
        break;
      case "crash":
        this.#crash(first);
        break;
      case "settle":
        this.#settle();
        break;
      case "show":
        for (const { group } of this.#actors.values()) this.#say(group.describe());
        break;
      default:
        throw new Error(`no such command: ${command}`);
    }
    return this.#lines;
  }

  #actor(id: number): Actor {
    const actor = this.#actors.get(id);
    if (actor === undefined) throw new Error(`there is no node ${id}`);
    return actor;
  }

  #change(id: number, change: MemberChange): void {
    this.#say(this.#actor(id).group.changeMembers(change) ?? `n${id} begins`);
    this.#collect(id);
  }

  #say(line: string): void {
    this.#lines.push(line);
  }

  #boot(id: number, promised: number, accepted: AcceptedEntry[]): void {
    const group = new PaxosGroup(
      {
        self: id,
        members: voters(this.#members),
        window: 4,
        leaseMs: 600,
        electionTicksMin: 10,
        electionTicksMax: 10,
      },
      { promised, accepted, appliedSlot: 0 },
    );
    this.#actors.set(id, { group, promised, accepted, unsynced: [], waiting: [] });
    group.start();
    group.tick(this.#nowMs);
    this.#collect(id);
  }

  #tick(id: number): void {
    this.#actor(id).group.tick(this.#nowMs);
    this.#collect(id);
  }

  #collect(id: number): void {
    const actor = this.#actor(id);
    for (const effect of actor.group.takeEffects()) {
      this.#say(`n${id}: ${describeEffect(effect)}`);
      if (effect.kind === "persist") actor.unsynced.push(effect);
      else if (effect.kind === "commit") actor.group.applied(effect.slot);
      else if (effect.kind === "send") {
        if (this.#cutOff.includes(id) || this.#cutOff.includes(effect.to)) continue;
        if (effect.after === 0) this.#letters.push({ from: id, ...effect });
        else actor.waiting.push(effect);
      }
    }
  }

  #store(id: number): void {
    const actor = this.#actor(id);
    const [batch] = actor.unsynced.splice(0, 1);
    if (batch === undefined) throw new Error(`n${id} has nothing to store`);
    for (const record of batch.records) {
      if (record.kind === "promise") actor.promised = record.ballot;
      else actor.accepted.push(record);
    }
    for (const send of actor.waiting.filter(({ after }) => after <= batch.mark)) {
      this.#letters.push({ from: id, ...send });
    }
    actor.waiting = actor.waiting.filter(({ after }) => after > batch.mark);
    actor.group.stored(batch.mark);
    this.#collect(id);
  }

  #deliver(wanted: (letter: Letter) => boolean): void {
    const arriving = this.#letters.filter(wanted);
    this.#letters = this.#letters.filter((letter) => !wanted(letter));
    if (arriving.length === 0) throw new Error("nothing to deliver");
    for (const { from, to, message } of arriving) {
      this.#actor(to).group.step(from, message, this.#nowMs);
      this.#collect(to);
    }
  }

  #lose(wanted: (letter: Letter) => boolean): void {
    const lost = this.#letters.filter(wanted);
    this.#letters = this.#letters.filter((letter) => !wanted(letter));
    for (const { message } of lost) this.#say(`lost: ${describeMessage(message)}`);
  }

  #crash(id: number): void {
    const { promised, accepted, unsynced } = this.#actor(id);
    for (const { records } of unsynced)
      this.#say(`forgotten: ${records.map(describeRecord).join(", ")}`);
    this.#letters = this.#letters.filter(({ to }) => to !== id);
    this.#boot(id, promised, accepted);
  }

  /** Delivers and stores everything until nothing is left; says only what was committed or changed. */
  #settle(): void {
    const told: string[] = [];
    for (;;) {
      this.#lines = [];
      const [letter] = this.#letters;
      const [busy] = [...this.#actors].filter(([, { unsynced }]) => unsynced.length > 0);
      if (letter !== undefined) this.#deliver((other) => other === letter);
      else if (busy !== undefined) this.#store(busy[0]);
      else break;
      told.push(...this.#lines.filter((line) => / (commit|is|needs) /.test(line)));
    }
    this.#lines = told;
  }
}

/** An effect as a script shows it. */
function describeEffect(effect: Effect): string {
  switch (effect.kind) {
    case "persist":
      return `persist #${effect.mark} ${effect.records.map(describeRecord).join(", ")}`;
    case "send": {
      const wait = effect.after === 0 ? "" : ` after #${effect.after}`;
      return `-> n${effect.to} ${describeMessage(effect.message)}${wait}`;
    }
    case "commit":
      return effect.members === null
        ? `commit ${effect.slot} ${textOf(effect.value)}`
        : `commit ${effect.slot} ${describeMembers(effect.members)}`;
    case "role": {
      const leader = effect.leader === null ? "nobody" : `n${effect.leader}`;
      return `is ${effect.role} in ${describeBallot(effect.ballot)}, led by ${leader}`;
    }
    case "needSnapshot":
      return `needs a snapshot of ${effect.slot} from n${effect.from}`;
  }
}

/** Members in braces, with a question mark behind who has no vote. */
function describeMembers(members: readonly Member[]): string {
  return `{${members.map(({ id, voter }) => `${id}${voter ? "" : "?"}`).join(" ")}}`;
}

function textOf(bytes: Uint8Array): string {
  if (isMembersValue(bytes)) return describeMembers(decodeMembers(bytes) ?? []);
  return bytes.length === 0 ? "no-op" : String.fromCharCode(...bytes);
}

function describeEntry({ slot, ballot, value: bytes }: AcceptedEntry): string {
  return `${slot}:${describeBallot(ballot)}:${textOf(bytes)}`;
}

function describeRecord(record: PaxosRecord): string {
  if (record.kind === "promise") return `promise ${describeBallot(record.ballot)}`;
  return `accepted ${describeEntry(record)}`;
}

function describeMessage(message: PaxosMessage): string {
  if (message.kind === "learn") return `learn from ${message.from}`;
  if (message.kind === "learned")
    return `learned [${message.entries.map(describeEntry).join(" ")}]`;
  const head = `${message.kind} ${describeBallot(message.ballot)}`;
  switch (message.kind) {
    case "probe-ack":
      return `${head} ${message.granted ? "yes" : "no"}`;
    case "prepare": {
      const released =
        message.released === 0 ? "" : ` released ${describeBallot(message.released)}`;
      return `${head} from ${message.from}${released}`;
    }
    case "promise":
      return `${head} [${message.entries.map(describeEntry).join(" ")}]`;
    case "accept":
      return `${head} ${message.slot}:${textOf(message.value)} chosen ${message.chosen}`;
    case "accepted":
      return `${head} ${message.slot}`;
    case "heartbeat":
      return `${head} round ${message.round} chosen ${message.chosen}`;
    case "heartbeat-ack":
      return `${head} round ${message.round}`;
    case "nack":
      return `${head} ${message.reason}, promised ${describeBallot(message.promised)}`;
    case "probe":
    case "handover":
      return head;
  }
}
