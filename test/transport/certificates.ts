/** Certificates for tests, made by openssl: an authority, and nodes that it has signed. */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { TlsFiles } from "../../src/transport/tls.ts";

const run = promisify(execFile);

/** An authority in a folder of its own. */
export class Authority {
  readonly #folder: string;
  readonly #name: string;

  private constructor(folder: string, name: string) {
    this.#folder = folder;
    this.#name = name;
  }

  static async create(folder: string, name: string): Promise<Authority> {
    const authority = new Authority(folder, name);
    await authority.#openssl(
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
      ...["-keyout", `${name}-ca.key`, "-out", `${name}-ca.pem`, "-subj", `/CN=${name}`],
      ...["-days", "2"],
    );
    return authority;
  }

  /** Signs a certificate for a host. `valid`: openssl's times from and to, to make an expired one. */
  async sign(
    node: string,
    { names = "IP:127.0.0.1", days = 2 }: { readonly names?: string; readonly days?: number } = {},
  ): Promise<TlsFiles> {
    const stem = `${this.#name}-${node}`;
    await this.#openssl(
      ...["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
      ...["-keyout", `${stem}.key`, "-out", `${stem}.csr`, "-subj", `/CN=${node}`],
    );
    await writeFile(join(this.#folder, `${stem}.ext`), `subjectAltName=${names}\n`);
    await this.#openssl(
      ...["x509", "-req", "-in", `${stem}.csr`, "-out", `${stem}.pem`, "-CAcreateserial"],
      ...["-CA", `${this.#name}-ca.pem`, "-CAkey", `${this.#name}-ca.key`],
      ...["-extfile", `${stem}.ext`, "-days", String(days)],
    );
    return {
      cert: join(this.#folder, `${stem}.pem`),
      key: join(this.#folder, `${stem}.key`),
      ca: join(this.#folder, `${this.#name}-ca.pem`),
    };
  }

  async #openssl(...args: string[]): Promise<void> {
    await run("openssl", args, { cwd: this.#folder });
  }
}
