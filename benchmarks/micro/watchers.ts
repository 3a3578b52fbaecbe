/**
 * What waiting costs: parking a fetch, waking it, and what a batch costs to those parked elsewhere.
 * One operation is one watcher parked and woken, or one step of a partition's position.
 */

import Benchmark from 'benchmark';
import type { ClientConnection } from '../../broker/api.ts';
import { Deadlines } from '../../broker/deadlines.ts';
import { systemClock } from '../../broker/main.ts';
import { Metrics } from '../../broker/metrics.ts';
import { type Waiting, Watchers, WatchList } from '../../broker/watchers.ts';

const connection = {
  closed: false,
  onClose: () => () => {},
} as unknown as ClientConnection;

const woken = { count: 0 };
const waiting: Waiting = {
  watchEnded: () => {
    woken.count++;
  },
};

/** Long enough that none ends by itself while it is measured. */
const WAIT_MS = 600_000;

interface Room {
  readonly watchers: Watchers;
  readonly deadlines: Deadlines;
  park(lists: readonly WatchList[], minBytes: number): void;
}

function room(): Room {
  const deadlines = new Deadlines(systemClock);
  const watchers = new Watchers(deadlines, new Metrics());
  const park = (lists: readonly WatchList[], minBytes: number) => {
    const slices = lists.map((list) => ({
      list,
      readPosition: list.position,
      readBytes: 0,
      limitBytes: 1_048_576,
    }));
    watchers.wait(waiting, slices, minBytes, WAIT_MS, connection);
  };
  return { watchers, deadlines, park };
}

function lists(count: number): WatchList[] {
  return Array.from({ length: count }, () => new WatchList());
}

/** Parks one watcher over so many partitions and wakes it by a batch in the last of them. */
function parkAndWake(partitions: number, others = 0): () => void {
  const { park } = room();
  for (const list of lists(others)) park([list], 1);
  const own = lists(partitions);
  const last = own.at(-1) as WatchList;
  return () => {
    park(own, 1);
    last.advance(last.position + 1000);
  };
}

/** A batch in a partition that nobody waits for, or for which all want more. */
function step(watched: number, elsewhere: number): () => void {
  const { park } = room();
  for (const list of lists(elsewhere)) park([list], 1);
  const list = new WatchList();
  for (let i = 0; i < watched; i++) park([list], Number.MAX_SAFE_INTEGER);
  return () => list.advance(list.position + 1);
}

/** All of so many watchers of one partition, parked and woken by one batch. */
function fanOut(count: number): () => void {
  const { park } = room();
  const list = new WatchList();
  return () => {
    for (let i = 0; i < count; i++) park([list], 1);
    list.advance(list.position + 1000);
  };
}

function suite(name: string, cases: readonly (readonly [string, () => void])[]): Benchmark.Suite {
  const made = new Benchmark.Suite(name);
  for (const [what, run] of cases) made.add(what, run);
  return made;
}

const waking = suite('park and wake', [
  ['1 watcher of 1 partition', parkAndWake(1)],
  ['1 watcher of 1 partition, 10 000 parked elsewhere', parkAndWake(1, 10_000)],
  ['1 watcher of 60 partitions', parkAndWake(60)],
  ['100 watchers of 1 partition', fanOut(100)],
]);

const stepping = suite('a batch that wakes nobody', [
  ['nobody parked', step(0, 0)],
  ['10 000 parked on other partitions', step(0, 10_000)],
  ['10 000 parked here that want more', step(10_000, 0)],
]);

export const suites = [waking, stepping];
