/** How the README's blocks are told apart, and that none can go unnoticed. */
import * as assert from "uvu/assert";
import { suite } from "../support/suite.ts";
import { readMarkdown } from "../tidy/markdown.ts";
import { taskOf } from "./blocks.ts";
import { difference, parseTranscript } from "./transcript.ts";

/** The task of the only block of a text. */
function onlyTask(text: string): ReturnType<typeof taskOf> {
  const [block, ...more] = readMarkdown(text).blocks;
  assert.ok(block !== undefined && more.length === 0);
  return taskOf(block);
}

suite("readme/blocks", (test) => {
  test("a block that is neither run nor left for a reason is an offence", () => {
    for (const text of [
      "```\nnpm test\n```\n",
      "```bash\nnpm test\n```\n",
      "```text\nsomething\n```\n",
      "<!-- not run: x -->\n\n```sh\nnpm test\n```\n",
      "<!-- not run:  -->\n\n```text\nnpm test\n```\n",
      "<!-- run in: the garden -->\n\n```sh\nls\n```\n",
      "```sh\n# nothing\n```\n",
      "```js\nconst a = 1;\n```\n",
      "```conf\nport 1\n```\n",
      "```console\nOK\n```\n",
      "```console\n127.0.0.1:6379> PING\nPONG\n```\n",
    ]) {
      assert.type(onlyTask(text), "string", text);
    }
  });

  test("a remark counts for the next block only", () => {
    const { blocks } = readMarkdown(
      "<!-- not run: a drawing -->\n\n```text\na\n```\n\n```text\nb\n```\n",
    );

    assert.equal(
      blocks.map((block) => typeof taskOf(block)),
      ["object", "string"],
    );
  });

  test("commands of a shell are its lines, joined by backslashes, without comments", () => {
    assert.equal(onlyTask("<!-- run in: the checkout -->\n\n```sh\na \\\n  b\n# c\nd\n```\n"), {
      kind: "shell",
      line: 3,
      commands: ["a b", "d"],
      inCheckout: true,
    });
  });

  test("a file is named by its first line or by a remark", () => {
    const text = "// lock.mjs\nawait 1;\n";

    assert.equal(onlyTask(`\`\`\`js\n${text}\`\`\`\n`), {
      kind: "file",
      line: 1,
      name: "lock.mjs",
      text,
    });
    assert.equal(onlyTask("<!-- file: a.conf -->\n```conf\nport 1\n```\n"), {
      kind: "file",
      line: 2,
      name: "a.conf",
      text: "port 1\n",
    });
  });

  test("a transcript has the steps of shell and redis-cli with what they print", () => {
    assert.equal(parseTranscript("$ redis-cli\n127.0.0.1:6379> GET a\n(nil)\n$ ls\nx\ny\n"), [
      { prompt: "redis", command: "GET a", expected: ["(nil)"] },
      { prompt: "shell", command: "ls", expected: ["x", "y"] },
    ]);
  });

  test("what is printed must be what stands there, integers below named words excepted", () => {
    const expected = ['1) "left"', "2) (integer) 5", '3) "a"', "4) (integer) 7"];
    const printed = (left: string, last: string): string[] =>
      expected.map((line, index) => (index === 1 ? left : index === 3 ? last : line));

    assert.is(difference(expected, expected), null);
    assert.is(difference(expected, printed("2) (integer) 99", "4) (integer) 7"), ["left"]), null);
    assert.ok(difference(expected, printed("2) (integer) 99", "4) (integer) 7")) !== null);
    assert.ok(difference(expected, printed("2) (nil)", "4) (integer) 7"), ["left"]) !== null);
    assert.ok(difference(expected, printed("2) (integer) 5", "4) (integer) 8"), ["left"]) !== null);
    assert.ok(difference(expected, [...expected, "more"]) !== null);
    assert.ok(difference(expected, expected.slice(0, 3)) !== null);
    assert.ok(difference([], [""]) !== null);
  });
});
