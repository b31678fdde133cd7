/**
 * External programs that tests need, and the Debian package each comes from. A developer without one
 * sees the tests skipped with a hint; under `CI` a missing program is a failure.
 */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** Debian's package by program. */
const packages = {
  "redis-server": "redis-server",
  "redis-cli": "redis-tools",
  "redis-benchmark": "redis-tools",
  openssl: "openssl",
  script: "bsdutils",
  docker: "docker.io",
  "docker-compose": "docker-compose",
  dockerd: "docker.io",
  etcd: "etcd-server",
  faketime: "faketime",
  ip: "iproute2",
  iptables: "iptables",
  java: "default-jre-headless",
  mount: "mount",
  nsenter: "util-linux",
  setpriv: "util-linux",
  umount: "mount",
  unshare: "util-linux",
} as const;

export type Program = keyof typeof packages;

/** Where Debian keeps the network's tools; a plain user's `PATH` lacks it. */
const systemFolders = ["/usr/sbin", "/sbin"];

/** The absolute path of a program on `PATH` or among the system's own, or null. */
export function findProgram(program: Program): string | null {
  for (const directory of [...(process.env["PATH"] ?? "").split(delimiter), ...systemFolders]) {
    const path = join(directory, program);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this folder; the next may have it.
    }
  }
  return null;
}

/** A sentence for each program that is not installed. */
export function missingPrograms(needed: readonly Program[]): string[] {
  return needed
    .filter((program) => findProgram(program) === null)
    .map((program) => `${program} is not installed (apt-get install ${packages[program]})`);
}
