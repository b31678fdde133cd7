/**
 * One node's part in one Paxos group: messages, ticks and proposals in, effects out.
 *
 *                 silence            a majority would         a majority did
 *     ┌──────────┐ probes ┌─────────┐ promise   ┌───────────┐ promise  ┌────────┐
 *     │ follower │───────▶│ probing │──────────▶│ candidate │─────────▶│ leader │
 *     └──────────┘        └─────────┘           └───────────┘          └────────┘
 *          ▲   ▲───────────────┴ a leader is heard ───┴── refused, or silence ─┘
 *          └── handover: straight to candidate
 *
 * Nothing here reads a clock, draws unseeded randomness or calls outward. The parts:
 * `acceptor` (promises, accepts), `log` (slots), `candidacy` (phase 1), `leadership` (phase 2),
 * `lease` (both sides), `catch-up` (missing values), `outbox` (effects, own messages),
 * `membership` (quorums). The README of this folder numbers the invariants.
 *
 * When you add a message: `messages.ts`, `#dispatch` here, the table of the README, the codec in
 * `wire`, the simulator's checkers.
 */
import { assert, unreachable } from "../base/assert.ts";
import type { Ballot, Millis, NodeId, Slot } from "../base/ids.ts";
import type { Prng } from "../base/prng.ts";
import { Acceptor } from "./acceptor.ts";
import { ballotAbove, describeBallot, nodeOf } from "./ballot.ts";
import { Candidacy } from "./candidacy.ts";
import { CatchUp } from "./catch-up.ts";
import type { Effect, Role } from "./effects.ts";
import { Leadership } from "./leadership.ts";
import { LeaseBond } from "./lease.ts";
import { Log } from "./log.ts";
import type { Member } from "./membership.ts";
import type { MemberChange } from "./members.ts";
import { changed } from "./members.ts";
import { Membership } from "./membership.ts";
import type {
  AcceptedMessage,
  AcceptMessage,
  HandoverMessage,
  HeartbeatMessage,
  NackMessage,
  PaxosMessage,
  PrepareMessage,
  ProbeAckMessage,
  ProbeMessage,
  PromiseMessage,
} from "./messages.ts";
import type { GroupOptions, GroupSettings } from "./options.ts";
import { settle } from "./options.ts";
import { Outbox } from "./outbox.ts";
import type { Recovered } from "./records.ts";
import type { Campaigning, Following, RoleState } from "./roles.ts";
import { Probe } from "./roles.ts";

/** Multi-Paxos for one group on one node. Not reentrant; its owner calls it and runs its effects. */
export class PaxosGroup {
  readonly #settings: GroupSettings;
  /** Who is in force for the slots after the chosen ones. */
  #membership: Membership;
  readonly #random: Prng;
  readonly #outbox: Outbox;
  readonly #log: Log;
  readonly #bond: LeaseBond;
  readonly #acceptor: Acceptor;
  readonly #catchUp: CatchUp;
  #state: RoleState = { kind: "follower", probe: null };
  /** The ballot this node leads, seeks or follows in, and who is known to lead in it. */
  #ballot: Ballot;
  #leader: NodeId | null = null;
  #announced = "";
  /** The highest ballot anyone has spoken of: the next one of this node is above. */
  #highestBallot: Ballot;
  #started = false;
  #nowMs: Millis = -Infinity;
  #tick = 0;
  /** The last tick with a sign of a leader or of somebody about to be one. */
  #heardTick = 0;
  #electionTicks: number;
  /** The last tick in which it asked all it knows, see {@link #askAround}. */
  #askedTick = -Infinity;
  /** Whether the leader is said to be gone, see {@link suspect}. */
  #suspects = false;
  /**
   * Whether nobody else can lead since before this node started: it alone votes, and has accepted
   * no other membership since [P8]. It then need not wait out a lease.
   */
  readonly #isAlone: boolean;

  /** The group as it was when its last durable record was written. */
  constructor(options: GroupOptions, recovered: Recovered) {
    this.#settings = settle(options);
    this.#membership = new Membership(options.members);
    this.#random = this.#settings.random.split("election");
    this.#outbox = new Outbox(options.self);
    this.#log = new Log(recovered, this.#outbox, (slot, members) => {
      this.#adopt(slot, members);
    });
    this.#bond = new LeaseBond(this.#settings.leaseMs);
    // An acceptance promises its ballot as well, and needs no record of its own for that.
    let promised = recovered.promised;
    for (const { ballot } of recovered.accepted) promised = Math.max(promised, ballot);
    const parts = { log: this.#log, bond: this.#bond, outbox: this.#outbox };
    const promises = { ballot: promised, recorded: recovered.promised };
    this.#acceptor = new Acceptor(this.#settings, parts, promises);
    this.#catchUp = new CatchUp(this.#settings, { ...parts, acceptor: this.#acceptor });
    this.#ballot = promised;
    this.#highestBallot = promised;
    this.#electionTicks = this.#drawElectionTicks();
    this.#isAlone = this.#membership.isAlone(options.self) && this.#log.openMembers().length === 0;
  }

  // ── what it knows ───────────────────────────────────────────────────────────────────────────

  /** Whether this node leads: phase 1 is done, and proposals are taken while the window has room. */
  get isLeader(): boolean {
    return this.#state.kind === "leader";
  }

  get role(): Role {
    return this.#state.kind;
  }

  /** The ballot this node leads, seeks or follows in. */
  get ballot(): Ballot {
    return this.#ballot;
  }

  /** The node known to lead, or null. */
  get leader(): NodeId | null {
    return this.#leader;
  }

  /** The highest ballot this node's acceptor has promised. */
  get promised(): Ballot {
    return this.#acceptor.promised;
  }

  /** Every slot up to here is chosen and was handed out as a commit. */
  get chosenSlot(): Slot {
    return this.#log.chosen;
  }

  /** What the replica reported as applied. */
  get appliedSlot(): Slot {
    return this.#log.applied;
  }

  /** The log is cut up to here. */
  get cutSlot(): Slot {
    return this.#log.cut;
  }

  /** The slot of the next proposal; on a follower, the one after the last accepted. */
  get nextSlot(): Slot {
    return this.#state.kind === "leader" ? this.#state.leadership.nextSlot : this.#log.last + 1;
  }

  /** A leader's state is current from this slot on; 0 on others. */
  get recoveredSlot(): Slot {
    return this.#state.kind === "leader" ? this.#state.leadership.recoveredSlot : 0;
  }

  /** Who is a member for the slots after {@link chosenSlot}, in ascending order of id. */
  get members(): readonly Member[] {
    return this.#membership.members;
  }

  /** The leader's lease ends at this time of its own clock; `-Infinity` on others. */
  get leaseValidUntil(): Millis {
    if (this.#state.kind !== "leader") return -Infinity;
    return this.#state.leadership.lease.validUntilMs;
  }

  /**
   * Whether applied state may be read at `nowMs` without asking anybody [P9]. Check it again after
   * reading: the lease may have ended meanwhile.
   */
  canRead(nowMs: Millis): boolean {
    if (this.#state.kind !== "leader") return false;
    const { leadership } = this.#state;
    return this.#log.applied >= leadership.recoveredSlot && nowMs < leadership.lease.validUntilMs;
  }

  /**
   * The newest round of {@link beat} that a majority acknowledged; 0 on others. A read that came in
   * before round `r` was sent is current once `r` is confirmed in the same ballot and everything
   * chosen when it was sent, and `recoveredSlot`, is applied.
   */
  get confirmedRound(): number {
    return this.#state.kind === "leader" ? this.#state.leadership.lease.confirmedRound : 0;
  }

  /** How far `member` knows the log to be chosen, as last heard by the leader; 0 on others. */
  chosenAt(member: NodeId): Slot {
    if (member === this.#settings.self) return this.#log.chosen;
    return this.#state.kind === "leader" ? this.#state.leadership.chosenAt(member) : 0;
  }

  /** One line for logs and scripts: `n1 leader 2.1 of n1 chosen 5 applied 5 next 6 promised 2.1`. */
  describe(): string {
    const { self } = this.#settings;
    const leader = this.#leader === null ? "nobody" : `n${this.#leader}`;
    const of = `${this.#state.kind} ${describeBallot(this.#ballot)} of ${leader}`;
    const slots = `chosen ${this.chosenSlot} applied ${this.appliedSlot} next ${this.nextSlot}`;
    return `n${self} ${of} ${slots} promised ${describeBallot(this.promised)}`;
  }

  // ── what it is told ─────────────────────────────────────────────────────────────────────────

  /**
   * Begins. Who votes alone seeks to lead at once, unless its log speaks of another membership.
   * Others wait for a leader, and promise nobody for one lease from the first time they are told
   * the time.
   */
  start(): void {
    assert(!this.#started, "a group starts once");
    this.#started = true;
    if (this.#isAlone) this.#campaign(0);
    this.#takeOwn();
  }

  /**
   * Takes in a message. `nowMs` is this node's monotonic clock, read after the message arrived:
   * an older reading would end the bond of a lease too early [P8]. Anybody is answered, as this node
   * may know less of the membership than who asks; answers count from members only.
   */
  step(from: NodeId, message: PaxosMessage, nowMs: Millis): void {
    assert(this.#started, "a group starts before its first message");
    assert(from !== this.#settings.self, "own messages do not leave the node");
    this.#observe(nowMs);
    this.#dispatch(from, message);
    this.#takeOwn();
  }

  /**
   * `node` seems to have died, as far as can be told without consensus: its link broke. If it leads,
   * this node seeks to lead as soon as the bond to it has ended, without the patience that silence
   * asks for. Never before: a hint that is wrong costs a probe that is refused.
   */
  suspect(node: NodeId): void {
    if (this.#state.kind === "follower" && this.#leader === node) this.#suspects = true;
  }

  /** Time passes: called at even intervals, see the options. */
  tick(nowMs: Millis): void {
    assert(this.#started, "a group starts before its first tick");
    this.#observe(nowMs);
    this.#tick += 1;
    switch (this.#state.kind) {
      case "follower":
        this.#tickFollower(this.#state);
        break;
      case "candidate":
        this.#tickCandidate(this.#state);
        break;
      case "leader":
        if (!this.#state.leadership.tick(this.#tick, this.#nowMs)) this.#follow(this.#ballot, null);
        break;
      default:
        unreachable(this.#state);
    }
    this.#takeOwn();
  }

  /** Whether {@link propose} may be called: this node leads and the window has room. */
  canPropose(): boolean {
    return this.#state.kind === "leader" && this.#state.leadership.canPropose();
  }

  /**
   * Proposes a value of at least one byte; only while {@link canPropose}. The bytes must not change
   * any more. When they are chosen, this very object comes back in a `commit`; if this node has
   * ceased to lead meanwhile, equal bytes may come back as another object, or never.
   */
  propose(value: Uint8Array): Slot {
    assert(this.#state.kind === "leader", "only a leader proposes");
    assert(value.length > 0, "an empty value is a no-op, which only recovery proposes");
    return this.#state.leadership.propose(value);
  }

  /** Everything persisted up to `mark` is durable. */
  stored(mark: number): void {
    this.#outbox.stored(mark);
    this.#takeOwn();
  }

  /** The replica has applied every slot up to `slot`. */
  applied(slot: Slot): void {
    this.#log.apply(slot);
  }

  /** A durable checkpoint covers every slot up to `slot`: forget them. Whoever needs them later needs a snapshot. */
  compact(slot: Slot): void {
    this.#log.cutThrough(slot);
  }

  /**
   * A snapshot of everything up to `slot` is durable and applied; `members` are those it names. A
   * leader or candidate that needed it steps back. Commits of slots up to `slot` that were handed out
   * already are void: what they do is in the snapshot.
   */
  installed(slot: Slot, members: readonly Member[]): void {
    if (slot <= this.#log.chosen) {
      // Entries have overtaken it, and with them every change of membership up to here [P12].
      this.#log.cover(slot);
      return;
    }
    if (this.#state.kind === "follower") this.#state.probe = null;
    else this.#follow(this.#ballot, null);
    this.#membership = new Membership(members);
    this.#log.install(slot);
    this.#log.advance();
  }

  /**
   * Begins to change the membership by one step: takes no proposals, and proposes the membership
   * when the open ones are chosen. It is in force when its `commit` comes; until then it may be lost
   * like any proposal when this node ceases to lead. Returns null when it is under way, else why
   * not, in words for a person; nothing has changed then. Only on a leader.
   */
  changeMembers(change: MemberChange): string | null {
    if (this.#state.kind !== "leader") return "this node does not lead the group; ask the leader";
    const { leadership } = this.#state;
    if (leadership.isChanging) return "a change of membership is under way; wait for its end";
    if (leadership.handoverTo !== null) {
      return `the group is being handed over to node ${leadership.handoverTo}; ask that one`;
    }
    const { self } = this.#settings;
    const members = changed(this.#membership.members, change);
    if (typeof members === "string") return members;
    if (change.kind === "remove" && change.id === self) {
      return `node ${self} leads the group; hand it over to another node first`;
    }
    const next = new Membership(members);
    if (change.kind === "promote" || this.#membership.has(change.id)) {
      const alive = leadership.aliveOf(next);
      if (alive.length < next.quorum) {
        return (
          `of the voters ${next.voters.join(", ")} only ${alive.join(", ")} answered lately, ` +
          "which is no majority; see to it that more of them run"
        );
      }
    }
    leadership.change(members);
    this.#takeOwn();
    return null;
  }

  /** Sends a heartbeat now and returns its round, see {@link confirmedRound}; only on a leader. */
  beat(nowMs: Millis): number {
    assert(this.#state.kind === "leader", "only a leader sends heartbeats");
    this.#observe(nowMs);
    const round = this.#state.leadership.beat(this.#nowMs);
    this.#takeOwn();
    return round;
  }

  /**
   * Tells a member at once what is chosen, where it would learn that with the next heartbeat or accept
   * else: somebody there waits for it. Only on a leader; nothing happens for who is no other member.
   */
  tell(member: NodeId): void {
    assert(this.#state.kind === "leader", "only a leader tells what is chosen");
    if (member !== this.#settings.self) this.#state.leadership.tell(member);
  }

  /**
   * Begins to hand leadership over to another member, which does not wait for the lease to end. No
   * proposals are taken from now on; when the open ones are chosen this node ceases to lead. Given
   * up when they are not within an election timeout. Returns false, and changes nothing, when this
   * node does not lead, already hands over or changes the membership, or when `to` is no other voter
   * that answers and has what is needed to begin.
   */
  handOver(to: NodeId): boolean {
    if (this.#state.kind !== "leader") return false;
    if (to === this.#settings.self || !this.#membership.has(to)) return false;
    if (!this.#state.leadership.handOver(to)) return false;
    this.#finishHandover();
    return true;
  }

  /** Hands over everything to be done since the last call, in order. */
  takeEffects(): readonly Effect[] {
    return this.#outbox.take();
  }

  // ── messages ────────────────────────────────────────────────────────────────────────────────

  #observe(nowMs: Millis): void {
    const isFirst = this.#nowMs === -Infinity;
    if (nowMs > this.#nowMs) this.#nowMs = nowMs;
    if (isFirst && !this.#isAlone) this.#bond.restarted(nowMs);
  }

  #takeOwn(): void {
    let message = this.#outbox.takeOwn();
    while (message !== null) {
      this.#dispatch(this.#settings.self, message);
      message = this.#outbox.takeOwn();
    }
  }

  #dispatch(from: NodeId, message: PaxosMessage): void {
    switch (message.kind) {
      case "probe":
        this.#onProbe(from, message);
        break;
      case "probe-ack":
        this.#onProbeAck(from, message);
        break;
      case "prepare":
        this.#onPrepare(from, message);
        break;
      case "promise":
        this.#onPromise(from, message);
        break;
      case "accept":
        this.#onAccept(from, message);
        break;
      case "accepted":
        this.#onAccepted(from, message);
        break;
      case "heartbeat":
        this.#onHeartbeat(from, message);
        break;
      case "heartbeat-ack":
        if (
          this.#state.kind === "leader" &&
          message.ballot === this.#ballot &&
          this.#membership.includes(from)
        ) {
          this.#state.leadership.acknowledged(from, message);
        }
        break;
      case "nack":
        this.#onNack(from, message);
        break;
      case "learn":
        this.#catchUp.learn(from, message);
        break;
      case "learned":
        // Whoever leads or seeks to lead finds out by phase 1, which asks a majority.
        if (this.#state.kind === "follower") this.#catchUp.learned(from, message);
        break;
      case "handover":
        this.#onHandover(from, message);
        break;
      default:
        unreachable(message);
    }
  }

  #onProbe(from: NodeId, message: ProbeMessage): void {
    const { ballot } = message;
    const granted = this.#acceptor.wouldPromise(ballot, this.#nowMs);
    const { promised } = this.#acceptor;
    const chosen = this.#log.chosen;
    this.#outbox.send(from, { kind: "probe-ack", ballot, granted, promised, chosen }, 0);
  }

  #onProbeAck(from: NodeId, message: ProbeAckMessage): void {
    this.#spokenOf(message.promised);
    if (this.#state.kind !== "follower") return;
    const { probe } = this.#state;
    if (probe?.ballot !== message.ballot || !message.granted) return;
    if (!this.#membership.has(from)) return;
    const knowsMore = message.chosen > this.#log.chosen;
    if (knowsMore) this.#catchUp.askNow(from, message.chosen);
    probe.grant(from, knowsMore);
    if (probe.succeeded) this.#campaign(0);
  }

  #onPrepare(from: NodeId, message: PrepareMessage): void {
    this.#spokenOf(message.ballot);
    const isNew = message.ballot > this.#acceptor.promised;
    if (!this.#acceptor.prepare(from, message, this.#nowMs)) return;
    if (from === this.#settings.self) return;
    if (isNew) this.#follow(message.ballot, null);
    // A candidate that asks for page after page is alive; seeking to lead now would waste its work.
    this.#heardTick = this.#tick;
  }

  #onPromise(from: NodeId, message: PromiseMessage): void {
    if (this.#state.kind !== "candidate" || message.ballot !== this.#ballot) return;
    const { candidacy, restoring } = this.#state;
    // A majority is enough, and what comes after it is not in what this ballot proposes [P5].
    if (restoring !== null || !this.#membership.has(from)) return;
    if (!candidacy.promise(from, message)) return;
    this.#state.progressTick = this.#tick;
    if (candidacy.elected) this.#win(candidacy);
    else if (message.next !== 0) this.#sendPrepare(candidacy, from);
  }

  #onAccept(from: NodeId, message: AcceptMessage): void {
    this.#spokenOf(message.ballot);
    if (!this.#acceptor.accept(from, message)) return;
    this.#hear(message);
  }

  #onAccepted(from: NodeId, message: AcceptedMessage): void {
    if (message.ballot !== this.#ballot || !this.#membership.has(from)) return;
    if (this.#state.kind === "leader") {
      this.#state.leadership.accepted(from, message.slot);
      if (this.#state.leadership.readyToHandOver) this.#finishHandover();
    } else if (this.#state.kind === "candidate" && this.#state.restoring !== null) {
      this.#state.progressTick = this.#tick;
      this.#state.restoring.accepted(from, message.slot);
      this.#resume(this.#state);
    }
  }

  #onHeartbeat(from: NodeId, message: HeartbeatMessage): void {
    this.#spokenOf(message.ballot);
    if (!this.#acceptor.heartbeat(from, message, this.#nowMs)) {
      // What is chosen stays chosen, whoever says so: a learner that promised somebody more than its
      // leader has can still catch up.
      this.#catchUp.heard(from, message.chosen);
      return;
    }
    if (from !== this.#settings.self) this.#hear(message);
  }

  #onNack(from: NodeId, message: NackMessage): void {
    this.#spokenOf(message.promised);
    if (message.ballot !== this.#ballot || !this.#membership.includes(from)) return;
    switch (message.reason) {
      case "ballot":
        this.#outbid();
        break;
      case "lease":
        // The candidate repeats its prepare; the lease may end before its patience does.
        break;
      case "cut":
        if (this.#state.kind !== "candidate") break;
        this.#outbox.needSnapshot(from, message.cut);
        this.#follow(this.#ballot, null);
        break;
      default:
        unreachable(message.reason);
    }
  }

  #onHandover(from: NodeId, message: HandoverMessage): void {
    this.#spokenOf(message.ballot);
    if (nodeOf(message.ballot) !== from || this.#state.kind !== "follower") return;
    if (message.ballot < this.#acceptor.promised) return;
    if (!this.#membership.has(this.#settings.self)) return;
    const ballot = this.#nextBallot();
    if (this.#bond.forbids(ballot, message.ballot, this.#nowMs)) return;
    this.#campaign(message.ballot);
  }

  // ── changes of role ─────────────────────────────────────────────────────────────────────────

  /** Somebody has promised a higher ballot than the one this node leads or seeks. */
  #outbid(): void {
    const led = this.#state.kind === "leader";
    if (this.#state.kind === "follower") return;
    this.#follow(this.#ballot, null);
    // That somebody may only have tried and failed, with nobody else leading: a leader asks around
    // at once whether it may go on in a higher ballot. If there is a new leader, its lease says no.
    if (led) this.#heardTick = this.#tick - this.#electionTicks;
  }

  #campaign(released: Ballot): void {
    assert(this.#membership.has(this.#settings.self), "[P10] only a voter seeks to lead");
    const ballot = this.#nextBallot();
    const from = this.#log.chosen + 1;
    const candidacy = new Candidacy(this.#membership, { ballot, from, released });
    const tick = this.#tick;
    this.#state = {
      kind: "candidate",
      candidacy,
      progressTick: tick,
      sentTick: tick,
      restoring: null,
    };
    this.#electionTicks = this.#drawElectionTicks();
    this.#announce(ballot, null);
    // The own promise first: once it is durable no restart of this node can use the ballot again,
    // so the prepares to the others wait for it [P1].
    const { self } = this.#settings;
    this.#sendPrepare(candidacy, self);
    for (const voter of this.#membership.voters) {
      if (voter !== self) this.#sendPrepare(candidacy, voter);
    }
  }

  /** Phase 1 is done: leads, or sees to a membership it found and begins again under that one. */
  #win(candidacy: Candidacy): void {
    const parts = {
      settings: this.#settings,
      membership: this.#membership,
      acceptor: this.#acceptor,
      log: this.#log,
      outbox: this.#outbox,
    };
    const { ballot } = candidacy;
    assert(this.#acceptor.promised === ballot, "[P1] a leader's acceptor has its ballot");
    const membersSlot = candidacy.firstMembers();
    const through = membersSlot === 0 ? candidacy.last : membersSlot;
    const leadership = new Leadership(parts, ballot, { through, tick: this.#tick });
    if (membersSlot !== 0 && this.#state.kind === "candidate") {
      this.#state.restoring = leadership;
      leadership.recover(candidacy);
      this.#resume(this.#state);
      return;
    }
    this.#state = { kind: "leader", leadership };
    this.#announce(ballot, this.#settings.self);
    leadership.recover(candidacy);
    leadership.beat(this.#nowMs);
  }

  /** Begins phase 1 anew once the membership that was found is in force [P11]. */
  #resume(state: Campaigning): void {
    const { candidacy, restoring } = state;
    if (restoring === null || this.#log.chosen < restoring.recoveredSlot) return;
    if (this.#membership.has(this.#settings.self)) this.#campaign(candidacy.released);
    else this.#follow(this.#ballot, null);
  }

  /** The membership in `slot` is chosen and in force for the slots after it. */
  #adopt(slot: Slot, members: readonly Member[]): void {
    this.#membership = new Membership(members);
    switch (this.#state.kind) {
      case "follower":
        // Who was asked may not have a say any more.
        this.#state.probe = null;
        break;
      case "candidate":
        assert(
          this.#state.restoring?.recoveredSlot === slot,
          "[P11] a candidacy has one membership",
        );
        break;
      case "leader": {
        const { leadership } = this.#state;
        assert(
          leadership.changeSlot === slot,
          "[P11] a leader has proposed its memberships itself",
        );
        leadership.adopt(this.#membership, this.#nowMs);
        break;
      }
      default:
        unreachable(this.#state);
    }
  }

  /** Follows `leader`, or waits for somebody, in `ballot`. */
  #follow(ballot: Ballot, leader: NodeId | null): void {
    this.#state = { kind: "follower", probe: null };
    this.#suspects = false;
    this.#heardTick = this.#tick;
    this.#electionTicks = this.#drawElectionTicks();
    this.#announce(ballot, leader);
  }

  /** A leader whose ballot this node takes part in has spoken. */
  #hear(message: AcceptMessage | HeartbeatMessage): void {
    const { ballot, chosen } = message;
    const leader = nodeOf(ballot);
    // A late message of an earlier leader whom nobody here has outvoted changes no allegiance.
    if (ballot >= this.#ballot || this.#state.kind !== "follower") {
      if (ballot !== this.#ballot || leader !== this.#leader) this.#follow(ballot, leader);
      this.#heardTick = this.#tick;
      this.#suspects = false;
      if (this.#state.kind === "follower") this.#state.probe = null;
    }
    this.#log.chooseThrough(chosen, ballot);
    this.#catchUp.heard(leader, chosen);
  }

  #finishHandover(): void {
    if (this.#state.kind !== "leader") return;
    const { leadership } = this.#state;
    const to = leadership.handoverTo;
    if (to === null || !leadership.readyToHandOver) return;
    // First this node ceases to lead, and with that to count on its lease; then the word leaves.
    this.#follow(leadership.ballot, null);
    this.#outbox.send(to, { kind: "handover", ballot: leadership.ballot }, 0);
  }

  #announce(ballot: Ballot, leader: NodeId | null): void {
    const role = this.#state.kind;
    this.#ballot = ballot;
    this.#leader = leader;
    const summary = `${role} ${ballot} ${leader ?? "-"}`;
    if (summary === this.#announced) return;
    this.#announced = summary;
    this.#outbox.role({ kind: "role", role, ballot, leader });
  }

  // ── time ────────────────────────────────────────────────────────────────────────────────────

  #tickFollower(state: Following): void {
    this.#catchUp.tick(this.#tick);
    const silentTicks = this.#tick - this.#heardTick;
    if (!this.#membership.has(this.#settings.self)) {
      const sinceAsked = this.#tick - Math.max(this.#askedTick, this.#heardTick);
      if (sinceAsked >= this.#electionTicks) this.#askAround();
      return;
    }
    if (silentTicks >= this.#settings.electionTicksMax) this.#suspects = false;
    if (!this.#suspects && silentTicks < this.#electionTicks) return;
    if (this.#catchUp.getsOn) return;
    const waited = state.probe === null ? Infinity : this.#tick - state.probe.sentTick;
    // Bonds to a leader that is gone end within a tick or two of one another.
    if (waited < (this.#suspects ? 1 : this.#settings.retransmitTicks)) return;
    const ballot = this.#nextBallot();
    if (!this.#acceptor.wouldPromise(ballot, this.#nowMs)) return;
    if (this.#askedTick <= this.#heardTick && this.#askAround()) return;
    if (this.#tick - this.#askedTick < this.#settings.retransmitTicks) return;
    state.probe = new Probe(this.#membership, ballot, this.#tick);
    for (const voter of this.#membership.voters) {
      this.#outbox.send(voter, { kind: "probe", ballot }, 0);
    }
  }

  /**
   * This node hears nobody, and its log speaks of a membership that may be in force: after a restart
   * it may not know that it has a vote, or know a vote that it has no more. Whoever knows more tells;
   * that is quicker than phase 1 for one membership after the other, and all there is for who has no
   * vote. Returns whether there was a reason to ask.
   */
  #askAround(): boolean {
    const open = this.#log.openMembers();
    if (open.length === 0) return false;
    this.#askedTick = this.#tick;
    const asked = new Set<NodeId>([this.#settings.self]);
    for (const members of open) {
      for (const { id } of [...this.#membership.members, ...members]) {
        if (asked.has(id)) continue;
        asked.add(id);
        this.#outbox.send(id, { kind: "learn", from: this.#log.chosen + 1 }, 0);
      }
    }
    return true;
  }

  #tickCandidate(state: Campaigning): void {
    if (this.#tick - state.progressTick >= this.#electionTicks) {
      this.#follow(this.#ballot, null);
      return;
    }
    if (this.#tick - state.sentTick < this.#settings.retransmitTicks) return;
    state.sentTick = this.#tick;
    if (state.restoring !== null) {
      state.restoring.repeat(this.#tick);
      return;
    }
    for (const voter of this.#membership.voters) {
      // The own promise comes when the disk answers.
      if (voter !== this.#settings.self) this.#sendPrepare(state.candidacy, voter);
    }
  }

  #sendPrepare(candidacy: Candidacy, voter: NodeId): void {
    const from = candidacy.nextPage(voter);
    if (from === 0) return;
    const { ballot, released } = candidacy;
    const message: PrepareMessage = { kind: "prepare", ballot, from, released };
    if (voter === this.#settings.self) this.#onPrepare(voter, message);
    else this.#outbox.send(voter, message, this.#outbox.barrier);
  }

  #spokenOf(ballot: Ballot): void {
    if (ballot > this.#highestBallot) this.#highestBallot = ballot;
  }

  #nextBallot(): Ballot {
    const above = Math.max(this.#highestBallot, this.#acceptor.promised);
    return ballotAbove(above, this.#settings.self);
  }

  #drawElectionTicks(): number {
    const { electionTicksMin, electionTicksMax } = this.#settings;
    return this.#random.between(electionTicksMin, electionTicksMax);
  }
}
