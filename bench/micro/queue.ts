/**
 * How a lock with 1,000, 10,000 and 100,000 waiters behaves on one core: joining its queue, leaving it
 * from the middle, granting from its front; and what a waiter weighs.
 *
 * `node --expose-gc --import tsx bench/micro/queue.ts`. Without `--expose-gc` every case is only tried
 * and nothing is weighed. With `--json` it prints {@link MachineFigures} as JSON, for `bench -- locks`.
 */
import { MachineQueue, weighWaiters, type MachineFigures } from "../locks/machine-queue.ts";
import { table } from "../report.ts";

const LENGTHS = [1_000, 10_000, 100_000];
const MEASURE_MS = 2_000;
const WEIGHED = 100_000;

const judged = globalThis.gc !== undefined;
const figures: MachineFigures = {
  queues: (judged ? LENGTHS : LENGTHS.slice(0, 2)).map((length) => {
    const queue = new MachineQueue(length);
    queue.measure(judged ? MEASURE_MS / 4 : 0);
    return queue.measure(judged ? MEASURE_MS : 0);
  }),
  waiterBytes: weighWaiters(WEIGHED),
};

if (process.argv.includes("--json")) {
  console.log(JSON.stringify(figures));
} else {
  const rows = figures.queues.map(({ waiters, enqueueMicros, cancelMicros, grantMicros }) => [
    `${waiters} waiters`,
    ...[enqueueMicros, cancelMicros, grantMicros].map((micros) => `${micros.toFixed(2)} µs`),
  ]);
  console.log(table(["", "enqueue", "cancel", "release and grant"], rows));
  const { waiterBytes } = figures;
  if (waiterBytes !== null) console.log(`\neach of ${WEIGHED}: ${waiterBytes.toFixed(0)} bytes`);
}
