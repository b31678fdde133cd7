/**
 * Takes a group's whole state from another node: the rows go to the disk beside the old state, and
 * into a machine of their own, and take the place of both at once.
 *
 *     needed ─▶ asked ─▶ receiving (write a chunk, acknowledge it, …) ─▶ swapping ─▶ installed
 *                 └──────────┴─ silence, a bad row, a link that is gone ─▶ given up, asked again
 *
 * Until the swap is durable the old state is the valid one. While it is being made durable, nothing is
 * applied to the old one.
 */
import type { GroupId, NodeId, Slot } from "../base/ids.ts";
import { SNAPSHOTS_RECEIVED_MAX } from "../base/limits.ts";
import type { SnapshotInstall, Storage } from "../base/ports.ts";
import type { Machine } from "../machine/machine.ts";
import type { Member } from "../paxos/members.ts";
import type { SnapshotChunkMessage } from "../wire/peer-messages.ts";
import { decodeGroupMeta, decodeStateRow } from "../wire/state-codec.ts";
import type { Checkpoints } from "./checkpoints.ts";
import type { ReplicaContext } from "./context.ts";
import type { GroupReplica } from "./group-replica.ts";
import type { ReplicaEvent } from "./options.ts";

interface Intake {
  readonly group: GroupReplica;
  readonly from: NodeId;
  state: "asked" | "receiving" | "swapping";
  progressTick: number;
  transfer: number;
  /** Chunks that came and wait for the disk, in order; never more than the sender may have out. */
  readonly chunks: SnapshotChunkMessage[];
  nextIndex: number;
  appliedSlot: Slot;
  meta: Uint8Array;
  members: readonly Member[];
  machine: Machine | null;
  install: SnapshotInstall | null;
  writing: boolean;
}

export class SnapshotReceiver {
  readonly #context: ReplicaContext;
  readonly #storage: Storage;
  readonly #checkpoints: Checkpoints;
  readonly #newMachine: (group: GroupId) => Machine;
  readonly #onEvent: (event: ReplicaEvent) => void;
  readonly #intakes = new Map<GroupId, Intake>();
  /** Groups whose intake was given up while a write of it was on its way. */
  readonly #ending = new Set<GroupId>();
  #closed = false;

  constructor(
    context: ReplicaContext,
    parts: {
      readonly storage: Storage;
      readonly checkpoints: Checkpoints;
      readonly newMachine: (group: GroupId) => Machine;
      readonly onEvent: (event: ReplicaEvent) => void;
    },
  ) {
    this.#context = context;
    this.#storage = parts.storage;
    this.#checkpoints = parts.checkpoints;
    this.#newMachine = parts.newMachine;
    this.#onEvent = parts.onEvent;
  }

  /** A group lacks what only a snapshot has; `from` has one of at least `slot`. */
  needed(group: GroupReplica, from: NodeId, slot: Slot): void {
    if (this.#closed || this.#intakes.has(group.id) || this.#ending.has(group.id)) return;
    if (this.#intakes.size >= SNAPSHOTS_RECEIVED_MAX) return;
    this.#intakes.set(group.id, {
      group,
      from,
      state: "asked",
      progressTick: this.#context.tick,
      transfer: 0,
      chunks: [],
      nextIndex: 0,
      appliedSlot: 0,
      meta: new Uint8Array(0),
      members: [],
      machine: null,
      install: null,
      writing: false,
    });
    this.#context.outbound.add(from, { kind: "snapshot-request", group: group.id, slot });
    this.#tell(group.id, from, "begun", `from slot ${group.machine.appliedSlot}`);
  }

  received(from: NodeId, chunk: SnapshotChunkMessage): void {
    const intake = this.#intakes.get(chunk.group);
    if (intake?.from !== from || intake.state === "swapping") return;
    if (intake.state === "asked") {
      if (chunk.index !== 0 || !this.#begin(intake, chunk)) return;
    } else if (chunk.transfer !== intake.transfer) {
      return;
    }
    if (chunk.index !== intake.nextIndex + intake.chunks.length) return;
    if (chunk.appliedSlot !== intake.appliedSlot) return;
    intake.progressTick = this.#context.tick;
    intake.chunks.push(chunk);
    this.#write(intake);
  }

  /** A checkpoint of `group` is durable, behind which an intake may have waited. */
  checkpointed(group: GroupId): void {
    const intake = this.#intakes.get(group);
    if (intake?.state === "receiving") this.#write(intake);
  }

  disconnected(peer: NodeId): void {
    for (const intake of [...this.#intakes.values()]) {
      if (intake.from === peer) this.#giveUp(intake, "the link is gone");
    }
  }

  /** Gives up what does not get on; the group asks again. */
  expire(): void {
    const { tick, timings } = this.#context;
    const late = tick - timings.snapshotPatienceMs / timings.tickMs;
    for (const intake of [...this.#intakes.values()]) {
      // A disk that takes its time is no silence.
      if (intake.progressTick < late && !intake.writing) this.#giveUp(intake, "nothing came");
    }
  }

  /** Takes in nothing more; what is half there is cleared away. */
  close(): void {
    this.#closed = true;
    for (const intake of [...this.#intakes.values()]) this.#giveUp(intake, "the node stops");
  }

  #begin(intake: Intake, chunk: SnapshotChunkMessage): boolean {
    const { group } = intake;
    const meta = decodeGroupMeta(chunk.meta);
    if (meta === null || meta.members.length === 0) {
      this.#giveUp(intake, "its head is not whole");
      return false;
    }
    if (chunk.appliedSlot <= group.machine.appliedSlot) {
      this.#giveUp(intake, "it is not needed any more");
      return false;
    }
    intake.state = "receiving";
    intake.transfer = chunk.transfer;
    intake.appliedSlot = chunk.appliedSlot;
    intake.meta = chunk.meta;
    intake.members = meta.members;
    intake.machine = this.#newMachine(group.id);
    intake.machine.restoreMeta(meta.machine);
    this.#checkpoints.block(group.id);
    return true;
  }

  #write(intake: Intake): void {
    const chunk = intake.chunks[0];
    const { machine, group } = intake;
    if (intake.writing || chunk === undefined || machine === null) return;
    // One that was handed over before this began comes to its end first.
    if (this.#checkpoints.isWriting(group.id)) return;
    for (const { row, bytes } of chunk.rows) {
      const stateRow = decodeStateRow(bytes);
      if (stateRow === null || stateRow.row !== row || !machine.restoreRow(stateRow)) {
        this.#giveUp(intake, `row ${row} is not whole`);
        return;
      }
    }
    intake.install ??= this.#storage.install(group.id);
    if (chunk.rows.length === 0) {
      this.#written(intake, chunk);
      return;
    }
    intake.writing = true;
    intake.install.rows(chunk.rows, (failure) => {
      intake.writing = false;
      if (this.#ending.delete(group.id)) intake.install?.abort();
      else if (failure !== null) this.#giveUp(intake, failure.message);
      else this.#written(intake, chunk);
    });
  }

  #written(intake: Intake, chunk: SnapshotChunkMessage): void {
    intake.chunks.shift();
    intake.nextIndex += 1;
    intake.progressTick = this.#context.tick;
    const { transfer, index } = chunk;
    const group = intake.group.id;
    this.#context.outbound.add(intake.from, { kind: "snapshot-ack", group, transfer, index });
    if (chunk.last) this.#finish(intake);
    else this.#write(intake);
    this.#context.wake();
  }

  #finish(intake: Intake): void {
    const { group, machine, install, appliedSlot, meta } = intake;
    if (machine === null || install === null) return;
    const fault = machine.finishRestore(appliedSlot);
    if (fault !== null) {
      this.#giveUp(intake, fault);
      return;
    }
    if (group.machine.appliedSlot >= appliedSlot) {
      this.#giveUp(intake, "it is not needed any more");
      return;
    }
    intake.state = "swapping";
    intake.writing = true;
    group.holdBack();
    install.finish({ appliedSlot, meta, cutThrough: appliedSlot }, (failure) => {
      intake.writing = false;
      if (failure === null) this.#installed(intake, machine);
      else this.#giveUp(intake, failure.message);
    });
  }

  /** The new state is the valid one on the disk. */
  #installed({ group, from, members, appliedSlot }: Intake, machine: Machine): void {
    this.#intakes.delete(group.id);
    this.#checkpoints.unblock(group.id);
    group.install(machine, members);
    this.#tell(group.id, from, "installed", `slot ${appliedSlot}`);
    this.#context.wake(group.id);
  }

  #giveUp(intake: Intake, reason: string): void {
    const { group, from, install, state } = intake;
    // What is on its way to the disk is aborted when it has arrived; a swap cannot be called back.
    if (state === "swapping" && intake.writing) return;
    this.#intakes.delete(group.id);
    this.#checkpoints.unblock(group.id);
    if (intake.writing) this.#ending.add(group.id);
    else install?.abort();
    if (state === "swapping") group.goOn();
    this.#tell(group.id, from, "given up", reason);
    this.#context.wake(group.id);
  }

  #tell(
    group: GroupId,
    from: NodeId,
    state: Extract<ReplicaEvent, { kind: "snapshot" }>["state"],
    detail: string,
  ): void {
    this.#onEvent({ kind: "snapshot", group, from, state, detail });
  }
}
