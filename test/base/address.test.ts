/** Addresses of nodes: what is read, what is refused and why, and the canonical text. */
import * as fc from "fast-check";
import { isIP } from "node:net";
import * as assert from "uvu/assert";
import {
  formatEndpoint,
  formatPeers,
  isIpv4,
  isIpv6,
  parseEndpoint,
} from "../../src/base/address.ts";
import { suite } from "../support/suite.ts";

suite("base/address", (test) => {
  test("a host name, an IPv4 address and a bracketed IPv6 address may stand before the port", () => {
    const cases: [string, string, number][] = [
      ["localhost:7379", "localhost", 7379],
      ["Node-1.Example:1", "node-1.example", 1],
      ["10.0.0.7:65535", "10.0.0.7", 65535],
      ["[::1]:7379", "::1", 7379],
      ["[FE80::1%eth0]:7379", "fe80::1%eth0", 7379],
    ];
    for (const [text, host, port] of cases) {
      assert.equal(parseEndpoint(text), { ok: true, endpoint: { host, port } }, text);
    }
  });

  test("what is wrong is said in words that continue the text", () => {
    const cases: [string, string][] = [
      ["", "has no port; write host:port"],
      ["host", "has no port; write host:port"],
      ["host:", "has no port; write host:port"],
      ["[::1]", "has no port; write host:port"],
      [":7379", "has no host; write host:port"],
      ["host:0", "has a port that is not from 1 to 65535"],
      ["host:65536", "has a port that is not from 1 to 65535"],
      ["host:07", "has a port that is not from 1 to 65535"],
      ["host:7a", "has a port that is not from 1 to 65535"],
      ["::1", "has an IPv6 address without brackets; write [address]:port"],
      ["fe80::1:7379", "has an IPv6 address without brackets; write [address]:port"],
      ["a:b:1", "is not host:port"],
      ["[::1]7379", "is not [address]:port"],
      ["[host]:1", "has brackets around no IPv6 address"],
      ["10.0.0.256:1", "has a host that is neither an IP address nor a host name"],
      ["-a:1", "has a host that is neither an IP address nor a host name"],
      ["a b:1", "has a host that is neither an IP address nor a host name"],
    ];
    for (const [text, problem] of cases) {
      assert.equal(parseEndpoint(text), { ok: false, problem }, text);
    }
  });

  test("IP addresses are told as Node tells them", () => {
    const part = fc.oneof(
      fc.constantFrom(
        "",
        ":",
        "::",
        "1",
        "ffff",
        "0db8",
        "12345",
        "g",
        "1.2.3.4",
        "256",
        ".",
        "01",
      ),
      fc.ipV6(),
      fc.ipV4(),
    );
    fc.assert(
      fc.property(
        fc.array(part, { maxLength: 9 }),
        fc.constantFrom("", ":", "."),
        (parts, glue) => {
          const text = parts.join(glue);
          assert.is(isIpv4(text), isIP(text) === 4, text);
          assert.is(isIpv6(text), isIP(text) === 6, text);
        },
      ),
      { numRuns: 3000 },
    );
  });

  test("the canonical text of an address is read as the same address", () => {
    for (const text of ["a.b:1", "[2001:db8::7]:99", "127.0.0.1:7379"]) {
      const parsed = parseEndpoint(text);
      assert.ok(parsed.ok && formatEndpoint(parsed.endpoint) === text, text);
    }
  });

  test("peers are written in the order of their ids", () => {
    const peers = [
      { id: 10, address: "c:1" },
      { id: 2, address: "b:1" },
    ];

    assert.is(formatPeers(peers), "2=b:1,10=c:1");
    assert.is(formatPeers([]), "");
  });
});
