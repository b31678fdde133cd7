/**
 * The configuration file: lines of a name and a value, as in redis.conf.
 *
 *     # comment
 *     port 7000
 *     bind 127.0.0.1 ::1
 *     requirepass "with spaces and \x22quotes\x22"
 *
 * This format because everybody who runs Redis can write it, it has comments (JSON has not), and
 * options are flat, so that TOML's tables would hold nothing. Quoting is Redis's: in double quotes
 * `\n \r \t \b \a \xHH` and `\` before any other byte, in single quotes only `\'`.
 */

/** One line that sets something. Values are byte strings. */
export interface FileLine {
  /** From 1. */
  readonly number: number;
  readonly name: string;
  readonly values: readonly string[];
}

export type ParsedFile =
  | { readonly ok: true; readonly lines: readonly FileLine[] }
  | { readonly ok: false; readonly number: number; readonly problem: string };

const BYTE_ORDER_MARK = "\xEF\xBB\xBF";

/** Parses the file's bytes (latin-1, one character per byte). */
export function parseConfigFile(bytes: string): ParsedFile {
  const lines: FileLine[] = [];
  const content = bytes.startsWith(BYTE_ORDER_MARK) ? bytes.slice(3) : bytes;
  for (const [index, raw] of content.split("\n").entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const words = splitWords(line);
    const number = index + 1;
    if (words === null) {
      return {
        ok: false,
        number,
        problem: "has a quote that is not closed, or text right after one",
      };
    }
    const [name = "", ...values] = words;
    lines.push({ number, name: name.toLowerCase(), values });
  }
  return { ok: true, lines };
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
  ["b", "\b"],
  ["a", "\x07"],
]);

/** One word with quotes: in double quotes, in single quotes, or bare. */
const WORD =
  /[ \t\r\f\v\0]*(?:"((?:[^"\\]|\\[^])*)"|'((?:[^'\\]|\\[^])*)'|([^ \t\r\f\v\0"']+))(?=[ \t\r\f\v\0]|$)/y;

/** The words of a line, or null when its quotes are not balanced. */
export function splitWords(line: string): string[] | null {
  const words: string[] = [];
  const trimmed = line.replace(/[ \t\r\f\v\0]+$/, "");
  WORD.lastIndex = 0;
  while (WORD.lastIndex < trimmed.length) {
    const match = WORD.exec(trimmed);
    if (match === null) return null;
    const [, double, single, bare] = match;
    if (double !== undefined) words.push(unescapeDouble(double));
    else if (single !== undefined) words.push(single.replaceAll("\\'", "'"));
    else words.push(bare ?? "");
  }
  return words;
}

function unescapeDouble(text: string): string {
  return text.replace(/\\(?:x([0-9a-fA-F]{2})|([^]))/g, (_, hex?: string, other = "") =>
    hex === undefined ? (ESCAPES.get(other) ?? other) : String.fromCharCode(parseInt(hex, 16)),
  );
}
