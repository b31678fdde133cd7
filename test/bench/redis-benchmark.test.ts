/** What is asked of `redis-benchmark`, and how its answer is read. */
import * as assert from "uvu/assert";
import { loadArguments, parseCsv } from "../../bench/redis/redis-benchmark.ts";
import { suite } from "../support/suite.ts";

const HEAD =
  '"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"';

suite("redis-benchmark", (test) => {
  test("a load becomes flags, and the command stands last as it is", () => {
    const command = ["SET", "lock:__rand_int__", "tok", "NX", "PX", "30000"];
    const load = { port: 7001, clients: 50, pipeline: 16, requests: 1000, keyspace: 99, command };
    assert.is(
      loadArguments(load).join(" "),
      "-h 127.0.0.1 -p 7001 -c 50 -P 16 -n 1000 -r 99 --csv SET lock:__rand_int__ tok NX PX 30000",
    );
  });

  test("figures are read by the titles of the columns", () => {
    const output = `${HEAD}\n"SET k v","2500.00","0.300","0.100","0.287","0.400","0.911","3.000"\n`;
    assert.equal(parseCsv(output), { requestsPerSecond: 2500, p50Ms: 0.287, p99Ms: 0.911 });
  });

  test("quotation marks and commas of the command do not shift the columns", () => {
    const script = 'if redis.call("get",KEYS[1]) == ARGV[1] then return 1 end';
    const output = `${HEAD}\n"EVAL ${script} 1 k","1000.00","1","2","3","4","5","6"\n`;
    assert.equal(parseCsv(output), { requestsPerSecond: 1000, p50Ms: 3, p99Ms: 5 });
  });

  test("an error reply is a failure, not a fast request", () => {
    const output = `Error from server: NOAUTH Authentication required.\n${HEAD}\n"PING","9","1","2","3","4","5","6"`;
    assert.throws(() => parseCsv(output), /NOAUTH/);
  });

  test("output without figures is a failure", () => {
    assert.throws(() => parseCsv(""), /no rps/);
    assert.throws(() => parseCsv(`${HEAD}\n"SET","nan","1","2","3","4","5","6"`), /no rps/);
  });
});
