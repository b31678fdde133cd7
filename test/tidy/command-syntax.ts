/** The syntax of a command in one line, from its arguments: `SET key value [NX | XX | …]`. */
import type { ArgumentSpec, CommandSpec } from "../../src/commands/contract.ts";

/** Name and arguments; of a command with subcommands, their names. */
export function commandSyntax(spec: CommandSpec): string {
  const name = spec.name.toUpperCase();
  if (spec.subcommands !== undefined) {
    const names = spec.subcommands.map((sub) =>
      sub.name.slice(sub.name.indexOf("|") + 1).toUpperCase(),
    );
    return `${name} ${names.join(" | ")}`;
  }
  return [name, ...(spec.arguments ?? []).map(argument)].join(" ");
}

function argument(spec: ArgumentSpec): string {
  const one = alone(spec);
  const repeated = spec.multiple === true ? `${one} [${one} ...]` : one;
  if (spec.optional !== true) return repeated;
  return `[${spec.multiple === true ? repeated : bare(spec)}]`;
}

/** In brackets where it would otherwise run into its neighbours. */
function alone(spec: ArgumentSpec): string {
  return spec.type === "oneof" && spec.token === undefined && spec.optional !== true
    ? `<${bare(spec)}>`
    : bare(spec);
}

function bare(spec: ArgumentSpec): string {
  const token = spec.token === undefined ? "" : `${spec.token} `;
  const parts = spec.arguments ?? [];
  switch (spec.type) {
    case "pure-token":
      return token.trimEnd();
    case "oneof":
      return `${token}${parts.map(argument).join(" | ")}`;
    case "block":
      return `${token}${parts.map(argument).join(" ")}`;
    case "string":
    case "integer":
    case "double":
    case "key":
    case "pattern":
    case "unix-time":
      return `${token}${spec.name}`;
  }
}
