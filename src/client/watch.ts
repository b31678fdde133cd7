/** Following a lock: each of its states that differs from the one before, as far as one looks often enough. */
import type { Tools } from "./acquisition.ts";
import { pause, unlessAborted } from "./clock.ts";
import { NoAnswer, ServerError, type RawReply } from "./connection.ts";
import { ClientClosedError, UnavailableError } from "./errors.ts";
import { refusal } from "./refusals.ts";
import { readWatch, type LockInfo } from "./replies.ts";
import { canPass, pauseMs } from "./requester.ts";
import type { WaitLine } from "./wait-line.ts";

/** A state of a lock. */
export interface LockState {
  /** Rises with each change; what {@link WatchOptions.after} takes. */
  readonly version: string;
  /** Null when nobody holds the lock or waits for it. */
  readonly info: LockInfo | null;
}

export interface WatchOptions {
  /** Ends the iteration, which then throws the reason of the signal. */
  readonly signal?: AbortSignal;
  /** Only what is newer than this version. @default the present state first */
  readonly after?: string;
}

/** How long one request waits for a change; then it is sent again. */
const ROUND_MS = 30_000;

/** The states of `key`, newest last, without end; several changes at once may be one. */
export async function* watch(
  tools: Tools,
  key: string,
  { signal, after = "0" }: WatchOptions,
): AsyncGenerator<LockState, never> {
  const line = await tools.lines.take(Infinity, signal);
  if (line === null) throw new ClientClosedError();
  let version = after;
  let isIdle = true;
  try {
    for (;;) {
      isIdle = false;
      const state = readWatch(await ask(tools, line, { key, version, signal }));
      isIdle = true;
      if (state === null) continue;
      ({ version } = state);
      yield state;
    }
  } finally {
    // A request that still waits would block whatever is sent behind it.
    if (!isIdle) line.drop("is not watched at any more");
    tools.lines.give(line);
  }
}

interface Looked {
  readonly key: string;
  readonly version: string;
  readonly signal: AbortSignal | undefined;
}

/** One answer, from whatever node gives it. */
async function ask(tools: Tools, line: WaitLine, looked: Looked): Promise<RawReply> {
  const { book, clock, requester, settings } = tools;
  const doing = `watching ${JSON.stringify(looked.key)}`;
  let heardMs = clock.nowMs();
  for (let attempt = 0; ; attempt += 1) {
    looked.signal?.throwIfAborted();
    try {
      await unlessAborted(line.connect(), looked.signal);
      heardMs = clock.nowMs();
      return await unlessAborted(wait(tools, line, looked), looked.signal);
    } catch (thrown) {
      if (!(thrown instanceof ServerError || thrown instanceof NoAnswer)) throw thrown;
      if (requester.isClosed) throw new ClientClosedError();
      if (thrown instanceof ServerError && !canPass(thrown)) {
        throw refusal({ doing, keys: [looked.key] }, thrown);
      }
      if (thrown instanceof NoAnswer && thrown.sent) heardMs = clock.nowMs();
      if (clock.nowMs() - heardMs >= settings.requestTimeoutMs) {
        throw new UnavailableError(doing, { said: thrown.message });
      }
    }
    await pause(pauseMs(attempt, book.size), looked.signal);
  }
}

async function wait(tools: Tools, line: WaitLine, { key, version }: Looked): Promise<RawReply> {
  const { endpoint } = line;
  const away = (why: string): void => {
    line.drop(why);
  };
  const stop = endpoint === null ? null : tools.nodes.watch(endpoint, { key, away });
  try {
    const args = ["LOCK.WATCH", key, version, "WAIT", String(ROUND_MS)];
    return await line.call(args, ROUND_MS + tools.settings.requestTimeoutMs);
  } finally {
    stop?.();
  }
}
