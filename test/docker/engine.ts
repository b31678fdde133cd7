/**
 * A Docker engine of the test's own, which leaves nothing behind: Debian's `dockerd` in namespaces of
 * its own for processes, mounts and the network, so that its bridges, firewall rules, mounts and
 * containers go with it, however it ends. Needs root. Its data is below one folder, its control
 * groups below one name.
 *
 * No image can be pulled where the tests run, so {@link Engine.importStandIn} makes one with Node
 * and a shell from files of this machine.
 */
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { ManagedProcess } from "../support/managed-process.ts";
import { findProgram } from "../support/programs.ts";

const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 60_000;
/** For any command of the engine, which copies whole file systems. */
const COMMAND_LIMIT_MS = 180_000;
const CGROUPS = "/sys/fs/cgroup";

/** What a command has printed. */
export interface Output {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Engine {
  readonly #daemon: ManagedProcess;
  readonly #folder: string;
  readonly #controlGroup: string;

  private constructor(daemon: ManagedProcess, folder: string, controlGroup: string) {
    this.#daemon = daemon;
    this.#folder = folder;
    this.#controlGroup = controlGroup;
  }

  /** Runs `body` with an engine whose data is below `folder`, which must have a short path. */
  static async with(folder: string, body: (engine: Engine) => Promise<void>): Promise<void> {
    const engine = Engine.#start(folder);
    try {
      await engine.#untilReady();
      await body(engine);
    } finally {
      await engine.#stop();
    }
  }

  static #start(folder: string): Engine {
    const controlGroup = `paxlock-test-${process.pid}`;
    const daemon = [
      "dockerd",
      ...["--data-root", join(folder, "data"), "--exec-root", join(folder, "exec")],
      ...["--pidfile", join(folder, "pid"), "--host", `unix://${join(folder, "socket")}`],
      // It needs nothing of the kernel and of the file system below.
      ...["--storage-driver", "vfs", "--cgroup-parent", `/${controlGroup}`],
    ];
    const namespaces = [
      "--net",
      "--mount",
      "--pid",
      "--fork",
      "--mount-proc",
      "--kill-child=SIGKILL",
    ];
    const inside = ["sh", "-c", 'ip link set lo up && exec "$@"', "sh", ...daemon];
    const path = `/usr/sbin:/sbin:${process.env["PATH"] ?? ""}`;
    const child = new ManagedProcess({
      command: "unshare",
      args: [...namespaces, ...inside],
      env: { ...process.env, PATH: path },
    });
    return new Engine(child, folder, controlGroup);
  }

  /** Runs `docker <args>`; anything but exit code 0 is an error, unless it is asked for. */
  async docker(
    args: readonly string[],
    { mayFail = false, limitMs = COMMAND_LIMIT_MS } = {},
  ): Promise<Output> {
    return this.#run(client(), args, { mayFail, limitMs });
  }

  /** Runs `docker-compose <args>` in a folder. */
  async compose(folder: string, args: readonly string[]): Promise<Output> {
    const file = ["--file", join(folder, "docker/compose.yaml"), "--project-name", "paxlock"];
    return this.#run("docker-compose", [...file, ...args], { limitMs: COMMAND_LIMIT_MS });
  }

  /** Runs a program of this machine as if inside a container's network. */
  async inNetworkOf(container: string, command: readonly string[]): Promise<Output> {
    const inspected = await this.docker(["inspect", "-f", "{{.State.Pid}}", container]);
    // The process id is that of the engine's namespace, so that is entered first.
    const engine = ["nsenter", "--target", String(this.#enginePid()), "--pid", "--mount"];
    const network = ["nsenter", "--target", inspected.stdout.trim(), "--net"];
    return this.#run(engine[0] ?? "", [...engine.slice(1), ...network, ...command]);
  }

  /** Makes an image with Node, a shell and what they need. */
  async importStandIn(name: string): Promise<void> {
    const root = join(this.#folder, "root");
    for (const folder of ["etc", "proc", "sys", "dev"])
      mkdirSync(join(root, folder), { recursive: true });
    mkdirSync(join(root, "tmp"), { mode: 0o777 });
    writeFileSync(join(root, "etc/passwd"), "root:x:0:0::/:/bin/sh\n");
    await this.#copyProgram(process.execPath, join(root, "usr/bin/node"));
    for (const program of ["sh", "mkdir", "chown", "chmod"]) {
      await this.#copyProgram(`/bin/${program}`, join(root, "bin", program));
    }
    const archive = join(this.#folder, "root.tar");
    await this.#run("tar", ["-C", root, "-cf", archive, "."]);
    await this.docker(["import", archive, name]);
  }

  async #copyProgram(program: string, target: string): Promise<void> {
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(program, target);
    const { stdout } = await this.#run("ldd", [program]);
    const root = join(this.#folder, "root");
    for (const [library] of stdout.matchAll(/\/\S+/g)) {
      if (existsSync(join(root, library))) continue;
      mkdirSync(join(root, dirname(library)), { recursive: true });
      cpSync(library, join(root, library), { dereference: true });
    }
  }

  async #untilReady(): Promise<void> {
    try {
      await this.#daemon.until(async () => {
        const { code } = await this.docker(["version"], { mayFail: true });
        return code === 0 ? true : null;
      }, START_LIMIT_MS);
    } catch (thrown) {
      const why = this.#daemon.stderr.trimEnd().split("\n").slice(-5).join("\n");
      throw new Error(`dockerd does not run on this machine (it needs root):\n${why}`, {
        cause: thrown,
      });
    }
  }

  /** The engine's own process, as this machine counts. */
  #enginePid(): number {
    const { pid } = this.#daemon;
    const [child] = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ");
    return Number(child);
  }

  async #stop(): Promise<void> {
    if (this.#daemon.exit === null) {
      const pid = this.#enginePid();
      if (pid > 1) process.kill(pid, "SIGTERM");
      await this.#daemon.waitForExit(STOP_LIMIT_MS);
    }
    for (const controller of ["", ...folders(CGROUPS)]) {
      removeFolders(join(CGROUPS, controller, this.#controlGroup));
    }
  }

  async #run(
    command: string,
    args: readonly string[],
    {
      mayFail = false,
      limitMs = COMMAND_LIMIT_MS,
    }: { readonly mayFail?: boolean; readonly limitMs?: number } = {},
  ): Promise<Output> {
    const child = new ManagedProcess({
      command,
      args,
      env: {
        ...process.env,
        // With it stages that nobody needs are not built.
        DOCKER_BUILDKIT: "1",
        DOCKER_HOST: `unix://${join(this.#folder, "socket")}`,
        DOCKER_CONFIG: join(this.#folder, "config"),
      },
    });
    const { code } = await child.waitForExit(limitMs);
    if (code !== 0 && !mayFail) throw new Error(child.describe());
    return { code, stdout: child.stdout, stderr: child.stderr };
  }
}

/** Debian's client, which has BuildKit built in; a newer one may lack its plug-in. */
function client(): string {
  const debian = "/usr/bin/docker";
  return existsSync(debian) ? debian : (findProgram("docker") ?? "docker");
}

function folders(path: string): string[] {
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
}

/** Control groups are removed as folders, the lowest first. */
function removeFolders(path: string): void {
  if (!existsSync(path)) return;
  for (const name of folders(path)) removeFolders(join(path, name));
  rmdirSync(path);
}
