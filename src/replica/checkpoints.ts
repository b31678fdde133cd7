/**
 * When each group's state goes to the disk: after much has changed, in quiet moments, and when
 * somebody needs a snapshot.
 */
import { present } from "../base/assert.ts";
import type { GroupId } from "../base/ids.ts";
import { CATCH_UP_BYTES_MAX } from "../base/limits.ts";
import type { DiskQueue } from "./disk-queue.ts";
import type { GroupReplica } from "./group-replica.ts";

export class Checkpoints {
  readonly #disk: DiskQueue;
  readonly #groups: readonly GroupReplica[];
  /** Where the search for a group goes on, so that all get their turn. */
  #next = 0;
  #stopping = false;
  /** Groups that are checkpointed soon though little has changed. */
  readonly #wanted = new Set<GroupId>();
  /** The group whose checkpoint is in flight. */
  #writing: GroupId | null = null;
  /** Groups whose state is being replaced: no checkpoint may come between. */
  readonly #blocked = new Set<GroupId>();

  constructor(disk: DiskQueue, groups: readonly GroupReplica[]) {
    this.#disk = disk;
    this.#groups = groups;
  }

  /**
   * Every group that has something new, soon, and each of them once: those who go on would otherwise
   * have something new again whenever the last one is done, and a quiet moment of a node would leave
   * it with tiny checkpoints, one after the other, until nobody wants anything of it.
   */
  wantAll(): void {
    for (const group of this.#groups) if (this.#hasNews(group)) this.#wanted.add(group.id);
  }

  want(group: GroupId): void {
    this.#wanted.add(group);
  }

  /** Only what entries have changed is worth a checkpoint from now on. */
  stopping(): void {
    this.#stopping = true;
  }

  block(group: GroupId): void {
    this.#blocked.add(group);
  }

  unblock(group: GroupId): void {
    this.#blocked.delete(group);
  }

  isWriting(group: GroupId): boolean {
    return this.#writing === group;
  }

  /** The checkpoint in flight is durable. */
  written(): void {
    this.#writing = null;
  }

  /** Hands over the next checkpoint that is due, if none is in flight; false when there is none. */
  start(): boolean {
    if (this.#disk.checkpointing || this.#disk.gaveUp) return true;
    const count = this.#groups.length;
    for (let step = 0; step < count; step += 1) {
      const group = present(this.#groups[(this.#next + step) % count], "within bounds");
      if (this.#blocked.has(group.id) || !this.#isDue(group)) continue;
      this.#next = (group.id + 1) % count;
      this.#wanted.delete(group.id);
      this.#writing = group.id;
      this.#disk.checkpoint(group.takeCheckpoint(Math.floor(CATCH_UP_BYTES_MAX / count)));
      return true;
    }
    return false;
  }

  #isDue(group: GroupReplica): boolean {
    if (this.#wanted.has(group.id)) return true;
    return group.checkpointDue && (!this.#stopping || group.behindCheckpoint);
  }

  #hasNews(group: GroupReplica): boolean {
    return group.behindCheckpoint || (!this.#stopping && group.machine.dirtyRows() > 0);
  }
}
