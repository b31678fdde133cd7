/**
 * `paxlock/client` as others get it: built, found by its name, with types that hold for a strict user,
 * and connections that need the password.
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { createClient, RefusedError } from "../../src/client/index.ts";
import { runPaxlock, withPaxlock } from "../support/paxlock-process.ts";
import { suite } from "../support/suite.ts";
import { withTemporaryDirectory } from "../support/temporary-directory.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

const USER = `import { createClient, LockLostError, type Lock, type LossReason } from "paxlock/client";

await using client = createClient({ addresses: [process.argv[2] ?? ""] });
const tokens: bigint[] = [];
for (let round = 0; round < 2; round += 1) {
  const lock: Lock = await client.acquire("a", { waitMs: 1_000 });
  tokens.push(lock.token);
  // @ts-expect-error a token is no number
  const token: number = lock.token;
  const why: LossReason | undefined = lock.signal.reason?.reason;
  // @ts-expect-error the reason of a loss is no text
  const text: string | undefined = lock.signal.reason;
  const asked: string | undefined = lock.revoked.reason?.said;
  if (why ?? text ?? asked) throw new Error("not lost");
  if (lock.signal.reason instanceof LockLostError) throw new Error(String(token));
  await lock.downgrade();
  await lock.upgrade({ waitMs: 1_000 });
  const stop: AbortSignal = AbortSignal.any([lock.signal, lock.revoked]);
  stop.throwIfAborted();
  await lock.release();
}
await client.withLock("a", {}, async (_, signal) => {
  const reason: LockLostError | undefined = signal.reason;
  await Promise.resolve(reason);
});
console.log((tokens[1] ?? 0n) > (tokens[0] ?? 0n));
`;

const SETTINGS = {
  compilerOptions: {
    strict: true,
    exactOptionalPropertyTypes: true,
    module: "NodeNext",
    target: "ES2022",
    // Without the DOM, which is most of what there would be to check.
    lib: ["ES2023"],
    types: ["node"],
  },
  include: ["user.ts"],
};

const compiler = join(root, "node_modules/typescript/bin/tsc");

/** What users get: the build that the runner has made, else one of the client alone. */
function build(into: string, scratch: string): void {
  if (process.env["PAXLOCK_TEST_BUILT"] !== undefined) {
    symlinkSync(join(root, "dist"), into, "dir");
    return;
  }
  const project = join(scratch, "client.json");
  const settings = {
    extends: join(root, "src/tsconfig.json"),
    compilerOptions: {
      ...{ rootDir: join(root, "src"), outDir: into, tsBuildInfoFile: join(scratch, "info") },
      typeRoots: [join(root, "node_modules/@types")],
    },
    files: [join(root, "src/client/index.ts")],
    include: [],
  };
  writeFileSync(project, JSON.stringify(settings));
  execFileSync(process.execPath, [compiler, "-p", project], { stdio: "inherit" });
}

suite(
  "client/package",
  (test) => {
    test("a user's program compiles against the types, runs, and ends by itself", async () => {
      await withTemporaryDirectory(async (folder) => {
        const built = join(folder, "node_modules/paxlock");
        mkdirSync(built, { recursive: true });
        copyFileSync(join(root, "package.json"), join(built, "package.json"));
        build(join(built, "dist"), folder);
        symlinkSync(join(root, "node_modules"), join(built, "node_modules"), "dir");
        symlinkSync(join(root, "node_modules/@types"), join(folder, "node_modules/@types"), "dir");
        writeFileSync(join(folder, "package.json"), '{ "type": "module" }\n');
        writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(SETTINGS));
        writeFileSync(join(folder, "user.ts"), USER);
        execFileSync(process.execPath, [compiler, "-p", folder], { stdio: "inherit" });

        await withPaxlock({ args: ["--groups", "2"] }, ({ port }) => {
          const program = [join(folder, "user.js"), `127.0.0.1:${port}`];
          const output = execFileSync(process.execPath, program, { timeout: 20_000 });
          assert.is(output.toString(), "true\n");
        });
      });
    });

    test("the password is given; a wrong one and none are refused at once", async () => {
      await withPaxlock(
        { args: ["--groups", "2", "--requirepass", "s3cret"] },
        async ({ port }) => {
          const addresses = [`127.0.0.1:${port}`];
          for (const waitMs of [0, 5_000]) {
            const client = createClient({ addresses, password: "s3cret", db: 3, name: "mine" });
            assert.is(await client.withLock("a", { waitMs }, async () => Promise.resolve(1)), 1);
            await client.close();
            for (const password of ["wrong", undefined]) {
              const other = createClient({
                addresses,
                ...(password !== undefined && { password }),
              });
              const thrown: unknown = await other.acquire("a", { waitMs }).then(
                () => null,
                (error: unknown) => error,
              );
              await other.close();
              assert.instance(thrown, RefusedError, String(thrown));
              assert.match((thrown as Error).message, "give the password");
            }
          }
          const at = ["--port", String(port)];
          const right = await runPaxlock(["exec", ...at, "--requirepass", "s3cret", "a", "true"]);
          const none = await runPaxlock(["exec", ...at, "a", "true"]);
          assert.equal([right.code, right.stderr], [0, ""]);
          assert.is(none.code, 1);
          assert.match(none.stderr, "NOAUTH");
        },
      );
    });
  },
  { timeoutMs: 120_000 },
);
