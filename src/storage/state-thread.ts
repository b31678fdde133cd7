/**
 * The thread of the state: runs one LMDB transaction at a time, apart from the log, so that scattered
 * rows of a checkpoint delay no commit.
 */
import { present } from "../base/assert.ts";
import { openRoot, openTables, type Environment } from "./environment.ts";
import { serveRequests, threadData } from "./thread-loop.ts";
import { runWriteList } from "./write-list.ts";

let environment: Environment | null = null;
/** A list is copied here first: LMDB cannot take addresses in shared memory. */
let list = new Uint8Array(0);

function open(): Environment {
  const { directory, groups } = threadData;
  return present(openTables(openRoot(directory, groups), groups, false), "no table was removed");
}

serveRequests({
  write(bytes) {
    if (list.length < bytes.length || list.length > 4 * bytes.length) {
      list = new Uint8Array(bytes.length);
    }
    list.set(bytes);
    // Opened at the first write, when the recovering thread has closed its own: the map of a shared
    // environment would keep every page that the recovery has read in resident memory.
    environment ??= open();
    runWriteList(environment, threadData.directory, list.subarray(0, bytes.length));
  },
  close() {
    // After a failed transaction LMDB may refuse or mistake what follows, so it starts afresh.
    const closing = environment;
    environment = null;
    // Without asynchronous writes the package closes at once; the promise is a formality.
    if (closing !== null) void closing.root.close();
  },
});
