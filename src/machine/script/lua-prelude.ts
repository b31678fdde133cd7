/**
 * The Lua text that turns a plain Lua 5.1 into the one scripts see: what Redis lacks goes, its
 * globals and libraries become read-only.
 *
 * Lua 5.1 has no read-only tables. A protected table is an empty stand-in whose metatable leads to
 * the real one and refuses to be written; `next`, `rawget`, `rawset` and `setmetatable` know
 * stand-ins. A script that gets around it changes only what itself sees: each one starts from the
 * same memory.
 *
 * The chunk gets the internal functions and returns the real table of globals and its stand-in.
 */
export const LUA_PRELUDE = `
local internal, null = ...
local globals = _G
local setmetatable = setmetatable

for _, name in ipairs {
  "internal", "dofile", "loadfile", "print", "newproxy", "getfenv", "setfenv", "gcinfo", "module",
  "require", "package", "io", "os", "debug"
} do
  globals[name] = nil
end

string.gfind = string.gmatch
cjson.null = null
cjson._NAME = "cjson"
cjson._VERSION = "2.1.0"

local sealed = setmetatable({}, { __newindex = internal.modified, __metatable = false })

local function protect(real, fallback)
  local standIn = {}
  if fallback then setmetatable(real, { __index = fallback }) end
  setmetatable(standIn, { __index = real, __newindex = internal.modified, __metatable = sealed })
  internal.seal(standIn, real)
  return standIn
end

for _, name in ipairs { "redis", "string", "table", "math", "coroutine", "cjson", "bit" } do
  globals[name] = protect(globals[name])
end
getmetatable("").__metatable = sealed
globals._G = protect(globals, internal.missing)
return globals, globals._G
`;
