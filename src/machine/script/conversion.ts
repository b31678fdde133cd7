/** Replies as Lua values and Lua values as replies, by Redis's rules. */
import { SCRIPT_REPLY_BYTES_MAX, SCRIPT_REPLY_DEPTH_MAX } from "../../base/limits.ts";
import { unreachable } from "../../base/assert.ts";
import type { ErrorReply, Reply } from "../../base/reply.ts";
import { errorReply, status } from "../../base/reply.ts";
import type { LuaContext } from "./lua-context.ts";
import { LUA_BOOLEAN, LUA_NIL, LUA_NUMBER, LUA_STRING, LUA_TABLE } from "./lua-module.ts";
import type { LuaState } from "./lua-module.ts";
import { shortestText, truncated } from "./number-text.ts";

/** Leaves `reply` on the stack as the script sees it; an error becomes a table with `err`. */
export function pushReply(context: LuaContext, state: LuaState, reply: Reply): void {
  const { api } = context;
  if (api.lua_checkstack(state, 4) === 0) context.abort("its stack");
  if (typeof reply === "string") return context.pushText(state, reply);
  if (typeof reply === "number") return api.lua_pushnumber(state, reply);
  if (typeof reply === "bigint") return api.lua_pushnumber(state, Number(reply));
  if (reply === null) return pushNothing(context, state);
  if (isArray(reply)) return pushItems(context, state, reply);
  switch (reply.kind) {
    case "status":
      return pushField(context, state, "ok", reply.text);
    case "error":
      pushError(context, state, reply);
      // Redis marks errors of commands so, and scripts can see it.
      api.lua_pushboolean(state, 1);
      return context.setField(state, api.lua_gettop(state) - 1, "ignore_error_stats_update");
    case "nil-array":
      return pushNothing(context, state);
    case "map":
      return pushMap(context, state, reply.entries);
    case "set":
      return pushSet(context, state, reply.items);
    case "push":
      return pushItems(context, state, reply.items);
    case "double":
      if (context.protocol === 2) return context.pushText(state, shortestText(reply.value));
      api.lua_createtable(state, 0, 1);
      api.lua_pushnumber(state, reply.value);
      return context.setField(state, api.lua_gettop(state) - 1, "double");
    case "boolean":
      if (context.protocol === 2) return api.lua_pushnumber(state, reply.value ? 1 : 0);
      return api.lua_pushboolean(state, reply.value ? 1 : 0);
    case "verbatim":
      return pushVerbatim(context, state, reply.format, reply.text);
    default:
      return unreachable(reply);
  }
}

/** Leaves `{err = text}`, which scripts get for errors that no command answered. */
export function pushError(context: LuaContext, state: LuaState, error: ErrorReply): void {
  pushField(context, state, "err", error.text);
}

/** The text up to its first zero byte, where C takes it to end. */
export function untilZero(text: string): string {
  const end = text.indexOf("\0");
  return end < 0 ? text : text.slice(0, end);
}

function isArray(reply: Reply): reply is readonly Reply[] {
  return Array.isArray(reply);
}

function pushNothing(context: LuaContext, state: LuaState): void {
  if (context.protocol === 2) context.api.lua_pushboolean(state, 0);
  else context.api.lua_pushnil(state);
}

/** A table of one field; made empty, as Redis does, so that fields come in the same order. */
function pushField(context: LuaContext, state: LuaState, name: string, text: string): void {
  context.api.lua_createtable(state, 0, 0);
  context.pushText(state, text);
  context.setField(state, context.api.lua_gettop(state) - 1, name);
}

function pushItems(context: LuaContext, state: LuaState, items: readonly Reply[]): void {
  const { api } = context;
  api.lua_createtable(state, items.length, 0);
  for (let at = 0; at < items.length; at += 1) {
    pushReply(context, state, items[at] ?? null);
    api.lua_rawseti(state, -2, at + 1);
  }
}

type Entries = readonly (readonly [Reply, Reply])[];

function pushMap(context: LuaContext, state: LuaState, entries: Entries): void {
  if (context.protocol === 2) return pushItems(context, state, entries.flat(1) as Reply[]);
  const { api } = context;
  api.lua_createtable(state, 0, 1);
  api.lua_createtable(state, 0, entries.length);
  for (const [key, value] of entries) {
    pushReply(context, state, key);
    pushReply(context, state, value);
    api.lua_rawset(state, -3);
  }
  context.setField(state, api.lua_gettop(state) - 1, "map");
}

function pushSet(context: LuaContext, state: LuaState, items: readonly Reply[]): void {
  if (context.protocol === 2) return pushItems(context, state, items);
  const { api } = context;
  api.lua_createtable(state, 0, 1);
  api.lua_createtable(state, 0, items.length);
  for (const item of items) {
    pushReply(context, state, item);
    api.lua_pushboolean(state, 1);
    api.lua_rawset(state, -3);
  }
  context.setField(state, api.lua_gettop(state) - 1, "set");
}

function pushVerbatim(context: LuaContext, state: LuaState, format: string, text: string): void {
  if (context.protocol === 2) return context.pushText(state, text);
  const { api } = context;
  api.lua_createtable(state, 0, 1);
  api.lua_createtable(state, 0, 2);
  const inner = api.lua_gettop(state);
  context.pushText(state, text);
  context.setField(state, inner, "string");
  context.pushText(state, format);
  context.setField(state, inner, "format");
  context.setField(state, inner - 1, "verbatim_string");
}

/** A bound that a script's answer broke. */
export interface ReplyBreach {
  readonly breach: string;
}

/** Reads the value on top of the stack as a reply, and pops it. */
export class ReplyReader {
  readonly #context: LuaContext;
  #bytesLeft = 0;
  #breach: string | null = null;

  constructor(context: LuaContext) {
    this.#context = context;
  }

  read(state: LuaState): Reply | ReplyBreach {
    this.#bytesLeft = SCRIPT_REPLY_BYTES_MAX;
    this.#breach = null;
    const reply = this.#value(state, 0);
    const breach = this.#broken();
    return breach === null ? reply : { breach };
  }

  #broken(): string | null {
    return this.#breach;
  }

  #value(state: LuaState, depth: number): Reply {
    const { api, protocol } = this.#context;
    let reply: Reply = null;
    switch (api.lua_type(state, -1)) {
      case LUA_STRING:
        reply = this.#text(state);
        break;
      case LUA_NUMBER:
        reply = truncated(api.lua_tonumber(state, -1));
        break;
      case LUA_BOOLEAN: {
        const value = api.lua_toboolean(state, -1) !== 0;
        if (protocol === 3) reply = { kind: "boolean", value };
        else reply = value ? 1 : null;
        break;
      }
      case LUA_TABLE:
        reply = this.#table(state, depth);
        break;
    }
    this.#spend(8);
    api.lua_settop(state, -2);
    return reply;
  }

  #spend(bytes: number): void {
    this.#bytesLeft -= bytes;
    if (this.#bytesLeft < 0) this.#breach ??= `${SCRIPT_REPLY_BYTES_MAX} bytes of its answer`;
  }

  #text(state: LuaState): string {
    // The length is known before the copy, so an answer past its bound costs nothing.
    this.#spend(this.#context.api.lua_objlen(state, -1));
    return this.#breach === null ? (this.#context.text(state, -1) ?? "") : "";
  }

  #table(state: LuaState, depth: number): Reply {
    const { api } = this.#context;
    if (depth >= SCRIPT_REPLY_DEPTH_MAX || api.lua_checkstack(state, 8) === 0) {
      this.#breach ??= `${SCRIPT_REPLY_DEPTH_MAX} levels of its answer`;
      return null;
    }
    const table = api.lua_gettop(state);
    const error = this.#fieldText(state, table, "err");
    if (error !== null) return errorReply(untilZero(error));
    const ok = this.#fieldText(state, table, "ok");
    if (ok !== null) return status(untilZero(ok).replace(/[\r\n]/g, " "));
    const special = this.#special(state, table, depth);
    if (special !== undefined) return special;

    const items: Reply[] = [];
    for (let at = 1; this.#breach === null; at += 1) {
      api.lua_rawgeti(state, table, at);
      if (api.lua_type(state, -1) === LUA_NIL) {
        api.lua_settop(state, -2);
        break;
      }
      items.push(this.#value(state, depth + 1));
    }
    return items;
  }

  /** The forms of RESP3 values: `{double=}`, `{map=}`, `{set=}`, `{big_number=}`, `{verbatim_string=}`. */
  #special(state: LuaState, table: number, depth: number): Reply | undefined {
    const { api } = this.#context;
    this.#context.getField(state, table, "double");
    const isDouble = api.lua_type(state, -1) === LUA_NUMBER;
    const value = isDouble ? api.lua_tonumber(state, -1) : 0;
    api.lua_settop(state, table);
    if (isDouble) return { kind: "double", value };

    const entries = this.#pairs(state, table, "map", depth);
    if (entries !== undefined) return { kind: "map", entries };
    const members = this.#pairs(state, table, "set", depth);
    if (members !== undefined) return { kind: "set", items: members.map(([item]) => item) };
    // A reply has no kind for big numbers; their digits go out as a string, as RESP2 does.
    const digits = this.#fieldText(state, table, "big_number");
    if (digits !== null) return digits.replace(/[\r\n]/g, " ");
    return this.#verbatim(state, table);
  }

  #pairs(
    state: LuaState,
    table: number,
    name: "map" | "set",
    depth: number,
  ): [Reply, Reply][] | undefined {
    const { api } = this.#context;
    this.#context.getField(state, table, name);
    if (api.lua_type(state, -1) !== LUA_TABLE) {
      api.lua_settop(state, table);
      return undefined;
    }
    const entries: [Reply, Reply][] = [];
    const inner = table + 1;
    api.lua_pushnil(state);
    while (this.#breach === null && api.lua_next(state, inner) !== 0) {
      if (api.lua_type(state, -2) >= LUA_TABLE) this.#breach ??= "the order of its answer's keys";
      let value: Reply = null;
      if (name === "map") value = this.#value(state, depth + 1);
      else api.lua_settop(state, -2);
      api.lua_pushvalue(state, -1);
      entries.push([this.#value(state, depth + 1), value]);
    }
    api.lua_settop(state, table);
    return entries;
  }

  #verbatim(state: LuaState, table: number): Reply | undefined {
    const { api } = this.#context;
    this.#context.getField(state, table, "verbatim_string");
    let reply: Reply | undefined;
    if (api.lua_type(state, -1) === LUA_TABLE) {
      const format = this.#fieldText(state, table + 1, "format");
      const text = this.#fieldText(state, table + 1, "string");
      if (format !== null && text !== null) reply = { kind: "verbatim", format, text };
    }
    api.lua_settop(state, table);
    return reply;
  }

  #fieldText(state: LuaState, table: number, name: string): string | null {
    const { api } = this.#context;
    const top = api.lua_gettop(state);
    this.#context.getField(state, table, name);
    const text = api.lua_type(state, -1) === LUA_STRING ? this.#text(state) : null;
    api.lua_settop(state, top);
    return text;
  }
}
