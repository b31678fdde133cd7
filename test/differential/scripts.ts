/**
 * Random scripts: what lock clients send, on the few keys and values that all tests share, and small
 * ones made up of Lua's operators, its string, table and math functions, `cjson`, `bit` and `redis`.
 */
import { createHash } from "node:crypto";
import fc from "fast-check";
import { clientScripts } from "../script/client-scripts.ts";
import { dataCommand, value, type Keys } from "./commands.ts";

/** A text as a Lua literal; every odd byte as three digits. */
export function literal(text: string): string {
  const escaped = text.replace(/[^\w .,:;<>=+*()[\]{}!?@#$%^&|~/-]/g, (byte) => {
    return `\\${String(byte.charCodeAt(0)).padStart(3, "0")}`;
  });
  return `'${escaped}'`;
}

const from = (...texts: readonly string[]): fc.Arbitrary<string> => fc.constantFrom(...texts);

const number = fc.oneof(
  from("0", "1", "2", "3", "-1", "10", "7.5", "-3.25", "0.1", "1e15", "123456789012345"),
  from(
    "2^53",
    "2^53+1",
    "1e100",
    "1/0",
    "-1/0",
    "0/0",
    "-0",
    "1e-7",
    "0x1f",
    "1e14",
    "99999999999999.5",
  ),
  fc.integer({ min: -1000, max: 1000 }).map(String),
  fc.double({ noDefaultInfinity: true, noNaN: true }).map((n) => `(${n})`),
);

const text = fc.oneof(
  from("''", "'a'", "'abc'", "'a,b,,c'", "'x1 y22'", "'12'", "' 5 '", "'0x10'", "'1e2'", "'%d'"),
  from("'\\0a\\255'", "'key = value'", "'(a(b)c)'", "'THE (quick) fox'", "'  trim  '", "'a.b-c'"),
  fc
    .array(from("a", "b", "1", " ", "%", ".", "-", "(", ")", "[", "]", "^", "$", "*", "\0"), {
      maxLength: 8,
    })
    .map((parts) => literal(parts.join(""))),
);

/** Patterns of Lua: whole ones, and pieces put together at random. */
const pattern = fc.oneof(
  from(
    "'%a+'",
    "'(%w+)%s*=%s*(%w+)'",
    "'[^,]*'",
    "'^%s*(.-)%s*$'",
    "'%b()'",
    "'%f[%a]%a+'",
    "'()'",
  ),
  from("'[%w_]+'", "'a-b'", "'.'", "'(.)(.)'", "'(a)(b)%2%1'", "'%d-$'", "'%z'", "'[]]'", "'[^]]'"),
  fc
    .array(
      from(
        "%a",
        "%d",
        "%s",
        ".",
        "a",
        "b",
        "1",
        "*",
        "+",
        "-",
        "?",
        "(",
        ")",
        "[",
        "]",
        "[^a]",
        "%1",
        "^",
        "$",
        "%",
        "%b()",
        "%f",
        "[a-z]",
        "%f[%d]",
      ),
      { maxLength: 6 },
    )
    .map((parts) => literal(parts.join(""))),
);

const format = fc.oneof(
  from(
    "'%d'",
    "'%5.1f'",
    "'%s'",
    "'%q'",
    "'%x'",
    "'%g'",
    "'%i|%u'",
    "'%c'",
    "'%o'",
    "'%E'",
    "'%%'",
  ),
  fc
    .array(
      from(
        "%d",
        "%s",
        "%5s",
        "%-5s|",
        "%.2s",
        "%05d",
        "%+d",
        "%x",
        "%#X",
        "%g",
        "%.3g",
        "%e",
        "%f",
        "%10.4f",
        "%q",
        "%c",
        "%y",
        "%",
        "% d",
        "%i",
        "%.14g",
        "%.20s",
        "%-08d",
        "%123d",
        "x",
      ),
      { minLength: 1, maxLength: 3 },
    )
    .map((parts) => literal(parts.join(" "))),
);

const json = fc.oneof(
  fc.json({ maxDepth: 2 }),
  from(
    "[1,2.5,null]",
    '{"a":{"b":[]}}',
    '"\\u00e9\\ud83d\\ude00"',
    "[1e400]",
    "[0x1F]",
    "[+1]",
    "[01]",
  ),
  from(
    "",
    "[",
    "[1,]",
    "{,}",
    '{"a":}',
    "nul",
    "tru",
    "[NaN]",
    "[Infinity]",
    "[-]",
    "1 2",
    '"\\u12"',
  ),
  from(
    " [ 1 , 2 ] ",
    "[1.]",
    "[.5]",
    "[1e]",
    '{"a":1,"a":2}',
    '"\t"',
    '"\\/"',
    "[-0]",
    "12345678901234567890",
  ),
);

type Lua = {
  readonly expression: string;
  readonly table: string;
  readonly call: string;
};

/** Expressions; `call` gives the text of arguments for `redis.call`. */
function expressions(redisCall: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const { expression } = fc.letrec<Lua>((tie) => {
    const any = tie("expression");
    const table = tie("table");
    const small = fc.oneof(
      number,
      text,
      from("nil", "true", "false", "KEYS", "ARGV", "ARGV[1]", "KEYS[1]"),
    );
    return {
      call: redisCall,
      table: fc.oneof(
        fc.array(small, { maxLength: 5 }).map((items) => `{${items.join(",")}}`),
        fc
          .array(
            fc.tuple(
              from("a", "b", "ok", "err", "[1]", "[2]", "[4]", "['x y']", "map", "double"),
              any,
            ),
            { maxLength: 3 },
          )
          .map((items) => `{${items.map(([key, item]) => `${key}=${item}`).join(",")}}`),
        fc.array(any, { maxLength: 3 }).map((items) => `{${items.join(",")}}`),
      ),
      expression: fc.oneof(
        { maxDepth: 3 },
        { weight: 6, arbitrary: small },
        { weight: 2, arbitrary: table },
        { weight: 3, arbitrary: tie("call") },
        {
          weight: 4,
          arbitrary: fc
            .tuple(
              any,
              from("+", "-", "*", "/", "%", "^", "..", "==", "~=", "<", "<=", ">", "and", "or"),
              any,
            )
            .map(([left, operator, right]) => `(${left} ${operator} ${right})`),
        },
        {
          weight: 1,
          arbitrary: fc.tuple(from("-", "not ", "#"), any).map((parts) => `(${parts.join("")})`),
        },
        {
          weight: 3,
          arbitrary: fc
            .tuple(
              from(
                "tostring",
                "tonumber",
                "type",
                "math.floor",
                "math.ceil",
                "math.abs",
                "#",
                "redis.sha1hex",
                "redis.status_reply",
                "redis.error_reply",
                "string.len",
                "string.upper",
                "string.reverse",
                "cjson.encode",
                "bit.tobit",
                "bit.bnot",
                "bit.tohex",
                "unpack",
                "next",
                "math.modf",
                "math.frexp",
              ),
              any,
            )
            .map(([name, argument]) => `${name}(${argument})`),
        },
        {
          weight: 2,
          arbitrary: fc
            .tuple(
              from(
                "tonumber",
                "math.max",
                "math.min",
                "math.fmod",
                "math.pow",
                "bit.band",
                "bit.bxor",
                "bit.lshift",
                "bit.arshift",
                "bit.rol",
                "string.byte",
                "rawequal",
                "string.char",
                "rawget",
              ),
              any,
              any,
            )
            .map(([name, left, right]) => `${name}(${left},${right})`),
        },
        {
          weight: 1,
          // Never many times: Redis would take all the memory that it asks for.
          arbitrary: fc
            .tuple(any, from("0", "1", "3", "-1", "2.9", "'2'", "'x'", "nil", "2^32 + 2"))
            .map((parts) => `string.rep(${parts.join(",")})`),
        },
        {
          weight: 1,
          arbitrary: fc
            .tuple(from("1", "2", "-1", "-2", "0", "3.7", "'#'", "'1'", "'x'"), any, any)
            .map((parts) => `{select(${parts.join(",")})}`),
        },
        {
          weight: 1,
          arbitrary: fc
            .tuple(any, from("1", "-3", "0", "1023", "-2000", "2.9"))
            .map((parts) => `math.ldexp(${parts.join(",")})`),
        },
        {
          weight: 2,
          arbitrary: fc.tuple(format, any, any).map((parts) => `string.format(${parts.join(",")})`),
        },
        {
          weight: 3,
          arbitrary: fc
            .tuple(
              from("find", "match", "gsub"),
              text,
              pattern,
              fc.option(fc.oneof(number, text, table)),
            )
            .map(
              ([name, subject, wanted, more]) =>
                `{(${subject}):${name}(${wanted}${more === null ? (name === "gsub" ? ",'<%1>'" : "") : `,${more}`})}`,
            ),
        },
        {
          weight: 1,
          arbitrary: fc
            .tuple(text, number, number)
            .map((parts) => `string.sub(${parts.join(",")})`),
        },
        { weight: 2, arbitrary: json.map((document) => `cjson.decode(${literal(document)})`) },
        {
          weight: 1,
          arbitrary: json.map((document) => `cjson.encode(cjson.decode(${literal(document)}))`),
        },
        {
          weight: 1,
          arbitrary: fc.tuple(table, text).map((parts) => `table.concat(${parts.join(",")})`),
        },
        {
          weight: 1,
          arbitrary: any.map((inner) => `{pcall(function() return ${inner} end)}`),
        },
      ),
    };
  });
  return expression;
}

function statements(
  expression: fc.Arbitrary<string>,
  redisCall: fc.Arbitrary<string>,
): fc.Arbitrary<string> {
  const statement = fc.oneof(
    { weight: 3, arbitrary: redisCall },
    { weight: 3, arbitrary: expression.map((text_) => `local a = ${text_}`) },
    { weight: 1, arbitrary: expression.map((text_) => `if ${text_} then return 1 end`) },
    {
      weight: 1,
      arbitrary: expression.map(
        (text_) =>
          `local t = {3,1,2,${text_}} table.sort(t, function(x, y) return tostring(x) < tostring(y) end) a = t[1]`,
      ),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(text, pattern)
        .map(
          ([subject, wanted]) =>
            `local t = {} for k, v in (${subject}):gmatch(${wanted}) do t[#t+1] = tostring(k)..tostring(v) if #t > 9 then break end end if #t > 0 then return t end`,
        ),
    },
    {
      weight: 1,
      arbitrary: fc.tuple(number, expression, number).map(
        ([first, last, step]) =>
          // A step of zero goes on for ever, and so would Redis.
          `local c = 0 for i = ${first}, ${last}, ${step} do c = c + 1 if c > 20 then break end end if c > 20 then return c end`,
      ),
    },
    {
      weight: 1,
      arbitrary: expression.map(
        (text_) =>
          `local t = {} for k, v in pairs({${text_}}) do t[#t+1] = tostring(k)..type(v) end if #t > 2 then return t end`,
      ),
    },
    {
      weight: 1,
      arbitrary: from(
        "error('boom')",
        "error({err='ERR own'})",
        "redis.setresp(3)",
        "redis.log(redis.LOG_DEBUG,'x')",
        "local function f(n) if n > 0 then return f(n-1) end return n end",
        "g = 1",
        "\n\n-- comment\n",
      ),
    },
  );
  return fc
    .tuple(
      fc.array(statement, { maxLength: 3 }),
      fc.oneof(
        expression.map((text_) => `return ${text_}`),
        fc.array(expression, { maxLength: 4 }).map((list) => `return {${list.join(", ")}}`),
      ),
    )
    .map(([before, last]) => [...before, last].join("\n"));
}

/** `redis.call` or `pcall` of a command on the keys given, or on keys it was not told. */
function callsOf(keys: Keys): fc.Arbitrary<string> {
  const near: Keys = { single: keys.together, together: keys.together };
  const severalGroups = keys.single !== keys.together;
  // What goes through all keys answers in any order, and DBSIZE counts what Redis has not met. Where
  // there are groups, a refusal that the script swallows would let the states part unseen.
  const elsewhere = severalGroups
    ? /^(keys|randomkey|dbsize|flush.*)$/i
    : /^(keys|randomkey|dbsize)$/i;
  const command = dataCommand(near, !severalGroups)
    .map((args) => (elsewhere.test(args[0] ?? "") ? ["ping"] : args))
    .map((args) => args.map(literal).join(","));
  const given = fc
    .tuple(
      from("get", "del", "exists", "incr", "pttl", "persist", "strlen", "type"),
      severalGroups ? from("KEYS[1]") : from("KEYS[1]", "KEYS[2]", "ARGV[1]"),
    )
    .map(([name, key]) => `'${name}',${key}`);
  const typed = fc
    .tuple(
      from("KEYS[1]", literal(keys.together[1] ?? "k")),
      fc.oneof(
        fc.integer({ min: -1e6, max: 1e6 }).map(String),
        from("true", "nil", "{}", "1e15", "3.0", "'x'"),
      ),
    )
    .map(([key, item]) => `'set',${key},${item}`);
  return fc
    .tuple(
      from("redis.call", "redis.pcall"),
      fc.oneof(
        { weight: 4, arbitrary: command },
        { weight: 3, arbitrary: given },
        { weight: 1, arbitrary: typed },
      ),
    )
    .map(([name, args]) => `${name}(${args})`);
}

export function sha1(body: string): string {
  return createHash("sha1").update(Buffer.from(body, "latin1")).digest("hex");
}

/** One of EVAL, EVALSHA, SCRIPT LOAD and so on, for a body with keys and arguments. */
function asCommands(
  body: string,
  keys: readonly string[],
  args: readonly string[],
  how: number,
): string[] {
  const rest = [String(keys.length), ...keys, ...args];
  switch (how) {
    case 0:
    case 1:
    case 2:
    case 3:
      return ["EVAL", body, ...rest];
    case 4:
    case 5:
      return ["EVALSHA", sha1(body), ...rest];
    case 6:
      return ["SCRIPT", "LOAD", body];
    case 7:
      return ["EVAL_RO", body, ...rest];
    case 8:
      return ["EVALSHA_RO", sha1(body).toUpperCase(), ...rest];
    default:
      return ["SCRIPT", "EXISTS", sha1(body), "nosuch", sha1(body).toUpperCase()];
  }
}

/** Where there are groups, the keys say which one a script runs in: there must be one. */
function keyArguments({ single, together }: Keys): fc.Arbitrary<string[]> {
  const minLength = single === together ? 0 : 1;
  return fc.array(fc.constantFrom(...together), { minLength, maxLength: 2 });
}

/** Scripts of clients, a few of which come again and again, so that EVALSHA finds them. */
export function clientScriptCommand(keys: Keys): fc.Arbitrary<string[]> {
  const owner = from("owner-1", "owner-2", "x", "");
  const lease = from("100000", "200400", "0", "-1", "abc", "4000000000", "100000.7", "1e6");
  return fc
    .tuple(
      fc.constantFrom(...clientScripts.map(({ body }) => body)),
      keyArguments(keys),
      fc
        .tuple(owner, lease, from("0", "2000000", "yes"))
        .chain((args) => fc.nat({ max: 3 }).map((n) => args.slice(0, n))),
      fc.nat({ max: 9 }),
    )
    .map(([body, names, args, how]) => asCommands(body, names, args, how));
}

export function randomScriptCommand(keys: Keys): fc.Arbitrary<string[]> {
  const redisCall = callsOf(keys);
  const body = statements(expressions(redisCall), redisCall);
  return fc
    .tuple(body, keyArguments(keys), fc.array(value, { maxLength: 2 }), fc.nat({ max: 12 }))
    .map(([script, names, args, how]) => asCommands(script, names, args, how > 9 ? 0 : how));
}

/** SCRIPT and EVAL with arguments that are not as they should be. */
export const scriptManagement: fc.Arbitrary<string[]> = fc.oneof(
  fc
    .tuple(from("FLUSH"), fc.array(from("ASYNC", "sync", "x"), { maxLength: 2 }))
    .map(([word, more]) => ["SCRIPT", word, ...more]),
  fc
    .array(from("EXISTS", "LOAD", "return 1", "x =", "KILL", "nosuch", "HELP", ""), {
      maxLength: 3,
    })
    .map((list) => (list[0] === "HELP" ? ["SCRIPT"] : ["SCRIPT", ...list])),
  fc
    .tuple(
      from("EVAL", "EVALSHA", "eval_ro", "EvalSha_RO"),
      from("return 1", "return KEYS", "x =", "", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"),
      fc.array(from("0", "1", "2", "-1", "x", "9223372036854775807", "k"), { maxLength: 4 }),
    )
    .map(([name, body, rest]) => [name, body, ...rest]),
);
