/** Random programs: pipelines of commands, SCAN and RANDOMKEY between them, leases that end. */
import fc from "fast-check";
import { asCommand, dataCommand, newCommand, value, type Keys } from "./commands.ts";
import { connectionCommand } from "./connection-commands.ts";
import type { Command, Program, Step } from "./program.ts";
import { clientScriptCommand, randomScriptCommand, scriptManagement } from "./scripts.ts";

/** Where a pipeline is cut into pieces: nowhere, or anywhere. */
const cuts = fc.oneof(
  fc.constant([]),
  fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 4 }),
);

export function pipelineOf(
  command: fc.Arbitrary<string[]>,
  { keys, maxLength }: { readonly keys: Keys; readonly maxLength: number },
): fc.Arbitrary<Step> {
  const any = fc.oneof(
    { weight: 15, arbitrary: asCommand(command) },
    { weight: 1, arbitrary: newCommand(keys) },
  );
  return fc.record({
    kind: fc.constant("pipeline" as const),
    commands: fc
      .array(any, { minLength: 1, maxLength })
      .map((commands) => commands.flatMap((next) => countingExactly(next, keys))),
    cuts,
  });
}

/** Redis counts a key whose end is past until it comes across it: so let it come across all. */
function countingExactly(command: Command, { single }: Keys): Command[] {
  if (command.args[0]?.toLowerCase() !== "dbsize") return [command];
  return [...single.map((key) => ({ args: ["EXISTS", key] })), command];
}

const scanOptions = fc
  .array(
    fc.oneof(
      fc.tuple(fc.constantFrom("MATCH", "match"), fc.constantFrom("*", "a*", "[a-k]", "{t}*", "")),
      fc.tuple(
        fc.constantFrom("COUNT", "count"),
        fc.constantFrom("1", "3", "1000", "0", "-1", "x"),
      ),
      fc.tuple(fc.constantFrom("TYPE", "type"), fc.constantFrom("string", "STRING", "list", "zap")),
      fc.tuple(fc.constantFrom("NOSUCH", "MATCH")),
    ),
    { maxLength: 2 },
  )
  .map((lists) => lists.flat());

const scan = scanOptions.map((options): Step => ({ kind: "scan", options }));
const randomKey = fc.constant<Step>({ kind: "randomkey" });

/** Data commands in every order. */
export function dataProgram(keys: Keys): fc.Arbitrary<Program> {
  const pipeline = pipelineOf(dataCommand(keys), { keys, maxLength: 16 });
  const step = fc.oneof(
    { weight: 12, arbitrary: pipeline },
    { weight: 2, arbitrary: scan },
    { weight: 1, arbitrary: randomKey },
  );
  const protocol = fc.constantFrom<readonly Step[]>([], [hello("3")]);
  return fc
    .tuple(protocol, fc.array(step, { minLength: 1, maxLength: 6 }))
    .map(([first, steps]) => [...first, ...steps]);
}

function hello(version: string): Step {
  return { kind: "pipeline", commands: [{ args: ["HELLO", version] }], cuts: [] };
}

const SHORTEST_MS = 60;
const LONGEST_MS = 140;

/** Leases that end while the test waits, on keys written in all ways that give a lease. */
export function leaseProgram(keys: Keys): fc.Arbitrary<Program> {
  const key = fc.constantFrom(...keys.together);
  const time = fc.integer({ min: SHORTEST_MS, max: LONGEST_MS }).map(String);
  const take = fc
    .tuple(key, key, value, time, fc.integer({ min: 0, max: 8 }))
    .map(([name, other, text, lease, way]): string[][] => {
      switch (way) {
        case 0:
          return [["SET", name, text, "NX", "PX", lease]];
        case 1:
          return [["PSETEX", name, lease, text]];
        case 2:
          return [
            ["SET", name, text],
            ["PEXPIRE", name, lease],
          ];
        case 3:
          return [["GETEX", name, "PX", lease]];
        case 4:
          return [["PEXPIRE", name, lease, "LT"]];
        case 5:
          return [
            ["SET", name, text, "PX", lease],
            ["RENAME", name, other],
          ];
        case 6:
          return [
            ["SET", name, text, "PX", lease],
            ["COPY", name, other, "REPLACE"],
          ];
        case 7:
          return [
            ["SET", name, text, "PX", lease],
            ["SET", name, "kept", "KEEPTTL"],
          ];
        default:
          return [
            [
              "EVAL",
              "return redis.call('set',KEYS[1],ARGV[1],'px',ARGV[2])",
              "1",
              name,
              text,
              lease,
            ],
          ];
      }
    });
  const undo = fc
    .tuple(key, fc.constantFrom(["PERSIST"], ["DEL"], ["GET"], ["INCR"], ["GETDEL"]))
    .map(([name, [command = ""]]): string[][] => [[command, name]]);
  const leases = fc
    .array(fc.oneof({ weight: 3, arbitrary: take }, { weight: 1, arbitrary: undo }), {
      minLength: 1,
      maxLength: 12,
    })
    .map((lists): Step => {
      const commands = lists.flat().map((args): Command => ({ args }));
      return { kind: "leases", commands, shortestMs: SHORTEST_MS, longestMs: LONGEST_MS };
    });
  const after = pipelineOf(dataCommand(keys), { keys, maxLength: 10 });
  const round = fc.tuple(leases, scan, after).map((steps): Step[] => [...steps, lookAtAll(keys)]);
  return fc.array(round, { minLength: 1, maxLength: 2 }).map((rounds) => rounds.flat());
}

function lookAtAll(keys: Keys): Step {
  const commands = keys.together.flatMap((name): Command[] => [
    { args: ["EXISTS", name] },
    { args: ["PTTL", name] },
  ]);
  return { kind: "pipeline", commands: [...commands, { args: ["DBSIZE"] }], cuts: [] };
}

/** Scripts of clients and small random ones, between data commands on the same keys. */
export function scriptProgram(keys: Keys): fc.Arbitrary<Program> {
  const command = fc.oneof(
    { weight: 6, arbitrary: clientScriptCommand(keys) },
    { weight: 6, arbitrary: randomScriptCommand(keys) },
    { weight: 1, arbitrary: scriptManagement },
    { weight: 3, arbitrary: dataCommand({ single: keys.together, together: keys.together }) },
  );
  const protocol = fc.constantFrom<readonly Step[]>([], [hello("3")]);
  return fc
    .tuple(
      protocol,
      fc.array(pipelineOf(command, { keys, maxLength: 8 }), { minLength: 1, maxLength: 3 }),
    )
    .map(([first, steps]) => [...first, ...steps]);
}

/** Connection and server commands, between a few on data. */
export function connectionProgram(keys: Keys): fc.Arbitrary<Program> {
  const pipeline = pipelineOf(connectionCommand(keys), { keys, maxLength: 10 });
  return fc.array(pipeline, { minLength: 1, maxLength: 4 });
}

/**
 * The same for servers with a password. Whether CLIENT REPLY has an effect would depend on who has
 * given it, which the program does not follow.
 */
export function passwordProgram(keys: Keys): fc.Arbitrary<Program> {
  const command = connectionCommand(keys).map((args) =>
    /^client reply (off|skip)$/i.test(args.join(" ")) ? ["AUTH", "secret"] : args,
  );
  const pipeline = pipelineOf(command, { keys, maxLength: 10 });
  return fc.array(pipeline, { minLength: 1, maxLength: 4 });
}
