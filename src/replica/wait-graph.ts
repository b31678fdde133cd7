/**
 * Who waits for whom, over all groups, and the cycles in it: owners that wait for one another for ever.
 *
 * The nodes are owners of a database, the edges are what `LOCK.DEADLOCKS` shows. A cycle is broken by
 * refusing its youngest waiter; what is left is looked through again, so that of cycles that share that
 * waiter none needs another victim. The same edges give the same victims, whoever looks.
 */
import { present } from "../base/assert.ts";
import type { GroupId, Millis } from "../base/ids.ts";
import type { LockEdge } from "../machine/locks/lock-event.ts";

/** An edge and the group that it is in. */
export interface GroupEdge extends LockEdge {
  readonly group: GroupId;
  /** For how long it has waited; times of arrival mean nothing to other groups. */
  readonly waitedMs: Millis;
}

/** Owners that wait in a circle: the owner of each edge is the holder of the one before. */
export interface WaitCycle {
  /** Beginning with that of the victim. */
  readonly edges: readonly GroupEdge[];
  readonly victim: GroupEdge;
}

/** Cycles to be broken, at most `max`. */
export function findCycles(edges: readonly GroupEdge[], max: number): readonly WaitCycle[] {
  const cycles: WaitCycle[] = [];
  let left = edges.filter(({ owner, holder }) => owner !== holder);
  while (cycles.length < max) {
    left = withinCircles(left);
    const first = left[0];
    if (first === undefined) break;
    const cycle = cycleFrom(left);
    const victim = youngest(cycle);
    const at = cycle.indexOf(victim);
    cycles.push({ edges: [...cycle.slice(at), ...cycle.slice(0, at)], victim });
    left = left.filter(({ group, waiter }) => group !== victim.group || waiter !== victim.waiter);
  }
  return cycles;
}

/** The owners of a cycle as its error shows them, the victim first and last. */
export function ownersOf({ edges, victim }: WaitCycle): readonly string[] {
  return [...edges.map(({ owner }) => owner), victim.owner];
}

function waits({ db, owner }: LockEdge): string {
  return `${db} ${owner}`;
}

function holds({ db, holder }: LockEdge): string {
  return `${db} ${holder}`;
}

/** Keeps the edges that are in a circle: those between owners that each lead to the other. */
function withinCircles(edges: readonly GroupEdge[]): GroupEdge[] {
  const component = components(edges);
  return edges.filter((edge) => component.get(waits(edge)) === component.get(holds(edge)));
}

interface Visit {
  readonly node: string;
  readonly edges: readonly GroupEdge[];
  next: number;
}

/** Tarjan's strongly connected components, without recursion: a chain of waiters may be long. */
function components(edges: readonly GroupEdge[]): ReadonlyMap<string, number> {
  const from = byWaiter(edges);
  const order = new Map<string, number>();
  const low = new Map<string, number>();
  const component = new Map<string, number>();
  const open: string[] = [];
  const path: Visit[] = [];
  const enter = (node: string): void => {
    order.set(node, order.size);
    low.set(node, order.size - 1);
    open.push(node);
    path.push({ node, edges: from.get(node) ?? [], next: 0 });
  };
  const lower = (node: string, to: number): void => {
    if (to < present(low.get(node), "it was entered")) low.set(node, to);
  };
  for (const start of from.keys()) {
    if (order.has(start)) continue;
    enter(start);
    for (let visit = path.at(-1); visit !== undefined; visit = path.at(-1)) {
      const edge = visit.edges[visit.next];
      visit.next += 1;
      if (edge !== undefined) {
        const next = holds(edge);
        const at = order.get(next);
        if (at === undefined) enter(next);
        else if (!component.has(next)) lower(visit.node, at);
        continue;
      }
      path.pop();
      const lowest = present(low.get(visit.node), "it was entered");
      const parent = path.at(-1);
      if (parent !== undefined) lower(parent.node, lowest);
      if (lowest !== order.get(visit.node)) continue;
      for (let member = open.pop(); member !== undefined; member = open.pop()) {
        component.set(member, lowest);
        if (member === visit.node) break;
      }
    }
  }
  return component;
}

function byWaiter(edges: readonly GroupEdge[]): ReadonlyMap<string, readonly GroupEdge[]> {
  const from = new Map<string, GroupEdge[]>();
  for (const edge of edges) {
    const list = from.get(waits(edge));
    if (list === undefined) from.set(waits(edge), [edge]);
    else list.push(edge);
  }
  return from;
}

/** A shortest cycle through the first owner in order, where every edge is in some circle. */
function cycleFrom(edges: readonly GroupEdge[]): readonly GroupEdge[] {
  const from = byWaiter([...edges].sort(before));
  const [start] = [...from.keys()].sort();
  return pathBack(from, present(start, "there are edges"));
}

/** Breadth first from `start` until an edge leads back to it. */
function pathBack(
  from: ReadonlyMap<string, readonly GroupEdge[]>,
  start: string,
): readonly GroupEdge[] {
  const cameBy = new Map<string, GroupEdge>();
  const queue = [start];
  for (let index = 0; index < queue.length; index += 1) {
    const node = present(queue[index], "within bounds");
    for (const edge of from.get(node) ?? []) {
      const next = holds(edge);
      if (next === start) return [...pathTo(cameBy, node, start), edge];
      if (cameBy.has(next)) continue;
      cameBy.set(next, edge);
      queue.push(next);
    }
  }
  return present<readonly GroupEdge[]>(undefined, "every edge is in a circle");
}

function pathTo(
  cameBy: ReadonlyMap<string, GroupEdge>,
  node: string,
  start: string,
): readonly GroupEdge[] {
  const path: GroupEdge[] = [];
  for (let at = node; at !== start;) {
    const edge = present(cameBy.get(at), "the search came this way");
    path.unshift(edge);
    at = waits(edge);
  }
  return path;
}

function youngest(cycle: readonly GroupEdge[]): GroupEdge {
  return cycle.reduce((young, edge) => (isYounger(edge, young) ? edge : young));
}

function isYounger(edge: GroupEdge, than: GroupEdge): boolean {
  if (edge.waitedMs !== than.waitedMs) return edge.waitedMs < than.waitedMs;
  // Ids rise within a group only.
  if (edge.group !== than.group) return edge.group > than.group;
  return edge.waiter > than.waiter;
}

function before(a: GroupEdge, b: GroupEdge): number {
  if (a.group !== b.group) return a.group - b.group;
  if (a.waiter !== b.waiter) return a.waiter - b.waiter;
  if (a.key !== b.key) return a.key < b.key ? -1 : 1;
  return a.holder < b.holder ? -1 : a.holder > b.holder ? 1 : 0;
}
