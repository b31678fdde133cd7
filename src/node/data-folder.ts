/** Opens the data folder of a node and puts what is wrong with it into words for a person. */
import { randomBytes } from "node:crypto";
import { formatPeers } from "../base/address.ts";
import type { Configuration } from "../config/configuration.ts";
import { VERSION } from "../config/version.ts";
import type { OpenedStorage, StorageOpenCode } from "../storage/lmdb-storage.ts";
import { openStorage, StorageOpenError } from "../storage/lmdb-storage.ts";
import type { StartErrorCode } from "./start-error.ts";
import { folderError, StartError } from "./start-error.ts";

/** The folder's storage, what it holds from before, and whose it is. */
export type DataFolder = OpenedStorage;

const START_CODES: Readonly<Record<StorageOpenCode, StartErrorCode>> = {
  locked: "folder-in-use",
  unwritable: "folder-unwritable",
  "not-ours": "folder-not-ours",
  "newer-format": "folder-has-newer-format",
  "older-format": "folder-has-older-format",
  "other-cluster": "folder-of-another-cluster",
  "other-node": "folder-of-another-node",
  "other-groups": "folder-has-other-groups",
  corrupt: "folder-damaged",
};

/**
 * Opens the folder, creating it for a new cluster when it is missing or empty. What was given
 * explicitly must fit an existing folder; defaults give way to what the folder says.
 *
 * Rejects with a {@link StartError}; nothing is touched then. `onFatal` is called when the storage
 * cannot go on later: every write fails from then on, for ever.
 */
export async function openDataFolder(
  configuration: Configuration,
  onFatal: (error: Error) => void,
): Promise<DataFolder> {
  const { directory, clusterId, nodeId, groups, peers, join, given } = configuration;
  try {
    return await openStorage({
      directory,
      create: {
        clusterId: clusterId === "" ? randomBytes(16).toString("hex") : clusterId,
        nodeId,
        groups,
        createdBy: VERSION,
        incarnation: randomBytes(16).toString("hex"),
        initialMembers: join ? "" : formatPeers(peers),
      },
      expect: {
        ...(clusterId === "" ? {} : { clusterId }),
        ...(given.has("node-id") ? { nodeId } : {}),
        ...(given.has("groups") ? { groups } : {}),
      },
      onFatal,
    });
  } catch (thrown) {
    throw folderError(storageError(thrown), directory);
  }
}

/** What a refusal of the storage means to a person; other errors come back as they are. */
export function storageError(thrown: unknown): unknown {
  if (!(thrown instanceof StorageOpenError)) return thrown;
  return new StartError(START_CODES[thrown.code], thrown.message, { cause: thrown });
}
