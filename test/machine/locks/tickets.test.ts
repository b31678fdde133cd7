/** Tickets: requests whose client does not stay to wait. */
import * as assert from "uvu/assert";
import type { Reply } from "../../../src/base/reply.ts";
import { suite } from "../../support/suite.ts";
import { many } from "../machine-fixture.ts";
import { ending, field, LockRig, SHARED, WAIT } from "./lock-rig.ts";

const ASYNC = { ...WAIT, async: true, claimMs: 50 } as const;

class TicketRig extends LockRig {
  ticket(id: Reply): Reply {
    return this.apply({ kind: "lock-ticket", ticket: Number(id) });
  }

  state(id: Reply): Reply {
    return field(this.ticket(id), "state");
  }

  /** LOCK.TICKET in the name of a request of session `s`. */
  claim(id: Reply, request: number): Reply {
    const claimer = { session: "s", node: 2, boot: 3, request, address: "" };
    const operation = { kind: "lock-ticket", ticket: Number(id), claimer } as const;
    return field(this.apply(operation), "state");
  }

  withdraw(request: number): Reply {
    return this.apply({ kind: "lock-withdraw", session: "s", node: 2, boot: 3, request });
  }

  cancel(id: Reply): Reply {
    return field(this.apply({ kind: "lock-cancel", ticket: Number(id) }), "state");
  }
}

suite("machine/locks/tickets", (test) => {
  test("ASYNC answers a ticket at once, which shows its place and then claims the grant [L10]", () => {
    const rig = new TicketRig();
    rig.acquire("k", "a");
    rig.acquire("k", "b", WAIT);
    const ticket = rig.acquire("k", "c", ASYNC);
    assert.type(ticket, "number");
    assert.equal([rig.state(ticket), field(rig.ticket(ticket), "position")], ["pending", 2]);

    rig.release("k", "a");
    rig.release("k", "b");
    assert.equal(rig.answers(), ["of b: granted", "ticket: granted"]);

    const claimed = rig.ticket(ticket);
    assert.equal([field(claimed, "state"), field(claimed, "token")], ["claimed", "3"]);
    rig.after(51);
    assert.is(rig.who("k"), "c < ");
    assert.is(rig.state(ticket), "claimed");
  });

  test("a grant at once is a ticket, too", () => {
    const rig = new TicketRig();
    const ticket = rig.acquire("k", "a", ASYNC);

    assert.is(rig.who("k"), "a < ");
    assert.is(rig.state(ticket), "claimed");
    assert.is(rig.state(rig.acquire("k", "a", ASYNC)), "claimed", "it holds it already");
  });

  test("what nobody claims in time is given back, cleanly [L10]", () => {
    const rig = new TicketRig();
    const first = rig.acquire("k", "a", { ...ASYNC, delayMs: 70 });
    const second = rig.acquire("k", "b", { ...ASYNC, ...SHARED });
    rig.after(50);
    assert.is(rig.who("k"), "a < b");
    rig.news();
    rig.after(1);

    assert.is(rig.who("k"), "b < ");
    assert.equal(rig.news(), ["released a", "acquired b"]);
    assert.equal([rig.state(first), rig.state(second)], ["lost", "claimed"]);
  });

  test("a claim whose client is gone is given back, unless somebody was told of it since [L10]", () => {
    const rig = new TicketRig();
    const first = rig.acquire("k", "a", ASYNC);
    assert.is(rig.claim(first, 901), "claimed");
    assert.is(rig.withdraw(902), 0, "another request");
    rig.news();
    assert.is(rig.withdraw(901), 1);
    assert.equal([rig.who("k"), rig.news()], [" < ", ["released a"]]);

    const second = rig.acquire("k", "b", ASYNC);
    rig.claim(second, 903);
    assert.is(rig.claim(second, 904), "claimed", "the client is back, over another connection");
    assert.equal([rig.withdraw(903), rig.withdraw(904)], [0, 0]);

    rig.acquire("l", "c", ASYNC);
    const third = rig.acquire("l", "c", ASYNC);
    assert.is(rig.claim(third, 905), "claimed");
    assert.is(rig.withdraw(905), 0, "what it held before the ticket");
    assert.equal([rig.who("k"), rig.who("l")], ["b < ", "c < "]);
  });

  test("LOCK.CANCEL ends a wait, or gives back what was not claimed [L10]", () => {
    const rig = new TicketRig();
    const held = rig.acquire("k", "a", ASYNC);
    const waits = rig.acquire("k", "b", ASYNC);
    rig.acquire("k", "c", WAIT);

    assert.is(rig.cancel(waits), "cancelled");
    assert.is(rig.who("k"), "a < c");
    assert.is(rig.cancel(held), "cancelled");
    assert.is(rig.who("k"), "c < ");
    assert.is(rig.cancel(held), "cancelled", "again");
    const claimed = rig.acquire("l", "a", ASYNC);
    rig.ticket(claimed);
    assert.is(rig.cancel(claimed), "claimed");
    assert.is(rig.who("l"), "a < ", "what was claimed is released, not cancelled");
  });

  test("a ticket says how its wait ended, for a minute [L10]", () => {
    const rig = new TicketRig();
    rig.acquire("k", "a", { ttlMs: 500_000 });
    const late = rig.acquire("k", "b", { ...ASYNC, waitMs: 5 });
    rig.after(6);
    assert.is(rig.state(late), "timed-out");
    assert.equal(rig.answers(), ["ticket: null"]);
    rig.after(60_000);
    assert.is(rig.state(late), "timed-out");
    rig.after(1);
    assert.is(rig.ticket(late), null);
    assert.is(rig.machine.ticketCount, 0);
    assert.is(rig.ticket(99_999), null);
  });

  test("a ticket outlives its connection unless it is bound to it", () => {
    const rig = new TicketRig();
    rig.acquire("k", "a");
    const free = rig.acquire("k", "b", { ...ASYNC, session: "s" });
    const bound = rig.acquire("k", "c", { ...ASYNC, session: "s", bind: true });

    rig.apply(ending("s", 0));

    assert.equal([rig.state(free), rig.state(bound)], ["pending", "cancelled"]);
  });

  test("a ticket whose grant was taken away before it was claimed is lost", () => {
    const rig = new TicketRig();
    const ticket = rig.acquire("k", "a", ASYNC);
    rig.apply(many("delete", "k"));
    assert.is(rig.state(ticket), "lost");

    const leased = rig.acquire("l", "a", { ...ASYNC, ...SHARED, ttlMs: 5 });
    rig.after(6);
    assert.is(rig.state(leased), "lost");
  });

  test("a script that fails takes back the loss of a ticket", () => {
    const rig = new TicketRig();
    const ticket = rig.acquire("k", "a", ASYNC);
    rig.evaluate([many("delete", "k")], { end: "aborted" });

    assert.is(rig.who("k"), "a < ");
    rig.after(51);
    assert.is(rig.who("k"), " < ", "the time to claim it goes on");
    assert.is(rig.state(ticket), "lost");
  });
});
