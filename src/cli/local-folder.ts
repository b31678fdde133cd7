/**
 * The folder of a cluster on one machine: `local.json`, which says what cluster it is, and below it
 * a data folder and a log file for each node, `node-1`, `node-1.log`, …
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

/** What is fixed when the folder is made: the nodes know each other by these. */
export interface LocalCluster {
  readonly nodes: number;
  /** Client port of node 1; the others' follow. */
  readonly port: number;
}

const FILE = "local.json";
/** What makes a folder the data folder of a single node. */
const NODE_FILE = /^(data\.mdb|owner\.json|log-\d+\.plx)$/;

/** A folder that cannot be used, in words for a person; nothing in it was touched. */
export class LocalFolderError extends Error {
  override readonly name = "LocalFolderError";
}

/** The cluster that a folder holds, or null for none. Throws {@link LocalFolderError}. */
export function readLocalCluster(directory: string): LocalCluster | null {
  const path = join(directory, FILE);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return null;
    if ((thrown as NodeJS.ErrnoException).code === "ENOTDIR") {
      throw new LocalFolderError(`${directory} is a file; give a folder with --dir`);
    }
    throw new LocalFolderError(`${path} cannot be read: ${messageOf(thrown)}`);
  }
  try {
    const { nodes, port } = JSON.parse(text) as Partial<LocalCluster>;
    if (Number.isInteger(nodes) && Number.isInteger(port)) return { nodes, port } as LocalCluster;
  } catch {
    // Told below.
  }
  throw new LocalFolderError(
    `${path} is damaged; it should read {"nodes":3,"port":6379} with the numbers of this cluster`,
  );
}

/** Refuses a folder with the data of a lone node, which must not be mixed up with a cluster's. */
export function refuseLoneNode(directory: string): void {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch {
    return;
  }
  if (!names.some((name) => NODE_FILE.test(name))) return;
  throw new LocalFolderError(
    `${directory} holds the data of a single node; start that with --nodes 1, or give the cluster another folder with --dir (nothing was changed)`,
  );
}

/** Refuses a folder of a cluster for a lone node. */
export function refuseCluster(directory: string): void {
  const found = readLocalCluster(directory);
  if (found === null) return;
  throw new LocalFolderError(
    `${directory} holds a cluster of ${found.nodes} nodes; start it with --nodes ${found.nodes}, or give the single node another folder with --dir (nothing was changed)`,
  );
}

/** Makes the folder of a new cluster, or checks that an old one is the same. */
export function openLocalFolder(directory: string, cluster: LocalCluster): void {
  refuseLoneNode(directory);
  const found = readLocalCluster(directory);
  if (found !== null) {
    if (found.nodes === cluster.nodes && found.port === cluster.port) return;
    throw new LocalFolderError(
      `${directory} holds a cluster of ${found.nodes} nodes from port ${found.port} on; start it with --nodes ${found.nodes} --port ${found.port}, or give another folder with --dir (nothing was changed)`,
    );
  }
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    writeFileSync(join(directory, FILE), `${JSON.stringify(cluster)}\n`, { flag: "wx" });
  } catch (thrown) {
    throw new LocalFolderError(`${directory} cannot be written to: ${messageOf(thrown)}`);
  }
}

/** Where node `id` keeps its data and writes its log. */
export function nodePaths(
  directory: string,
  id: number,
): { readonly data: string; readonly log: string } {
  return { data: join(directory, `node-${id}`), log: join(directory, `node-${id}.log`) };
}

/** Puts the log of the run before aside, so that two runs at most are kept. */
export function rotateLog(path: string): void {
  if (existsSync(path)) renameSync(path, `${path}.old`);
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
