/**
 * What a command answers, before it is RESP bytes or a Lua value.
 *
 * The frequent answers are plain JavaScript values, so that the hot path allocates nothing:
 * `null` is Redis's nil, a `number` or `bigint` an integer, a `string` a bulk string with **one
 * character per byte** (latin-1, so that any bytes pass through unchanged), an array an array.
 * Everything else carries its kind. Sizes of integers: a `number` here is always a safe integer.
 */
export type Reply =
  | null
  | number
  | bigint
  | string
  | readonly Reply[]
  | StatusReply
  | ErrorReply
  | NilArrayReply
  | MapReply
  | SetReply
  | DoubleReply
  | BooleanReply
  | VerbatimReply
  | PushReply;

/** `+text`: a simple string; no CR or LF in `text`. */
export interface StatusReply {
  readonly kind: "status";
  readonly text: string;
}

/** `-text`: `text` begins with the code, as in `ERR syntax error` or `WRONGTYPE …`; no CR or LF. */
export interface ErrorReply {
  readonly kind: "error";
  readonly text: string;
}

/** RESP2 `*-1`, RESP3 `_`. */
export interface NilArrayReply {
  readonly kind: "nil-array";
}

/** RESP3 map; a flat array in RESP2. */
export interface MapReply {
  readonly kind: "map";
  readonly entries: readonly (readonly [Reply, Reply])[];
}

/** RESP3 set; an array in RESP2. */
export interface SetReply {
  readonly kind: "set";
  readonly items: readonly Reply[];
}

/** RESP3 double; a bulk string in RESP2. */
export interface DoubleReply {
  readonly kind: "double";
  readonly value: number;
}

/** RESP3 boolean; `:1` or `:0` in RESP2. */
export interface BooleanReply {
  readonly kind: "boolean";
  readonly value: boolean;
}

/** RESP3 verbatim string (`txt`); a bulk string in RESP2. */
export interface VerbatimReply {
  readonly kind: "verbatim";
  readonly format: string;
  readonly text: string;
}

/** RESP3 push; an array in RESP2. */
export interface PushReply {
  readonly kind: "push";
  readonly items: readonly Reply[];
}

/** The shared `+OK`. */
export const OK: StatusReply = { kind: "status", text: "OK" };

/** The shared nil array. */
export const NIL_ARRAY: NilArrayReply = { kind: "nil-array" };

/** A status reply with the given text. */
export function status(text: string): StatusReply {
  return { kind: "status", text };
}

/** An error reply; `text` starts with its code. CR and LF become spaces, as Redis does. */
export function errorReply(text: string): ErrorReply {
  return { kind: "error", text: text.replace(/[\r\n]/g, " ") };
}

/** Whether a reply is an error. */
export function isError(reply: Reply): reply is ErrorReply {
  return typeof reply === "object" && reply !== null && "kind" in reply && reply.kind === "error";
}
