/**
 * `paxlock log dump`: what a node that is stopped has on its disk, in words. Nothing is changed; the
 * folder is held while it is read, so that no node starts on it meanwhile.
 */
import { statSync } from "node:fs";
import { join, resolve } from "node:path";
import { GROUPS_MAX } from "../base/limits.ts";
import { openFolder } from "../storage/folder.ts";
import { DATA_FILE } from "../storage/format.ts";
import { StorageOpenError } from "../storage/lmdb-storage.ts";
import { scan } from "../storage/recovery.ts";
import type { DumpRange } from "./log-text.ts";
import { dump, lineText } from "./log-text.ts";
import { LOG_DUMP_COMMAND } from "./own-commands.ts";
import { ownNumber, splitOptions } from "./own-options.ts";

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
/** Text that is gathered before it is written. */
const CHUNK_LENGTH = 65_536;

/** Runs `paxlock log <what>`; the exit code is set, not taken. */
export async function log(argv: readonly string[]): Promise<void> {
  const [what, ...rest] = argv;
  if (what !== "dump") {
    complain('say what of the log: paxlock log dump; see "paxlock help log"', EXIT_USAGE);
    return;
  }
  const split = splitOptions(rest, LOG_DUMP_COMMAND);
  if (!split.ok) {
    complain(split.message, EXIT_USAGE);
    return;
  }
  const { own } = split;
  const group = ownNumber(own.get("group"), {
    name: "group",
    min: 0,
    max: GROUPS_MAX - 1,
    otherwise: -1,
  });
  const from = ownNumber(own.get("from"), {
    name: "from",
    min: 1,
    max: Number.MAX_SAFE_INTEGER,
    otherwise: 1,
  });
  if (typeof group === "string" || typeof from === "string") {
    complain(typeof group === "string" ? group : String(from), EXIT_USAGE);
    return;
  }
  const directory = resolve(own.get("dir") ?? "paxlock-data");
  const range = { group: group === -1 ? null : group, from };
  await print(directory, range, own.has("json"));
}

async function print(directory: string, range: DumpRange, json: boolean): Promise<void> {
  const file = statSync(join(directory, DATA_FILE), { throwIfNoEntry: false });
  // An empty one is what is left of a folder that was never finished.
  if (file === undefined || file.size === 0) {
    complain(`${directory} is no Paxlock data folder: it has no ${DATA_FILE}`, EXIT_FAILED);
    return;
  }
  try {
    const folder = await openFolder({
      directory,
      // Not used: the folder is there.
      create: {
        clusterId: "none",
        nodeId: 1,
        groups: 1,
        createdBy: "none",
        incarnation: "none",
        initialMembers: "",
      },
    });
    try {
      const { groups, nodeId, clusterId } = folder.meta;
      if (range.group !== null && range.group >= groups) {
        complain(`--group: the folder has the groups 0 to ${groups - 1}`, EXIT_USAGE);
        return;
      }
      const { recovery } = scan(folder);
      const head = { kind: "folder", cluster: clusterId, node: nodeId, groups };
      let text = json
        ? `${JSON.stringify(head)}\n`
        : `node ${nodeId} of cluster ${clusterId}, ${groups} groups\n`;
      dump(recovery, range, (line) => {
        text += json ? `${JSON.stringify(line)}\n` : lineText(line);
        if (text.length < CHUNK_LENGTH) return;
        process.stdout.write(text);
        text = "";
      });
      process.stdout.write(text);
    } finally {
      await folder.close();
    }
  } catch (thrown) {
    if (!(thrown instanceof StorageOpenError)) throw thrown;
    complain(thrown.message, EXIT_FAILED);
  }
}

function complain(message: string, exitCode: number): void {
  process.stderr.write(`paxlock: ${message}\n`);
  process.exitCode = exitCode;
}
