/**
 * The node's log: pino, as JSON lines for programs or formatted in this process for people.
 *
 * A lock server must not stop because nobody reads its log: lines wait in memory, are dropped, with
 * a count, when too many wait, and a log that can no longer be written (closed pipe, full disk) is
 * given up, while the node goes on. pino's own destination is not used because it blocks: once a
 * write has failed, its `flushSync`, which also runs at exit, tries again for ever.
 */
import type { Writable } from "node:stream";
import type { Logger } from "pino";
import { pino, stdTimeFunctions } from "pino";
import { prettyFactory } from "pino-pretty";
import type { LogFormat, LogLevel } from "../config/configuration.ts";

export type { Logger };

/** Bytes of log that may wait for a slow reader before lines are dropped. */
const WAITING_BYTES_MAX = 16 * 1024 * 1024;

/** Where finished lines go; each ends in a line end. */
export interface LogSink {
  /** False when the lines were dropped because too many wait. */
  write(lines: string): boolean;
  /** Resolves when everything is written, can no longer be written, or `limitMs` are over. */
  drained(limitMs: number): Promise<void>;
}

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Whether a person looks at the output; decides what `auto` is, and about colours. */
  readonly terminal: boolean;
  readonly sink: Pick<LogSink, "write">;
}

/** Whether the log is for people. */
export function isPretty({ format, terminal }: Pick<LogOptions, "format" | "terminal">): boolean {
  return format === "pretty" || (format === "auto" && terminal);
}

/** Makes the logger. Levels are written as words and times in ISO 8601, for people and programs. */
export function createLog(options: LogOptions): Logger {
  const { level, terminal, sink } = options;
  const format = isPretty(options)
    ? prettyFactory({
        colorize: terminal,
        ignore: "pid,hostname",
        translateTime: "SYS:HH:MM:ss.l",
        singleLine: true,
      })
    : (line: string) => line;
  let dropped = 0;
  const destination = {
    write(line: string): void {
      if (dropped > 0 && sink.write(format(dropNotice(dropped)))) dropped = 0;
      if (dropped > 0 || !sink.write(format(line))) dropped += 1;
    },
  };
  const settings = {
    level,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return pino(settings, destination);
}

/**
 * A sink on a stream, for the node on standard output. There, files and terminals take lines at
 * once; what a pipe does not take waits in memory, without blocking.
 */
export function streamSink(stream: Writable): LogSink {
  let broken = false;
  // Without a listener, an error of the log would end the process and with it every lock's service.
  stream.on("error", () => {
    broken = true;
  });
  return {
    write(lines) {
      if (broken) return true;
      if (stream.writableLength >= WAITING_BYTES_MAX) return false;
      try {
        stream.write(lines);
      } catch {
        // Files are written at once, and a full disk says so here.
        broken = true;
      }
      return true;
    },
    async drained(limitMs) {
      const endMs = performance.now() + limitMs;
      while (!broken && stream.writableLength > 0 && performance.now() < endMs) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    },
  };
}

/** A line in pino's form that says how many are missing. */
function dropNotice(lines: number): string {
  const time = new Date().toISOString();
  const msg = "log lines were dropped because nobody read them in time";
  return `${JSON.stringify({ level: "warn", time, dropped: lines, msg })}\n`;
}
