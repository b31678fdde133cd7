/**
 * Mutual TLS between nodes: the files of the options, read, checked, and read again when changed.
 */
import { X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { createSecureContext } from "node:tls";

/** Paths of PEM files. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

export type LoadedTls =
  | { readonly ok: true; readonly tls: PeerTls }
  /** One line: what is wrong with the files, and what to do. */
  | { readonly ok: false; readonly message: string };

/** Reads and checks the files, for a start that must fail when they are wrong. */
export function loadPeerTls(files: TlsFiles): LoadedTls {
  const read = readFiles(files);
  return read.ok ? { ok: true, tls: new PeerTls(files, read) } : read;
}

/** What is presented, and whom it is checked by. */
export class PeerTls {
  readonly #files: TlsFiles;
  #read: ReadFiles;

  constructor(files: TlsFiles, read: ReadFiles) {
    this.#files = files;
    this.#read = read;
  }

  /**
   * What is to be used now, the same object until files change, for both directions. Changed files are read anew, so that
   * certificates can be renewed while the node runs; `warn` is told when the new ones are no good,
   * and the old ones stay.
   */
  current(warn: (line: string) => void): TlsMaterial {
    if (stampOf(this.#files) !== this.#read.stamp) {
      const read = readFiles(this.#files);
      if (read.ok) this.#read = read;
      else warn(`${read.message}; the certificate read before stays in use`);
    }
    return this.#read.material;
  }
}

/** The contents of the files, as Node's TLS takes them. */
export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
  readonly minVersion: "TLSv1.2";
}

interface ReadFiles {
  readonly ok: true;
  readonly material: TlsMaterial;
  /** Changes when a file does. */
  readonly stamp: string;
}

function readFiles(files: TlsFiles): ReadFiles | { readonly ok: false; readonly message: string } {
  const stamp = stampOf(files);
  const contents: Record<string, string> = {};
  for (const [name, path] of Object.entries(files) as [string, string][]) {
    try {
      contents[name] = readFileSync(path, "latin1");
    } catch (thrown) {
      return bad(`--peer-tls-${name} ${path} cannot be read (${messageOf(thrown)})`);
    }
  }
  const { cert = "", key = "", ca = "" } = contents;
  for (const [name, content] of [
    ["cert", cert],
    ["ca", ca],
  ] as const) {
    try {
      new X509Certificate(content);
    } catch {
      return bad(`--peer-tls-${name} ${files[name]} holds no PEM certificate; give one that does`);
    }
  }
  try {
    const material: TlsMaterial = { cert, key, ca, minVersion: "TLSv1.2" };
    createSecureContext(material);
    return { ok: true, material, stamp };
  } catch (thrown) {
    return bad(
      `--peer-tls-key ${files.key} is no PEM private key without a passphrase that fits --peer-tls-cert ${files.cert} (${messageOf(thrown)}); give the key of that certificate`,
    );
  }
}

/** Sizes and times of change of the files; one that is missing has none. */
function stampOf(files: TlsFiles): string {
  return Object.values(files)
    .map((path: string) => {
      const found = statSync(path, { throwIfNoEntry: false });
      return found === undefined ? "-" : `${found.mtimeMs} ${found.size} ${found.ino}`;
    })
    .join(",");
}

function bad(message: string): { readonly ok: false; readonly message: string } {
  return { ok: false, message };
}

function messageOf(thrown: unknown): string {
  if (typeof thrown !== "object" || thrown === null) return String(thrown);
  if ("code" in thrown && typeof thrown.code === "string") return thrown.code;
  return thrown instanceof Error ? thrown.message : "unknown error";
}
