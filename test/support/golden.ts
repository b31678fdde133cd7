/**
 * Golden bytes: files of `test/golden` that released versions have written and that every later
 * version must read. A file is hexadecimal text, 64 digits a line, so that a diff can be read.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * The bytes of `test/golden/<name>.hex`. With `REWRITE=1` they are replaced by `written` first: only
 * right for a format that no release has written yet.
 */
export function golden(name: string, written: () => Uint8Array): Uint8Array {
  const path = pathOf(name);
  if (process.env["REWRITE"] === "1") {
    if (process.env["CI"]) throw new Error("REWRITE is for local use, not for CI");
    const digits = Buffer.from(written()).toString("hex");
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, digits.replace(/.{1,64}/g, "$&\n"));
  }
  return released(name);
}

/** The bytes of `test/golden/<name>.hex`, of a format that is read still and written no more. */
export function released(name: string): Uint8Array {
  const digits = readFileSync(pathOf(name), "utf8").replace(/\s/g, "");
  return Uint8Array.from(Buffer.from(digits, "hex"));
}

function pathOf(name: string): string {
  return fileURLToPath(new URL(`../golden/${name}.hex`, import.meta.url));
}
