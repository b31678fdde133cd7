/**
 * A process full of users of one lock service.
 *
 * Started by `run-client.ts` with a word and an order as JSON: `steps` with a {@link ClientOrder}
 * prints a {@link StepResult} a line, `outage` with an {@link OutageOrder} prints {@link READY}, waits
 * for the signal {@link KILLED}, and prints an {@link OutageResult}.
 */
import { once } from "node:events";
import { fail } from "./clients/contract.ts";
import { openClient } from "./clients/index.ts";
import { KILLED, READY, type ClientOrder, type OutageOrder } from "./order.ts";
import { runOutage } from "./outage.ts";
import { runOrder } from "./workloads.ts";

const [word, json = ""] = process.argv.slice(2);

try {
  if (word === "outage") await outage(JSON.parse(json) as OutageOrder);
  else await steps(JSON.parse(json) as ClientOrder);
} catch (thrown) {
  fail(thrown);
}

async function steps(order: ClientOrder): Promise<void> {
  const client = await openClient(order.client, order.targets.flat());
  await runOrder(client, order, (result) => {
    process.stdout.write(`${JSON.stringify(result)}\n`);
  });
  await client.close();
  leave();
}

async function outage(order: OutageOrder): Promise<void> {
  const killed = once(process, KILLED).then(() => undefined);
  const client = await openClient(order.client, order.targets.flat());
  const result = await runOutage(client, order, {
    ready: () => process.stdout.write(READY),
    killed,
  });
  process.stdout.write(`${JSON.stringify(result)}\n`);
  leave();
}

/** Libraries keep timers and channels; what was to be said has been said. */
function leave(): void {
  process.stdout.write("", () => process.exit(0));
}
