/**
 * The laboratory: a small data centre of network namespaces, in which nodes have addresses of their
 * own, cables can be cut in one direction, disks are of any size, and wall clocks can be moved.
 *
 * The whole test process lives in a network and a mount namespace of its own ({@link runInLab}), with
 * a bridge to which every node's namespace is plugged. So nothing here touches the machine's network
 * or mounts, two labs never meet, and when the last process of a lab has ended, however it ended,
 * the kernel has taken everything down. A plain user gets the rights from a user namespace.
 */
import { execFile, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { SpawnOptions } from "../support/managed-process.ts";
import { findProgram, type Program } from "../support/programs.ts";

const run = promisify(execFile);

/** Set for the process that lives in the lab. */
const INSIDE = "PAXLOCK_TEST_LAB";

/** Programs that the lab is built with. */
export const LAB_PROGRAMS: readonly Program[] = [
  "ip",
  "iptables",
  "faketime",
  "mount",
  "umount",
  "nsenter",
  "setpriv",
  "unshare",
];

/** Whether this process lives in a lab. */
export function inLab(): boolean {
  return process.env[INSIDE] !== undefined;
}

/** Runs a test file again inside a new lab; its exit code becomes this process's. */
export async function runInLab(file: string): Promise<void> {
  const asRoot = process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"];
  const node = [process.execPath, ...process.execArgv, fileURLToPath(file)];
  const dying = [path("setpriv"), "--pdeathsig", "KILL"];
  const args = [...asRoot, "--net", "--mount", ...dying, ...node];
  const child = spawn(path("unshare"), args, {
    stdio: "inherit",
    env: { ...process.env, [INSIDE]: "1" },
  });
  process.once("exit", () => child.kill("SIGKILL"));
  process.exitCode = await new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      resolve(code ?? 1);
    });
  });
}

/** What is done to packets on their way from one node to another. */
export type Cut =
  /** Nothing arrives. */
  | "all"
  /**
   * Bare acknowledgements arrive and nothing else: the other direction of each connection goes on
   * working, so that one node hears another that does not hear it.
   */
  | "messages";

/** Bytes of a packet without content: an acknowledgement has 52, the first of a connection 60. */
const BARE_PACKET_BYTES_MAX = 60;

export class Lab {
  readonly #mounts: string[] = [];
  readonly #plugged = new Set<number>();

  private constructor() {
    // Made by `create`.
  }

  /** Builds the bridge. */
  static async create(): Promise<Lab> {
    if (!inLab()) throw new Error("a lab is built by runInLab");
    const lab = new Lab();
    // Over the machine's own, in this mount namespace alone: names of namespaces and locks go there.
    await call("mount", "-t", "tmpfs", "-o", "mode=755", "lab", "/run");
    lab.#mounts.push("/run");
    mkdirSync("/run/netns");
    await call("ip", "link", "set", "lo", "up");
    await call("ip", "link", "add", "bridge", "type", "bridge");
    await call("ip", "address", "add", `${address(254)}/24`, "dev", "bridge");
    await call("ip", "link", "set", "bridge", "up");
    return lab;
  }

  /** Plugs in a namespace for node `id`, from 1; its address is {@link address}. */
  async plug(id: number): Promise<void> {
    const space = namespace(id);
    await call("ip", "netns", "add", space);
    const pair = ["type", "veth", "peer", "name", "eth0", "netns", space];
    await call("ip", "link", "add", `cable${id}`, ...pair);
    await call("ip", "link", "set", `cable${id}`, "master", "bridge", "up");
    await call("ip", "-n", space, "address", "add", `${address(id)}/24`, "dev", "eth0");
    await call("ip", "-n", space, "link", "set", "eth0", "up");
    await call("ip", "-n", space, "link", "set", "lo", "up");
    this.#plugged.add(id);
  }

  /** Unplugs a namespace, if it is plugged in; what still runs in it is cut off. */
  async unplug(id: number): Promise<void> {
    if (!this.#plugged.has(id)) return;
    // With the namespace alone the kernel would take the cable away some time later.
    await call("ip", "link", "delete", `cable${id}`);
    await call("ip", "netns", "delete", namespace(id));
    this.#plugged.delete(id);
  }

  /** The same command inside the namespace of a node, to die with this process. */
  inside(id: number, { command, args, env, cwd }: SpawnOptions): SpawnOptions {
    const wrapped = [`--net=/run/netns/${namespace(id)}`, path("setpriv"), "--pdeathsig", "KILL"];
    // The loader's variables are for the node, not for the programs that start it.
    const own = Object.entries(env ?? {}).filter(([name]) => name.startsWith("LD_"));
    const loader = own.map(([name, value]) => `${name}=${value ?? ""}`);
    const rest = Object.entries(env ?? {}).filter(([name]) => !name.startsWith("LD_"));
    return {
      command: path("nsenter"),
      args: [...wrapped, "--", "/usr/bin/env", ...loader, command, ...args],
      env: Object.fromEntries(rest),
      ...(cwd !== undefined && { cwd }),
    };
  }

  /** Cuts the way from one node to another; the way back is another cut. */
  async cut(from: number, to: number, cut: Cut): Promise<void> {
    await inNamespace(to, "iptables", "-w", "-A", "INPUT", ...rule(from, cut));
  }

  /** Takes back one {@link cut}. Returns how many packets it has dropped. */
  async mend(from: number, to: number, cut: Cut): Promise<number> {
    const listed = await inNamespace(to, "iptables", "-w", "-nvxL", "INPUT");
    await inNamespace(to, "iptables", "-w", "-D", "INPUT", ...rule(from, cut));
    const line = listed.split("\n").find((text) => text.includes(address(from))) ?? "";
    return Number(/^\s*(\d+)/.exec(line)?.[1] ?? 0);
  }

  /** Mounts a disk of a given size on an empty folder. */
  async mountDisk(directory: string, bytes: number): Promise<void> {
    await call("mount", "-t", "tmpfs", "-o", `size=${bytes}`, "disk", directory);
    this.#mounts.push(directory);
  }

  async unmountDisk(directory: string): Promise<void> {
    const index = this.#mounts.indexOf(directory);
    if (index < 0) return;
    this.#mounts.splice(index, 1);
    await call("umount", "--lazy", directory);
  }

  /** Takes everything down, for a next lab in the same process. */
  async destroy(): Promise<void> {
    for (const id of [...this.#plugged]) await this.unplug(id);
    for (const directory of this.#mounts.splice(0).reverse()) {
      await call("umount", "--lazy", directory);
    }
    await call("ip", "link", "delete", "bridge");
  }
}

/** The address of node `id` in the lab; 254 is the test process itself. */
export function address(id: number): string {
  return `10.77.0.${id}`;
}

function namespace(id: number): string {
  return `node${id}`;
}

function rule(from: number, cut: Cut): string[] {
  const long = ["-m", "length", "--length", `${BARE_PACKET_BYTES_MAX + 1}:65535`];
  return ["-s", address(from), ...(cut === "messages" ? long : []), "-j", "DROP"];
}

/**
 * The library that moves a program's wall clock, and nothing else of it: file times and the steady
 * clock stay real. The shift stands in a file, as in `+3600` seconds, read once a second.
 */
export function fakeClock(shiftFile: string): Record<string, string> {
  return {
    LD_PRELOAD: fakeClockLibrary(),
    FAKETIME_TIMESTAMP_FILE: shiftFile,
    FAKETIME_CACHE_DURATION: "1",
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
    NO_FAKE_STAT: "1",
  };
}

/** Debian keeps it in a folder of the machine's architecture. */
function fakeClockLibrary(): string {
  const root = join(dirname(dirname(path("faketime"))), "lib");
  for (const folder of readdirSync(root).sort()) {
    const library = join(root, folder, "faketime", "libfaketimeMT.so.1");
    if (existsSync(library)) return library;
  }
  throw new Error("libfaketimeMT.so.1 is not installed (apt-get install faketime)");
}

function path(program: Program): string {
  const found = findProgram(program);
  if (found === null) throw new Error(`${program} is not installed`);
  return found;
}

async function call(program: Program, ...args: readonly string[]): Promise<string> {
  const { stdout } = await run(path(program), args, { encoding: "utf8" });
  return stdout;
}

async function inNamespace(id: number, program: Program, ...args: readonly string[]) {
  return call("nsenter", `--net=/run/netns/${namespace(id)}`, path(program), ...args);
}
