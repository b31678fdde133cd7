/**
 * The normal form of a script: its tokens without what makes no difference, so that two scripts of
 * one normal form do the same. White space, comments, quote marks, semicolons, the case of command
 * names and of SET's options, brackets around a condition, the names of local variables, and local
 * names for `KEYS[n]` and `ARGV[n]` go.
 *
 * It errs on the side of finding no normal form; such a script simply runs in Lua.
 */

/** The normal form of a script. */
export interface NormalForm {
  readonly text: string;
  /** The line of each `redis.call` and `redis.pcall`, in order: where Lua says it failed. */
  readonly callLines: readonly number[];
}

interface Token {
  readonly kind: "name" | "text" | "other";
  readonly text: string;
  /** Where the token ends, from 1. */
  readonly line: number;
}

/** Scripts longer than this are nobody's unlock script. */
const SOURCE_BYTES_MAX = 4096;

const KEYWORDS = new Set(
  (
    "and break do else elseif end false for function if in local nil not or repeat return then true " +
    "until while"
  ).split(" "),
);

/** Globals that recognised scripts use; any other name stands for a local variable. */
const GLOBALS = new Set(["redis", "KEYS", "ARGV", "ipairs", "tonumber"]);

/** Options of SET; Redis does not care for their case. */
const OPTIONS = new Set(["PX", "EX", "NX", "XX"]);

/** The normal form of Lua text, or null if it has none. */
export function normalForm(source: string): NormalForm | null {
  if (source.length > SOURCE_BYTES_MAX) return null;
  const all = tokens(source);
  if (all === null) return null;
  const separated = withoutSemicolons(all);
  if (separated === null) return null;
  const named = withoutAliases(separated);
  if (named === null) return null;
  const bare = withoutBrackets(named);
  const texts: string[] = [];
  const callLines: number[] = [];
  const locals = new Map<string, string>();
  for (const [at, { kind, text }] of bare.entries()) {
    if (isCall(bare, at)) callLines.push(bare[at + 3]?.line ?? 0);
    if (kind === "name") texts.push(canonicalName(bare, at, locals));
    else if (kind === "text") texts.push(`"${canonicalText(bare, at)}"`);
    else texts.push(text);
  }
  return { text: texts.join(" "), callLines };
}

/** Whether `redis.call(` or `redis.pcall(` begins at a token. */
function isCall(all: readonly Token[], at: number): boolean {
  const method = all[at + 2]?.text;
  return (
    all[at]?.text === "redis" &&
    all[at + 1]?.text === "." &&
    (method === "call" || method === "pcall") &&
    all[at + 3]?.text === "("
  );
}

function canonicalName(all: readonly Token[], at: number, locals: Map<string, string>): string {
  const name = all[at]?.text ?? "";
  const before = all[at - 1]?.text;
  if (before === "." || before === ":" || KEYWORDS.has(name) || GLOBALS.has(name)) return name;
  const known = locals.get(name) ?? `v${locals.size + 1}`;
  locals.set(name, known);
  return known;
}

function canonicalText(all: readonly Token[], at: number): string {
  const text = all[at]?.text ?? "";
  if (at >= 4 && isCall(all, at - 4)) return text.toLowerCase();
  const upper = text.toUpperCase();
  return OPTIONS.has(upper) ? upper : text;
}

// --- tokens ---------------------------------------------------------------------------------------

const SPACE = /[ \t\v\f]+/y;
const LINE_END = /\r\n|\n\r|\n|\r/y;
const LONG_COMMENT = /--\[(=*)\[[\s\S]*?\]\1\]/y;
const COMMENT = /--[^\r\n]*/y;
const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;
const NUMBER = /\d+(?![\w.])/y;
/** Texts without quotes of either kind, so that a normal form reads only one way. */
const TEXT = /"[^"'\\\r\n]*"|'[^"'\\\r\n]*'/y;
const OTHER = /==|~=|<=|>=|\.\.\.|\.\.|[-+*/%^#<>=(){}[\];:,.]/y;

function tokens(source: string): Token[] | null {
  const found: Token[] = [];
  let line = 1;
  let at = 0;
  const match = (pattern: RegExp): string | null => {
    pattern.lastIndex = at;
    const text = pattern.exec(source)?.[0];
    if (text === undefined) return null;
    at += text.length;
    return text;
  };
  while (at < source.length) {
    if (match(SPACE) !== null) continue;
    if (match(LINE_END) !== null) {
      line += 1;
      continue;
    }
    const long = match(LONG_COMMENT);
    if (long !== null) {
      line += long.match(/\r\n|\n\r|\n|\r/g)?.length ?? 0;
      continue;
    }
    if (match(COMMENT) !== null) continue;
    const name = match(NAME);
    if (name !== null) {
      found.push({ kind: "name", text: name, line });
      continue;
    }
    const text = match(TEXT);
    if (text !== null) {
      found.push({ kind: "text", text: text.slice(1, -1), line });
      continue;
    }
    const other = match(NUMBER) ?? match(OTHER);
    if (other === null) return null;
    found.push({ kind: "other", text: other, line });
  }
  return found;
}

/** Null where a semicolon could not be left out, and where Lua may allow none. */
function withoutSemicolons(all: readonly Token[]): Token[] | null {
  const kept: Token[] = [];
  for (const [at, token] of all.entries()) {
    if (token.kind !== "other" || token.text !== ";") {
      kept.push(token);
      continue;
    }
    const before = all[at - 1];
    const after = all[at + 1];
    if (before === undefined || !endsStatement(before)) return null;
    if (after !== undefined && !beginsStatement(after)) return null;
  }
  return kept;
}

function endsStatement({ kind, text }: Token): boolean {
  if (kind === "text") return true;
  if (kind === "other") return text === ")" || text === "]" || /^\d/.test(text);
  return !KEYWORDS.has(text) || ["end", "true", "false", "nil"].includes(text);
}

function beginsStatement({ kind, text }: Token): boolean {
  if (kind !== "name") return false;
  return !["then", "do", "in", "and", "or", "not"].includes(text);
}

/**
 * Puts `KEYS[n]` and `ARGV[n]` where a leading `local name = KEYS[n]` gave them a name. Null if such a
 * name is used in any way but being read.
 */
function withoutAliases(all: readonly Token[]): readonly Token[] | null {
  let at = 0;
  const aliases = new Map<string, readonly Token[]>();
  for (;;) {
    const [local, name, equals, table, open, index, close] = all.slice(at, at + 7);
    const matches =
      local?.text === "local" &&
      name?.kind === "name" &&
      equals?.text === "=" &&
      (table?.text === "KEYS" || table?.text === "ARGV") &&
      open?.text === "[" &&
      /^\d+$/.test(index?.text ?? "") &&
      close?.text === "]";
    // What follows must be a new statement, not the rest of this one.
    if (!matches || !STATEMENTS.has(all[at + 7]?.text ?? "")) break;
    if (KEYWORDS.has(name.text) || GLOBALS.has(name.text) || aliases.has(name.text)) return null;
    aliases.set(name.text, all.slice(at + 3, at + 7));
    at += 7;
  }
  const rest = all.slice(at);
  if (aliases.size === 0) return rest;
  const replaced: Token[] = [];
  for (const [index, token] of rest.entries()) {
    const value = token.kind === "name" ? aliases.get(token.text) : undefined;
    if (value === undefined) {
      replaced.push(token);
      continue;
    }
    const before = rest[index - 1]?.text ?? "";
    const after = rest[index + 1]?.text ?? "";
    const written = ["local", "for", "function", ".", ":"].includes(before) || after === "=";
    if (written || LISTS.has(before + after)) return null;
    replaced.push(...value.map(({ kind, text }) => ({ kind, text, line: token.line })));
  }
  return replaced;
}

const STATEMENTS = new Set(["local", "if", "for", "return", "redis", "while", "repeat", "do"]);

/** Neighbours of a name in `for a, b in` and `local a, b =`, where it would be declared anew. */
const LISTS = new Set([",in", ",="]);

/** `if (…) then` as `if … then`, where the brackets belong to each other. */
function withoutBrackets(all: readonly Token[]): readonly Token[] {
  const dropped = new Set<number>();
  for (const [at, { text, kind }] of all.entries()) {
    if (kind !== "name" || (text !== "if" && text !== "elseif")) continue;
    if (all[at + 1]?.text !== "(" || all[at + 1]?.kind !== "other") continue;
    let depth = 0;
    for (let end = at + 1; end < all.length; end += 1) {
      const token = all[end];
      if (token?.kind !== "other") continue;
      if (token.text === "(") depth += 1;
      if (token.text === ")") depth -= 1;
      if (depth > 0) continue;
      if (all[end + 1]?.text === "then") dropped.add(at + 1).add(end);
      break;
    }
  }
  return dropped.size === 0 ? all : all.filter((_, at) => !dropped.has(at));
}
