/**
 * As much of Markdown as the tests of our documents need: headings with their anchors, links, code,
 * and fenced blocks with the remarks that stand in front of them.
 *
 * A remark is an HTML comment directly above a block, which no reader sees:
 *
 *     <!-- not run: why -->           the block is not run
 *     <!-- varies: remaining-ms -->   integers below these words in a transcript are not compared
 *     <!-- file: paxlock.conf -->     the block is the content of a file
 *     <!-- run in: the checkout -->   the block is run there and not in an empty folder
 */

export const REMARKS = ["not run", "varies", "file", "run in"] as const;
export type Remark = (typeof REMARKS)[number];

/** A fenced block. */
export interface Block {
  /** The first word after the fence; empty without one. */
  readonly language: string;
  /** Without the fences, each line with its end. */
  readonly text: string;
  /** Of the opening fence, from 1. */
  readonly line: number;
  readonly remarks: ReadonlyMap<Remark, string>;
}

export interface Link {
  readonly target: string;
  readonly line: number;
}

export interface CodeSpan {
  readonly text: string;
  readonly line: number;
}

/** A Markdown text, read once. */
export interface Document {
  readonly anchors: ReadonlySet<string>;
  readonly links: readonly Link[];
  readonly codeSpans: readonly CodeSpan[];
  readonly blocks: readonly Block[];
}

interface Line {
  readonly text: string;
  readonly number: number;
}

/** Reads a Markdown text. */
export function readMarkdown(text: string): Document {
  const { prose, blocks } = split(text);
  const headings = prose.flatMap((line) => /^#{1,6}\s+(.*)$/.exec(line.text)?.[1] ?? []);
  return {
    anchors: new Set(anchorsOf(headings)),
    links: prose.flatMap(linksOf),
    codeSpans: prose.flatMap((line) =>
      [...line.text.matchAll(/`([^`]+)`/g)].map((found) => ({
        text: found[1] ?? "",
        line: line.number,
      })),
    ),
    blocks,
  };
}

/** Lines outside of blocks, and the blocks. */
function split(text: string): { readonly prose: Line[]; readonly blocks: Block[] } {
  const prose: Line[] = [];
  const blocks: Block[] = [];
  let open: { fence: string; language: string; line: number; lines: string[] } | null = null;
  for (const [index, line] of text.split("\n").entries()) {
    const fence = /^ {0,3}(`{3,}|~{3,})\s*(\S*)/.exec(line);
    if (open !== null) {
      const closes = fence?.[2] === "" && fence[1]?.startsWith(open.fence) === true;
      if (!closes) {
        open.lines.push(`${line}\n`);
        continue;
      }
      const { language, line: opened, lines } = open;
      blocks.push({ language, line: opened, text: lines.join(""), remarks: remarksAbove(prose) });
      open = null;
      // What stood above this block stands above no other.
      prose.push({ text: "block", number: opened });
    } else if (fence !== null) {
      open = { fence: fence[1] ?? "", language: fence[2] ?? "", line: index + 1, lines: [] };
    } else {
      prose.push({ text: line, number: index + 1 });
    }
  }
  return { prose, blocks };
}

/** The remarks at the end of what came so far, with nothing but empty lines between. */
function remarksAbove(prose: readonly Line[]): Map<Remark, string> {
  const remarks = new Map<Remark, string>();
  for (let index = prose.length - 1; index >= 0; index -= 1) {
    const text = prose[index]?.text.trim() ?? "";
    if (text === "") continue;
    const [, name, value] = /^<!-- ([a-z ]+): (.*\S) -->$/.exec(text) ?? [];
    const known = REMARKS.find((remark) => remark === name);
    if (known === undefined) break;
    remarks.set(known, value ?? "");
  }
  return remarks;
}

/** Anchors as GitHub makes them of headings, numbered where they repeat. */
function anchorsOf(headings: readonly string[]): string[] {
  const seen = new Map<string, number>();
  return headings.map((heading) => {
    const anchor = heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .trim()
      .replaceAll(" ", "-");
    const before = seen.get(anchor) ?? 0;
    seen.set(anchor, before + 1);
    return before === 0 ? anchor : `${anchor}-${before}`;
  });
}

function linksOf(line: Line): Link[] {
  const text = line.text.replace(/`[^`]*`/g, "``");
  return [...text.matchAll(/\]\(([^()\s]+)(?:\s+"[^"]*")?\)/g)].map((found) => ({
    target: found[1] ?? "",
    line: line.number,
  }));
}
