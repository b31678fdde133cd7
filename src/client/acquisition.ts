/**
 * Acquiring: how a grant is asked for, waited for, asked for again when the answer was lost, and
 * withdrawn when nobody wants it any more.
 *
 *     waitMs 0 ── a short request, any node ─────────────────────────────▶ grant, nil
 *     waitMs   ── a line of its own ── LOCK.ACQUIRE … WAIT ──────────────▶ grant, nil, refusal
 *                   │ the node is gone, frozen or cut off: the next one,
 *                   └─ same session, same owner, the rest of the time ───▶
 *
 * An answer that comes so late that much of its lease may be over is renewed before it is handed out:
 * how long ago the grant was made is not known, only that it was after the request was sent.
 */
import type { AddressBook } from "./address-book.ts";
import { linkSignals, pause, unlessAborted, type Clock } from "./clock.ts";
import { NoAnswer, ServerError, type RawReply } from "./connection.ts";
import { NotAcquiredError, PaxlockError, TooManyWaitsError, UnavailableError } from "./errors.ts";
import type { HoldLedger } from "./hold-ledger.ts";
import type { LeaseSpan } from "./lease.ts";
import type { LockNews } from "./news.ts";
import type { NodeWatch } from "./node-watch.ts";
import type { AcquireSettings, ClientSettings } from "./options.ts";
import { refusal } from "./refusals.ts";
import { readGrant, readGrants, readInfo, type GrantReply } from "./replies.ts";
import { canPass, mayHaveHappened, pauseMs, type Answer, type Requester } from "./requester.ts";
import type { WaitLine, WaitLines } from "./wait-line.ts";

/** What every part of a client works with. */
export interface Tools {
  readonly settings: ClientSettings;
  readonly clock: Clock;
  readonly book: AddressBook;
  readonly requester: Requester;
  readonly lines: WaitLines;
  readonly nodes: NodeWatch;
  readonly news: LockNews;
  readonly ledger: HoldLedger;
  /** Aborted when the client is closed. */
  readonly closing: AbortSignal;
  /** Work that nobody waits for and that `close()` lets end. */
  readonly background: (work: Promise<unknown>) => void;
}

/** What is to be acquired: one key, or several at once. */
export interface Wanted {
  readonly keys: readonly string[];
  /** Whether they are asked for with LOCK.ACQUIREALL. */
  readonly together: boolean;
  readonly settings: AcquireSettings;
  /**
   * What is done in place of withdrawing when this is given up and may have had its effect: for an owner
   * that has the key already, in another mode, and keeps it.
   */
  readonly settle?: () => Promise<void>;
}

/** What was acquired. */
export interface Granted extends LeaseSpan {
  /** In the order of the keys. */
  readonly tokens: readonly bigint[];
  readonly holds: number;
  /** The line whose session holds a bound lock; null for others. */
  readonly line: WaitLine | null;
}

/** The longest wait that is asked for at once; the rest is asked for when it is over. */
const WAIT_MS_MAX = 24 * 60 * 60 * 1000;

/** A nil this much before its time is no answer to the wait, as a part of what was asked. */
const EARLY_PART = 0.02;

/** Acquires, or rejects with a typed error and nothing held. */
export async function acquire(tools: Tools, wanted: Wanted): Promise<Granted> {
  const { waitMs, bind, signal } = wanted.settings;
  signal?.throwIfAborted();
  if (waitMs === 0 && !bind) return askOnce(tools, wanted);
  const line = await tools.lines.take(waitMs, signal);
  // Nobody was asked for the lock, which may be free.
  if (line === null) throw new TooManyWaitsError(tools.lines.used);
  return new Wait(tools, wanted, line).run();
}

async function askOnce(tools: Tools, wanted: Wanted): Promise<Granted> {
  const { clock, requester, settings } = tools;
  const startMs = clock.nowMs();
  const stop = linkSignals([wanted.settings.signal, tools.closing]);
  let granted: Granted | null;
  let doubt = false;
  try {
    const answer = await requester.send(acquireCommand(wanted, 0), {
      doing: doing(wanted),
      keys: wanted.keys,
      timeoutMs: settings.requestTimeoutMs,
      signal: stop.signal,
      ...(wanted.settings.reentrant ? { beforeRepeat: async () => counted(tools, wanted) } : {}),
    });
    doubt = answer.doubt;
    granted = await confirmed(tools, wanted, { ...answer, line: null });
  } catch (thrown) {
    if (stop.signal.aborted || !isAnswer(thrown)) withdraw(tools, wanted);
    throw thrown;
  } finally {
    stop.unlink();
  }
  if (granted !== null) return granted;
  // An earlier attempt may still be on its way.
  if (doubt) withdraw(tools, wanted);
  throw new NotAcquiredError(wanted.keys, clock.nowMs() - startMs);
}

/** One request that waits, over as many connections as it takes. */
class Wait {
  readonly #tools: Tools;
  readonly #wanted: Wanted;
  readonly #line: WaitLine;
  /** The caller's signal and the end of the client. */
  readonly #stop: ReturnType<typeof linkSignals>;
  readonly #startMs: number;
  readonly #endMs: number;
  /** When a node answered last, whatever it said. */
  #heardMs: number;
  #attempt = 0;
  #doubt = false;
  /** The request that a node has at present. */
  #pending: Promise<RawReply> | null = null;

  constructor(tools: Tools, wanted: Wanted, line: WaitLine) {
    this.#tools = tools;
    this.#wanted = wanted;
    this.#line = line;
    this.#stop = linkSignals([wanted.settings.signal, tools.closing]);
    this.#startMs = tools.clock.nowMs();
    this.#endMs = this.#startMs + wanted.settings.waitMs;
    this.#heardMs = this.#startMs;
  }

  /** Ends with the line given back, unless its session holds what was granted. */
  async run(): Promise<Granted> {
    try {
      const granted = await this.#untilGranted();
      if (granted.line === null) this.#tools.lines.give(this.#line);
      return granted;
    } catch (thrown) {
      // The reason of a signal may look like an answer: a lock that was lost, say.
      const isEnded = isAnswer(thrown) && !this.#stop.signal.aborted;
      if (this.#doubt || !isEnded) this.#tools.background(this.#withdraw());
      else this.#tools.lines.give(this.#line);
      throw thrown;
    } finally {
      this.#stop.unlink();
    }
  }

  async #untilGranted(): Promise<Granted> {
    for (;;) {
      this.#stop.signal.throwIfAborted();
      const granted = await this.#ask();
      if (granted !== null) return granted;
    }
  }

  /** One attempt; null when there is to be another. */
  async #ask(): Promise<Granted | null> {
    const { clock } = this.#tools;
    const { bind, reentrant } = this.#wanted.settings;
    try {
      await unlessAborted(this.#line.connect(), this.#stop.signal);
      this.#heardMs = clock.nowMs();
      const askMs = Math.min(WAIT_MS_MAX, Math.max(0, Math.ceil(this.#endMs - clock.nowMs())));
      const again = this.#doubt && reentrant ? await counted(this.#tools, this.#wanted) : null;
      const sentMs = clock.nowMs();
      const answer = again ?? { sentMs, reply: await this.#call(askMs) };
      this.#heardMs = clock.nowMs();
      const line = bind ? this.#line : null;
      const granted = await confirmed(this.#tools, this.#wanted, { ...answer, line });
      if (granted !== null) return granted;
      // The wait was ended by something else than its time: the end of the session, say.
      const early = this.#endMs - clock.nowMs() > Math.max(20, askMs * EARLY_PART);
      if (!early) throw new NotAcquiredError(this.#wanted.keys, clock.nowMs() - this.#startMs);
      await this.#pause();
    } catch (thrown) {
      if (!(thrown instanceof ServerError || thrown instanceof NoAnswer)) throw thrown;
      const asked = { doing: doing(this.#wanted), keys: this.#wanted.keys };
      if (thrown instanceof ServerError && !canPass(thrown)) throw refusal(asked, thrown);
      this.#doubt ||= mayHaveHappened(thrown);
      await this.#failed(thrown);
    }
    return null;
  }

  /** Sends the request and waits for its end, for as long as the node is there. */
  async #call(askMs: number): Promise<RawReply> {
    const { nodes, settings } = this.#tools;
    const [key = ""] = this.#wanted.keys;
    const { endpoint } = this.#line;
    const away = (why: string): void => {
      this.#line.drop(why);
    };
    const stop = endpoint === null ? null : nodes.watch(endpoint, { key, away });
    // Group time may stand still in a failover, so the answer may come later than it was asked for.
    const patienceMs = askMs + settings.requestTimeoutMs;
    try {
      this.#pending = this.#line.call(acquireCommand(this.#wanted, askMs), patienceMs);
      return await unlessAborted(this.#pending, this.#stop.signal);
    } finally {
      if (!this.#stop.signal.aborted) this.#pending = null;
      stop?.();
    }
  }

  /** No answer, or one that will pass: waits a moment, or gives up. */
  async #failed(thrown: ServerError | NoAnswer): Promise<void> {
    const { clock, settings } = this.#tools;
    const nowMs = clock.nowMs();
    const silentMs = nowMs - this.#heardMs;
    // A node that kept the request for long before it was lost was there until then.
    if (thrown instanceof NoAnswer && thrown.sent) this.#heardMs = nowMs;
    else if (silentMs >= settings.requestTimeoutMs) {
      throw new UnavailableError(doing(this.#wanted), { said: thrown.message });
    }
    if (nowMs >= this.#endMs && this.#wanted.settings.waitMs > 0) {
      throw new NotAcquiredError(this.#wanted.keys, nowMs - this.#startMs);
    }
    await this.#pause();
  }

  async #pause(): Promise<void> {
    const { clock, book } = this.#tools;
    const leftMs = Math.max(0, this.#endMs - clock.nowMs());
    const forMs = pauseMs(this.#attempt, book.size);
    this.#attempt += 1;
    const { waitMs } = this.#wanted.settings;
    await pause(waitMs === 0 ? forMs : Math.min(forMs, leftMs), this.#stop.signal);
  }

  /**
   * Ends what a node may still wait for, gives back what it may have granted, and then the line. The
   * session could otherwise keep the place in the queue for as long as its grace.
   */
  async #withdraw(): Promise<void> {
    const { lines, requester, settings } = this.#tools;
    const { settle } = this.#wanted;
    if (settle !== undefined) {
      await settle();
      this.#line.drop("is not waited at any more");
      lines.give(this.#line);
      return;
    }
    const { endpoint, clientId } = this.#line;
    const { attemptTimeoutMs } = settings;
    const pending = this.#pending;
    if (pending !== null && endpoint !== null && clientId !== "") {
      const unblocked = requester.probe(
        endpoint,
        ["CLIENT", "UNBLOCK", clientId],
        attemptTimeoutMs,
      );
      await Promise.allSettled([unblocked]);
      await Promise.race([pending.catch(() => null), pause(attemptTimeoutMs)]);
    }
    // An answer that is still to come would be taken for that of the next request.
    if (pending !== null || this.#doubt) this.#line.drop("is not waited at any more");
    withdraw(this.#tools, this.#wanted);
    lines.give(this.#line);
  }
}

/**
 * The grant as it may be handed out; null where there is none. One whose lease may be over for the
 * most part is renewed first, and is none if that finds that it has ended.
 */
async function confirmed(
  tools: Tools,
  wanted: Wanted,
  answer: Pick<Answer, "reply" | "sentMs"> & { readonly line: WaitLine | null },
): Promise<Granted | null> {
  const grant = readReply(wanted, answer.reply);
  if (grant === null) return null;
  const { sentMs, line } = answer;
  const { tokens, remainingMs, holds } = grant;
  const elapsedMs = tools.clock.nowMs() - sentMs;
  if (elapsedMs <= remainingMs / 3) return { tokens, remainingMs, holds, sentMs, line };
  const { owner, ttlMs } = wanted.settings;
  const { requestTimeoutMs } = tools.settings;
  const span = await renewAll(tools, {
    keys: wanted.keys,
    tokens,
    owner,
    ttlMs,
    withinMs: Math.min(requestTimeoutMs, ttlMs),
  });
  return span === null ? null : { tokens, holds, line, ...span };
}

/** Renews every key; null when one of them is held no more. */
export async function renewAll(
  { requester, settings }: Tools,
  {
    keys,
    tokens,
    owner,
    ttlMs,
    withinMs,
  }: {
    readonly keys: readonly string[];
    /** Null for whichever the owner has. */
    readonly tokens: readonly bigint[] | null;
    readonly owner: string;
    readonly ttlMs: number;
    readonly withinMs: number;
  },
): Promise<LeaseSpan | null> {
  // Three nodes can be asked before the time is over, whatever the first two do.
  const attemptMs = Math.min(settings.attemptTimeoutMs, Math.max(10, withinMs / 3));
  const spans = await Promise.all(
    keys.map(async (key, index) => {
      const args = ["LOCK.RENEW", key, owner, String(ttlMs)];
      if (tokens !== null) args.push("TOKEN", String(tokens[index] ?? ""));
      const { reply, sentMs } = await requester.send(args, {
        doing: `renewing ${JSON.stringify(key)}`,
        keys: [key],
        timeoutMs: withinMs,
        attemptMs,
      });
      const renewed = readGrant("LOCK.RENEW", reply);
      return renewed === null ? null : { sentMs, remainingMs: renewed.remainingMs };
    }),
  );
  let earliest: LeaseSpan = { sentMs: Infinity, remainingMs: Infinity };
  for (const span of spans) {
    if (span === null) return null;
    earliest = {
      sentMs: Math.min(earliest.sentMs, span.sentMs),
      remainingMs: Math.min(earliest.remainingMs, span.remainingMs),
    };
  }
  return earliest;
}

/**
 * A reentrant request that may have been counted must not be counted again: the cluster is asked how
 * often the owner holds the lock, and this client knows how often it should. Null when it was not.
 */
async function counted(tools: Tools, wanted: Wanted): Promise<Answer | null> {
  const { requester, settings, ledger } = tools;
  const { owner } = wanted.settings;
  const [key = ""] = wanted.keys;
  const { reply, sentMs } = await requester.send(["LOCK.INFO", key], {
    doing: `looking at ${JSON.stringify(key)}`,
    keys: [key],
    timeoutMs: settings.requestTimeoutMs,
  });
  const holder = readInfo("LOCK.INFO", reply)?.holders.find((each) => each.owner === owner);
  if (holder === undefined || holder.holds <= ledger.count(owner, key)) return null;
  const { token, remainingMs, holds } = holder;
  return { reply: [String(token), remainingMs, holds], sentMs, doubt: true };
}

/** Whether the cluster has said that nothing was granted. */
function isAnswer(thrown: unknown): boolean {
  return thrown instanceof PaxlockError && !["UNAVAILABLE", "CLIENT_CLOSED"].includes(thrown.code);
}

/** Gives back what a request that is given up may have been granted; nobody waits for it. */
function withdraw(tools: Tools, wanted: Wanted): void {
  const { requester, settings, ledger } = tools;
  const { owner } = wanted.settings;
  if (requester.isClosed) return;
  if (wanted.settle !== undefined) {
    tools.background(wanted.settle());
    return;
  }
  for (const key of wanted.keys) {
    // What the same owner has by another request of this client stays.
    if (ledger.count(owner, key) > 0) continue;
    tools.background(
      requester.send(["LOCK.RELEASE", key, owner], {
        doing: `releasing ${JSON.stringify(key)}`,
        keys: [key],
        timeoutMs: settings.attemptTimeoutMs,
      }),
    );
  }
}

/** The request for what is wanted. */
export function acquireCommand({ keys, together, settings }: Wanted, waitMs: number): string[] {
  const { owner, ttlMs, mode, priority, reentrant, bind, delayMs, data } = settings;
  const head = together
    ? ["LOCK.ACQUIREALL", String(keys.length), ...keys]
    : ["LOCK.ACQUIRE", ...keys];
  const args = [...head, owner, String(ttlMs)];
  if (waitMs > 0) args.push("WAIT", String(waitMs));
  if (mode === "shared") args.push("SHARED");
  else if (mode !== "exclusive") {
    args.push("PERMITS", String(mode.permits), "OF", String(mode.limit));
  }
  if (priority > 0) args.push("PRIORITY", String(priority));
  if (reentrant) args.push("REENTRANT");
  if (bind) args.push("BIND");
  if (delayMs > 0) args.push("DELAY", String(delayMs));
  if (data !== "") args.push("DATA", data);
  return args;
}

function readReply({ keys, together }: Wanted, reply: RawReply): GrantReply | null {
  return together ? readGrants(reply, keys) : readGrant("LOCK.ACQUIRE", reply);
}

/** The request as errors name it. */
export function doing({ keys }: Wanted): string {
  return `acquiring ${keys.map((key) => JSON.stringify(key)).join(", ")}`;
}
