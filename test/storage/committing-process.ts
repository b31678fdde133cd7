/**
 * A process that commits to a data folder, for the tests that kill, trace or starve it.
 *
 * `committing-process.ts <folder> <commits> [bytes]` prints one line per event, synchronously:
 * `opened`, `begin <n>`, `done <n>` once commit n is acknowledged, `failed <reason>`,
 * `checkpoint failed <reason>`, `closed`.
 * `commits` 0 means without end. Commit n holds slot n of group n modulo 4 with `bytes` of value and a
 * promise of ballot n; beside the commits go checkpoints of slots that are durable, whose row and meta
 * tell n, one after the other: whoever reads the folder can see whether each is there as a whole. After
 * a failure the same write is tried again.
 */
import { writeSync } from "node:fs";
import { openStorage, StorageOpenError } from "../../src/storage/lmdb-storage.ts";
import { commitNumber, META } from "./support.ts";

const [directory = "", commits = "0", bytes = "100"] = process.argv.slice(2);

const pause = new Int32Array(new SharedArrayBuffer(4));

/** Says it before anything else happens, also while the reader is behind and the pipe is full. */
function say(text: string): void {
  const line = Buffer.from(`${text}\n`);
  for (let written = 0; written < line.length;) {
    try {
      written += writeSync(1, line, written);
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== "EAGAIN") throw thrown;
      Atomics.wait(pause, 0, 0, 1);
    }
  }
}

try {
  const { storage, recovery } = await openStorage({ directory, create: META });
  const last = Math.max(...[0, 1, 2, 3].map((group) => recovery.promise(group)));
  say("opened");
  let checkpointing = false;
  const checkpointAt = (number: number): void => {
    checkpointing = true;
    const [state] = commitNumber(number, 0).state;
    if (state === undefined) return;
    storage.checkpoint(state, (failure) => {
      checkpointing = failure !== null;
      if (failure !== null) {
        say(`checkpoint failed ${failure.message}`);
        setTimeout(checkpointAt, 50, number);
      }
    });
  };
  const run = (number: number): void => {
    if (number > last + Number(commits) && commits !== "0") {
      void storage.close().then(() => {
        say("closed");
      });
      return;
    }
    say(`begin ${number}`);
    const { log, promises } = commitNumber(number, Number(bytes));
    storage.commit({ log, promises }, (failure) => {
      if (failure === null) {
        say(`done ${number}`);
        if (!checkpointing) checkpointAt(number);
        run(number + 1);
      } else {
        say(`failed ${failure.message}`);
        setTimeout(run, 50, number);
      }
    });
  };
  run(last + 1);
} catch (thrown) {
  if (!(thrown instanceof StorageOpenError)) throw thrown;
  say(`refused ${thrown.code}`);
  process.exitCode = 1;
}
