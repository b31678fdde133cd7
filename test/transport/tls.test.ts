/** Mutual TLS between nodes, with certificates of the system's openssl. */
import { copyFile, readFile, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as assert from "uvu/assert";
import type { TlsFiles } from "../../src/transport/tls.ts";
import { loadPeerTls, type PeerTls } from "../../src/transport/tls.ts";
import { suite } from "../support/suite.ts";
import { withTemporaryDirectory } from "../support/temporary-directory.ts";
import { Authority } from "./certificates.ts";
import type { TestNode } from "./support.ts";
import { allLinked, eventually, linkAll, pause, withNodes } from "./support.ts";

suite(
  "transport/tls",
  (test) => {
    test("nodes with certificates of one authority are linked, and large bodies arrive", async () => {
      await withAuthority(async (authority) => {
        const tls = load(await authority.sign("both"));
        await withNodes(
          [
            { id: 1, tls },
            { id: 2, tls },
          ],
          async (nodes) => {
            await linkAll(nodes);
            const [one, two] = nodes as [TestNode, TestNode];
            one.say(2, "over TLS");
            assert.ok(two.transport.send(1, new Uint8Array(3_000_000).fill(5)));
            await eventually(() => two.bodies.length === 1 && one.bodies.length === 1, "arrived");

            assert.equal(two.events, ["connected 1", "received 1 over TLS"]);
            assert.is(one.bodies[0]?.length, 3_000_000);
          },
        );
      });
    });

    test("a lost TLS link is made again", async () => {
      await withAuthority(async (authority) => {
        const tls = load(await authority.sign("both"));
        await withNodes(
          [
            { id: 1, tls },
            { id: 2, tls },
          ],
          async (nodes) => {
            await linkAll(nodes);
            const [one, two] = nodes as [TestNode, TestNode];
            two.transport.setPeers([]);
            two.transport.setPeers([one.address]);
            await eventually(() => two.events.length === 3 && allLinked(nodes), "linked again");
          },
        );
      });
    });

    test("certificates of two authorities keep nodes apart, and both say so", async () => {
      await withTwoNodes(
        async (authority, other) => {
          return [await authority.sign("one"), await other.sign("two")];
        },
        ([one, two]) => {
          assert.match(
            one.lines.join("\n"),
            /^node 2 at \S+ has a certificate that no authority in --peer-tls-ca has signed \([A-Z_]+\); have it signed by one, or add its authority$/m,
          );
          assert.match(two.lines.join("\n"), /^node 1 at \S+ has a certificate that no authority/m);
        },
      );
    });

    test("a caller whose certificate the other side does not know is told so", async () => {
      await withTwoNodes(
        async (authority, other) => {
          const files = await authority.sign("one");
          const strange = await other.sign("two");
          // Node 2 trusts node 1, but not the other way round.
          return [files, { ...strange, ca: files.ca }];
        },
        ([one, two]) => {
          assert.match(
            two.lines.join("\n"),
            /^node 1 at \S+ refuses this node: node 1 does not accept the caller's certificate \([A-Z_]+\); have it signed by an authority in --peer-tls-ca there$/m,
          );
          assert.match(
            one.lines.join("\n"),
            /^refused a connection from 127.0.0.1: node 1 does not accept/m,
          );
        },
      );
    });

    test("a certificate for another host is refused by who calls", async () => {
      await withTwoNodes(
        async (authority) => {
          return [await authority.sign("one"), await authority.sign("two", { names: "DNS:other" })];
        },
        ([one]) => {
          assert.match(
            one.lines.join("\n"),
            /^node 2 at \S+ has a certificate that is not for 127.0.0.1; make one that names it \(subjectAltName\)$/m,
          );
        },
      );
    });

    test("an expired certificate is refused by who calls", async () => {
      await withTwoNodes(
        async (authority) => {
          return [await authority.sign("one"), await authority.sign("two", { days: -1 })];
        },
        ([one]) => {
          assert.match(
            one.lines.join("\n"),
            /^node 2 at \S+ has a certificate that is not valid now \(CERT_HAS_EXPIRED\); renew it, or set the clock$/m,
          );
        },
      );
    });

    test("one node with TLS and one without refuse one another, and both say what to do", async () => {
      await withTwoNodes(
        async (authority) => [await authority.sign("one"), null],
        ([one, two]) => {
          const both =
            "give all nodes --peer-tls-cert, --peer-tls-key and --peer-tls-ca, or none of them";
          const oneSays = one.lines.join("\n");
          const twoSays = two.lines.join("\n");
          assert.match(
            oneSays,
            new RegExp(`^node 2 at \\S+ does not speak TLS \\(\\S+\\); ${both}$`, "m"),
          );
          assert.match(
            oneSays,
            new RegExp(
              `^refused a connection from 127.0.0.1: node 1 speaks only TLS .*; ${both}$`,
              "m",
            ),
          );
          assert.match(
            twoSays,
            new RegExp(
              `^node 1 at \\S+ refuses this node: node 1 speaks only TLS .*; ${both}$`,
              "m",
            ),
          );
          assert.match(
            twoSays,
            new RegExp(
              `^refused a connection from 127.0.0.1: the caller speaks TLS .*; ${both}$`,
              "m",
            ),
          );
        },
      );
    });

    test("a certificate that was renewed is used from the next connection on", async () => {
      await withAuthority(async (authority, folder) => {
        const expired = await authority.sign("expired", { days: -1 });
        const files = { ...expired, cert: join(folder, "cert.pem"), key: join(folder, "key.pem") };
        await copyFile(expired.cert, files.cert);
        await copyFile(expired.key, files.key);
        const good = await authority.sign("good");
        const [first, second] = [load(good), load(files)];
        await withNodes(
          [
            { id: 1, tls: first },
            { id: 2, tls: second },
          ],
          async (nodes) => {
            const [one, two] = nodes as [TestNode, TestNode];
            one.start([two.address]);
            two.start([one.address]);
            await eventually(() => one.lines.length > 0, "refused");
            await copyFile(good.cert, files.cert);
            await copyFile(good.key, files.key);
            await utimes(files.cert, 1, 1);
            await eventually(() => allLinked(nodes), "linked");
          },
        );
      });
    });

    test("files that are not what they should be are refused with what to do", async () => {
      await withAuthority(async (authority, folder) => {
        const files = await authority.sign("one");
        const other = await authority.sign("two");
        const garbage = join(folder, "garbage");
        await writeFile(garbage, "no certificate");
        const cases: [TlsFiles, RegExp][] = [
          [{ ...files, cert: "/none" }, /^--peer-tls-cert \/none cannot be read \(ENOENT\)$/],
          [{ ...files, cert: garbage }, /^--peer-tls-cert \S+ holds no PEM certificate; give one/],
          [{ ...files, ca: garbage }, /^--peer-tls-ca \S+ holds no PEM certificate; give one/],
          [{ ...files, key: other.key }, /^--peer-tls-key \S+ is no PEM private key .* that fits/],
          [{ ...files, key: garbage }, /^--peer-tls-key \S+ is no PEM private key/],
        ];
        for (const [wrong, message] of cases) {
          const loaded = loadPeerTls(wrong);
          assert.match(loaded.ok ? "no complaint" : loaded.message, message);
        }
      });
    });

    test("a renewal that is no good leaves the old certificate in use, with a line", async () => {
      await withAuthority(async (authority) => {
        const files = await authority.sign("one");
        const tls = load(files);
        const before = tls.current(() => undefined);
        assert.is(
          tls.current(() => undefined),
          before,
        );
        await writeFile(files.cert, "half a fi");
        const lines: string[] = [];

        assert.is(
          tls.current((line) => void lines.push(line)),
          before,
        );
        assert.match(lines.join(), /holds no PEM certificate.*; the certificate read before stays/);
        assert.is(await readFile(files.cert, "utf8"), "half a fi");
      });
    });
  },
  { needs: "openssl", timeoutMs: 20_000 },
);

function load(files: TlsFiles): PeerTls {
  const loaded = loadPeerTls(files);
  if (!loaded.ok) throw new Error(loaded.message);
  return loaded.tls;
}

function withAuthority(
  body: (authority: Authority, folder: string) => Promise<void>,
): Promise<void> {
  return withTemporaryDirectory(async (folder) => {
    await body(await Authority.create(folder, "ours"), folder);
  });
}

/** Two nodes that must not come together; `judge` sees what they logged. */
function withTwoNodes(
  files: (ours: Authority, theirs: Authority) => Promise<[TlsFiles | null, TlsFiles | null]>,
  judge: (nodes: [TestNode, TestNode]) => void,
): Promise<void> {
  return withTemporaryDirectory(async (folder) => {
    const ours = await Authority.create(folder, "ours");
    const [first, second] = await files(ours, await Authority.create(folder, "theirs"));
    const [one, two] = [first, second].map((each) => (each === null ? null : load(each)));
    await withNodes(
      [
        { id: 1, tls: one ?? null },
        { id: 2, tls: two ?? null },
      ],
      async (nodes) => {
        const [left, right] = nodes as [TestNode, TestNode];
        left.start([right.address]);
        right.start([left.address]);
        await pause(250);

        judge([left, right]);
        assert.equal([...left.events, ...right.events], []);
        assert.ok(left.lines.length <= 4, left.lines.join("\n"));
      },
    );
  });
}
