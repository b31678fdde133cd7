/**
 * The log while the node runs: which segment a commit goes to, what goes along with it, and what may
 * be deleted.
 *
 * A commit that has failed is tried again at the same place, and covers all bytes that the failed one
 * may have left there: so no sequence is ever in the log twice.
 */
import { assert } from "../base/assert.ts";
import type { Ballot, GroupId, Slot } from "../base/ids.ts";
import { LOG_CARRIED_BYTES_MAX } from "../base/limits.ts";
import type { Commit, PromiseRecord, Stored } from "../base/ports.ts";
import type { LogHead } from "./format.ts";
import type { LogIndex } from "./log-index.ts";
import type { LogEnd } from "./log-reader.ts";
import { SEGMENT_HEAD_BYTES, writeFrame, writeSegmentHead } from "./log-segment.ts";
import type { SegmentFiles } from "./segment-files.ts";
import type { WorkThread } from "./work-thread.ts";

/** The log may be so many times what is needed of it, and some segments more, before it is tidied up. */
const SLACK_FACTOR = 4;
const SLACK_SEGMENTS = 8;

/** What is carried on for the asking is at most this part of a segment, so that the log gains by it. */
const CHEAP_PART = 16;

export interface LogWriterOptions {
  readonly thread: WorkThread;
  readonly files: SegmentFiles;
  readonly index: LogIndex;
  readonly seed: number;
  readonly segmentBytes: number;
  readonly firstSegment: number;
  readonly end: LogEnd;
  /** By group; 0 where there is none. */
  readonly promises: readonly Ballot[];
  /** Called when a segment has got its first turn. */
  readonly onBegun: () => void;
}

export class LogWriter {
  readonly #thread: WorkThread;
  readonly #files: SegmentFiles;
  readonly #index: LogIndex;
  readonly #seed: number;
  readonly #segmentBytes: number;
  readonly #promises: Ballot[];
  readonly #onBegun: () => void;
  /** The first sequence of each segment that has turns, oldest first. */
  readonly #firstSequences: Map<number, number>;
  #firstSegment: number;
  #segment: number;
  /** Where the next frame begins; 0 in a segment without a head. */
  #position: number;
  /** Of the last durable turn. */
  #sequence: number;
  /** What failed commits may have written lies before this place of the segment. */
  #failedThrough = 0;

  constructor(options: LogWriterOptions) {
    const { end } = options;
    this.#thread = options.thread;
    this.#files = options.files;
    this.#index = options.index;
    this.#seed = options.seed;
    this.#segmentBytes = options.segmentBytes;
    this.#promises = [...options.promises];
    this.#onBegun = options.onBegun;
    this.#firstSequences = new Map(end.firstSequences);
    this.#firstSegment = options.firstSegment;
    this.#segment = end.segment;
    this.#position = end.position;
    this.#sequence = end.lastSequence;
  }

  /** How many segments hold the log. */
  get segments(): number {
    return this.#segment - this.#firstSegment + 1;
  }

  /** What the log must hold, now. */
  get head(): LogHead {
    const firstSegment = this.#firstSegment;
    const firstSequence = this.#firstSequences.get(firstSegment) ?? this.#sequence + 1;
    return { firstSegment, firstSequence, lastSequence: this.#sequence };
  }

  /** What the log must hold once what nobody needs is deleted; null when all of it is needed. */
  get headWithoutOld(): LogHead | null {
    const firstSegment = Math.min(this.#index.oldestSegment ?? this.#segment, this.#segment);
    const firstSequence = this.#firstSequences.get(firstSegment);
    if (firstSegment <= this.#firstSegment || firstSequence === undefined) return null;
    return { firstSegment, firstSequence, lastSequence: this.#sequence };
  }

  /** Deletes the segments before a head that is durable. */
  deleteBefore({ firstSegment }: LogHead): void {
    assert(firstSegment <= this.#segment, "the segment in use is kept");
    this.#firstSegment = firstSegment;
    for (const segment of this.#firstSequences.keys()) {
      if (segment < firstSegment) this.#firstSequences.delete(segment);
    }
    this.#files.deleteBelow(firstSegment);
  }

  /** The group needs no record at or below `through` any more. */
  cut(group: GroupId, through: Slot): void {
    this.#index.cut(group, through);
  }

  /** Makes a commit durable. One is in flight at a time. */
  write(commit: Commit, done: Stored): void {
    const { bytes } = this.#thread;
    this.#list(this.#segment, this.#position, commit);
    const fits = this.#position + bytes.length <= this.#segmentBytes;
    const fresh = this.#position <= SEGMENT_HEAD_BYTES;
    if (fits || fresh || this.#failedThrough > this.#position) {
      this.#write(this.#segment, this.#position, { commit, carriedFrom: null }, done);
      return;
    }
    const segment = this.#segment + 1;
    const position = this.#files.isReady(segment) ? SEGMENT_HEAD_BYTES : 0;
    const carriedFrom = this.#worthCarrying();
    const carried = carriedFrom === null ? [] : this.#index.oldestRecords();
    this.#list(segment, position, { ...commit, log: [...carried, ...commit.log] });
    this.#write(segment, position, { commit, carriedFrom }, done);
  }

  #list(segment: number, position: number, commit: Commit): void {
    const { bytes } = this.#thread;
    const { log } = commit;
    // Nothing but records keeps an old segment, so that each segment has all promises in its first frame.
    const first = position <= SEGMENT_HEAD_BYTES;
    const promises = first ? this.#inForce(commit.promises) : commit.promises;
    bytes.reset();
    if (position === 0) writeSegmentHead(bytes, segment);
    const place = { seed: this.#seed, segment, position: Math.max(position, SEGMENT_HEAD_BYTES) };
    writeFrame(bytes, place, { sequence: this.#sequence + 1, records: log, promises });
  }

  #write(
    segment: number,
    position: number,
    { commit, carriedFrom }: { readonly commit: Commit; readonly carriedFrom: number | null },
    done: Stored,
  ): void {
    const { bytes } = this.#thread;
    const end = position + bytes.length;
    while (position + bytes.length < this.#failedThrough) bytes.u8(0);
    this.#files.use(segment);
    this.#thread.write(
      (failure) => {
        if (failure !== null) {
          this.#begin(segment, position);
          this.#failedThrough = Math.max(this.#failedThrough, end);
          done(failure);
          return;
        }
        this.#begin(segment, end);
        this.#sequence += 1;
        if (!this.#firstSequences.has(segment)) {
          this.#firstSequences.set(segment, this.#sequence);
          this.#files.prepare(segment + 1);
          this.#onBegun();
        }
        for (const { group, ballot } of commit.promises) this.#promises[group] = ballot;
        if (carriedFrom !== null) this.#index.move(carriedFrom, segment);
        this.#index.add(segment, commit.log);
        done(null);
      },
      segment,
      position,
    );
  }

  #begin(segment: number, position: number): void {
    if (segment !== this.#segment) this.#failedThrough = 0;
    this.#segment = segment;
    this.#position = position;
  }

  /** All promises, with those that are about to be made. */
  #inForce(promises: readonly PromiseRecord[]): PromiseRecord[] {
    const ballots = [...this.#promises];
    for (const { group, ballot } of promises) ballots[group] = ballot;
    return ballots.flatMap((ballot, group) => (ballot === 0 ? [] : [{ group, ballot }]));
  }

  /** The oldest segment, when what is needed of it should be written again so that it can go. */
  #worthCarrying(): number | null {
    const oldest = this.#index.oldestSegment;
    if (oldest === null || oldest === this.#segment) return null;
    const slack = SLACK_FACTOR * this.#index.totalBytes + SLACK_SEGMENTS * this.#segmentBytes;
    const tooLong = this.segments * this.#segmentBytes > slack;
    const cheapBytes = Math.min(LOG_CARRIED_BYTES_MAX, this.#segmentBytes / CHEAP_PART);
    const cheap = this.#index.segmentBytes(oldest) <= cheapBytes;
    return tooLong || cheap ? oldest : null;
  }
}
