/**
 * The node's log: pino, as JSON lines for programs or formatted in this process for people.
 *
 * A lock server must not stop because nobody reads its log: JSON lines are written in the
 * background and dropped, with a count, when too many wait; and a log that can no longer be written
 * (closed pipe, full disk) is given up, while the node goes on.
 */
import type { Logger } from "pino";
import { destination, pino, stdTimeFunctions } from "pino";
import { prettyFactory } from "pino-pretty";
import type { LogFormat, LogLevel } from "../config/configuration.ts";

export type { Logger };

/** Bytes of log that may wait for a slow reader before lines are dropped. */
const WAITING_BYTES_MAX = 16 * 1024 * 1024;

/** Where finished lines go; each ends in a line end. */
export interface LogSink {
  write(lines: string): void;
  /** Writes what waits, before the process ends. */
  flush(): void;
}

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Whether a person looks at the output; decides what `auto` is, and about colours. */
  readonly terminal: boolean;
  readonly sink: LogSink;
}

/** Whether the log is for people. */
export function isPretty({ format, terminal }: Pick<LogOptions, "format" | "terminal">): boolean {
  return format === "pretty" || (format === "auto" && terminal);
}

/** Makes the logger. Levels are written as words and times in ISO 8601, for people and programs. */
export function createLog(options: LogOptions): Logger {
  const { level, terminal, sink } = options;
  const settings = {
    level,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  if (!isPretty(options)) return pino(settings, sink);
  const format = prettyFactory({
    colorize: terminal,
    ignore: "pid,hostname",
    translateTime: "SYS:HH:MM:ss.l",
    singleLine: true,
  });
  const pretty = {
    write(line: string): void {
      sink.write(format(line));
    },
  };
  return pino(settings, pretty);
}

/** A sink on standard output; `background` is for programs that read slowly, not for terminals. */
export function standardOutputSink({ background }: { readonly background: boolean }): LogSink {
  const stream = destination({
    dest: 1,
    sync: !background,
    maxLength: background ? WAITING_BYTES_MAX : 0,
  });
  let dropped = 0;
  let broken = false;
  stream.on("drop", () => {
    dropped += 1;
  });
  // Without a listener, an error of the log would end the process and with it every lock's service.
  stream.on("error", () => {
    broken = true;
  });
  return {
    write(lines) {
      if (broken) return;
      if (dropped > 0) {
        const missing = dropped;
        dropped = 0;
        stream.write(dropNotice(missing));
        // The notice itself found no room: it is not a line that anybody misses.
        if (dropped > 0) dropped = missing;
      }
      stream.write(lines);
    },
    flush() {
      if (broken) return;
      try {
        stream.flushSync();
      } catch {
        // Nothing can be said any more about a log that cannot be written.
        broken = true;
      }
    },
  };
}

/** A line in the log's own format that says how many are missing. */
function dropNotice(lines: number): string {
  return `{"level":"warn","time":"${new Date().toISOString()}","dropped":${lines},"msg":"log lines were dropped because they were not read in time"}\n`;
}
