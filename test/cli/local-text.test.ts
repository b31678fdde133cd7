/** What `paxlock local` shows, on a terminal and in lines. */
import * as assert from "uvu/assert";
import {
  changes,
  isWhole,
  leaders,
  localScreen,
  type ShownNode,
} from "../../src/cli/local-text.ts";
import { Screen } from "../../src/cli/screen.ts";
import type { GroupStatus, NodeStatus } from "../../src/commands/paxos-status.ts";
import { suite } from "../support/suite.ts";

function status(node: number, leads: readonly number[]): NodeStatus {
  const groups = [0, 1, 2].map((group): GroupStatus => {
    return {
      group,
      role: leads.includes(group) ? "leader" : "follower",
      leader: 0,
      ballot: "1.1",
      chosenSlot: 1,
      appliedSlot: 1,
      leaseMs: 0,
      logBytes: 0,
      members: [],
    };
  });
  return { node, cluster: "c", version: "v", uptimeMs: 1, nodes: [], groups };
}

function node(id: number, leads: readonly number[], changes: Partial<ShownNode> = {}): ShownNode {
  return {
    state: "up",
    pid: 100 + id,
    ending: "",
    complaint: "",
    status: status(id, leads),
    options: { id, host: "127.0.0.1", port: 6378 + id },
    ...changes,
  };
}

const ended = { state: "ended", pid: null, ending: "SIGKILL", status: null } as const;
const starting = { state: "starting", status: null } as const;
const about = {
  version: "1.2.3",
  directory: "/srv/paxlock-data",
  password: false,
  stopping: false,
  enterStarts: true,
};

suite("cli/local-text", (test) => {
  test("the screen has nodes, addresses, process ids, leaders and lines to try", () => {
    const text = localScreen({ ...about, nodes: [node(1, [0]), node(2, [1, 2]), node(3, [])] });

    assert.is(
      text,
      `
Paxlock 1.2.3: 3 nodes on this machine.

  node  address         state  pid  leads groups
  1     127.0.0.1:6379  up     101  0
  2     127.0.0.1:6380  up     102  1-2
  3     127.0.0.1:6381  up     103  -

  groups         3, each with a leader
  data and logs  /srv/paxlock-data/node-1, node-1.log, …
  try            redis-cli -p 6379 SET my-lock me NX PX 30000
                 redis-cli -p 6380 GET my-lock

  Ctrl-C stops all nodes.
`,
    );
  });

  test("a node that has ended is shown with how, and the lines to try go to the others", () => {
    const nodes = [node(1, [], { ...ended, complaint: "no space" }), node(2, [0, 1]), node(3, [2])];
    const text = localScreen({ ...about, nodes });

    assert.match(text, "down: SIGKILL, no space");
    assert.match(text, "redis-cli -p 6380 SET my-lock");
    assert.match(text, "redis-cli -p 6381 GET my-lock");
    assert.match(text, "Ctrl-C stops all nodes. Enter starts node 1 again.");
    assert.not.match(localScreen({ ...about, nodes, enterStarts: false }), "Enter");
  });

  test("groups without a leader are named, with the reason when too few nodes are up", () => {
    const two = [node(1, [0]), node(2, []), node(3, [], ended)];
    const one = [node(1, []), node(2, [], ended), node(3, [], ended)];

    assert.match(localScreen({ ...about, nodes: two }), "groups         3; no leader: 1-2\n");
    assert.match(
      localScreen({ ...about, nodes: one }),
      "3; no leader: 0-2; too few nodes are up to elect one\n",
    );
    assert.match(localScreen({ ...about, nodes: [node(1, [], starting)] }), "none answers yet");
  });

  test("with a password the lines to try ask for it", () => {
    assert.match(
      localScreen({ ...about, password: true, nodes: [node(1, [0])] }),
      "redis-cli -p 6379 --askpass SET my-lock",
    );
  });

  test("all is there when every node answers and every group is led", () => {
    assert.ok(isWhole([node(1, [0]), node(2, [1, 2])]));
    assert.not(isWhole([node(1, [0]), node(2, [1])]));
    assert.not(isWhole([node(1, [0, 1, 2]), node(2, [], starting)]));
    assert.not(isWhole([node(1, [], { status: null })]));
    assert.equal(
      [...leaders([node(1, [0]), node(2, [1])])],
      [
        [1, [0]],
        [2, [1]],
        [0, [2]],
      ],
    );
  });

  test("lines are printed for what has changed, and for nothing else", () => {
    const before = [node(1, [], starting), node(2, [], starting)];
    const up = [node(1, [0, 2]), node(2, [1])];
    const down = [node(1, [0, 1, 2]), node(2, [], ended)];

    assert.equal(changes([], before, false), [
      "node 1 starts at 127.0.0.1:6379, pid 101",
      "node 2 starts at 127.0.0.1:6380, pid 102",
    ]);
    assert.equal(changes(before, up, false), [
      "node 1 is up at 127.0.0.1:6379, pid 101",
      "node 2 is up at 127.0.0.1:6380, pid 102",
      "groups 0, 2: led by node 1; group 1: led by node 2",
    ]);
    assert.equal(changes(up, up, false), []);
    assert.equal(changes(up, down, false), ["node 2 down: SIGKILL", "groups 0-2: led by node 1"]);
    const stopped = [node(1, [0, 2]), node(2, [], { ...ended, ending: "exit code 0" })];
    assert.equal(changes(up, stopped, true), ["node 2 stopped"]);
  });
});

suite("cli/screen", (test) => {
  function shown(isTTY: boolean, texts: readonly string[], columns = 20): string[] {
    const written: string[] = [];
    const screen = new Screen({ isTTY, columns, write: (text) => written.push(text) });
    for (const text of texts) screen.show(text);
    return written;
  }

  test("on a terminal a text is drawn over the one before, with the lines that were broken", () => {
    assert.equal(shown(true, ["a\nb\n", "c\n"]), ["\r\u001b[0Ja\nb\n", "\r\u001b[2A\u001b[0Jc\n"]);
    assert.equal(shown(true, [`${"x".repeat(21)}\n\n`, "c\n"]).at(1), "\r\u001b[3A\u001b[0Jc\n");
  });

  test("elsewhere texts follow one another as they are", () => {
    assert.equal(shown(false, ["a\n", "b\n"]), ["a\n", "b\n"]);
  });
});
