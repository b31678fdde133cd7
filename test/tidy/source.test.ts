/** The rules of `source-rules.ts` hold for every file of ours, and none of them is blind. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { suite } from "../support/suite.ts";
import { bannedWords, offences, sourceRules, type SourceFile } from "./source-rules.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

const skipped = ["node_modules", "dist", ".git", ".tmp", "paxlock-data", "package-lock.json"];

/** Every file of ours. Not asked from git, which refuses a checkout that belongs to another user. */
function files(folder = ""): SourceFile[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (skipped.includes(path) || path === "test/support/fixtures") return [];
    if (entry.isDirectory()) return files(path);
    return entry.isFile() ? [{ path, text: readFileSync(join(root, path), "utf8") }] : [];
  });
}

suite("tidy/source", (test) => {
  test("the tree is found", () => {
    const paths = files().map(({ path }) => path);

    assert.ok(paths.includes("src/base/assert.ts"));
    assert.ok(paths.includes("test/tidy/source.test.ts"));
    assert.not(paths.some((path) => path.includes("node_modules/")));
  });

  test("no file names the folder of this checkout", () => {
    const named = files().filter(({ text }) => text.includes(root));

    assert.equal(
      named.map(({ path }) => path),
      [],
    );
  });

  for (const rule of sourceRules) {
    test(rule.name, () => {
      assert.equal(offences(files(), [rule]), []);
    });

    test(`[planted] ${rule.name}`, () => {
      assert.ok(rule.offends.length > 0);
      assert.ok(rule.passes.length > 0);
      for (const file of rule.offends) {
        assert.is(offences([file], [rule]).length, 1, `not found: ${file.path} ${file.text}`);
      }
      assert.equal(offences(rule.passes, [rule]), []);
    });
  }

  test("an offence names file, line, replacement and rule", () => {
    const planted = { path: "src/base/a.ts", text: "/** Text. */\ntext.substr(1);\n" };

    assert.equal(offences([planted]), [
      "src/base/a.ts:2: use slice, whose second argument is an end " +
        "[no words that have a better replacement]",
    ]);
  });

  test("each banned word is found by its own pattern", () => {
    for (const { pattern, example } of bannedWords) assert.match(example, pattern);
  });
});
