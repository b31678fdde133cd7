/** Which node to turn to: the first as long as it answers, then the one after it. */
import type { Endpoint } from "../base/address.ts";
import type { Clock } from "./clock.ts";

/** How long a node that did not answer is left out while there are others. */
const AVOIDED_MS = 2_000;

export class AddressBook {
  readonly #clock: Clock;
  readonly #entries: readonly { readonly endpoint: Endpoint; avoidedUntilMs: number }[];
  #preferred = 0;

  constructor(endpoints: readonly Endpoint[], clock: Clock) {
    this.#clock = clock;
    this.#entries = endpoints.map((endpoint) => ({ endpoint, avoidedUntilMs: -Infinity }));
  }

  get size(): number {
    return this.#entries.length;
  }

  /** The node to ask now. With all of them in doubt, the one that has been so for longest. */
  choose(): Endpoint {
    const nowMs = this.#clock.nowMs();
    let best = this.#entry(this.#preferred);
    for (let step = 0; step < this.#entries.length; step += 1) {
      const entry = this.#entry(this.#preferred + step);
      if (entry.avoidedUntilMs <= nowMs) {
        this.#preferred = (this.#preferred + step) % this.#entries.length;
        return entry.endpoint;
      }
      if (entry.avoidedUntilMs < best.avoidedUntilMs) best = entry;
    }
    return best.endpoint;
  }

  /** The node did not answer, or could not do what any node can. */
  failed(endpoint: Endpoint): void {
    const index = this.#entries.findIndex((entry) => entry.endpoint === endpoint);
    if (index < 0) return;
    this.#entry(index).avoidedUntilMs = this.#clock.nowMs() + AVOIDED_MS;
    if (index === this.#preferred) this.#preferred = (index + 1) % this.#entries.length;
  }

  #entry(index: number): { readonly endpoint: Endpoint; avoidedUntilMs: number } {
    const entry = this.#entries[index % this.#entries.length];
    if (entry === undefined) throw new TypeError("an address book has at least one address");
    return entry;
  }
}
