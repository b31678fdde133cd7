/** What a person is told when the node is ready. */

export interface Ready {
  readonly address: string;
  readonly port: number;
  readonly directory: string;
  readonly version: string;
  readonly groups: number;
  /** Whether clients need a password. */
  readonly password: boolean;
}

/** Addresses that redis-cli reaches without being told. */
const DEFAULT_HOSTS: readonly string[] = ["127.0.0.1", "0.0.0.0", "localhost", "*", "::"];

/** A redis-cli line that takes a lock on the node. */
export function tryLine({ address, port, password }: Ready): string {
  const host = DEFAULT_HOSTS.includes(address) ? "" : ` -h ${address}`;
  return `redis-cli${host} -p ${port}${password ? " --askpass" : ""} SET my-lock me NX PX 30000`;
}

/** Address and port as one word; an IPv6 address stands in brackets. */
export function showAddress({ address, port }: Pick<Ready, "address" | "port">): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** The text that greets a person on a terminal. */
export function readyText(ready: Ready): string {
  return [
    "",
    `Paxlock ${ready.version} is ready.`,
    "",
    `  address      ${showAddress(ready)}`,
    `  data folder  ${ready.directory}`,
    `  groups       ${ready.groups}`,
    `  try          ${tryLine(ready)}`,
    "",
    "",
  ].join("\n");
}
