/** Starts the services that take part, and tells which cannot. */
import { setTimeout as sleep } from "node:timers/promises";
import type { RunningService, Service, ServiceId } from "./servers/contract.ts";
import { usageOf } from "./usage.ts";

/** How Debian's packages are installed without servers of their own on the usual ports. */
const INSTALL = "RUNLEVEL=1 apt-get install -y";
/** Quiet is at most this share of one processor for each service. */
const QUIET_SHARE = 0.05;
const QUIET_TURN_MS = 500;
const QUIET_WITHIN_MS = 20_000;

/** A sentence for each service whose packages are missing; the last has the command for all. */
export function missingSentences(services: readonly Service[]): string[] {
  const lacking = services.filter(({ missing }) => missing().length > 0);
  if (lacking.length === 0) return [];
  const packages = [...new Set(lacking.flatMap(({ missing }) => missing()))];
  const names = [...new Set(lacking.map(({ name }) => name))];
  return [
    ...names.map((name) => {
      const needed = lacking.find((service) => service.name === name)?.missing() ?? [];
      return `${name} is not installed (apt-get install ${needed.join(" ")})`;
    }),
    `to have them all: ${INSTALL} ${packages.join(" ")}`,
  ];
}

/**
 * Waits until nobody works off what a start left to do, or for some seconds; gives the share of a
 * processor that is still used.
 */
export async function untilQuiet(services: readonly RunningService[]): Promise<number> {
  const pids = services.flatMap((service) => service.pids());
  const endMs = performance.now() + QUIET_WITHIN_MS;
  for (;;) {
    const before = usageOf(pids).processorSeconds;
    const beganMs = performance.now();
    await sleep(QUIET_TURN_MS);
    const seconds = usageOf(pids).processorSeconds - before;
    const share = (seconds * 1000) / (performance.now() - beganMs);
    if (share <= QUIET_SHARE * services.length || performance.now() > endMs) return share;
  }
}

export interface StartOptions {
  readonly directory: string;
  /** Whether to start all at once, which is faster and gives each less of the machine. */
  readonly atOnce: boolean;
  readonly failed: (id: ServiceId, thrown: unknown) => void;
}

export class Services {
  readonly #running = new Map<ServiceId, RunningService>();

  /** Starts all that are given; one that does not start is told, and the others go on. */
  static async start(
    services: readonly Service[],
    { directory, atOnce, failed }: StartOptions,
  ): Promise<Services> {
    const started = new Services();
    const begin = async (service: Service): Promise<void> => {
      try {
        started.#running.set(service.id, await service.start(directory));
      } catch (thrown) {
        failed(service.id, thrown);
      }
    };
    if (atOnce) await Promise.all(services.map(begin));
    else for (const service of services) await begin(service);
    return started;
  }

  get(id: ServiceId): RunningService | null {
    return this.#running.get(id) ?? null;
  }

  get all(): RunningService[] {
    return [...this.#running.values()];
  }

  async stop(): Promise<void> {
    await Promise.all(this.all.map((service) => service.stop()));
  }
}
