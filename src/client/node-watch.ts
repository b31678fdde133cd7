/**
 * Whether the nodes that requests wait at are still there. A node that is frozen keeps its connections
 * and says nothing, and one that is cut off from the others answers and never learns of a grant; a
 * request that waits shows neither. So each such node is asked regularly, on another connection.
 */
import type { Endpoint } from "../base/address.ts";
import { pause } from "./clock.ts";
import type { ClientSettings } from "./options.ts";
import type { Requester } from "./requester.ts";

/** Somebody waits at a node. */
interface Watcher {
  /** A key that it waits for: reading it takes a majority. */
  readonly key: string;
  /** Told once that the node is frozen, gone or cut off. */
  readonly away: (why: string) => void;
}

interface Watched {
  readonly watchers: Set<Watcher>;
  readonly stop: AbortController;
}

/** Times in a row that a node cannot read a key before it counts as cut off: an election is shorter. */
const CUT_OFF_AFTER = 2;

export class NodeWatch {
  readonly #settings: ClientSettings;
  readonly #requester: Requester;
  readonly #nodes = new Map<Endpoint, Watched>();

  constructor(settings: ClientSettings, requester: Requester) {
    this.#settings = settings;
    this.#requester = requester;
  }

  /** Watches a node until the function that it returns is called. */
  watch(endpoint: Endpoint, watcher: Watcher): () => void {
    let watched = this.#nodes.get(endpoint);
    if (watched === undefined) {
      watched = { watchers: new Set(), stop: new AbortController() };
      this.#nodes.set(endpoint, watched);
      void this.#run(endpoint, watched);
    }
    const { watchers, stop } = watched;
    watchers.add(watcher);
    return () => {
      if (!watchers.delete(watcher) || watchers.size > 0) return;
      stop.abort();
      if (this.#nodes.get(endpoint)?.watchers === watchers) this.#nodes.delete(endpoint);
    };
  }

  async #run(endpoint: Endpoint, { watchers, stop }: Watched): Promise<void> {
    const { attemptTimeoutMs } = this.#settings;
    let cutOff = 0;
    for (;;) {
      await pause(attemptTimeoutMs / 2, stop.signal);
      if (stop.signal.aborted) return;
      const [first] = watchers;
      const [pulse, read] = await Promise.allSettled([
        this.#requester.probe(endpoint, ["PING"], attemptTimeoutMs),
        this.#requester.probe(endpoint, ["LOCK.TOKEN", first?.key ?? ""], attemptTimeoutMs),
      ]);
      cutOff = read.status === "fulfilled" ? 0 : cutOff + 1;
      if (pulse.status === "rejected") this.#away(endpoint, `does not answer`);
      else if (cutOff >= CUT_OFF_AFTER) this.#away(endpoint, `is cut off from the others`);
    }
  }

  #away(endpoint: Endpoint, why: string): void {
    const watched = this.#nodes.get(endpoint);
    if (watched === undefined) return;
    this.#nodes.delete(endpoint);
    watched.stop.abort();
    for (const { away } of watched.watchers) away(why);
    watched.watchers.clear();
  }
}
