/** Guesses for names that do not exist. */
import * as assert from "uvu/assert";
import { closest } from "../../src/config/closest.ts";
import { suite } from "../support/suite.ts";

suite("config/closest", (test) => {
  const names = ["port", "bind", "groups", "maxclients", "slowlog-max-len"];

  test("a slip of a letter or two finds the name", () => {
    assert.is(closest("prot", names), "port");
    assert.is(closest("group", names), "groups");
    assert.is(closest("max-clients", names), "maxclients");
    assert.is(closest("MAXCLIENT", names), "maxclients");
  });

  test("the beginning of a name finds it, however long the rest is", () => {
    assert.is(closest("slowlog", names), "slowlog-max-len");
  });

  test("two swapped letters are one slip, nearer than the beginning of a longer name", () => {
    assert.is(closest("prot", ["protected-mode", "port"]), "port");
    assert.is(closest("ab", ["ba"]), "ba");
  });

  test("nothing is guessed for a name that resembles none", () => {
    assert.is(closest("appendonly", names), null);
    assert.is(closest("x", []), null);
  });
});
