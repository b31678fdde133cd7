/**
 * Something that takes long to start, for several tests of a file: started by the first that uses it,
 * and stopped when no other follows. A test that runs alone gets its own.
 */

/** How long it is kept for the next test, in ms; tests follow one another at once. */
const KEPT_MS = 100;

export interface Started<T> {
  readonly value: T;
  readonly stop: () => Promise<void>;
}

/** Runs `body` with what `start` gives, which may have been started for an earlier test. */
export type Use<T> = (body: (value: T) => Promise<void>) => Promise<void>;

/** A way to use one and the same thing in several tests, one after the other. */
export function shared<T>(start: () => Promise<Started<T>>): Use<T> {
  let running: Promise<Started<T>> | null = null;
  let timer: NodeJS.Timeout | undefined;
  return async (body) => {
    clearTimeout(timer);
    running ??= start();
    const mine = running;
    try {
      await body((await mine).value);
    } finally {
      timer = setTimeout(() => {
        running = null;
        // A stop that fails ends the process, and so the file fails.
        void mine.then(async ({ stop }) => stop());
      }, KEPT_MS);
    }
  };
}

/** What a `with…` helper gives, until `stop`, which rejects if the end of the helper does. */
export async function started<T>(
  helper: (body: (value: T) => Promise<void>) => Promise<void>,
): Promise<Started<T>> {
  let end = (): void => undefined;
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  return new Promise((resolve, reject) => {
    const done = helper(async (value) => {
      resolve({
        value,
        stop: async () => {
          end();
          await done;
        },
      });
      await ended;
    });
    done.catch(reject);
  });
}
