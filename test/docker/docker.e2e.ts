/**
 * The image and the compose file on a real engine: built as `docker/Dockerfile` says, three nodes
 * started as `docker/compose.yaml` says, one cut off from the others and brought back.
 *
 * The base image is a stand-in from files of this machine, and the stage that installs from the npm
 * registry is passed over (`APP=checkout`), because nothing can be fetched where the tests run.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import type { ClusterView } from "../../src/cli/cluster-view.ts";
import { findProgram } from "../support/programs.ts";
import { suite } from "../support/suite.ts";
import { Engine } from "./engine.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const CLI = "/opt/paxlock/dist/cli/main.js";
const NODES = ["node1", "node2", "node3"] as const;
type Service = (typeof NODES)[number];
const WAIT_LIMIT_MS = 120_000;
/** Enough that each node leads the group of some. */
const KEYS = Array.from({ length: 24 }, (_, index) => `lock-${index}`);

/** The containers by service: their names differ between versions of docker-compose. */
const containers = new Map<Service, string>();

function container(service: Service): string {
  const id = containers.get(service);
  if (id === undefined) throw new Error(`${service} has not been started`);
  return id;
}

/** A checkout as it stands after a build, with the packages that are needed to run. */
function makeContext(folder: string): string {
  const context = join(folder, "context");
  mkdirSync(context);
  for (const name of ["package.json", "package-lock.json", "docker", "dist"]) {
    cpSync(join(root, name), join(context, name), { recursive: true });
  }
  for (const path of runtimePackages()) {
    mkdirSync(dirname(join(context, path)), { recursive: true });
    cpSync(join(root, path), join(context, path), { recursive: true, dereference: true });
  }
  return context;
}

interface LockFile {
  readonly packages: Readonly<Record<string, { readonly dev?: boolean }>>;
}

/** Folders of installed packages that are not for development alone. */
function runtimePackages(): string[] {
  const text = readFileSync(join(root, "package-lock.json"), "utf8");
  const { packages } = JSON.parse(text) as LockFile;
  return Object.entries(packages)
    .filter(([path, { dev = false }]) => path !== "" && !dev && existsSync(join(root, path)))
    .map(([path]) => path);
}

/** Runs redis-cli as if inside a node's container. */
async function redis(
  engine: Engine,
  service: Service,
  ...args: readonly string[]
): Promise<string> {
  const program = findProgram("redis-cli") ?? "redis-cli";
  const command = [program, "--no-raw", ...args];
  return (await engine.inNetworkOf(container(service), command)).stdout.trim();
}

async function status(engine: Engine, service: Service): Promise<ClusterView | null> {
  const command = ["exec", container(service), "node", CLI, "status", "--json"];
  const { stdout } = await engine.docker(command, { mayFail: true });
  return stdout === "" ? null : (JSON.parse(stdout) as ClusterView);
}

async function until(what: string, probe: () => Promise<string | null>): Promise<void> {
  const endMs = performance.now() + WAIT_LIMIT_MS;
  for (;;) {
    const missing = await probe();
    if (missing === null) return;
    if (performance.now() > endMs) throw new Error(`${what}: ${missing}`);
    await sleep(300);
  }
}

/** Waits until every node says that all is well. */
async function untilWell(engine: Engine): Promise<void> {
  await until("all is well", async () => {
    for (const service of NODES) {
      const view = await status(engine, service);
      if (view === null) return `${service} does not answer`;
      if (view.problems.length > 0) return `${service}: ${view.problems.join("; ")}`;
    }
    return null;
  });
}

async function inspect(engine: Engine, what: string, format: string): Promise<string> {
  return (await engine.docker(["inspect", "-f", format, what])).stdout.trim();
}

suite(
  "docker/docker",
  (test) => {
    test("three containers hold a lock while one is cut off, and after a restart of all", async () => {
      const folder = mkdtempSync(join(tmpdir(), "pxd-"));
      try {
        await Engine.with(folder, async (engine) => {
          await engine.importStandIn("stand-in");
          const context = makeContext(folder);
          const build = ["--build-arg", "BASE=stand-in", "--build-arg", "APP=checkout"];
          const file = ["--file", join(context, "docker/Dockerfile"), "--tag", "paxlock"];
          await engine.docker(["build", ...file, ...build, context], { limitMs: 180_000 });
          await checkImage(engine);

          const compose = async (...args: readonly string[]): Promise<string> =>
            (await engine.compose(context, args)).stdout.trim();
          await compose("up", "--detach", "--no-build");
          for (const service of NODES) containers.set(service, await compose("ps", "-q", service));
          await untilWell(engine);
          await checkHealth(engine);
          for (const key of KEYS) {
            assert.is(await redis(engine, "node1", "SET", key, "me", "NX", "PX", "600000"), "OK");
          }
          assert.is(await redis(engine, "node3", "GET", KEYS[0] ?? ""), '"me"');

          await cutOff(engine);

          await compose("stop");
          for (const service of NODES) {
            assert.is(await inspect(engine, container(service), "{{.State.ExitCode}}"), "0");
          }
          await compose("start");
          await untilWell(engine);
          await checkHeld(engine, "node2");
          await compose("down", "--volumes");
        });
      } finally {
        rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
      }
    });
  },
  { timeoutMs: 600_000, needs: ["dockerd", "docker-compose", "unshare", "nsenter", "redis-cli"] },
);

/** Small beside its base, not root, with a health check. */
async function checkImage(engine: Engine): Promise<void> {
  const size = async (image: string): Promise<number> =>
    Number(await inspect(engine, image, "{{.Size}}"));
  const own = (await size("paxlock")) - (await size("stand-in"));
  assert.ok(own > 1e6 && own < 60e6, `${own} bytes beside the base image`);
  assert.is(await inspect(engine, "paxlock", "{{.Config.User}}"), "10001:10001");
  assert.match(await inspect(engine, "paxlock", "{{json .Config.Healthcheck.Test}}"), "--quick");
}

async function checkHealth(engine: Engine): Promise<void> {
  for (const service of NODES) {
    await until(`${service} is healthy`, async () => {
      const health = await inspect(engine, container(service), "{{.State.Health.Status}}");
      return health === "healthy" ? null : health;
    });
    const { stdout } = await engine.docker([
      ...["exec", container(service), "node", "-p"],
      "[process.getuid(), process.getgid()].join()",
    ]);
    assert.is(stdout.trim(), "10001,10001");
  }
}

/** Every lock is there, and nobody else can take it. */
async function checkHeld(engine: Engine, service: Service): Promise<void> {
  for (const key of KEYS) {
    assert.is(await redis(engine, service, "SET", key, "you", "NX", "PX", "1000"), "(nil)", key);
    assert.is(await redis(engine, service, "GET", key), '"me"', key);
  }
}

/** Takes node 2 off the network, with groups that it leads, and brings it back. */
async function cutOff(engine: Engine): Promise<void> {
  // All is well as soon as every group has a leader; they return to preferred nodes one by one.
  await until("node 2 leads a group", async () => {
    const view = await status(engine, "node1");
    if (view === null) return "node 1 does not answer";
    const led = view.nodes.find(({ node }) => node === 2)?.leads ?? [];
    return led.length > 0 ? null : "not yet";
  });
  await engine.docker(["network", "disconnect", "paxlock_default", container("node2")]);

  await until("the others lead all groups", async () => {
    const view = await status(engine, "node1");
    if (view === null) return "node 1 does not answer";
    const [down] = view.nodes.filter(({ state }) => state === "down");
    if (down?.node !== 2) return "node 2 is not missed";
    return view.groups.every(({ leader }) => leader === 1 || leader === 3) ? null : "not yet";
  });
  await checkHeld(engine, "node1");
  await checkHeld(engine, "node3");
  // Alone it can neither give a lock away nor say who holds one.
  for (const command of [
    ["SET", KEYS[0] ?? "", "you", "NX", "PX", "1000"],
    ["GET", KEYS[0] ?? ""],
  ]) {
    assert.match(await redis(engine, "node2", ...command), /CLUSTERDOWN|TRYAGAIN|UNKNOWN/);
  }
  assert.is(
    await redis(engine, "node1", "SET", "taken-meanwhile", "me", "NX", "PX", "600000"),
    "OK",
  );

  const alias = ["--alias", "node2", "paxlock_default", container("node2")];
  await engine.docker(["network", "connect", ...alias]);
  await untilWell(engine);
  await checkHeld(engine, "node2");
  assert.is(await redis(engine, "node2", "GET", "taken-meanwhile"), '"me"');
}
