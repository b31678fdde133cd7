/**
 * Rules about the text of our files that no compiler or linter holds, as data: each says where it
 * applies, what is an offence, and what to write instead. `source.test.ts` runs them over the tree,
 * and over the planted offences that each rule carries, so that no rule can go blind.
 *
 * When you add a rule: give it at least one `offends` and one `passes` example.
 */

export interface SourceFile {
  /** Relative to the root, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

export interface SourceRule {
  readonly name: string;
  readonly applies: (path: string) => boolean;
  /** Offences as `line: what to do`, or without a line for the file as a whole. */
  readonly check: (file: SourceFile) => readonly string[];
  readonly offends: readonly SourceFile[];
  readonly passes: readonly SourceFile[];
}

const inSource = (path: string): boolean => /^src\/.*\.ts$/.test(path);
/** Files whose text holds planted offences on purpose. */
const planted = (path: string): boolean => /^test\/tidy\/source(-rules|\.test)\.ts$/.test(path);
const inTest = (path: string): boolean => /^(test|bench)\/.*\.ts$/.test(path);
const anywhere = (path: string): boolean => /\.(ts|cts|cjs|js)$/.test(path);

/** Where uvu itself is wrapped. */
const uvuKernel = ["test/support/suite.ts", "test/support/unit-worker.ts"];

/** Offences of every line that `pattern` matches. */
function lines({ text }: SourceFile, pattern: RegExp, advice: string): string[] {
  return text
    .split("\n")
    .flatMap((line, index) => (pattern.test(line) ? [`${index + 1}: ${advice}`] : []));
}

interface Word {
  readonly pattern: RegExp;
  readonly instead: string;
  /** A line that offends. */
  readonly example: string;
}

/** Words and calls that have a better replacement here. */
export const bannedWords: readonly Word[] = [
  {
    pattern: /\.(?:toString|write)\((?:[^)]*, )?"binary"/,
    instead: 'name the encoding "latin1"',
    example: 'buffer.toString("binary");',
  },
  {
    pattern: /\bnew Buffer\(/,
    instead: "use Buffer.from or Buffer.allocUnsafe",
    example: "new Buffer(8);",
  },
  {
    pattern: /\bBuffer\.allocUnsafeSlow\(/,
    instead: "use Buffer.allocUnsafe, or Buffer.alloc for what is kept",
    example: "Buffer.allocUnsafeSlow(8);",
  },
  {
    pattern: /\.substr\(/,
    instead: "use slice, whose second argument is an end",
    example: "text.substr(1, 2);",
  },
  {
    pattern: /\bparseInt\((?![^)]*, 16\))|\bparseFloat\(/,
    instead: "use Number after checking the shape; parseInt accepts a tail of rubbish",
    example: 'parseInt("12x", 10);',
  },
  {
    pattern: /@ts-(?:ignore|nocheck)\b/,
    instead: "use @ts-expect-error with a reason, or fix the type",
    example: "// @ts-ignore",
  },
  {
    pattern: /@ts-expect-error\s*$/,
    instead: "say why after @ts-expect-error",
    example: "// @ts-expect-error",
  },
  {
    pattern: /eslint-disable(?!-next-line @?[\w/-]+(?:, @?[\w/-]+)* -- \S)/,
    instead: "write `eslint-disable-next-line <rule> -- <reason>`",
    example: "/* eslint-disable */",
  },
  {
    pattern: /^export default (?!tseslint\.config\()/,
    instead: "export by name, so that one thing has one name",
    example: "export default class Machine {}",
  },
  {
    pattern: /^export \* from /,
    instead: "export by name, so that a reader finds where a thing is",
    example: 'export * from "./heap.ts";',
  },
  {
    pattern: /\bfrom "\.{1,2}\/[^"]*\.js"|\bimport\("\.{1,2}\/[^"]*\.js"\)/,
    instead: "import our own files by their .ts name",
    example: 'import { heap } from "./heap.js";',
  },
];

/** Left-overs of work in progress. */
const leftOvers = new RegExp(`\\b(?:FIX${"ME"}|TO${"DO"}|XX${"X"}|HA${"CK"})\\b`);

const documented = "/** Something. */\n";

export const sourceRules: readonly SourceRule[] = [
  {
    name: "a file opens with a doc comment that says its purpose",
    applies: anywhere,
    check: ({ text }) =>
      /^(?:#!.*\n)?\/\*\*\s[^]*?\w{2}[^]*?\*\//.test(text)
        ? []
        : ["open the file with /** … */ that says what it is for"],
    offends: [
      { path: "src/base/a.ts", text: "export const a = 1;\n" },
      { path: "src/base/a.ts", text: "/* Something. */\nexport const a = 1;\n" },
      { path: "src/base/a.ts", text: "import x from 'x';\n/** Something. */\n" },
      { path: "test/a.test.ts", text: "/** */\n" },
    ],
    passes: [
      { path: "src/base/a.ts", text: documented },
      { path: "src/cli/main.ts", text: `#!/usr/bin/env node\n${documented}` },
      { path: "src/base/a.ts", text: "/**\n * Something.\n */\n" },
    ],
  },
  {
    name: "files and folders are named in kebab-case",
    applies: (path) => /^(src|test|bench)\//.test(path),
    check: ({ path }) =>
      /^(?:[a-z0-9]+(?:-[a-z0-9]+)*\/)+(?:[a-z0-9]+(?:-[a-z0-9]+)*(?:\.[a-z0-9]+)*|README\.md)$/.test(
        path,
      )
        ? []
        : ["rename it to kebab-case"],
    offends: [
      { path: "src/base/heapQueue.ts", text: "" },
      { path: "src/base/Heap.ts", text: "" },
      { path: "src/base/heap_queue.ts", text: "" },
      { path: "test/Support/a.ts", text: "" },
    ],
    passes: [
      { path: "src/base/heap-queue.ts", text: "" },
      { path: "test/resp/decoder.fuzz.test.ts", text: "" },
      { path: "src/paxos/README.md", text: "" },
      { path: "test/golden/log-v1/one.bin", text: "" },
    ],
  },
  {
    name: "tests come from test/support/suite.ts",
    applies: (path) => inTest(path) && !planted(path) && !uvuKernel.includes(path),
    check: (file) =>
      lines(
        file,
        /\bfrom "uvu"|\bimport\("uvu"\)|\brequire\("uvu"\)|\bfrom "node:test"/,
        "import suite from test/support/suite.ts; uvu alone can end green without testing",
      ),
    offends: [
      { path: "test/a.test.ts", text: 'import { test } from "uvu";\n' },
      { path: "test/a.test.ts", text: 'const uvu = await import("uvu");\n' },
      { path: "test/a.test.ts", text: 'import test from "node:test";\n' },
    ],
    passes: [{ path: "test/a.test.ts", text: 'import * as assert from "uvu/assert";\n' }],
  },
  {
    name: "no test is focused or skipped in the source",
    applies: (path) => inTest(path) && !planted(path),
    check: (file) =>
      lines(
        file,
        /\b(?:test|suite|it|describe)\.(?:only|skip|todo)\b/,
        "focus with ONLY=regex; a test that must not run is deleted, or `needs` a program",
      ),
    offends: [
      { path: "test/a.test.ts", text: 'test.only("x", () => {});\n' },
      { path: "test/a.test.ts", text: 'test.skip("x", () => {});\n' },
    ],
    passes: [{ path: "test/a.test.ts", text: "if (counter.skip) list.only();\n" }],
  },
  {
    name: "a test file declares a suite",
    applies: (path) => /^test\/.*\.(test|e2e)\.ts$/.test(path),
    check: ({ text }) =>
      /^\s*(suite|[a-z]\w*Suite)\(/m.test(text) ? [] : ["declare a suite, or rename the file"],
    offends: [{ path: "test/a.test.ts", text: documented }],
    passes: [
      { path: "test/a.e2e.ts", text: 'suite("a", (test) => {});\n' },
      // One suite for several subjects, from a module that they share.
      { path: "test/a.e2e.ts", text: 'clientSuite("a", Client);\n' },
    ],
  },
  {
    name: "no left-overs of work in progress",
    applies: anywhere,
    check: (file) =>
      // Arguments and patterns of the protocol may hold such letters inside quotes.
      lines(
        { ...file, text: file.text.replace(/"[^"\n]*"/g, '""') },
        leftOvers,
        "finish it, or write it down as an issue",
      ),
    offends: [
      { path: "src/base/a.ts", text: "// TO" + "DO: later\n" },
      { path: "src/base/a.ts", text: "// FIX" + "ME\n" },
    ],
    passes: [{ path: "src/base/a.ts", text: "const todoList = 1;\n" }],
  },
  {
    name: "src prints nothing by itself, the commands excepted",
    applies: (path) => inSource(path) && !path.startsWith("src/cli/") && path !== "src/sim/main.ts",
    check: (file) =>
      lines(
        file,
        /\bconsole\.\w+\(|^\s*debugger;|\bprocess\.std(?:out|err)\b/,
        "use the logger that node hands down",
      ),
    offends: [
      { path: "src/node/a.ts", text: "console.log(1);\n" },
      { path: "src/node/a.ts", text: "debugger;\n" },
      { path: "src/node/a.ts", text: 'process.stdout.write("x");\n' },
    ],
    passes: [{ path: "src/node/a.ts", text: "log.info(1);\n" }],
  },
  {
    name: "no words that have a better replacement",
    applies: (path) => anywhere(path) && !planted(path),
    check: (file) => bannedWords.flatMap(({ pattern, instead }) => lines(file, pattern, instead)),
    offends: bannedWords.map(({ example }) => ({ path: "src/base/a.ts", text: `${example}\n` })),
    passes: [
      { path: "src/base/a.ts", text: "export const a = Number(text);\n" },
      { path: "src/base/a.ts", text: "// @ts-expect-error uvu has no types for this\n" },
      { path: "src/base/a.ts", text: "// eslint-disable-next-line no-console -- a reason\n" },
      { path: "test/a.ts", text: 'import { exec } from "uvu/run.js";\n' },
    ],
  },
  {
    name: "no path of one machine and no address of a registry",
    applies: () => true,
    check: (file) =>
      lines(
        file,
        /(?:^|["'`\s(=])\/(?:home|Users)\/\w|\bregistry\.(?:npmjs|yarnpkg)\b/,
        "take it from the environment, or from import.meta.url",
      ),
    offends: [
      { path: "src/node/a.ts", text: 'const folder = "/ho' + 'me/me/data";\n' },
      { path: ".ci/run", text: "npm ci --registry=https://registry." + "npmjs.org\n" },
    ],
    passes: [{ path: "src/node/a.ts", text: 'const folder = "./paxlock-data";\n' }],
  },
];

/** All offences as `path:line: what to do [rule]`. */
export function offences(files: readonly SourceFile[], rules = sourceRules): string[] {
  return rules.flatMap(({ name, applies, check }) =>
    files
      .filter(({ path }) => applies(path))
      .flatMap((file) => check(file).map((offence) => `${file.path}:${offence} [${name}]`)),
  );
}
