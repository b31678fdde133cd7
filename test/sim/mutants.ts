/**
 * Known bugs of consensus, leases, sessions and replicas, as changes of the production sources: each
 * replaces one piece of text, which must be there exactly once. The simulator must catch each of them.
 */

export interface Mutant {
  /** What is wrong then. */
  readonly title: string;
  /** Below `src`. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** Within so many runs. @default 60 */
  readonly runs?: number;
  /** Flags that make the situation likely in which it matters. */
  readonly flags?: readonly string[];
  /** Where runs hardly come to it: the test that makes the situation by hand, and a part of its title. */
  readonly scenario?: { readonly file: string; readonly title: string };
}

export const MUTANTS: readonly Mutant[] = [
  {
    title: "an answer leaves before its record is on disk",
    file: "replica/outbound.ts",
    find: "if (send.after <= (this.#stored.get(group) ?? 0)) {",
    replace: "if (send.after >= 0) {",
  },
  {
    title: "the promise is forgotten on restart",
    file: "node/recovery.ts",
    find: "promised: recovery.promise(id)",
    replace: "promised: 0",
  },
  {
    title: "accepted values are forgotten on restart",
    file: "node/recovery.ts",
    find: "accepted: [...accepted.values()],",
    replace: "accepted: [],",
  },
  {
    title: "a restarted acceptor does not wait out the lease",
    file: "paxos/group.ts",
    find: "if (isFirst && !this.#isAlone) this.#bond.restarted(nowMs);",
    replace: "if (isFirst && nowMs < -1e15) this.#bond.restarted(nowMs);",
    runs: 400,
    flags: ["--faults=network,crash,pause,handover"],
  },
  {
    title: "an acceptance that comes twice counts twice",
    file: "paxos/leadership.ts",
    find: "    entry.votes |= this.#membership.only(voter);\n    if (!this.#membership.isQuorum(entry.votes)) return;",
    replace:
      "    const bit = this.#membership.only(voter);\n    entry.votes |= (entry.votes & bit) === 0 ? bit : entry.votes + 1;\n    if (!this.#membership.isQuorum(entry.votes)) return;",
  },
  {
    title: "a minority is taken for a majority",
    file: "paxos/membership.ts",
    find: "this.quorum = Math.floor(this.voters.length / 2) + 1;",
    replace: "this.quorum = Math.floor((this.voters.length + 1) / 2);",
    flags: ["--nodes=4"],
  },
  {
    title: "a new leader takes the first promise's value, not that of the highest ballot",
    file: "paxos/candidacy.ts",
    find: "if (known === undefined || ballot > known.ballot) {",
    replace: "if (known === undefined) {",
    runs: 400,
    flags: ["--faults=network,crash,pause"],
  },
  {
    title: "a new leader fills open slots with no-ops",
    file: "paxos/leadership.ts",
    find: "this.#offer(slot, finding === undefined ? NO_OP : finding.value);",
    replace: "this.#offer(slot, NO_OP);",
  },
  {
    title: "an acceptor takes part in ballots below its promise",
    file: "paxos/acceptor.ts",
    find: '    if (ballot < this.#promised) {\n      this.#nack(from, ballot, "ballot");\n      return false;\n    }\n    if (slot',
    replace: "    if (slot",
  },
  {
    title: "a leader counts its lease from the answer, not from the question",
    file: "paxos/group.ts",
    find: "this.#state.leadership.acknowledged(from, message);",
    replace: "this.#state.leadership.acknowledged(from, { ...message, sentMs: this.#nowMs });",
    runs: 400,
    flags: ["--faults=network,pause,clock"],
  },
  {
    title: "an acceptor promises to others while it is bound to a lease",
    file: "paxos/lease.ts",
    find: "if (nowMs >= this.#untilMs) return false;",
    replace: "if (nowMs >= this.#untilMs - this.#leaseMs / 2) return false;",
    runs: 200,
  },
  {
    title: "reads are served without a lease",
    file: "replica/group-replica.ts",
    find: "return this.#wasCurrent() ? reply : undefined;",
    replace: "return reply;",
  },
  {
    title: "an entry is executed without the one it builds on",
    file: "machine/machine.ts",
    find: "if (proposal === null || proposal.after === 0) return false;",
    replace: "if (proposal === null || proposal.after >= 0) return false;",
    runs: 200,
    flags: ["--faults=network,crash,pause"],
  },
  {
    title: "group time follows the wall clock",
    file: "replica/group-time.ts",
    find: "return this.#baseMs + Math.floor(this.#clock.monotonicMs() - this.#startedAtMs);",
    replace: "return this.#baseMs + Math.floor(this.#clock.wallMs() - 1_800_000_000_000);",
  },
  {
    title: "a new leader's group time begins at its own clock, not at the last stamp",
    file: "replica/group-time.ts",
    find: "this.#baseMs = lastAppliedMs;",
    replace: "this.#baseMs = Math.max(lastAppliedMs, Math.floor(this.#clock.monotonicMs()));",
  },
  {
    title: "what is sent again gets a new sequence",
    file: "replica/forwarding.ts",
    find: "for (const item of this.#sent.values()) this.#send(target, item);",
    replace:
      "for (const item of [...this.#sent.values()]) {\n        this.#sent.delete(item.sequence);\n        this.#number(item);\n        this.#send(target, item);\n      }",
  },
  {
    title: "a forwarded operation is executed each time it comes",
    file: "machine/machine.ts",
    find: "if (known !== undefined) return known;\n    const reply = this.#execute(operation);",
    replace: "const reply = this.#execute(operation);\n    if (known !== undefined) return reply;",
  },
  {
    title: "the floor of a window is not looked at",
    file: "machine/reply-window.ts",
    find: "} else if (boot < window.boot || sequence < window.floor) {",
    replace: "} else if (boot < window.boot) {",
    runs: 400,
    flags: ["--faults=network,pause"],
  },
  {
    title: "the reply window is left out of checkpoints and snapshots",
    file: "machine/machine.ts",
    find: "for (const window of this.#replyWindows.takeChanged()) changed.push(window);",
    replace: "this.#replyWindows.takeChanged();",
  },
  {
    title: "a snapshot comes without its members",
    file: "replica/group-replica.ts",
    find: "meta: encodeGroupMeta({ machine: checkpoint.meta, members: this.#members }),",
    replace: "meta: encodeGroupMeta({ machine: checkpoint.meta, members: [] }),",
    flags: ["--faults=members,crash"],
  },
  {
    title: "the log is cut beyond what the checkpoint holds",
    file: "replica/group-replica.ts",
    find: "cutThrough: this.#window.advance(keep),",
    replace: "cutThrough: this.paxos.nextSlot - 1,",
  },
  {
    title: "a change of membership is in force when it is proposed",
    file: "paxos/leadership.ts",
    find: "this.#change = { members, slot: 0 };",
    replace:
      "this.#change = { members, slot: 0 };\n    const Kind = this.#membership.constructor as new (of: readonly Member[]) => Membership;\n    this.#membership = new Kind(members);",
    flags: ["--faults=members,network"],
  },
  {
    title: "a leader takes another value that was chosen for its own",
    file: "replica/group-replica.ts",
    find: "if (bytes === value || sameBytes(bytes, value)) {",
    replace: "if (bytes.length > 0) {",
    runs: 400,
    flags: ["--faults=network,pause,crash"],
  },
  {
    title: "a leader that hands over keeps its lease",
    file: "paxos/group.ts",
    find: '    this.#follow(leadership.ballot, null);\n    this.#outbox.send(to, { kind: "handover", ballot: leadership.ballot }, 0);',
    replace: '    this.#outbox.send(to, { kind: "handover", ballot: leadership.ballot }, 0);',
    runs: 400,
    flags: ["--faults=handover,network,pause"],
  },
  {
    title: "clocks that drift are not allowed for",
    file: "paxos/lease.ts",
    find: "return (leaseMs * (MILLION - clockDriftPpm)) / (MILLION + clockDriftPpm);",
    replace: "return leaseMs;",
    runs: 600,
    flags: ["--faults=network,pause,clock"],
  },
  {
    title: "a newcomer passes those who wait",
    file: "machine/locks/acquire.ts",
    find: "(!locks.isDelayed(lock) && (upgrade || !locks.hasWaiters(lock)));",
    replace: "!locks.isDelayed(lock);",
    flags: ["--lock-clients=12"],
  },
  {
    title: "SET NX passes those who wait",
    file: "machine/locks/lock-table.ts",
    find: "return lock !== null && (this.isDelayed(lock) || this.hasWaiters(lock));",
    replace: "return lock !== null && this.isDelayed(lock);",
    flags: ["--lock-clients=12"],
  },
  {
    title: "a waiter is granted after its deadline",
    file: "machine/locks/acquire.ts",
    find: "deadlineMs: nowMs + asked.waitMs,",
    replace: "deadlineMs: nowMs + asked.waitMs + 30,",
    flags: ["--lock-clients=12"],
  },
  {
    title: "one who reads passes a writer who waits",
    file: "machine/locks/acquire.ts",
    find: "(upgrade || !locks.hasWaiters(lock))",
    replace: '(upgrade || mode === "shared" || !locks.hasWaiters(lock))',
    flags: ["--lock-clients=12"],
  },
  {
    title: "the end of a session forgets what is bound to it",
    file: "machine/locks/sessions.ts",
    find: 'if (holder.boundTo === session) locks.endHolder(holder, "lost");',
    replace: 'if (holder.boundTo === null) locks.endHolder(holder, "lost");',
    flags: ["--lock-clients=12"],
  },
  {
    title: "what was granted meanwhile is not looked up when a snapshot is put in",
    file: "replica/lock-requests.ts",
    find: 'else if (found.kind === "granted") this.#granted(request, found.reply);',
    replace: 'else if (found.kind === "granted") continue;',
    scenario: { file: "replica/lock-waits.test.ts", title: "found in the snapshot" },
  },
  {
    title: "the victim of a deadlock is refused without a second look",
    file: "replica/deadlocks.ts",
    find: "if (cycles.length > 0) this.#confirm(cycles);",
    replace: "if (cycles.length > 0) this.#refuse(cycles.flatMap(({ edges }) => edges));",
    scenario: { file: "replica/deadlocks.test.ts", title: "edges of a node that lags" },
  },
  {
    title: "what undoes a request overtakes it",
    file: "replica/lock-chores.ts",
    find: "if (behind === null) this.#write(group, operation, chore);",
    replace: "if (group >= 0) this.#write(group, operation, chore);",
    scenario: { file: "replica/lock-order.test.ts", title: "comes before the end of its session" },
  },
  {
    title: "the end of a session overtakes its resumption",
    file: "replica/lock-sessions.ts",
    find: "      session.asked(group);\n",
    replace: "",
    scenario: { file: "replica/lock-order.test.ts", title: "comes before the end that follows" },
  },
  {
    title: "each waiter of a circle is refused",
    file: "replica/deadlocks.ts",
    find: "for (const cycle of findCycles(confirmed, CYCLES_MAX)) {",
    replace:
      "const turned = (edges: readonly GroupEdge[], at: number) => [...edges.slice(at), ...edges.slice(0, at)];\n    const cycles = findCycles(confirmed, CYCLES_MAX).flatMap(({ edges }) =>\n      edges.map((victim, at) => ({ edges: turned(edges, at), victim })),\n    );\n    for (const cycle of cycles) {",
    flags: ["--lock-clients=12", "--faults=none"],
  },
  {
    title: "nobody looks for deadlocks of several groups",
    file: "replica/deadlocks.ts",
    find: "if (this.#groups[0]?.leads !== true || this.#open > 0) return;",
    replace:
      "if (this.#groups[0]?.leads !== true || this.#open > 0 || this.#groups.length > 1) return;",
    flags: ["--lock-clients=12", "--groups=2", "--faults=none", "--ticks=1000"],
  },
  {
    title: "of two who wait the later one comes first",
    file: "machine/locks/wait-queue.ts",
    find: "  return a.place < b.place;",
    replace: "  return a.place > b.place;",
    flags: ["--lock-clients=12"],
  },
  {
    title: "nobody looks whose turn it is when a lease has run out",
    file: "machine/machine.ts",
    find: "endDue(this.#keyspace, this.#expiredPerEntryMax);\n    settle(this.#keyspace);",
    replace: "endDue(this.#keyspace, this.#expiredPerEntryMax);",
    flags: ["--lock-clients=12"],
  },
  {
    title: "one who goes from reading to writing does not wait for another one who reads",
    file: "machine/locks/grant.ts",
    find: 'return others === 0 && lock.mode === "shared";',
    replace: 'return others <= 1 && lock.mode === "shared";',
    flags: ["--lock-clients=12"],
  },
  {
    title: "a ticket that is cancelled keeps its place",
    file: "machine/locks/tickets.ts",
    find: 'else if (operation.kind === "lock-cancel") dismiss(keyspace, waiter, null, "cancelled");\n',
    replace: "",
    flags: ["--lock-clients=12"],
  },
  {
    title: "a request that is withdrawn keeps its place",
    file: "machine/locks/release.ts",
    find: "    keyspace.locks.waiters.leave(waiter);\n    return 1;",
    replace: "    return 1;",
    flags: ["--lock-clients=12"],
  },
  {
    title: "who has its turn is not told",
    file: "replica/lock-requests.ts",
    find: "if (outcome.granted.length > 0) this.#granted(request, outcome.reply);\n    else this.#end",
    replace: "if (outcome.granted.length === 0) this.#end",
    flags: ["--lock-clients=12"],
  },
  {
    title: "the sessions of a node that starts anew live on",
    file: "replica/lost-nodes.ts",
    find: "if (node === self) this.#endEarlier(",
    replace: "if (node === self && boot < 0) this.#endEarlier(",
    flags: ["--lock-clients=12", "--faults=crash"],
  },
  {
    title: "LOCK.LIST ends with the keys, and before those that only wait",
    file: "machine/locks/lock-list.ts",
    find: "const isOver = nextItem >= items.length && nextLock >= locks.length;",
    replace: "const isOver = nextItem >= items.length || nextLock >= locks.length;",
    flags: ["--lock-clients=12"],
  },
  {
    title: "LOCK.ACQUIREALL leaves keys behind when its coordinator dies",
    file: "machine/locks/holder-table.ts",
    find: "if (holder.bound) this.bind(holder);",
    replace: "if (holder.bind) this.bind(holder);",
    runs: 200,
    flags: ["--lock-clients=12", "--groups=4"],
  },
  {
    title: "permits that are taken are given once more",
    file: "machine/locks/grant.ts",
    find: "lock.used - (own?.permits ?? 0) + permits <= limitOf(lock);",
    replace: "lock.used - permits + permits <= limitOf(lock);",
    flags: ["--lock-clients=12"],
  },
  {
    title: "a grant to a client that is gone is not given back",
    file: "machine/locks/release.ts",
    find: 'keyspace.locks.endHolder(holder, "released");\n    found = 1;',
    replace: "found = 1;",
    flags: ["--lock-clients=12"],
  },
];
