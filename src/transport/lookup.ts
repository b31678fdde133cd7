/**
 * Looking up host names for calls: always anew, since a restarted container has another address, but
 * never the same name twice at one time. While name servers do not answer, calls are given up and
 * made again, and each would leave one more question behind.
 */
import type { LookupAddress, LookupOptions } from "node:dns";
import { lookup } from "node:dns";

export type LookupCallback = (
  error: NodeJS.ErrnoException | null,
  address: string | LookupAddress[],
  family?: number,
) => void;

export type Lookup = (name: string, options: LookupOptions, callback: LookupCallback) => void;

/** A lookup, for `net.connect`, that asks `ask` once for all who ask the same meanwhile. */
export function sharedLookup(ask: Lookup = lookup): Lookup {
  const waiting = new Map<string, LookupCallback[]>();
  return (name, options, callback) => {
    const key = `${name} ${options.family ?? 0} ${String(options.all)} ${options.hints ?? 0}`;
    const waiters = waiting.get(key);
    if (waiters !== undefined) {
      waiters.push(callback);
      return;
    }
    const own = [callback];
    waiting.set(key, own);
    ask(name, options, (error, address, family) => {
      waiting.delete(key);
      for (const waiter of own) waiter(error, address, family);
    });
  };
}
