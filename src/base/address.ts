/**
 * Addresses of nodes as people write them: `host:port`, where an IPv6 host stands in brackets.
 *
 * Options, PAXOS.ADDNODE and the transport share this one reading, and what they keep is the
 * canonical text, so that two ways of writing one address are equal.
 */
import type { PeerAddress } from "./ports.ts";

/** What an address says. */
export interface Endpoint {
  /** An IP address without brackets, or a host name; lower case. */
  readonly host: string;
  readonly port: number;
}

export type ParsedEndpoint =
  | { readonly ok: true; readonly endpoint: Endpoint }
  /** The end of a sentence that begins with the text. */
  | { readonly ok: false; readonly problem: string };

/** Letters of a host name, as the DNS has it. */
const HOST_NAME_LENGTH_MAX = 253;

const PORT_MAX = 65_535;

/** Reads `host:port`, checks both, and makes them canonical. The port is 1 to 65535. */
export function parseEndpoint(text: string): ParsedEndpoint {
  const bracketed = /^\[([^\]]*)\](.*)$/.exec(text);
  const colon = text.lastIndexOf(":");
  if (bracketed === null && colon !== text.indexOf(":")) {
    return bad(
      isIpv6(text) || isIpv6(text.slice(0, colon))
        ? "has an IPv6 address without brackets; write [address]:port"
        : "is not host:port",
    );
  }
  const host = (bracketed?.[1] ?? (colon < 0 ? text : text.slice(0, colon))).toLowerCase();
  const tail = bracketed?.[2] ?? (colon < 0 ? "" : text.slice(colon));
  if (tail === "" || tail === ":") return bad("has no port; write host:port");
  if (!tail.startsWith(":")) return bad("is not [address]:port");
  if (host === "") return bad("has no host; write host:port");
  if (bracketed !== null && !isIpv6(host)) return bad("has brackets around no IPv6 address");
  if (bracketed === null && !isIpv4(host) && !isHostName(host)) {
    return bad("has a host that is neither an IP address nor a host name");
  }
  const digits = tail.slice(1);
  const port = /^[1-9][0-9]{0,4}$/.test(digits) ? Number(digits) : 0;
  if (port < 1 || port > PORT_MAX) return bad(`has a port that is not from 1 to ${PORT_MAX}`);
  return { ok: true, endpoint: { host, port } };
}

/** The canonical text: what {@link parseEndpoint} reads as the same. */
export function formatEndpoint({ host, port }: Endpoint): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Peers as the option has them, `1=host:port,2=host:port`, in the order of their ids. */
export function formatPeers(peers: readonly PeerAddress[]): string {
  return peers
    .slice()
    .sort((one, other) => one.id - other.id)
    .map(({ id, address }) => `${id}=${address}`)
    .join(",");
}

/** Four decimal numbers up to 255, without leading zeros. */
export function isIpv4(text: string): boolean {
  const parts = text.split(".");
  return (
    parts.length === 4 &&
    parts.every((part) => /^(0|[1-9][0-9]{0,2})$/.test(part) && Number(part) <= 255)
  );
}

/** Eight groups of hexadecimal digits, one run of zeros left out, perhaps an IPv4 tail or a zone. */
export function isIpv6(text: string): boolean {
  const [address = "", zone, ...more] = text.split("%");
  if (more.length > 0 || (zone !== undefined && !/^[A-Za-z0-9._-]{1,15}$/.test(zone))) return false;
  const halves = address.split("::");
  if (halves.length > 2) return false;
  let groups = 0;
  for (const [index, half] of halves.entries()) {
    if (half === "") continue;
    const parts = half.split(":");
    const last = parts[parts.length - 1] ?? "";
    // Only the very end may be written as an IPv4 address, which stands for two groups.
    if (last.includes(".")) {
      if (index !== halves.length - 1 || !isIpv4(last)) return false;
      parts.pop();
      groups += 2;
    }
    if (!parts.every((part) => /^[0-9A-Fa-f]{1,4}$/.test(part))) return false;
    groups += parts.length;
  }
  return halves.length === 2 ? groups <= 7 : groups === 8;
}

/** A name as in the DNS; all digits and dots would be a mistyped IP address. */
export function isHostName(text: string): boolean {
  return (
    text.length <= HOST_NAME_LENGTH_MAX &&
    !/^[0-9.]+$/.test(text) &&
    /^[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?)*\.?$/.test(
      text,
    )
  );
}

function bad(problem: string): ParsedEndpoint {
  return { ok: false, problem };
}
