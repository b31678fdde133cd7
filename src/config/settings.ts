/**
 * The present values of what CONFIG SET may change, starting from the {@link Configuration}.
 * A change lasts until the node stops; the configuration file is never written.
 */
import type { Configuration } from "./configuration.ts";
import type { RuntimeValues } from "./redis-parameters.ts";
import { REDIS_PARAMETERS } from "./redis-parameters.ts";

/** Called after a change, with the new values. */
export type SettingsListener = (values: RuntimeValues) => void;

export class Settings {
  readonly configuration: Configuration;
  #values: RuntimeValues;
  readonly #listeners: SettingsListener[] = [];

  constructor(configuration: Configuration) {
    this.configuration = configuration;
    const {
      tcpKeepaliveSeconds,
      idleTimeoutSeconds,
      password,
      protectedMode,
      maxClients,
      bulkBytesMax,
      queryBufferBytesMax,
      outputBytesMax,
      outputSoftBytesMax,
      outputSoftSeconds,
      subscriberOutputBytesMax,
      subscriberOutputSoftBytesMax,
      subscriberOutputSoftSeconds,
      slowlogMicroseconds,
      slowlogEntriesMax,
      logLevel,
    } = configuration;
    this.#values = Object.freeze({
      tcpKeepaliveSeconds,
      idleTimeoutSeconds,
      password,
      protectedMode,
      maxClients,
      bulkBytesMax,
      queryBufferBytesMax,
      outputBytesMax,
      outputSoftBytesMax,
      outputSoftSeconds,
      subscriberOutputBytesMax,
      subscriberOutputSoftBytesMax,
      subscriberOutputSoftSeconds,
      slowlogMicroseconds,
      slowlogEntriesMax,
      logLevel,
    });
  }

  /** The values in force. Frozen: read it anew each time, a change replaces it. */
  get values(): RuntimeValues {
    return this.#values;
  }

  /** Calls `listener` after each change, for those who hold a copy (the log's level, a decoder). */
  onChange(listener: SettingsListener): void {
    this.#listeners.push(listener);
  }

  /**
   * All parameters for CONFIG GET, by Redis's names; values are byte strings. `port` is the port
   * that is listened on.
   */
  parameters(port: number): ReadonlyMap<string, string> {
    const source = { configuration: this.configuration, values: this.#values, port };
    return new Map(REDIS_PARAMETERS.map(({ name, print }) => [name, print(source)]));
  }

  /**
   * CONFIG SET of one or several parameters: all of them or, if one is refused, none. Returns null
   * when done, else the whole error text, `ERR …`, in Redis's words.
   */
  set(pairs: readonly (readonly [name: string, value: string])[]): string | null {
    const seen = new Set<string>();
    let next = this.#values;
    for (const [name] of pairs) {
      if (!known.has(name.toLowerCase())) {
        return `ERR Unknown option or number of arguments for CONFIG SET - '${name}'`;
      }
    }
    for (const [name, value] of pairs) {
      const parameter = known.get(name.toLowerCase());
      if (parameter === undefined) continue;
      const change = seen.has(parameter.name) ? "duplicate parameter" : parameter.change(value);
      if (typeof change === "string") {
        return `ERR CONFIG SET failed (possibly related to argument '${parameter.name}') - ${change}`;
      }
      seen.add(parameter.name);
      next = Object.freeze({ ...next, ...change });
    }
    this.#values = next;
    for (const listener of this.#listeners) listener(next);
    return null;
  }
}

const known = new Map(REDIS_PARAMETERS.map((parameter) => [parameter.name, parameter]));
