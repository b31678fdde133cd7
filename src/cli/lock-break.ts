/**
 * `paxlock break KEY`: takes a lock away from whoever holds it, after asking.
 *
 *     broken ─▶ exit 0 · nobody held it, or the answer was no ─▶ exit 1
 */
import { createInterface } from "node:readline/promises";
import type { Client } from "../client/client.ts";
import { quote } from "../config/values.ts";
import { complain, EXIT, failed, openClient } from "./cluster-client.ts";
import { lookAt } from "./lock-info.ts";
import { infoText } from "./locks-text.ts";
import { BREAK_COMMAND } from "./own-commands.ts";
import { splitOptions } from "./own-options.ts";

/** Runs the command; the exit code is set, not taken. */
export async function breakLock(argv: readonly string[]): Promise<void> {
  const split = splitOptions(argv, BREAK_COMMAND);
  const client = split.ok ? openClient(split, "paxlock-break") : split.message;
  if (!split.ok || typeof client === "string") {
    complain(String(client), EXIT.usage);
    return;
  }
  const [key = ""] = split.operands;
  try {
    if (!split.own.has("yes")) {
      if (!process.stdin.isTTY) {
        complain("there is no terminal to ask on; add --yes to break the lock", EXIT.usage);
        return;
      }
      if (!(await confirmed(client, key))) return;
    }
    const count = await client.break(key, { reason: split.own.get("reason") ?? "" });
    if (count === 0) complain(`nobody holds ${quote(key)}`, EXIT.failed);
    else process.stdout.write(`${quote(key)} was taken from ${holders(count)}.\n`);
  } catch (thrown) {
    failed(thrown);
  } finally {
    await client.close();
  }
}

/** Shows who would lose the lock, and asks. */
async function confirmed(client: Client, key: string): Promise<boolean> {
  const lock = await lookAt(client, key);
  if (lock === null || lock.holders.length === 0) {
    complain(`nobody holds ${quote(key)}`, EXIT.failed);
    return false;
  }
  process.stdout.write(infoText(key, lock));
  const question = `\nWhoever holds it may go on as if they had it. Take it from ${holders(lock.holders.length)}? [y/N] `;
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    // Ctrl-C and Ctrl-D are a no.
    const closed = new Promise<string>((resolve) => {
      terminal.once("close", () => {
        resolve("");
      });
    });
    const answer = await Promise.race([terminal.question(question), closed]);
    if (/^y(es)?$/i.test(answer.trim())) return true;
  } finally {
    terminal.close();
  }
  complain("nothing was broken", EXIT.failed);
  return false;
}

function holders(count: number): string {
  return count === 1 ? "its holder" : `its ${count} holders`;
}
