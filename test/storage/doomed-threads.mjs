/**
 * Loaded into a node in front of everything: SIGUSR2 ends the first thread that was started, which is
 * what a bug in it would do.
 */
import { syncBuiltinESMExports } from "node:module";
import threads from "node:worker_threads";

const started = [];
const { Worker } = threads;
threads.Worker = class extends Worker {
  constructor(...args) {
    super(...args);
    started.push(this);
  }
};
syncBuiltinESMExports();
process.on("SIGUSR2", () => {
  void started[0]?.terminate();
});
