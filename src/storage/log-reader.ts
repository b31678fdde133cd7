/** Reading the log at start: every turn from the first segment on, and where the log goes on. */
import { closeSync, fdatasyncSync, openSync, readdirSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { LogHead } from "./format.ts";
import {
  readSegment,
  segmentName,
  segmentNumber,
  type FrameContent,
  type Remainder,
} from "./log-segment.ts";
import { corrupt } from "./open-error.ts";

/** Where the log goes on, and what is left to tidy up. */
export interface LogEnd {
  /** Of the last turn, or 0. */
  readonly lastSequence: number;
  /** The segment that takes the next turn; it may not be there yet. */
  readonly segment: number;
  /** Where in it; 0 when the segment has no head yet. */
  readonly position: number;
  /** The last segment that is there and blank behind its head, or `segment` itself. */
  readonly preparedThrough: number;
  /** The first sequence of each segment that has turns, oldest first. */
  readonly firstSequences: ReadonlyMap<number, number>;
  /** Bytes of an unfinished turn that are to become zeros again; null when there are none. */
  readonly unfinished: {
    readonly segment: number;
    readonly from: number;
    readonly to: number;
  } | null;
  /** Names of files that an interrupted deletion or preparation has left. */
  readonly leftovers: readonly string[];
}

/** What is to be read. */
export interface LogSource {
  readonly directory: string;
  readonly seed: number;
  readonly head: LogHead;
}

/**
 * Calls `visit` with every frame of the log, in order, and changes nothing. Throws the error that ends
 * a start where something that was written is missing or damaged.
 */
export function readLog(
  source: LogSource,
  visit: (segment: number, frame: FrameContent) => void,
): LogEnd {
  const { directory, head } = source;
  const { numbers, leftovers } = listSegments(source);
  const firstSequences = new Map<number, number>();
  let nextSequence = head.firstSequence;
  let end = { segment: head.firstSegment, position: 0 };
  let preparedThrough = head.firstSegment;
  /** A rest that is no frame: only zeros may come after it. */
  let stopped: {
    readonly segment: number;
    readonly from: number;
    readonly rest: Remainder;
  } | null = null;
  for (const segment of numbers) {
    const bytes = readFileSync(join(directory, segmentName(segment)));
    const sequence = nextSequence;
    const read = readSegment({ bytes, seed: source.seed, segment, sequence }, (frame) => {
      if (stopped !== null) throw damage(directory, stopped);
      if (!firstSequences.has(segment)) firstSequences.set(segment, frame.sequence);
      visit(segment, frame);
    });
    nextSequence = read.nextSequence;
    const { rest, position } = read;
    if (rest.kind !== "zeros") {
      if (stopped !== null) throw damage(directory, stopped);
      stopped = { segment, from: position, rest };
      if (rest.kind === "damaged") throw damage(directory, stopped);
    }
    if (firstSequences.has(segment) || segment === head.firstSegment || rest.kind !== "zeros") {
      end = { segment, position };
      preparedThrough = segment;
    } else if (position > 0 && preparedThrough === segment - 1) {
      preparedThrough = segment;
    }
  }
  const lastSequence = nextSequence - 1;
  if (lastSequence < head.lastSequence) {
    const place = `${segmentName(end.segment)}, byte ${end.position}`;
    throw corrupt(
      directory,
      place,
      `the log ends with turn ${lastSequence}, turn ${head.lastSequence} was written`,
    );
  }
  const unfinished =
    stopped === null
      ? null
      : { segment: stopped.segment, from: stopped.from, to: stopped.rest.end };
  return { ...end, preparedThrough, lastSequence, firstSequences, unfinished, leftovers };
}

function damage(
  directory: string,
  stopped: { readonly segment: number; readonly from: number; readonly rest: Remainder },
): Error {
  const place = `${segmentName(stopped.segment)}, byte ${stopped.from}`;
  return corrupt(directory, place, stopped.rest.reason);
}

/** The segments from the first that is needed, without a gap, and the files to delete. */
function listSegments({ directory, head }: LogSource): {
  readonly numbers: readonly number[];
  readonly leftovers: readonly string[];
} {
  const numbers: number[] = [];
  const leftovers: string[] = [];
  for (const name of readdirSync(directory)) {
    const number = segmentNumber(name);
    if (number !== null && number >= head.firstSegment) numbers.push(number);
    else if (number !== null || isPreparation(name)) leftovers.push(name);
  }
  numbers.sort((a, b) => a - b);
  numbers.forEach((number, place) => {
    const expected = head.firstSegment + place;
    if (number !== expected) throw corrupt(directory, segmentName(expected), "it is missing");
  });
  if (numbers.length === 0 && head.lastSequence > 0) {
    throw corrupt(directory, segmentName(head.firstSegment), "it is missing");
  }
  return { numbers, leftovers };
}

/** Name of a segment that is being prepared. */
export function preparationName(number: number): string {
  return `${segmentName(number)}.new`;
}

function isPreparation(name: string): boolean {
  return name.endsWith(".new") && segmentNumber(name.slice(0, -".new".length)) !== null;
}

/** Makes zeros of an unfinished turn, so that the next one may be written in its place. */
export function clearUnfinished(directory: string, { unfinished }: LogEnd): void {
  if (unfinished === null) return;
  const { segment, from, to } = unfinished;
  const file = openSync(join(directory, segmentName(segment)), "r+");
  try {
    const zeros = new Uint8Array(to - from);
    for (let written = 0; written < zeros.length;) {
      written += writeSync(file, zeros, written, zeros.length - written, from + written);
    }
    fdatasyncSync(file);
  } finally {
    closeSync(file);
  }
}
