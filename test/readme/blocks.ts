/**
 * What is done with each fenced block of the README: run, compared, written to a file, or left
 * alone for a reason that stands above it. A block that is none of these is an offence.
 */
import type { Block } from "../tidy/markdown.ts";
import { parseTranscript, type Step } from "./transcript.ts";

/** One thing to do, with the line of the README for messages. */
export type Task = { readonly line: number } & (
  | { readonly kind: "shell"; readonly commands: readonly string[]; readonly inCheckout: boolean }
  | {
      readonly kind: "transcript";
      readonly steps: readonly Step[];
      /** Words below which an integer is not compared. */
      readonly varies: readonly string[];
    }
  | { readonly kind: "file"; readonly name: string; readonly text: string }
  | { readonly kind: "drawing"; readonly text: string }
  | { readonly kind: "left"; readonly reason: string }
);

/** A reason shorter than this gives none. */
const REASON_MIN = 8;

/** The task of a block, or what is wrong with it. */
export function taskOf(block: Block): Task | string {
  const { language, text, line, remarks } = block;
  const reason = remarks.get("not run");
  if (reason !== undefined) {
    return reason.length < REASON_MIN
      ? `line ${line}: "${reason}" is no reason not to run a block`
      : { kind: "left", line, reason };
  }
  const file = remarks.get("file") ?? /^(?:\/\/|#) (\S+\.\w+)\n/.exec(text)?.[1];
  switch (language) {
    case "sh": {
      const where = remarks.get("run in");
      if (where !== undefined && where !== "the checkout")
        return `line ${line}: unknown "${where}"`;
      const commands = shellCommands(text);
      if (commands.length === 0) return `line ${line}: the block is empty`;
      return { kind: "shell", line, commands, inCheckout: where !== undefined };
    }
    case "console": {
      const steps = parseTranscript(text);
      if (typeof steps === "string") return `line ${line}: ${steps}`;
      const varies = (remarks.get("varies") ?? "").split(/,\s*/).filter((word) => word !== "");
      return { kind: "transcript", line, steps, varies };
    }
    case "js":
    case "conf":
      return file === undefined
        ? `line ${line}: say in the first line or in a remark which file this is`
        : { kind: "file", line, name: file, text };
    case "mermaid":
      return { kind: "drawing", line, text };
    default:
      return `line ${line}: a block of "${language}" is not run; give the reason in a remark`;
  }
}

/** Commands as lines; a backslash at the end of one joins it with the next. */
function shellCommands(text: string): string[] {
  return text
    .replace(/\\\n\s*/g, "")
    .split("\n")
    .filter((command) => command.trim() !== "" && !command.startsWith("#"));
}

/** Every file the other blocks of a README may use: those it shows. */
export function shownFiles(tasks: readonly Task[]): string[] {
  return tasks.flatMap((task) => (task.kind === "file" ? [task.name] : []));
}
