/** Specs as COMMAND INFO and COMMAND DOCS show them, in Redis's shape. */
import type { Reply } from "../base/reply.ts";
import { status } from "../base/reply.ts";
import type { ArgumentSpec, CommandSpec, KeySpec } from "./contract.ts";

/** All categories of a command: those of its spec and those that follow from its flags. */
export function categoriesOf({ flags, categories }: CommandSpec): readonly string[] {
  const admin = flags.includes("admin");
  const all = [...categories];
  if (flags.includes("write")) all.push("write");
  // As in Redis: a script that reads only is of the scripting category, not of the reading one.
  if (flags.includes("readonly") && !categories.includes("scripting")) all.push("read");
  if (admin) all.push("admin", "dangerous");
  if (flags.includes("blocking")) all.push("blocking");
  all.push(flags.includes("fast") ? "fast" : "slow");
  return all;
}

/** One row of COMMAND and COMMAND INFO. */
export function infoReply(spec: CommandSpec): Reply {
  const { name, arity, flags, keys, tips = [], keySpecs = [], subcommands = [] } = spec;
  const [first, last, step] = keys;
  return [
    name,
    arity,
    setOf(flags.map(status)),
    first,
    last,
    step,
    setOf(categoriesOf(spec).map((category) => status(`@${category}`))),
    setOf(tips),
    setOf(keySpecs.map(keySpecReply)),
    subcommands.length === 0 ? setOf([]) : subcommands.map(infoReply),
  ];
}

function keySpecReply({ flags, begin, find, notes }: KeySpec): Reply {
  const search: Reply =
    find.kind === "range"
      ? map([
          ["lastkey", find.last],
          ["keystep", find.step],
          ["limit", 0],
        ])
      : map([
          ["keynumidx", 0],
          ["firstkey", 1],
          ["keystep", 1],
        ]);
  return map([
    ...(notes === undefined ? [] : [["notes", notes] as const]),
    ["flags", setOf(flags.map(status))],
    ["begin_search", typed("index", map([["index", begin]]))],
    ["find_keys", typed(find.kind, search)],
  ]);
}

/** One value of COMMAND DOCS. */
export function docsReply(spec: CommandSpec): Reply {
  const entries: (readonly [Reply, Reply])[] = [
    ["summary", spec.summary],
    ["since", spec.since],
    ["group", spec.group],
    ["complexity", spec.complexity],
  ];
  if (spec.deprecatedSince !== undefined) {
    entries.push(["doc_flags", setOf([status("deprecated")])]);
    entries.push(["deprecated_since", spec.deprecatedSince]);
    if (spec.replacedBy !== undefined) entries.push(["replaced_by", spec.replacedBy]);
  }
  if (spec.history !== undefined) entries.push(["history", setOf(spec.history)]);
  if (spec.arguments !== undefined) entries.push(["arguments", spec.arguments.map(argumentReply)]);
  if (spec.subcommands !== undefined) {
    entries.push(["subcommands", map(spec.subcommands.map((sub) => [sub.name, docsReply(sub)]))]);
  }
  return map(entries);
}

function argumentReply(argument: ArgumentSpec): Reply {
  const entries: (readonly [Reply, Reply])[] = [
    ["name", argument.name],
    ["type", argument.type],
  ];
  if (argument.keySpecIndex !== undefined) entries.push(["key_spec_index", argument.keySpecIndex]);
  if (argument.token !== undefined) entries.push(["token", argument.token]);
  if (argument.since !== undefined) entries.push(["since", argument.since]);
  if (argument.deprecatedSince !== undefined) {
    entries.push(["deprecated_since", argument.deprecatedSince]);
  }
  const flags: Reply[] = [];
  if (argument.optional === true) flags.push(status("optional"));
  if (argument.multiple === true) flags.push(status("multiple"));
  if (argument.multipleToken === true) flags.push(status("multiple_token"));
  if (flags.length > 0) entries.push(["flags", setOf(flags)]);
  if (argument.arguments !== undefined) {
    entries.push(["arguments", argument.arguments.map(argumentReply)]);
  }
  return map(entries);
}

function typed(type: string, spec: Reply): Reply {
  return map([
    ["type", type],
    ["spec", spec],
  ]);
}

function map(entries: readonly (readonly [Reply, Reply])[]): Reply {
  return { kind: "map", entries };
}

function setOf(items: readonly Reply[]): Reply {
  return { kind: "set", items };
}
