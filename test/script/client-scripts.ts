/**
 * What lock clients send, word for word: facts of the wire. `native` says whether we recognise it.
 */
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

export interface ClientScript {
  readonly client: string;
  readonly body: string;
  readonly native: boolean;
}

const require = createRequire(import.meta.url);

/** The text between backquotes that follows `before` in a file of an installed client. */
function quoted(file: string, before: string): string {
  const text = readFileSync(require.resolve(file), "utf8");
  const body = text.split(before)[1]?.split("`")[1];
  if (body === undefined) throw new Error(`${file} has no script after ${before}`);
  return body;
}

const redlock4 = (name: string): string => quoted("redlock4", `const ${name} = `);
const redlock5 = (name: string): string => quoted("redlock5", `const ${name} = `);
const semaphore = (file: string, name: string): string =>
  quoted(`redis-semaphore/lib/${file}`, `exports.${name} = (0`);

export const clientScripts: readonly ClientScript[] = [
  { client: "redlock 4 acquire", body: redlock4("lockScript"), native: true },
  { client: "redlock 4 release", body: redlock4("unlockScript"), native: true },
  { client: "redlock 4 extend", body: redlock4("extendScript"), native: true },
  { client: "redlock 5 acquire", body: redlock5("ACQUIRE_SCRIPT"), native: true },
  { client: "redlock 5 release", body: redlock5("RELEASE_SCRIPT"), native: true },
  { client: "redlock 5 extend", body: redlock5("EXTEND_SCRIPT"), native: true },
  {
    client: "redis-semaphore release",
    body: semaphore("mutex/release.js", "delIfEqualLua"),
    native: true,
  },
  {
    client: "redis-semaphore refresh",
    body: semaphore("mutex/refresh.js", "expireIfEqualLua"),
    native: true,
  },
  {
    client: "the Redis documentation",
    body: `if redis.call("get",KEYS[1]) == ARGV[1] then
    return redis.call("del",KEYS[1])
else
    return 0
end`,
    native: true,
  },
  {
    client: "redis-py release",
    body: `
        local token = redis.call('get', KEYS[1])
        if not token or token ~= ARGV[1] then
            return 0
        end
        redis.call('del', KEYS[1])
        return 1
    `,
    native: true,
  },
  {
    client: "redis-py extend",
    body: `
        local token = redis.call('get', KEYS[1])
        if not token or token ~= ARGV[1] then
            return 0
        end
        local expiration = redis.call('pttl', KEYS[1])
        if not expiration then
            expiration = 0
        end
        if expiration < 0 then
            return 0
        end

        local newttl = ARGV[2]
        if ARGV[3] == "0" then
            newttl = ARGV[2] + expiration
        end
        redis.call('pexpire', KEYS[1], newttl)
        return 1
    `,
    native: true,
  },
  {
    client: "redis-py reacquire",
    body: `
        local token = redis.call('get', KEYS[1])
        if not token or token ~= ARGV[1] then
            return 0
        end
        redis.call('pexpire', KEYS[1], ARGV[2])
        return 1
    `,
    native: true,
  },
  {
    client: "redsync delete",
    body: `
	local val = redis.call("GET", KEYS[1])
	if val == ARGV[1] then
		return redis.call("DEL", KEYS[1])
	elseif val == false then
		return -1
	else
		return 0
	end
`,
    native: true,
  },
  {
    client: "redsync touch or set",
    body: `
	if redis.call("GET", KEYS[1]) == ARGV[1] then
		return redis.call("PEXPIRE", KEYS[1], ARGV[2])
	elseif redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2], "NX") then
		return 1
	else
		return 0
	end
`,
    native: true,
  },
  {
    client: "redsync touch",
    body: `
	if redis.call("GET", KEYS[1]) == ARGV[1] then
		return redis.call("PEXPIRE", KEYS[1], ARGV[2])
	else
		return 0
	end
`,
    native: true,
  },
  {
    client: "an unlock with names, semicolons and a comment",
    body: `-- unlock
local key = KEYS[1];
local value = ARGV[1];

if (redis.call('get', key) == value) then
    return redis.call('del', key);
else
    return 0;
end`,
    native: true,
  },
  {
    client: "an unlock in one line",
    body: "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0",
    native: true,
  },
  {
    client: "a lease in seconds",
    body: "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('expire', KEYS[1], ARGV[2]) else return 0 end",
    native: true,
  },
  {
    client: "rslock extend",
    body: `if redis.call("get", KEYS[1]) ~= ARGV[1] then
  return 0
else
  if redis.call("set", KEYS[1], ARGV[1], "PX", ARGV[2]) ~= nil then
    return 1
  else
    return 0
  end
end`,
    native: true,
  },
  {
    client: "an unlock that publishes",
    body: "if redis.call('get',KEYS[1]) == ARGV[1] then redis.call('del',KEYS[1]) return redis.call('exists',KEYS[1]) end",
    native: false,
  },
  {
    client: "an acquire in Lua",
    body: "if redis.call('SETNX', KEYS[1], ARGV[1]) == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) return 1 else return 0 end",
    native: false,
  },
  {
    client: "a batch acquire",
    body: `for i=1,#KEYS do if redis.call('exists',KEYS[i]) == 1 then return {0,i,KEYS[i]} end end
for i=1,#KEYS do redis.call('set',KEYS[i],ARGV[i] or ARGV[1],'PX',tonumber(ARGV[#ARGV])) end
return {1,#KEYS}`,
    native: false,
  },
  {
    client: "an obtain of several keys in the manner of redislock",
    body: `local function canAcquire(key, value, offset)
  local got = string.sub(redis.call('get', key), 1, offset)
  return got == string.sub(value, 1, offset)
end
local setArgs = {}
for _, key in ipairs(KEYS) do
  table.insert(setArgs, key)
  table.insert(setArgs, ARGV[1])
end
if redis.call('msetnx', unpack(setArgs)) ~= 1 then
  for _, key in ipairs(KEYS) do
    if not canAcquire(key, ARGV[1], 2) then return false end
  end
  redis.call('mset', unpack(setArgs))
end
for _, key in ipairs(KEYS) do redis.call('pexpire', key, ARGV[2]) end
return redis.status_reply('OK')`,
    native: false,
  },
  {
    client: "an inspection with a nil in front",
    body: "return { redis.call('get', KEYS[1]), redis.call('pttl', KEYS[1]) }",
    native: false,
  },
  {
    client: "a counter with a lease",
    body: `local n = redis.call('incr', KEYS[1])
if n == 1 then redis.call('pexpire', KEYS[1], ARGV[2]) end
return { n, tostring(n) .. ':' .. ARGV[1], tonumber(ARGV[2]) }`,
    native: false,
  },
  {
    client: "a lease of whole seconds with arithmetic",
    body: "local now = redis.call('time') redis.call('set', KEYS[1], math.floor(1755555555.9 + ARGV[2] / 1000)) return {type(now[1]), redis.call('get', KEYS[1])}",
    native: false,
  },
  {
    client: "redlock-rb lock",
    body: "if (redis.call('exists', KEYS[1]) == 0 and ARGV[3] == 'yes') or redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('set', KEYS[1], ARGV[1], 'PX', ARGV[2]) end",
    native: false,
  },
  {
    client: "pottery acquired",
    body: "if redis.call('get',KEYS[1]) == ARGV[1] then local pttl = redis.call('pttl',KEYS[1]) return (pttl > 0) and pttl or 0 else return 0 end",
    native: false,
  },
  {
    client: "pottery next id",
    body: "local curr = tonumber(redis.call('get',KEYS[1])) local next = tonumber(ARGV[2]) if curr == nil or curr < next then redis.call('set',KEYS[1],next) return next else return nil end",
    native: false,
  },
  {
    client: "aioredlock set",
    body: "local identifier = redis.call('get',KEYS[1]) if not identifier or identifier == ARGV[1] then return redis.call('set',KEYS[1],ARGV[1],'PX',ARGV[2]) else return redis.error_reply('ERROR') end",
    native: false,
  },
  {
    client: "aioredlock unset",
    body: "local identifier = redis.call('get',KEYS[1]) if not identifier then return redis.status_reply('OK') elseif identifier == ARGV[1] then return redis.call('del',KEYS[1]) else return redis.error_reply('ERROR') end",
    native: false,
  },
  {
    client: "Spring obtain",
    body: "local lockClientId = redis.call('GET', KEYS[1]) if lockClientId == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) return true elseif not lockClientId then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return true end return false",
    native: false,
  },
  {
    client: "go-zero lock",
    body: "if redis.call('GET',KEYS[1]) == ARGV[1] then redis.call('SET',KEYS[1],ARGV[1],'PX',ARGV[2]) return 'OK' else return redis.call('SET',KEYS[1],ARGV[1],'NX','PX',ARGV[2]) end",
    native: false,
  },
  {
    client: "Laravel refresh",
    body: "if redis.call('get',KEYS[1]) == ARGV[1] then if tonumber(ARGV[2]) > 0 then return redis.call('expire',KEYS[1],ARGV[2]) else return redis.call('persist',KEYS[1]) end else return 0 end",
    native: false,
  },
  {
    client: "Laravel concurrency limiter",
    body: "for index, value in pairs(redis.call('mget', unpack(KEYS))) do if not value then redis.call('set', KEYS[index], ARGV[1], 'PX', ARGV[2]) return ARGV[1] .. index end end",
    native: false,
  },
  {
    client: "sesamecare acquire",
    body: "redis.pcall('SELECT', tonumber(ARGV[3])) for i, key in ipairs(KEYS) do if redis.call('exists', key) == 1 then return 0 end end for i, key in ipairs(KEYS) do redis.call('set', key, ARGV[1], 'PX', ARGV[2]) end return #KEYS",
    native: false,
  },
  {
    client: "redlock-universal extend",
    body: "local ttl = redis.call('pttl', KEYS[1]) local current = redis.call('get', KEYS[1]) if current ~= ARGV[1] then return {0, 0} end local min = tonumber(ARGV[3]) or 0 if ttl < min then return {-1, 0} end return {redis.call('pexpire', KEYS[1], ARGV[2]), 1}",
    native: false,
  },
  {
    client: "Elixir redlock extend",
    body: "if redis.call('get',KEYS[1]) == ARGV[1] then return redis.call('pexpire',KEYS[1],ARGV[2],'GT') else return redis.error_reply('NOT LOCKED') end",
    native: false,
  },
  {
    client: "a window limiter",
    body: "local n = redis.call('incrby', KEYS[1], 1) if n == 1 then redis.call('pexpire', KEYS[1], 1000 * ARGV[2]) end local t = redis.call('pttl', KEYS[1]) return {n, t < 0 and -1 or 1}",
    native: false,
  },
];
