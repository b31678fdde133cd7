/** The version of this package, as `package.json` has it: the one place where it is written. */
import { readFileSync } from "node:fs";

/** The version, such as `0.1.0`. */
export const VERSION: string = readVersion();

/** Works from `src/config` and from `dist/config`: both lie two folders below `package.json`. */
function readVersion(): string {
  const manifest: unknown = JSON.parse(
    readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
  );
  if (
    typeof manifest === "object" &&
    manifest !== null &&
    "version" in manifest &&
    typeof manifest.version === "string"
  ) {
    return manifest.version;
  }
  throw new Error("package.json of paxlock has no version");
}
