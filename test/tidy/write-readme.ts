/** `npm run docs`: writes the generated parts of the README anew, and says what does not fit. */
import { readFileSync, writeFileSync } from "node:fs";
import { withSections } from "./readme-sections.ts";

const readme = new URL("../../README.md", import.meta.url);
const before = readFileSync(readme, "utf8");
const { text, problems } = withSections(before);
if (text !== before) writeFileSync(readme, text);
console.log(text === before ? "README.md is up to date" : "README.md is written anew");
for (const problem of problems) console.error(problem);
process.exitCode = problems.length === 0 ? 0 : 1;
