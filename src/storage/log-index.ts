/**
 * Which records of the log are still needed, in which segment they lie, and how many bytes each group
 * keeps.
 *
 * Each group has its needed records in a queue, in the order written; cutting takes them from the
 * front while their slot is cut. A record that waits behind a higher slot only waits for the next cut.
 * So the cost of cutting is the number of records ever written, and no scan.
 *
 * The records themselves are kept, not only their sizes, so that those which hold an old segment back
 * can be written again into a new one. That costs no memory for values: Paxos keeps those of the same
 * slots for its peers.
 */
import { present } from "../base/assert.ts";
import type { GroupId, Slot } from "../base/ids.ts";
import type { AcceptedRecord } from "../base/ports.ts";

/** What a record takes besides its value, roughly. */
const RECORD_HEAD_BYTES = 20;

/** Records taken before the columns are moved up; keeps the cost of moving per record constant. */
const LEAST_COMPACTION = 64;

/** The records of one group, as columns with a common head, since there may be many. */
class GroupRecords {
  /** Those in front of the head are gone. */
  records: (AcceptedRecord | undefined)[] = [];
  segments: number[] = [];
  head = 0;
  bytes = 0;
  cut: Slot = 0;

  add(segment: number, record: AcceptedRecord): void {
    this.records.push(record);
    this.segments.push(segment);
    this.bytes += sizeOf(record);
  }

  first(): AcceptedRecord | undefined {
    return this.records[this.head];
  }

  firstSegment(): number {
    return present(this.segments[this.head], "there is a first record");
  }

  take(): AcceptedRecord {
    const record = present(this.first(), "there is a first record");
    this.bytes -= sizeOf(record);
    // Its value goes now: those in front of the head may be as large as those that are needed.
    this.records[this.head] = undefined;
    this.head += 1;
    if (this.head >= LEAST_COMPACTION && this.head * 2 > this.records.length) this.#compact();
    return record;
  }

  #compact(): void {
    this.records = this.records.slice(this.head);
    this.segments = this.segments.slice(this.head);
    this.head = 0;
  }
}

interface SegmentUse {
  records: number;
  bytes: number;
}

export class LogIndex {
  readonly #groups: readonly GroupRecords[];
  /** What is needed of each segment that anything is needed of, oldest first. */
  readonly #segments = new Map<number, SegmentUse>();
  #bytes = 0;

  constructor(groups: number) {
    this.#groups = Array.from({ length: groups }, () => new GroupRecords());
  }

  /** Bytes of records that all groups need. */
  get totalBytes(): number {
    return this.#bytes;
  }

  /** The oldest segment of which anything is needed, or null. */
  get oldestSegment(): number | null {
    for (const segment of this.#segments.keys()) return segment;
    return null;
  }

  /** Bytes of records that the group has not cut. */
  bytes(group: GroupId): number {
    return this.#of(group).bytes;
  }

  /** Bytes of records that are needed of a segment. */
  segmentBytes(segment: number): number {
    return this.#segments.get(segment)?.bytes ?? 0;
  }

  /** Takes note of stored records. Segments never go down from call to call. */
  add(segment: number, records: readonly AcceptedRecord[]): void {
    for (const record of records) {
      const group = this.#of(record.group);
      if (record.slot <= group.cut) continue;
      group.add(segment, record);
      const size = sizeOf(record);
      this.#bytes += size;
      const use = this.#segments.get(segment);
      if (use === undefined) {
        this.#segments.set(segment, { records: 1, bytes: size });
      } else {
        use.records += 1;
        use.bytes += size;
      }
    }
  }

  /** The group needs no record at or below `through` any more. */
  cut(group: GroupId, through: Slot): void {
    const records = this.#of(group);
    records.cut = Math.max(records.cut, through);
    for (;;) {
      const first = records.first();
      if (first === undefined || first.slot > records.cut) return;
      this.#release(records);
    }
  }

  /** What is needed of the oldest segment, by group and in the order written. */
  oldestRecords(): readonly AcceptedRecord[] {
    const oldest = this.oldestSegment;
    const found: AcceptedRecord[] = [];
    for (const { records, segments, head } of this.#groups) {
      for (let at = head; at < records.length && segments[at] === oldest; at++) {
        found.push(present(records[at], "within bounds"));
      }
    }
    return found;
  }

  /** What is still needed of a segment, the oldest, lies in another one now, the newest. */
  move(from: number, to: number): void {
    for (const group of this.#groups) {
      const moved: AcceptedRecord[] = [];
      while (group.first() !== undefined && group.firstSegment() === from) {
        moved.push(this.#release(group));
      }
      this.add(to, moved);
    }
  }

  #release(group: GroupRecords): AcceptedRecord {
    const segment = group.firstSegment();
    const record = group.take();
    const size = sizeOf(record);
    this.#bytes -= size;
    const use = present(this.#segments.get(segment), "a record lies in a known segment");
    use.records -= 1;
    use.bytes -= size;
    if (use.records === 0) this.#segments.delete(segment);
    return record;
  }

  #of(group: GroupId): GroupRecords {
    return present(this.#groups[group], "the group exists");
  }
}

function sizeOf(record: AcceptedRecord): number {
  return record.value.length + RECORD_HEAD_BYTES;
}
