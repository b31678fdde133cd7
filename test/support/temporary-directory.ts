/** Folders that live as long as one test. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Runs `body` with the path of an empty folder, and removes the folder whatever happens. */
export async function withTemporaryDirectory<T>(
  body: (directory: string) => T | Promise<T>,
): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), "paxlock-test-"));
  try {
    return await body(directory);
  } finally {
    // A process that was just killed may still be writing its last file.
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  }
}
