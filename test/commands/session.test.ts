/** Commands that change their connection: password, protocol, names, database, silence. */
import * as assert from "uvu/assert";
import type { Reply } from "../../src/base/reply.ts";
import { suite } from "../support/suite.ts";
import { fakeServer, fakeSession, plan, replyOf, textOf } from "./fakes.ts";

const WRONG_PASS = "WRONGPASS invalid username-password pair or user is disabled.";
const locked = fakeServer({ password: () => "secret" });
const stranger = { authenticated: false } as const;

/** The entries of a map reply. */
function entries(reply: Reply): ReadonlyMap<Reply, Reply> {
  if (typeof reply === "object" && reply !== null && "kind" in reply && reply.kind === "map") {
    return new Map(reply.entries);
  }
  throw new Error(`not a map: ${String(textOf(reply))}`);
}

suite("commands/session", (test) => {
  test("without the password only AUTH, HELLO, RESET and QUIT run", () => {
    for (const line of ["get k", "ping", "client id", "command", "select 1", "eval x 0"]) {
      const session = fakeSession(stranger);
      assert.is(textOf(replyOf(line, session, locked)), "NOAUTH Authentication required.", line);
      assert.is(session.db, 0);
    }
    assert.is(textOf(replyOf("reset", fakeSession(stranger), locked)), "RESET");
    assert.is(plan("quit", fakeSession(stranger), locked).kind, "close");
  });

  test("an unknown command and a wrong count are told before the password is asked for", () => {
    const session = fakeSession(stranger);

    assert.match(String(textOf(replyOf("foo", session, locked))), /^ERR unknown command/);
    assert.match(String(textOf(replyOf("get", session, locked))), /^ERR wrong number/);
    assert.match(String(textOf(replyOf("client foo", session, locked))), /^ERR unknown subcommand/);
  });

  test("AUTH takes the password alone or behind the user default", () => {
    for (const line of ["auth secret", "AUTH default secret"]) {
      const session = fakeSession(stranger);
      assert.is(textOf(replyOf(line, session, locked)), "OK");
      assert.ok(session.authenticated);
    }
    for (const line of [
      "auth wrong",
      "auth secrets",
      "auth ''",
      "auth root secret",
      "auth Default secret",
    ]) {
      const session = fakeSession(stranger);
      assert.is(textOf(replyOf(line, session, locked)), WRONG_PASS, line);
      assert.not(session.authenticated);
    }
    assert.is(textOf(replyOf("auth a b c", fakeSession(), locked)), "ERR syntax error");
  });

  test("a failed AUTH leaves a connection authenticated that was so before", () => {
    const session = fakeSession();

    assert.is(textOf(replyOf("auth wrong", session, locked)), WRONG_PASS);
    assert.ok(session.authenticated);
  });

  test("without a configured password AUTH with a user succeeds, and without one explains", () => {
    assert.is(textOf(replyOf("auth default any")), "OK");
    assert.is(textOf(replyOf("auth other any")), WRONG_PASS);
    assert.match(
      String(textOf(replyOf("auth any"))),
      /^ERR AUTH <password> called without any password configured for the default user\./,
    );
  });

  test("HELLO answers a map of seven fields and changes the protocol at once", () => {
    const session = fakeSession();

    const fields = entries(replyOf("hello 3", session));

    assert.is(session.protocol, 3);
    assert.equal(
      [...fields.keys()],
      ["server", "version", "proto", "id", "mode", "role", "modules"],
    );
    assert.is(fields.get("proto"), 3);
    assert.is(fields.get("id"), 7);
    assert.is(fields.get("server"), "redis");
    assert.is(entries(replyOf("hello", session)).get("proto"), 3);
    assert.is(entries(replyOf("hello 2", session)).get("proto"), 2);
  });

  test("HELLO refuses in Redis's order and changes nothing then", () => {
    for (const [line, text] of [
      ["hello abc", "ERR Protocol version is not an integer or out of range"],
      ["hello 4", "NOPROTO unsupported protocol version"],
      ["hello 1 foo", "NOPROTO unsupported protocol version"],
      ["hello 3 foo", "ERR Syntax error in HELLO option 'foo'"],
      ["hello 3 auth a", "ERR Syntax error in HELLO option 'auth'"],
      ["hello 3 setname", "ERR Syntax error in HELLO option 'setname'"],
      ["hello 3 auth default wrong setname n", WRONG_PASS],
    ] as const) {
      const session = fakeSession();
      assert.is(textOf(replyOf(line, session, locked)), text);
      assert.is(session.protocol, 2);
      assert.is(session.name, "");
    }
    assert.is(
      textOf(replyOf(["hello", "3", "setname", "a b"])),
      "ERR Client names cannot contain spaces, newlines or special characters.",
    );
  });

  test("HELLO authenticates, names and switches in one go", () => {
    const session = fakeSession(stranger);

    assert.match(
      String(textOf(replyOf("hello 3", session, locked))),
      /^NOAUTH HELLO must be called/,
    );
    assert.is(session.protocol, 2);
    entries(replyOf("HELLO 3 SETNAME me AUTH default secret", session, locked));

    assert.ok(session.authenticated);
    assert.is(session.protocol, 3);
    assert.is(session.name, "me");
  });

  test("RESET brings the connection back to how it was accepted, but for the library's names", () => {
    const session = fakeSession({
      protocol: 3,
      db: 5,
      name: "me",
      libraryName: "lib",
      noEvict: true,
      noTouch: true,
      replyMode: "off",
    });

    assert.is(textOf(replyOf("reset", session, locked)), "RESET");

    assert.equal(
      session,
      fakeSession({ libraryName: "lib", authenticated: false, lastCommand: "reset" }),
    );
  });

  test("SELECT takes 0 to 15", () => {
    const session = fakeSession();

    assert.is(textOf(replyOf("select 15", session)), "OK");
    assert.is(session.db, 15);
    for (const bad of ["16", "-1"]) {
      assert.is(textOf(replyOf(`select ${bad}`, session)), "ERR DB index is out of range");
    }
    assert.is(
      textOf(replyOf("select 2147483648", session)),
      "ERR value is out of range, value must between -2147483648 and 2147483647",
    );
    for (const bad of ["abc", "99999999999999999999", "1.0"]) {
      assert.is(
        textOf(replyOf(`select ${bad}`, session)),
        "ERR value is not an integer or out of range",
      );
    }
    assert.is(session.db, 15);
  });

  test("CLIENT SETNAME, GETNAME and SETINFO keep printable names only", () => {
    const session = fakeSession();

    assert.is(replyOf("client getname", session), null);
    assert.is(textOf(replyOf("client setname me", session)), "OK");
    assert.is(replyOf("client getname", session), "me");
    assert.match(
      String(textOf(replyOf(["client", "setname", "a\nb"], session))),
      /^ERR Client names/,
    );
    assert.is(textOf(replyOf("client setname ''", session)), "OK");
    assert.is(replyOf("client getname", session), null);
    assert.is(textOf(replyOf("client setinfo LIB-NAME ioredis", session)), "OK");
    assert.is(textOf(replyOf("client setinfo lib-ver 6.0.0", session)), "OK");
    assert.is(session.libraryName, "ioredis");
    assert.is(session.libraryVersion, "6.0.0");
    assert.is(
      textOf(replyOf(["client", "setinfo", "lib-ver", "a b"], session)),
      "ERR lib-ver cannot contain spaces, newlines or special characters.",
    );
    assert.is(textOf(replyOf("client setinfo foo x", session)), "ERR Unrecognized option 'foo'");
  });

  test("CLIENT REPLY: ON is answered, OFF and SKIP are silent, SKIP does not end OFF", () => {
    const session = fakeSession();

    assert.is(plan("client reply skip", session).kind, "silent");
    assert.is(session.replyMode, "skip");
    assert.is(plan("client reply OFF", session).kind, "silent");
    assert.is(plan("client reply skip", session).kind, "silent");
    assert.is(session.replyMode, "off");
    assert.is(textOf(replyOf("client reply on", session)), "OK");
    assert.is(session.replyMode, "on");
    assert.is(textOf(replyOf("client reply foo", session)), "ERR syntax error");
  });

  test("CLIENT LIST and INFO describe connections, one line each", () => {
    const me = fakeSession({ name: "me", protocol: 3 });
    const other = fakeSession({ id: 8, address: "127.0.0.1:50008", noEvict: true, noTouch: true });
    const server = fakeServer({}, [me, other]);
    const lines = (line: string): readonly string[] =>
      String(textOf(replyOf(line, me, server)))
        .split("\n")
        .slice(0, -1);

    assert.is(lines("client list").length, 2);
    assert.is(lines("client list type normal").length, 2);
    assert.is(lines("client list type pubsub").length, 0);
    assert.match(
      lines("client list id 8 9")[0] ?? "",
      /^id=8 addr=127\.0\.0\.1:50008 .* flags=eT /,
    );
    assert.is(
      lines("client info")[0],
      "id=7 addr=127.0.0.1:50007 laddr=127.0.0.1:6379 name=me age=120 idle=60 flags=N db=0 sub=0 psub=0 ssub=0 multi=-1 watch=0 events=r cmd=client|info user=default redir=-1 resp=3 lib-name= lib-ver= tot-net-in=11 tot-net-out=22 tot-cmds=3",
    );
    assert.is(textOf(replyOf("client list id a", me, server)), "ERR Invalid client ID");
    assert.is(textOf(replyOf("client list id", me, server)), "ERR syntax error");
    assert.is(textOf(replyOf("client list type foo", me, server)), "ERR Unknown client type 'foo'");
  });

  test("CLIENT KILL closes by address, or by all filters at once", () => {
    const me = fakeSession();
    const other = fakeSession({ id: 8, address: "127.0.0.1:50008", connectedAtMs: 111_000 });
    const kill = (line: string): readonly [unknown, readonly number[]] => {
      const server = fakeServer({}, [me, other]);
      return [textOf(replyOf(`client kill ${line}`, me, server)), server.killed];
    };

    assert.equal(kill("127.0.0.1:50008"), ["OK", [8]]);
    assert.equal(kill("1.2.3.4:5"), ["ERR No such client", []]);
    assert.equal(kill("id 8"), [1, [8]]);
    assert.equal(kill("ID 9"), [0, []]);
    assert.equal(kill("id 7"), [0, []]);
    assert.equal(kill("type normal"), [1, [8]]);
    assert.equal(kill("type pubsub"), [0, []]);
    assert.equal(kill("user default laddr 127.0.0.1:6379"), [1, [8]]);
    assert.equal(kill("addr 127.0.0.1:50008 id 7"), [0, []]);
    assert.equal(kill("maxage 10"), [1, [8]]);
    assert.equal(kill("maxage 11"), [0, []]);
    assert.equal(kill("id 0"), ["ERR client-id should be greater than 0", []]);
    assert.equal(kill("type foo"), ["ERR Unknown client type 'foo'", []]);
    assert.equal(kill("user foo"), ["ERR No such user 'foo'", []]);
    assert.equal(kill("skipme maybe"), ["ERR syntax error", []]);
    assert.equal(kill("id 8 type"), ["ERR syntax error", []]);
    assert.equal(kill("foo bar"), ["ERR syntax error", []]);
  });

  test("a connection that kills itself is answered first", () => {
    const me = fakeSession();
    const server = fakeServer({}, [me]);

    assert.equal(plan("client kill id 7 skipme no", me, server), { kind: "close", reply: 1 });
    const old = plan("client kill 127.0.0.1:50007", me, server);
    assert.is(old.kind === "close" ? textOf(old.reply) : null, "OK");
    assert.equal(server.killed, []);
  });

  test("client side caching is refused in words, and off without any", () => {
    assert.match(String(textOf(replyOf("client tracking on optout"))), /^ERR .*not supported yet/);
    assert.is(textOf(replyOf("client tracking off")), "OK");
    assert.is(textOf(replyOf("client tracking foo")), "ERR syntax error");
    assert.match(
      String(textOf(replyOf("client caching yes"))),
      /^ERR CLIENT CACHING can be called/,
    );
    assert.is(replyOf("client getredir"), -1);
    assert.is(entries(replyOf("client trackinginfo")).get("redirect"), -1);
  });

  test("the name of the last command is its full name, in lower case", () => {
    const session = fakeSession();

    plan("CLIENT ID", session);

    assert.is(session.lastCommand, "client|id");
  });

  test("CLIENT UNBLOCK ends a wait as its time would, or with an error", () => {
    const asked: [number, string][] = [];
    const { locks } = fakeServer();
    const server = fakeServer({
      locks: {
        ...locks,
        unblock: (id, how) => {
          asked.push([id, how]);
          return id === 7;
        },
      },
    });
    const unblock = (line: string): unknown =>
      textOf(replyOf(`client unblock ${line}`, fakeSession(), server));

    assert.is(unblock("7"), 1);
    assert.is(unblock("8 TIMEOUT"), 0);
    assert.is(unblock("7 error"), 1);
    assert.equal(asked, [
      [7, "timeout"],
      [8, "timeout"],
      [7, "error"],
    ]);
    assert.is(unblock("x"), "ERR value is not an integer or out of range");
    assert.is(unblock("7 x"), "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
    assert.is(
      unblock("7 error x"),
      "ERR unknown subcommand or wrong number of arguments for 'unblock'. Try CLIENT HELP.",
    );
    assert.is(asked.length, 3);
  });
});
