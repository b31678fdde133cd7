/** How long the transport waits for what, with the reasons. */
import type { Millis } from "../base/ids.ts";

export interface TransportTiming {
  /** From dialling or accepting to the end of the handshake, TLS included. */
  readonly handshakeMs: Millis;
  /**
   * How often links are looked at. One over which nothing was sent since gets a sign of life.
   * Silence is counted in these, not in milliseconds: a process that was paused sees one late tick,
   * and reads what waits in its sockets before the next.
   */
  readonly tickMs: Millis;
  /** Ticks without a byte after which a link is dead: the other side sends one at each tick. */
  readonly silentTicks: number;
  /** Longest wait before the first retry after a link is lost: at once, but not all in step. */
  readonly firstRetryMs: Millis;
  /** Wait before the second retry; each further one waits twice as long. */
  readonly retryMs: Millis;
  /** Longest wait. A restarted node knocks, so that its peers need not wait for their next retry. */
  readonly retryMsMax: Millis;
  /** A node may be out of reach for so long before it is worth a line: nodes start one by one. */
  readonly quietMs: Millis;
  /** The same line about the same node is written again after this. */
  readonly repeatLogMs: Millis;
  /** What is queued at the end may take so long to leave. */
  readonly closeMs: Millis;
}

export const DEFAULT_TIMING: TransportTiming = {
  handshakeMs: 3_000,
  tickMs: 500,
  silentTicks: 5,
  firstRetryMs: 20,
  retryMs: 100,
  retryMsMax: 1_000,
  quietMs: 2_000,
  repeatLogMs: 60_000,
  closeMs: 500,
};
