/**
 * The two fences around the pure folders are not blind: lint is shown planted offences as if they
 * stood in a file of the folder, and the compiler a planted file under the project that leaves
 * Node's types out.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ESLint } from "eslint";
import ts from "typescript";
import * as assert from "uvu/assert";
import { suite } from "../support/suite.ts";
import { pureFolders } from "./layers.cjs";

const root = fileURLToPath(new URL("../../", import.meta.url));
const eslint = new ESLint({ cwd: root, overrideConfigFile: "test/tidy/eslint.config.js" });

/** Rules that `code` breaks when it stands in the first file of a folder. */
async function broken(folder: string, code: string): Promise<string[]> {
  const stands = readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !name.endsWith("assert.ts"))
    .sort()[0];
  assert.ok(stands, `${folder} holds no file`);
  const [result] = await eslint.lintText(code, { filePath: join(root, folder, stands) });
  return [...new Set(result?.messages.map(({ ruleId, message }) => ruleId ?? message))].sort();
}

/** Offence by the rule that must report it. */
const impure: readonly (readonly [string, string])[] = [
  ["no-restricted-globals", "export const now = (): number => Date.now();"],
  ["no-restricted-globals", "export const now = (): number => performance.now();"],
  ["no-restricted-globals", "setTimeout(() => undefined, 1);"],
  ["no-restricted-globals", "export const later = Promise;"],
  ["no-restricted-globals", "export const id = process.pid;"],
  ["no-restricted-properties", "export const chance = Math.random();"],
  ["no-restricted-properties", "export const log = Math.log(2);"],
  ["no-restricted-properties", 'export const order = "a".localeCompare("b");'],
  ["no-restricted-syntax", "export async function wait(): Promise<void> { await null; }"],
  ["no-restricted-syntax", "for (const key in {}) String(key);"],
  ["no-restricted-syntax", 'throw new Error("x");'],
];

const everywhere: readonly (readonly [string, string])[] = [
  ["@typescript-eslint/no-floating-promises", "async function f(): Promise<void> {} f();"],
  ["@typescript-eslint/no-misused-promises", "[1].forEach(async () => { await null; });"],
  ["@typescript-eslint/only-throw-error", 'throw "text";'],
  ["@typescript-eslint/no-explicit-any", "export const a: any = 1;"],
  ["@typescript-eslint/no-non-null-assertion", "export const a = [1][0]!;"],
  [
    "@typescript-eslint/switch-exhaustiveness-check",
    'export function f(a: "x" | "y"): void { switch (a) { case "x": } }',
  ],
  ["@typescript-eslint/no-unnecessary-condition", "export const a = [] ? 1 : 2;"],
  ["@typescript-eslint/explicit-module-boundary-types", "export function f() { return 1; }"],
  ["eqeqeq", "export const a = (b: number): boolean => b == 1;"],
  ["no-param-reassign", "export function f(a: number): number { a = 1; return a; }"],
  ["no-console", "console.log(1);"],
];

suite(
  "tidy/purity",
  (test) => {
    for (const folder of pureFolders) {
      test(`lint finds each impurity in src/${folder}`, async () => {
        for (const [rule, code] of impure) {
          const rules = await broken(`src/${folder}`, code);
          assert.ok(rules.includes(rule), `${code} breaks ${rules.join(", ")}`);
        }
      });
    }

    test("lint finds each impure thing's name in none of the other folders", async () => {
      for (const [rule, code] of impure) {
        assert.not((await broken("src/node", code)).includes(rule), code);
      }
    });

    test("Buffer is for resp alone among the pure folders", async () => {
      const code = "export const empty = Buffer.alloc(0);";

      assert.equal(await broken("src/resp", code), []);
      assert.equal(await broken("src/machine", code), ["no-restricted-globals"]);
    });

    test("lint finds what is wrong in any folder", async () => {
      for (const [rule, code] of everywhere) {
        const rules = await broken("src/server", code);
        assert.ok(rules.includes(rule), `${code} breaks ${rules.join(", ") || "nothing"}`);
      }
    });

    test("the fence leaves Node's and the browser's names undefined", () => {
      const found = fenceErrors(
        "process; Buffer; setTimeout; console; fetch; structuredClone; URL; crypto; Map; Math;",
      );

      assert.equal(
        found.map((message) => /Cannot find name '(\w+)'/.exec(message)?.[1]),
        "process Buffer setTimeout console fetch structuredClone URL crypto".split(" "),
      );
    });

    test("the fence knows no module of Node's", () => {
      assert.is(fenceErrors('import "node:fs";').length, 1);
      assert.is(fenceErrors('import "./assert.ts";').length, 0);
    });
  },
  { timeoutMs: 60_000 },
);

/** What the compiler says to `code` as a file of src/base under the fence's own options. */
function fenceErrors(code: string): string[] {
  const config = join(root, "src/tsconfig.pure.json");
  const { config: json } = ts.readConfigFile(config, (path) => ts.sys.readFile(path)) as {
    config: unknown;
  };
  const { options } = ts.parseJsonConfigFileContent(json, ts.sys, join(root, "src"));
  const path = join(root, "src/base/planted.ts");
  const host = ts.createCompilerHost(options);
  const { fileExists, getSourceFile, readFile } = host;
  host.fileExists = (name) => name === path || fileExists(name);
  host.readFile = (name) => (name === path ? code : readFile(name));
  host.getSourceFile = (name, ...rest) =>
    name === path
      ? ts.createSourceFile(name, code, ts.ScriptTarget.ES2022)
      : getSourceFile(name, ...rest);
  const program = ts.createProgram([path], options, host);
  return ts
    .getPreEmitDiagnostics(program)
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"));
}
