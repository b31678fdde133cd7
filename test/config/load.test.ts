/** From command line, environment and file to a configuration, or to one line of complaint. */
import * as fc from "fast-check";
import * as assert from "uvu/assert";
import type { Configuration } from "../../src/config/configuration.ts";
import type { LoadInput } from "../../src/config/load.ts";
import { loadConfiguration } from "../../src/config/load.ts";
import { suite } from "../support/suite.ts";

type Case = Partial<Pick<LoadInput, "argv" | "env">> & {
  /** Contents by absolute path; a string is an error code instead. */
  readonly files?: Readonly<Record<string, Uint8Array | string>>;
};

suite("config/load", (test) => {
  test("without any input the defaults stand, on loopback and in ./paxlock-data", () => {
    const configuration = load({});

    assert.is(configuration.port, 6379);
    assert.equal(configuration.bind, ["127.0.0.1"]);
    assert.is(configuration.directory, "/srv/paxlock-data");
    assert.is(configuration.groups, 8);
    assert.is(configuration.password, "");
    assert.is(configuration.protectedMode, true);
    assert.is(configuration.configFile, "");
    assert.is(configuration.given.size, 0);
    assert.ok(Object.isFrozen(configuration));
  });

  test("a flag beats a variable, a variable beats the file, the file beats the default", () => {
    const files = { "/srv/paxlock.conf": text("port 3\ngroups 3\nnode-id 3\n") };
    const env = { PAXLOCK_CONFIG: "paxlock.conf", PAXLOCK_PORT: "2", PAXLOCK_GROUPS: "2" };
    const configuration = load({ argv: ["--port", "1"], env, files });

    assert.is(configuration.port, 1);
    assert.is(configuration.groups, 2);
    assert.is(configuration.nodeId, 3);
    assert.is(configuration.maxClients, 10_000);
    assert.is(configuration.configFile, "/srv/paxlock.conf");
    assert.equal([...configuration.given].sort(), ["config", "groups", "node-id", "port"]);
  });

  test("--config beats PAXLOCK_CONFIG", () => {
    const files = { "/a": text("port 1"), "/b": text("port 2") };
    const argv = ["--config", "/b"];

    assert.is(load({ argv, env: { PAXLOCK_CONFIG: "/a" }, files }).port, 2);
  });

  test("a flag may be written with a space or with =, and the last of several counts", () => {
    assert.is(load({ argv: ["--port=7000"] }).port, 7000);
    assert.is(load({ argv: ["--port", "1", "--port", "2"] }).port, 2);
    assert.is(load({ argv: ["--slowlog-log-slower-than", "-1"] }).slowlogMicroseconds, -1);
  });

  test("addresses of several --bind add up, and one may hold several", () => {
    assert.equal(load({ argv: ["--bind", "::1", "--bind", "127.0.0.1"] }).bind, [
      "::1",
      "127.0.0.1",
    ]);
    assert.equal(load({ env: { PAXLOCK_BIND: "::1,127.0.0.1" } }).bind, ["::1", "127.0.0.1"]);
    const files = { "/srv/c": text("bind ::1 127.0.0.1") };
    assert.equal(load({ argv: ["--config", "c"], files }).bind, ["::1", "127.0.0.1"]);
  });

  test("variables that are not Paxlock's are not looked at", () => {
    assert.is(load({ env: { PORT: "x", PAXLOCKPORT: "y", PAX: "z" } }).port, 6379);
  });

  test("variables that Kubernetes makes for a service named paxlock are no options", () => {
    const env = {
      PAXLOCK_PORT: "tcp://10.0.0.7:6379",
      PAXLOCK_PORT_6379_TCP: "tcp://10.0.0.7:6379",
      PAXLOCK_PORT_6379_TCP_ADDR: "10.0.0.7",
      PAXLOCK_PORT_6379_TCP_PORT: "6379",
      PAXLOCK_PORT_6379_TCP_PROTO: "tcp",
      PAXLOCK_SERVICE_HOST: "10.0.0.7",
      PAXLOCK_SERVICE_PORT: "6379",
      PAXLOCK_SERVICE_PORT_CLIENTS: "6379",
      PAXLOCK_CLIENTS_SERVICE_HOST: "10.0.0.8",
      PAXLOCK_CLIENTS_PORT: "tcp://10.0.0.8:6379",
    };

    assert.is(load({ env }).port, 6379);
    assert.is(load({ env }).given.size, 0);
  });

  test("a password is bytes: UTF-8 of an argument, any byte of a file, without its line end", () => {
    assert.is(load({ argv: ["--requirepass", "p\u00e4ss"] }).password, "p\xc3\xa4ss");
    const argv = ["--requirepass-file", "secret"];
    const file = (bytes: Uint8Array | string) => load({ argv, files: { "/srv/secret": bytes } });
    assert.is(file(Uint8Array.of(0x61, 0xff, 0x20, 0x0d, 0x0a)).password, "a\xff ");
    assert.is(file(text("one\n\n")).password, "one\n");
    const files = { "/srv/c": text('requirepass "\\xff b"') };
    assert.is(load({ argv: ["--config", "c"], files }).password, "\xff b");
  });

  test("what is wrong ends in one line that names place, value and remedy", () => {
    const cases: [Case, string][] = [
      [
        { argv: ["--prot", "1"] },
        'unknown option --prot (did you mean --port?); see "paxlock help serve"',
      ],
      [{ argv: ["--appendonly", "yes"] }, 'unknown option --appendonly; see "paxlock help serve"'],
      [{ argv: ["-p", "1"] }, 'unknown option -p; see "paxlock help serve"'],
      [{ argv: ["--port"] }, "--port needs a value: --port <port>"],
      [{ argv: ["--dir", "--port", "1"] }, "--dir needs a value: --dir <folder>"],
      [
        { argv: ["redis.conf"] },
        'unexpected argument "redis.conf": options are written --name value; see "paxlock help serve"',
      ],
      [
        { argv: ["--port", "70000"] },
        '--port: "70000" is out of bounds; give a whole number from 0 to 65535',
      ],
      [
        { env: { PAXLOCK_PORT: "" } },
        'PAXLOCK_PORT: "" is not a whole number; give a whole number from 0 to 65535',
      ],
      [
        { env: { PAXLOCK_GROUP: "3" } },
        'unknown environment variable PAXLOCK_GROUP (did you mean PAXLOCK_GROUPS?); see "paxlock help serve"',
      ],
      [
        { argv: ["--port", "1"], env: { PAXLOCK_PORT: "x" } },
        'PAXLOCK_PORT: "x" is not a whole number; give a whole number from 0 to 65535',
      ],
      [{ argv: ["--config", "c"] }, "the configuration file c does not exist"],
      [
        { argv: ["--config", "c"], files: { "/srv/c": "EACCES" } },
        "the configuration file c may not be read by this user",
      ],
      [
        { argv: ["--config", "c"], files: { "/srv/c": "EISDIR" } },
        "the configuration file c is a folder, not a file",
      ],
      [
        withFile("\nprot 7000"),
        'unknown option in line 2 of c: prot (did you mean port?); see "paxlock help serve"',
      ],
      [withFile("config other"), 'unknown option in line 1 of c: config; see "paxlock help serve"'],
      [withFile("port"), 'line 1 of c gives port no value; an empty one is written ""'],
      [
        withFile("port 1 # one"),
        "line 1 of c gives port several values; one with spaces stands in quotes, and a comment on its own line",
      ],
      [withFile("port 1\n\nport 1"), "line 3 of c sets port again; line 1 did so already"],
      [withFile('dir "x'), "line 1 of c has a quote that is not closed, or text right after one"],
      [
        withFile("maxclients 0"),
        'maxclients in line 1 of c: "0" is out of bounds; give a whole number from 1 to 1000000',
      ],
      [
        { argv: ["--requirepass", "a", "--requirepass-file", "b"] },
        "the password is given twice, by --requirepass and by --requirepass-file; take one away",
      ],
      [{ argv: ["--requirepass-file", "b"] }, "the password file b does not exist"],
      [
        { argv: ["--requirepass-file", "b"], files: { "/srv/b": text("\n") } },
        "the password file b is empty",
      ],
      [
        { argv: ["--requirepass-file", "b"], files: { "/srv/b": text("x".repeat(600)) } },
        "the password in b is longer than 512 bytes",
      ],
      [
        { argv: ["--output-buffer-limit", "1mb"] },
        "output-buffer-soft-limit (64mb) is above output-buffer-limit (1mb) and would never count; lower the one or raise the other",
      ],
      [
        { argv: ["--pubsub-output-buffer-soft-limit", "33mb"] },
        "pubsub-output-buffer-soft-limit (33mb) is above pubsub-output-buffer-limit (32mb) and would never count; lower the one or raise the other",
      ],
    ];
    for (const [input, message] of cases) assert.is(complaint(input), message);
  });

  test("peers are kept by id with canonical addresses, and the node listens at its own", () => {
    const configuration = load({
      argv: ["--node-id", "2", "--peers", "3=C.example:3,1=[::1]:1", "--peers", "2=10.0.0.2:2"],
    });

    assert.equal(configuration.peers, [
      { id: 1, address: "[::1]:1" },
      { id: 2, address: "10.0.0.2:2" },
      { id: 3, address: "c.example:3" },
    ]);
    assert.equal(configuration.peerBind, { host: "10.0.0.2", port: 2 });
    assert.is(configuration.clusterId, "paxlock");
    assert.is(configuration.join, false);
    assert.is(configuration.peerTls, null);
  });

  test("peers may stand in the file, and in the environment", () => {
    const files = { "/srv/c": text("node-id 1\npeers 1=a:1 2=b:2\njoin yes\npeer-bind *:9") };
    const configuration = load({ argv: ["--config", "c"], files });

    assert.is(configuration.peers.length, 2);
    assert.is(configuration.join, true);
    assert.equal(configuration.peerBind, { host: "*", port: 9 });
    assert.is(load({ env: { PAXLOCK_PEERS: "1=a:1", PAXLOCK_NODE_ID: "1" } }).peers.length, 1);
  });

  test("a cluster id that is given stands; a node on its own has none by default", () => {
    const argv = ["--node-id", "1", "--peers", "1=a:1,2=b:2", "--cluster-id", "blue"];

    assert.is(load({ argv }).clusterId, "blue");
    assert.is(load({}).clusterId, "");
    assert.is(load({}).peerBind, null);
  });

  test("the three files of TLS between nodes are absolute paths", () => {
    const argv = [...PEERS, "--peer-tls-cert", "c", "--peer-tls-key", "/k", "--peer-tls-ca", "a"];

    assert.equal(load({ argv }).peerTls, { cert: "/srv/c", key: "/k", ca: "/srv/a" });
  });

  test("a tick is half a heartbeat, and election timeouts are whole ticks, rounded up", () => {
    const argv = ["--heartbeat-interval", "60", "--election-timeout", "1s", "--leader-lease", "1s"];
    const { tickMs, heartbeatTicks, electionTicksMin, electionTicksMax } = load({ argv });

    assert.equal({ tickMs, heartbeatTicks }, { tickMs: 30, heartbeatTicks: 2 });
    assert.equal(
      { electionTicksMin, electionTicksMax },
      { electionTicksMin: 34, electionTicksMax: 56 },
    );
  });

  test("by default a tick is 50 ms, an election waits 12 to 20 of them, a lease lasts 600 ms", () => {
    const configuration = load({});

    assert.is(configuration.tickMs, 50);
    assert.is(configuration.electionTicksMin, 12);
    assert.is(configuration.electionTicksMax, 20);
    assert.is(configuration.leaderLeaseMs, 600);
    assert.is(configuration.requestTimeoutMs, 5_000);
    assert.is(configuration.sessionGraceMs, 1_000);
    assert.is(configuration.sessionTimeoutMs, 5_000);
  });

  test("options of a cluster that do not go together end in one line", () => {
    const peers = "1=a:1,2=b:2";
    const cases: [readonly string[], string][] = [
      [
        ["--peers", peers],
        "peers needs node-id, which says which of them this node is: --node-id <number>",
      ],
      [
        ["--peers", peers, "--node-id", "3"],
        "node-id is 3, but peers (1=a:1,2=b:2) has no node 3; add it, or correct node-id",
      ],
      [
        ["--peers", "1=a:1,1=b:2"],
        '--peers: "1=a:1,1=b:2" names node 1 twice; every node has a number of its own',
      ],
      [["--peers", "1=a:1,2=A:1"], '--peers: "1=a:1,2=A:1" gives nodes 1 and 2 one address, a:1'],
      [
        ["--peers", "a:1"],
        '--peers: "a:1" holds "a:1" without a node\'s number; write it as 1=host:port',
      ],
      [
        ["--peers", "256=a:1"],
        '--peers: "256=a:1" holds "256=a:1", whose node number is not a whole number from 1 to 255',
      ],
      [
        ["--peers", "0=a:1"],
        '--peers: "0=a:1" holds "0=a:1", whose node number is not a whole number from 1 to 255',
      ],
      [
        ["--peers", "1=::1:7379"],
        '--peers: "1=::1:7379" holds "1=::1:7379", which has an IPv6 address without brackets; write [address]:port',
      ],
      [
        ["--peers", "1=a:99999"],
        '--peers: "1=a:99999" holds "1=a:99999", which has a port that is not from 1 to 65535',
      ],
      [["--join", "yes"], "join does nothing without peers; give peers too, or take it away"],
      [
        ["--peer-bind", "*:1"],
        "peer-bind does nothing without peers; give peers too, or take it away",
      ],
      [["--peer-bind", "*:0"], '--peer-bind: "*:0" has a port that is not from 1 to 65535'],
      [
        ["--node-id", "1", "--peers", "1=a:1", "--join", "yes"],
        "join needs the nodes of the running cluster in peers, not this node alone; add them",
      ],
      [
        [...PEERS, "--peer-tls-key", "k"],
        "peer-tls-cert, peer-tls-key and peer-tls-ca go together; peer-tls-cert and peer-tls-ca are missing",
      ],
      [
        ["--peer-tls-cert", "c", "--peer-tls-key", "k", "--peer-tls-ca", "a"],
        "peer-tls-cert does nothing without peers; give peers too, or take it away",
      ],
      [
        ["--leader-lease", "299"],
        "leader-lease (299ms) is less than three times heartbeat-interval (100ms), so that two lost heartbeats would end it; raise the one or lower the other",
      ],
      [
        ["--election-timeout", "500"],
        "election-timeout (500ms) is below leader-lease (600ms), before whose end nobody is elected; raise the one or lower the other",
      ],
      [
        ["--session-timeout", "500", "--heartbeat-interval", "200"],
        "session-timeout (500ms) is less than three times heartbeat-interval (200ms), so that clients of nodes that are well would lose their locks; raise the one or lower the other",
      ],
    ];
    for (const [argv, message] of cases) assert.is(complaint({ argv }), message);
    const many = Array.from({ length: 17 }, (_, index) => `${index + 1}=a:${index + 1}`).join(",");
    assert.match(complaint({ argv: ["--peers", many] }), /names more than 16 nodes$/);
  });

  test("a password that is refused is not shown", () => {
    const message = complaint({ env: { PAXLOCK_REQUIREPASS: "hunter2".repeat(100) } });

    assert.is(message, "PAXLOCK_REQUIREPASS: its value is longer than 512 bytes");
  });

  test("whatever the arguments are, the result is a configuration or one printable line", () => {
    const argument = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.constantFrom("--port", "--port=", "--", "-", "--bind", "--dir", "-x", "--groups=3", "1"),
    );
    fc.assert(
      fc.property(fc.array(argument, { maxLength: 5 }), fc.string(), (argv, file) => {
        const files = { "/srv/c": text(file) };
        const loaded = loadConfiguration(inputOf({ argv, env: { PAXLOCK_CONFIG: "c" }, files }));
        if (!loaded.ok) assert.not.match(loaded.message, /[\p{Cc}\n]/u);
      }),
    );
  });
});

const PEERS = ["--node-id", "1", "--peers", "1=a:1,2=b:2"];

function withFile(content: string): Case {
  return { argv: ["--config", "c"], files: { "/srv/c": text(content) } };
}

function load(input: Case): Configuration {
  const loaded = loadConfiguration(inputOf(input));
  if (!loaded.ok) throw new Error(loaded.message);
  return loaded.configuration;
}

function complaint(input: Case): string {
  const loaded = loadConfiguration(inputOf(input));
  return loaded.ok ? "no complaint" : loaded.message;
}

function inputOf({ argv = [], env = {}, files = {} }: Case): LoadInput {
  return {
    argv,
    env,
    workingDirectory: "/srv",
    readFile: (path) => {
      const content = files[path] ?? "ENOENT";
      if (typeof content !== "string") return content;
      throw Object.assign(new Error(`${content}: ${path}`), { code: content });
    },
  };
}

function text(content: string): Uint8Array {
  return new TextEncoder().encode(content);
}
