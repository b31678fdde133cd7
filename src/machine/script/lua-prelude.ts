/**
 * The Lua text that turns a plain Lua 5.1 into the one scripts see: what Redis lacks goes, its
 * globals and libraries become read-only, coroutines are bounded.
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
local type, error, select, setmetatable = type, error, select, setmetatable
local next, concat, sort, loadstring = next, table.concat, table.sort, loadstring
local create, resume = coroutine.create, coroutine.resume
local enter, leave, missing = internal.enter, internal.leave, internal.missing

for _, name in ipairs {
  "internal", "dofile", "loadfile", "print", "newproxy", "getfenv", "setfenv", "gcinfo", "module",
  "require", "package", "io", "os", "debug"
} do
  globals[name] = nil
end

function globals.pairs(...)
  local list = ...
  if type(list) ~= "table" then
    local got = select("#", ...) == 0 and "no value" or type(list)
    error("bad argument #1 to 'pairs' (table expected, got " .. got .. ")", 2)
  end
  return next, list, nil
end

function globals.load(reader, name)
  if type(reader) ~= "function" then
    error("bad argument #1 to 'load' (function expected, got " .. type(reader) .. ")", 2)
  end
  local pieces = {}
  while true do
    local piece = reader()
    if piece == nil or piece == "" then break end
    if type(piece) ~= "string" then return nil, "reader function must return a string" end
    pieces[#pieces + 1] = piece
  end
  return loadstring(concat(pieces), name or "=(load)")
end

function table.sort(list, before)
  if type(list) == "table" then internal.sorting(list) end
  return sort(list, before)
end

local function left(...)
  leave()
  return ...
end

function coroutine.create(body)
  internal.counted()
  return create(body)
end

function coroutine.resume(thread, ...)
  enter()
  return left(resume(thread, ...))
end

local function passed(ok, ...)
  leave()
  if ok then return ... end
  local problem = ...
  error(problem, type(problem) == "string" and 3 or 0)
end

function coroutine.wrap(body)
  internal.counted()
  local thread = create(body)
  return function(...)
    enter()
    return passed(resume(thread, ...))
  end
end

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
globals._G = protect(globals, missing)
return globals, globals._G
`;
