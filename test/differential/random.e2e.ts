/** Random programs on a real Redis 7.0 and on Paxlock: every answer is the same. */
import { withBothServers } from "./both-servers.ts";
import { ANY_KEYS, TAGGED_KEYS } from "./commands.ts";
import { compareRandom, timeLimit } from "./compare-random.ts";
import {
  connectionProgram,
  dataProgram,
  leaseProgram,
  passwordProgram,
  scriptProgram,
} from "./programs.ts";
import { suite } from "../support/suite.ts";

suite(
  "differential/random",
  (test) => {
    test("with one group, data, scripts, leases and connections are as in Redis", async () => {
      await withBothServers({}, async (sides) => {
        const keys = ANY_KEYS;
        await compareRandom(sides, dataProgram(keys), { name: "data", programs: 150 });
        await compareRandom(sides, scriptProgram(keys), { name: "scripts", programs: 250 });
        await compareRandom(sides, connectionProgram(keys), { name: "connections", programs: 200 });
        await compareRandom(sides, leaseProgram(keys), { name: "leases", programs: 12 });
      });
    });

    test("with eight groups, data, scripts and leases of tagged keys are as in Redis", async () => {
      await withBothServers({ groups: 8 }, async (sides) => {
        const keys = TAGGED_KEYS;
        const several = { severalGroups: true };
        await compareRandom(sides, dataProgram(keys), {
          ...several,
          name: "data in groups",
          programs: 120,
        });
        await compareRandom(sides, scriptProgram(keys), {
          ...several,
          name: "scripts in groups",
          programs: 150,
        });
        await compareRandom(sides, leaseProgram(keys), {
          ...several,
          name: "leases in groups",
          programs: 8,
        });
      });
    });

    test("with a password, what a stranger may do is as in Redis", async () => {
      const password = "secret";
      await withBothServers({ password }, async (sides) => {
        await compareRandom(sides, passwordProgram(ANY_KEYS), {
          name: "strangers",
          programs: 150,
          password,
        });
      });
    });
  },
  { needs: "redis-server", timeoutMs: timeLimit(90_000) },
);
