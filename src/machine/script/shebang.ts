/** The first line of a script that begins with `#!lua`, as in Redis 7. */

/** What the first line says, or why it cannot be. */
export type Shebang =
  | {
      readonly problem: null;
      /** The script from the end of its first line on, so that lines keep their numbers. */
      readonly source: string;
      readonly noWrites: boolean;
    }
  | { readonly problem: string };

/** The others concern memory, replicas and clusters of Redis and change nothing here. */
const FLAGS = ["no-writes", "allow-oom", "allow-stale", "no-cluster", "allow-cross-slot-keys"];

/** Splits off the `#!` line of a script, if it has one. */
export function readShebang(body: string): Shebang {
  if (!body.startsWith("#!")) return { problem: null, source: body, noWrites: false };
  const end = body.indexOf("\n");
  if (end < 0) return { problem: "ERR Invalid script shebang" };
  const [engine = "", ...options] = body
    .slice(0, end)
    .trim()
    .split(/[ \t\r]+/);
  if (engine !== "#!lua") {
    return { problem: `ERR Unexpected engine in script shebang: ${engine}` };
  }
  let noWrites = false;
  for (const option of options) {
    if (!option.startsWith("flags=")) {
      return { problem: `ERR Unknown lua shebang option: ${option}` };
    }
    for (const flag of option.slice("flags=".length).split(",")) {
      if (flag === "") continue;
      if (!FLAGS.includes(flag)) {
        return { problem: `ERR Unexpected flag in script shebang: ${flag}` };
      }
      if (flag === "no-writes") noWrites = true;
    }
  }
  return { problem: null, source: body.slice(end), noWrites };
}
