/**
 * The scripts that nearly every lock client sends, by normal form.
 *
 * Each is written here as plain Lua and brought into its normal form once; a client's script that
 * has the same one does the same. To add one: its text, the program that does it, and a client's
 * own text in `test/script/client-scripts.ts`, which the tests run both ways.
 */
import { present } from "../../base/assert.ts";
import {
  addToLease,
  compareAnd,
  deleteAllEqual,
  setAllIfEqual,
  setAllIfNone,
  touchOrSet,
  type Action,
  type NativeProgram,
} from "./native-programs.ts";
import { normalForm } from "./normal-form.ts";

/** A recognised script. */
export interface NativeScript {
  readonly program: NativeProgram;
  /** The line of each command it calls. */
  readonly callLines: readonly number[];
}

const catalogue = new Map<string, NativeProgram>();

/** The native form of a script, or null. */
export function recognise(source: string): NativeScript | null {
  const form = normalForm(source);
  const program = form === null ? undefined : catalogue.get(form.text);
  return form === null || program === undefined ? null : { program, callLines: form.callLines };
}

function add(program: NativeProgram, ...texts: readonly string[]): void {
  for (const text of texts) {
    const form = present(normalForm(text), "the catalogue's scripts have a normal form");
    catalogue.set(form.text, program);
  }
}

const GET = 'redis.call("get", KEYS[1])';
const commands: readonly (readonly [Action, string])[] = [
  ["del", 'redis.call("del", KEYS[1])'],
  ["unlink", 'redis.call("unlink", KEYS[1])'],
  ["pexpire", 'redis.call("pexpire", KEYS[1], ARGV[2])'],
  ["expire", 'redis.call("expire", KEYS[1], ARGV[2])'],
  ["set", 'redis.call("set", KEYS[1], ARGV[1], "PX", ARGV[2])'],
];

for (const [action, command] of commands) {
  const conditions = [`${GET} == ARGV[1]`, `ARGV[1] == ${GET}`];
  const zero = { mismatch: 0, missing: 0 };
  // The Redis documentation, ioredis, redsync, redis-semaphore and most others.
  add(
    compareAnd(action, { match: null, ...zero }),
    ...conditions.flatMap((condition) => [
      `if ${condition} then return ${command} else return 0 end`,
      `if ${condition} then return ${command} end return 0`,
    ]),
    `local v = ${GET} if v == ARGV[1] then return ${command} else return 0 end`,
    `local v = ${GET} if v == ARGV[1] then return ${command} end return 0`,
    `if ${GET} ~= ARGV[1] then return 0 end return ${command}`,
    `if ${GET} ~= ARGV[1] then return 0 else return ${command} end`,
  );
  // redis-py's Lock and others that answer 1 themselves.
  add(
    compareAnd(action, { match: 1, ...zero }),
    ...conditions.flatMap((condition) => [
      `if ${condition} then ${command} return 1 else return 0 end`,
      `if ${condition} then ${command} return 1 end return 0`,
    ]),
    `local v = ${GET} if not v or v ~= ARGV[1] then return 0 end ${command} return 1`,
    `local v = ${GET} if v == ARGV[1] then ${command} return 1 else return 0 end`,
    `local v = ${GET} if v == ARGV[1] then ${command} return 1 end return 0`,
    `if ${GET} ~= ARGV[1] then return 0 end ${command} return 1`,
  );
  add(
    compareAnd(action, { match: null, mismatch: null, missing: null }),
    ...conditions.map((condition) => `if ${condition} then return ${command} end`),
  );
  add(
    compareAnd(action, { match: null, mismatch: 0, missing: -1 }),
    `local v = ${GET} if v == ARGV[1] then return ${command} elseif v == false then return -1 else return 0 end`,
  );
  add(
    compareAnd(action, { match: null, mismatch: -1, missing: -1 }),
    `if ${GET} == ARGV[1] then return ${command} else return -1 end`,
  );
}

// rslock's extend: what SET answers is never nil in Lua.
add(
  compareAnd("set", { match: 1, mismatch: 0, missing: 0 }),
  `if ${GET} ~= ARGV[1] then return 0 else if redis.call("set", KEYS[1], ARGV[1], "PX", ARGV[2]) ~= nil then return 1 else return 0 end end`,
);

add(
  touchOrSet,
  `if ${GET} == ARGV[1] then return redis.call("pexpire", KEYS[1], ARGV[2])
   elseif redis.call("set", KEYS[1], ARGV[1], "PX", ARGV[2], "NX") then return 1 else return 0 end`,
);

add(
  addToLease,
  `local token = ${GET}
   if not token or token ~= ARGV[1] then return 0 end
   local expiration = redis.call("pttl", KEYS[1])
   if not expiration then expiration = 0 end
   if expiration < 0 then return 0 end
   local newttl = ARGV[2]
   if ARGV[3] == "0" then newttl = ARGV[2] + expiration end
   redis.call("pexpire", KEYS[1], newttl)
   return 1`,
);

add(
  setAllIfNone,
  `for i, key in ipairs(KEYS) do if redis.call("exists", key) == 1 then return 0 end end
   for i, key in ipairs(KEYS) do redis.call("set", key, ARGV[1], "PX", ARGV[2]) end
   return #KEYS`,
);

add(
  setAllIfEqual,
  `for i, key in ipairs(KEYS) do if redis.call("get", key) ~= ARGV[1] then return 0 end end
   for i, key in ipairs(KEYS) do redis.call("set", key, ARGV[1], "PX", ARGV[2]) end
   return #KEYS`,
);

add(
  deleteAllEqual,
  `local count = 0
   for i, key in ipairs(KEYS) do
     if redis.call("get", key) == ARGV[1] then redis.pcall("del", key) count = count + 1 end
   end
   return count`,
);
