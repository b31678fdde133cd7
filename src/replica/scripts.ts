/** Which scripts this node can tell the body of: those its groups have, and those on their way. */
import type { Operation } from "../machine/operation.ts";
import type { ReplySink } from "./batch.ts";
import type { GroupReplica } from "./group-replica.ts";
import { ScriptsInFlight } from "./scripts-in-flight.ts";

export class Scripts {
  readonly #groups: readonly GroupReplica[];
  readonly #compiles: (sha: string, body: string) => boolean;
  readonly #inFlight = new ScriptsInFlight();

  /** `compiles` tells whether a script is Lua: one that is not will never be known. */
  constructor(groups: readonly GroupReplica[], compiles: (sha: string, body: string) => boolean) {
    this.#groups = groups;
    this.#compiles = compiles;
  }

  /** How many different scripts are cached. */
  get count(): number {
    const known = new Set<string>();
    for (const group of this.#groups) for (const sha of group.machine.scriptShas()) known.add(sha);
    return known.size;
  }

  /** Whether the group has applied the script and nothing on its way takes it away. */
  groupHas(group: GroupReplica, sha: string): boolean {
    return !this.#inFlight.flushing && group.machine.hasScript(sha);
  }

  /**
   * The body of a script that any group has, or is about to have by what was dispatched so far. While
   * a SCRIPT FLUSH is on its way, only what was dispatched behind it is known.
   */
  body(sha: string): string | null {
    const loading = this.#inFlight.body(sha);
    if (loading !== null || this.#inFlight.flushing) return loading;
    for (const group of this.#groups) {
      const body = group.machine.scriptBody(sha);
      if (body !== null) return body;
    }
    return null;
  }

  /** Wraps the sinks of the rare operations that change which scripts are known. */
  track(group: GroupReplica, operation: Operation, sink: ReplySink): ReplySink {
    if (operation.kind === "script-flush") {
      this.#inFlight.flushDispatched();
      return {
        resolve: (reply) => {
          this.#inFlight.flushApplied();
          sink.resolve(reply);
        },
      };
    }
    if (operation.kind !== "script-load" && operation.kind !== "eval") return sink;
    const { sha, body } = operation;
    if (body === null || this.groupHas(group, sha)) return sink;
    if (!this.#compiles(sha, body)) return sink;
    const loading = this.#inFlight.loadDispatched(sha, body);
    return {
      resolve: (reply) => {
        this.#inFlight.loadApplied(loading);
        sink.resolve(reply);
      },
    };
  }
}
