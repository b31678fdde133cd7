/**
 * How a node that misses chosen values gets them: by asking whoever knows of them, page by page, and
 * by a snapshot where their log is cut.
 */
import type { NodeId, Slot } from "../base/ids.ts";
import type { Acceptor } from "./acceptor.ts";
import type { Log } from "./log.ts";
import type { LearnedMessage, LearnMessage } from "./messages.ts";
import type { GroupSettings } from "./options.ts";
import type { Outbox } from "./outbox.ts";
import type { AcceptedEntry } from "./records.ts";

export class CatchUp {
  readonly #settings: GroupSettings;
  readonly #log: Log;
  readonly #acceptor: Acceptor;
  readonly #outbox: Outbox;
  /** The highest slot heard to be chosen with all before it, and who said so. */
  #known: Slot = 0;
  #source: NodeId | null = null;
  #tick = 0;
  /** The tick and position of the last progress or question. */
  #stuckSinceTick = 0;
  #stuckAt: Slot = 0;
  #asked = false;
  /** The last tick by which something was learned since the one before, and how far. */
  #progressTick = -Infinity;
  #progressAt: Slot = 0;

  constructor(
    settings: GroupSettings,
    parts: { readonly log: Log; readonly acceptor: Acceptor; readonly outbox: Outbox },
  ) {
    this.#settings = settings;
    this.#log = parts.log;
    this.#acceptor = parts.acceptor;
    this.#outbox = parts.outbox;
  }

  /** Whether this node knows of chosen slots that it does not have. */
  get behind(): boolean {
    return this.#known > this.#log.chosen;
  }

  /** Whether it is behind and gets on: seeking to lead now would only disturb who tells it. */
  get getsOn(): boolean {
    if (!this.behind) return false;
    return this.#tick - this.#progressTick <= 2 * this.#settings.retransmitTicks;
  }

  /**
   * `source` says that every slot up to `chosen` is chosen. The last one to say so is asked, not the
   * one who knows most: that one may have died.
   */
  heard(source: NodeId, chosen: Slot): void {
    if (chosen <= this.#log.chosen) return;
    this.#known = chosen;
    this.#source = source;
  }

  /** Asks `source` at once; it has said that every slot up to `chosen` is chosen. */
  askNow(source: NodeId, chosen: Slot): void {
    this.heard(source, chosen);
    if (this.behind) this.#ask();
  }

  /**
   * Asks when a gap stays: a value that is merely late arrives within a tick or two, and asking for
   * it at once would send most values twice.
   */
  tick(tick: number): void {
    this.#tick = tick;
    if (this.#progressAt !== this.#log.chosen) {
      this.#progressAt = this.#log.chosen;
      this.#progressTick = tick;
    }
    if (!this.behind || this.#stuckAt !== this.#log.chosen) {
      this.#stuckAt = this.#log.chosen;
      this.#stuckSinceTick = tick;
      this.#asked = false;
      return;
    }
    const patience = this.#asked ? this.#settings.retransmitTicks : 1;
    if (tick - this.#stuckSinceTick >= patience) this.#ask();
  }

  /** Answers somebody who is behind. */
  learn(from: NodeId, message: LearnMessage): void {
    const { pageEntries, pageBytes } = this.#settings;
    const { cut, chosen } = this.#log;
    const entries: AcceptedEntry[] = [];
    let bytes = 0;
    for (let slot = message.from; slot <= chosen; slot += 1) {
      const entry = this.#log.get(slot);
      if (entry === undefined || entries.length === pageEntries) break;
      if (entries.length > 0 && bytes >= pageBytes) break;
      entries.push({ slot, ballot: entry.ballot, value: entry.value });
      bytes += entry.value.length;
    }
    this.#outbox.send(from, { kind: "learned", from: message.from, entries, chosen, cut }, 0);
  }

  /** Takes in a page of chosen values and asks for the next, or for a snapshot. */
  learned(from: NodeId, message: LearnedMessage): void {
    for (const entry of message.entries) this.#acceptor.learn(entry);
    this.#log.advance();
    this.heard(from, message.chosen);
    if (!this.behind) return;
    if (message.cut > this.#log.chosen) this.#outbox.needSnapshot(from, message.cut);
    else if (message.entries.length > 0 && this.#stuckAt !== this.#log.chosen) this.#ask();
  }

  #ask(): void {
    if (this.#source === null) return;
    this.#asked = true;
    this.#stuckAt = this.#log.chosen;
    this.#stuckSinceTick = this.#tick;
    const message: LearnMessage = { kind: "learn", from: this.#log.chosen + 1 };
    this.#outbox.send(this.#source, message, 0);
  }
}
