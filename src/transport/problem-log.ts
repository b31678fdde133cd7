/**
 * The transport's log lines, and what keeps a fault that repeats with every retry from filling the
 * log: the same text about the same node appears once and then at most once in a while.
 */
import type { Millis } from "../base/ids.ts";

/** Where lines go; pino's logger is one. */
export interface TransportLog {
  info(line: string): void;
  warn(line: string): void;
}

/** Subjects remembered; past it the oldest is forgotten, and its next line appears again. */
const SUBJECTS_MAX = 256;

/** Different lines remembered about one subject. */
const LINES_MAX = 8;

export class ProblemLog {
  readonly #log: TransportLog;
  readonly #repeatMs: Millis;
  readonly #nowMs: () => Millis;
  /** When each line was last written, by subject and line. */
  readonly #written = new Map<string, Map<string, Millis>>();

  constructor(log: TransportLog, repeatMs: Millis, nowMs: () => Millis) {
    this.#log = log;
    this.#repeatMs = repeatMs;
    this.#nowMs = nowMs;
  }

  /** Writes the line about a subject, unless it was written not long ago. */
  warn(subject: string, line: string): void {
    const nowMs = this.#nowMs();
    let lines = this.#written.get(subject);
    if (lines === undefined) {
      lines = new Map();
      this.#written.set(subject, lines);
      dropOldest(this.#written, SUBJECTS_MAX);
    }
    const writtenMs = lines.get(line);
    if (writtenMs !== undefined && nowMs - writtenMs < this.#repeatMs) return;
    lines.delete(line);
    lines.set(line, nowMs);
    dropOldest(lines, LINES_MAX);
    this.#log.warn(line);
  }

  /** The subject is well again: what befalls it from now on is news. */
  forget(subject: string): void {
    this.#written.delete(subject);
  }
}

function dropOldest(map: Map<string, unknown>, most: number): void {
  if (map.size <= most) return;
  for (const key of map.keys()) {
    map.delete(key);
    return;
  }
}
