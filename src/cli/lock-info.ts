/** `paxlock info KEY`: all that is known of one lock. */
import type { Client } from "../client/client.ts";
import { complain, EXIT, failed, openClient } from "./cluster-client.ts";
import { infoText, lockJson, type ShownLock } from "./locks-text.ts";
import { INFO_COMMAND } from "./own-commands.ts";
import { splitOptions } from "./own-options.ts";

/** Waiters that are shown. */
const QUEUE_SHOWN = 20;

/** Runs the command; the exit code is set, not taken. */
export async function info(argv: readonly string[]): Promise<void> {
  const split = splitOptions(argv, INFO_COMMAND);
  const client = split.ok ? openClient(split, "paxlock-info") : split.message;
  if (!split.ok || typeof client === "string") {
    complain(String(client), EXIT.usage);
    return;
  }
  const [key = ""] = split.operands;
  try {
    const lock = await lookAt(client, key);
    process.stdout.write(split.own.has("json") ? lockJson(lock) : infoText(key, lock));
  } catch (thrown) {
    failed(thrown);
  } finally {
    await client.close();
  }
}

/** A lock with the head of its queue; null when it is free. */
export async function lookAt(client: Client, key: string): Promise<ShownLock | null> {
  const found = await client.info(key);
  if (found === null) return null;
  const queue = found.waiters === 0 ? [] : await client.queue(key, { count: QUEUE_SHOWN });
  return { key, ...found, queue };
}
