/**
 * The Redis version reported by HELLO and INFO.
 *
 * It picks the command set of clients that look at it, so it must not be lower than what lock
 * clients need here. StackExchange.Redis sends `SET … IFEQ` and `DELEX … IFEQ` for its locks from
 * 8.4 on, which are served, and `WATCH`/`MULTI` below, which are not. No client is known that
 * uses, of its own accord and for a version alone, anything of 8.4 that is missing here; commands
 * that a user calls get Redis's `unknown command` on either. Replies are otherwise those of 7.2.
 */
export const REDIS_VERSION = "8.4.0";
