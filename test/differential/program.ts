/** What is sent to both servers: steps of commands, pipelined and cut at any byte, and pauses. */
import { encodeCommand } from "../support/resp-client.ts";

export interface Command {
  readonly args: readonly string[];
  /** Sent as a line of text instead of an array; only where {@link canBeInline}. */
  readonly inline?: boolean;
  /** What Redis is sent instead: the same in commands that Redis 7.0 has. */
  readonly forRedis?: readonly string[];
}

export type Step =
  /** Commands in one go; the bytes are cut at these parts of their length. */
  | {
      readonly kind: "pipeline";
      readonly commands: readonly Command[];
      readonly cuts: readonly number[];
    }
  /** The same, with leases that end soon; the step waits until `longestMs` and a grace are over. */
  | {
      readonly kind: "leases";
      readonly commands: readonly Command[];
      readonly shortestMs: number;
      readonly longestMs: number;
    }
  /** SCAN with these options from cursor 0 until it comes back to 0; all that was found counts. */
  | { readonly kind: "scan"; readonly options: readonly string[] }
  /** RANDOMKEY some times; each answer must be one of KEYS. */
  | { readonly kind: "randomkey" };

export type Program = readonly Step[];

/** A line can carry all arguments but an empty name, which an empty line would be. */
export function canBeInline(args: readonly string[]): boolean {
  const first = args[0] ?? "";
  return first !== "" && !first.startsWith("*") && args.join("").length < 10_000;
}

/** The command as Redis 7.0 takes it. */
export function asRedisTakesIt(command: Command): Command {
  return command.forRedis === undefined ? command : { args: command.forRedis };
}

export function encode({ args, inline }: Command): string {
  if (inline !== true || !canBeInline(args)) return encodeCommand(args);
  return `${args.map(quote).join(" ")}\r\n`;
}

/** Plain where the words of a line allow it, else in quotes with every odd byte written out. */
function quote(argument: string): string {
  if (/^[\w.:{}*?@+=<>^-]+$/.test(argument)) return argument;
  const escaped = argument.replace(/[^\w .:{}*?@+=<>^()[\],;'/-]/g, (byte) => {
    return `\\x${byte.charCodeAt(0).toString(16).padStart(2, "0")}`;
  });
  return `"${escaped}"`;
}

/** The bytes in pieces, cut where `cuts` (parts of the length, 0 to 1) say. */
export function pieces(bytes: string, cuts: readonly number[]): string[] {
  const places = cuts.map((cut) => Math.floor(cut * bytes.length)).sort((a, b) => a - b);
  const found: string[] = [];
  let start = 0;
  for (const place of [...places, bytes.length]) {
    if (place > start) found.push(bytes.slice(start, place));
    start = Math.max(start, place);
  }
  return found;
}

/** Follows CLIENT REPLY through a connection: which commands are answered. */
export class ReplyModes {
  #mode: "on" | "off" | "skip";

  constructor(mode: "on" | "off" | "skip" = "on") {
    this.#mode = mode;
  }

  copy(): ReplyModes {
    return new ReplyModes(this.#mode);
  }

  /** Whether the next command is answered. */
  answers(args: readonly string[]): boolean {
    const [name = "", sub = "", mode = ""] = args.map((word) => word.toLowerCase());
    const before = this.#mode;
    if (this.#mode === "skip") this.#mode = "on";
    if (name === "reset" && args.length === 1) {
      this.#mode = "on";
      return before !== "skip";
    }
    if (name !== "client" || sub !== "reply" || args.length !== 3) return before === "on";
    if (mode === "on") {
      this.#mode = "on";
      return true;
    }
    if (mode === "off") this.#mode = "off";
    else if (mode !== "skip") return before === "on";
    else if (before !== "off") this.#mode = "skip";
    return false;
  }
}

/**
 * The commands without a QUIT that is not answered: Redis 7.0 ends a connection after the answer and,
 * where there is none, neither ends it nor reads on.
 */
export function withoutSilentQuit(
  commands: readonly Command[],
  modes: ReplyModes,
): readonly Command[] {
  const follower = modes.copy();
  return commands.filter(({ args }) => follower.answers(args) || !endsConnection(args));
}

export function endsConnection(args: readonly string[]): boolean {
  return args[0]?.toLowerCase() === "quit";
}
