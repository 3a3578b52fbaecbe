import fc from 'fast-check';
import t from 'tap';
import { Deadlines } from '../../broker/deadlines.ts';
import { Metrics } from '../../broker/metrics.ts';
import { type WatchEnd, Watchers, WatchList } from '../../broker/watchers.ts';
import { FakeConnection } from './data-broker.ts';
import { ManualClock } from './manual-clock.ts';

function setUp() {
  const clock = new ManualClock();
  const metrics = new Metrics();
  const deadlines = new Deadlines(clock);
  return { clock, metrics, deadlines, watchers: new Watchers(deadlines, metrics) };
}

/** Parks a wait of slices without data at the lists' positions; tells how it ended, and how often. */
function park(
  watchers: Watchers,
  lists: readonly WatchList[],
  minBytes: number,
  options: { maxWaitMs?: number; limitBytes?: number; connection?: FakeConnection } = {},
) {
  const ends: WatchEnd[] = [];
  const slices = lists.map((list) => ({
    list,
    readPosition: list.position,
    readBytes: 0,
    limitBytes: options.limitBytes ?? Number.POSITIVE_INFINITY,
  }));
  watchers.wait(
    { watchEnded: (reason) => ends.push(reason) },
    slices,
    minBytes,
    options.maxWaitMs ?? 500,
    options.connection ?? new FakeConnection(),
  );
  return ends;
}

t.test('deadlines that are closed set no timer for who comes later', async (t) => {
  const { clock, deadlines, watchers } = setUp();
  deadlines.close();
  const ends = park(watchers, [new WatchList()], 1, { maxWaitMs: 100 });
  clock.advance(1000);
  t.same(ends, []);
  t.equal(clock.waiting, 0);
});

t.test('10 000 watchers on other partitions are never looked at by a batch', async (t) => {
  const { watchers } = setUp();
  const quiet = Array.from({ length: 10_000 }, () => new WatchList());
  for (const list of quiet) park(watchers, [list], 1, { maxWaitMs: 60_000 });
  const busy = new WatchList();
  for (let bytes = 100; bytes <= 100_000; bytes += 100) busy.advance(bytes);
  t.equal(watchers.looks, 0);
  t.equal(watchers.parked, 10_000);
});

t.test('10 000 watchers of one partition that want more are not looked at before', async (t) => {
  const { watchers } = setUp();
  const list = new WatchList();
  for (let i = 0; i < 10_000; i++) park(watchers, [list], 1_000_000);
  for (let bytes = 1000; bytes < 1_000_000; bytes += 1000) list.advance(bytes);
  t.equal(watchers.looks, 0);
  list.advance(1_000_000);
  t.equal(watchers.looks, 10_000);
  t.equal(watchers.parked, 0);
});

t.test('a watcher ends in the turn in which its bytes are there', async (t) => {
  const { watchers, metrics } = setUp();
  const list = new WatchList();
  list.advance(5000);
  const ends = park(watchers, [list], 100);
  list.advance(5099);
  t.same(ends, []);
  list.advance(5100);
  t.same(ends, ['bytes']);
  t.equal(watchers.looks, 1);
  t.equal(metrics.counter('watchers_completed_total', 'bytes').read(), 1);
  t.equal(metrics.gauge('watchers_parked').read(), 0);
});

t.test('bytes of several partitions count together', async (t) => {
  const { watchers } = setUp();
  const lists = [new WatchList(), new WatchList(), new WatchList()];
  const ends = park(watchers, lists, 90);
  lists[0]!.advance(30);
  lists[1]!.advance(30);
  t.same(ends, []);
  lists[2]!.advance(29);
  t.same(ends, []);
  lists[0]!.advance(31);
  t.same(ends, ['bytes']);
});

t.test('each partition counts up to its limit only', async (t) => {
  const { watchers } = setUp();
  const lists = [new WatchList(), new WatchList()];
  const ends = park(watchers, lists, 100, { limitBytes: 60 });
  lists[0]!.advance(1_000_000);
  t.same(ends, []);
  const before = watchers.looks;
  lists[0]!.advance(2_000_000);
  t.equal(watchers.looks, before, 'a partition that is used up is not looked at again');
  lists[1]!.advance(40);
  t.same(ends, ['bytes']);
});

t.test('what came between the read and the wait counts', async (t) => {
  const { watchers } = setUp();
  const list = new WatchList();
  list.advance(1000);
  const ends: WatchEnd[] = [];
  const waiting = { watchEnded: (reason: WatchEnd) => ends.push(reason) };
  const slice = { list, readPosition: 700, readBytes: 20, limitBytes: 1e6 };
  watchers.wait(waiting, [slice], 320, 500, new FakeConnection());
  t.same(ends, ['bytes']);
  watchers.wait(waiting, [slice], 321, 500, new FakeConnection());
  t.same(ends, ['bytes']);
  list.advance(1001);
  t.same(ends, ['bytes', 'bytes']);
});

t.test('a watcher ends at its deadline, and all share one timer', async (t) => {
  const { watchers, clock } = setUp();
  const list = new WatchList();
  const early = park(watchers, [list], 1, { maxWaitMs: 100 });
  const others = Array.from({ length: 1000 }, () => park(watchers, [list], 1));
  const before = clock.timersSet;
  t.equal(clock.waiting, 1);
  t.equal(before, 1);
  clock.advance(99);
  t.same(early, []);
  clock.advance(1);
  t.same(early, ['deadline']);
  t.ok(others.every((ends) => ends.length === 0));
  clock.advance(400);
  t.ok(others.every((ends) => ends.join() === 'deadline'));
  t.equal(watchers.parked, 0);
  t.equal(clock.waiting, 0);
});

t.test('a shorter deadline that comes later moves the timer', async (t) => {
  const { watchers, clock } = setUp();
  const list = new WatchList();
  park(watchers, [list], 1, { maxWaitMs: 10_000 });
  const soon = park(watchers, [list], 1, { maxWaitMs: 5 });
  clock.advance(5);
  t.same(soon, ['deadline']);
  t.equal(clock.waiting, 1);
});

t.test('a watcher ends with its connection, and leaves nothing there otherwise', async (t) => {
  const { watchers } = setUp();
  const list = new WatchList();
  const connection = new FakeConnection();
  const ends = park(watchers, [list], 1, { connection });
  t.equal(connection.listeners.size, 1);
  connection.close();
  t.same(ends, ['closed']);
  t.equal(list.heap.size, 0);
  const open = new FakeConnection();
  park(watchers, [list], 1, { connection: open });
  list.advance(1);
  t.equal(open.listeners.size, 0);
  const late = park(watchers, [list], 1, { connection });
  t.same(late, ['closed'], 'of a connection that is gone already');
});

t.test('a watcher of many partitions ends when one of them is deleted', async (t) => {
  const { watchers } = setUp();
  const lists = [new WatchList(), new WatchList()];
  const ends = park(watchers, lists, 1);
  lists[1]!.endAll('deleted');
  t.same(ends, ['deleted']);
  t.equal(lists[0]!.heap.size, 0);
});

t.test('a stop ends all, and from then on each at once', async (t) => {
  const { watchers } = setUp();
  const list = new WatchList();
  const ends = park(watchers, [list], 1);
  watchers.stop();
  t.same(ends, ['stopped']);
  t.same(park(watchers, [list], 1), ['stopped']);
  t.equal(watchers.parked, 0);
});

t.test('a watcher ends exactly once, whatever else happens', async (t) => {
  const { watchers, clock } = setUp();
  const lists = [new WatchList(), new WatchList()];
  const connection = new FakeConnection();
  const ends = park(watchers, lists, 10, { connection });
  lists[0]!.advance(10);
  lists[1]!.advance(10);
  clock.advance(1000);
  lists[0]!.endAll('deleted');
  connection.close();
  watchers.stop();
  t.same(ends, ['bytes']);
});

t.test('who waits again when told is parked anew', async (t) => {
  const { watchers } = setUp();
  const list = new WatchList();
  const ends: WatchEnd[] = [];
  const connection = new FakeConnection();
  const again = {
    watchEnded(reason: WatchEnd) {
      ends.push(reason);
      if (ends.length < 4) wait();
    },
  };
  const wait = () => {
    const slice = { list, readPosition: list.position, readBytes: 0, limitBytes: 1e9 };
    watchers.wait(again, [slice], 1, 500, connection);
  };
  wait();
  list.advance(1);
  t.same(ends, ['bytes']);
  list.endAll('bytes');
  t.same(ends, ['bytes', 'bytes'], 'told once, not again for its new wait');
  t.equal(watchers.parked, 1);
});

/** One step of a history: bytes for a partition, or a new watcher. */
type Step =
  | { readonly kind: 'bytes'; readonly at: number; readonly bytes: number }
  | {
      readonly kind: 'wait';
      readonly on: readonly number[];
      readonly minBytes: number;
      readonly limitBytes: number;
    };

const PARTITIONS = 5;

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('bytes' as const),
      at: fc.nat(PARTITIONS - 1),
      bytes: fc.integer({ min: 1, max: 200 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('wait' as const),
      on: fc.uniqueArray(fc.nat(PARTITIONS - 1), { minLength: 1 }),
      minBytes: fc.integer({ min: 1, max: 800 }),
      limitBytes: fc.integer({ min: 1, max: 500 }),
    }),
  },
);

t.test('watchers end exactly when a naive count of all of them says so', async (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const { watchers } = setUp();
      const lists = Array.from({ length: PARTITIONS }, () => new WatchList());
      const model: { starts: number[]; step: Step & { kind: 'wait' }; ends: WatchEnd[] }[] = [];
      for (const next of steps) {
        if (next.kind === 'bytes') {
          const list = lists[next.at]!;
          list.advance(list.position + next.bytes);
        } else {
          const on = next.on.map((i) => lists[i]!);
          const starts = on.map(({ position }) => position);
          const ends = park(watchers, on, next.minBytes, { limitBytes: next.limitBytes });
          model.push({ starts, step: next, ends });
        }
        for (const { starts, step: waited, ends } of model) {
          const sum = waited.on.reduce((total, partition, i) => {
            const came = lists[partition]!.position - starts[i]!;
            return total + Math.min(came, waited.limitBytes);
          }, 0);
          const expected = sum >= waited.minBytes ? 'bytes' : '';
          if (ends.join() !== expected) throw new Error(`${ends.join()} instead of ${expected}`);
        }
      }
    }),
    { numRuns: 500 },
  );
  t.pass();
});

t.test('a wait over many partitions costs few looks however small the batches are', async (t) => {
  const { watchers } = setUp();
  const lists = Array.from({ length: 100 }, () => new WatchList());
  const ends = park(watchers, lists, 1_000_000);
  let bytes = 0;
  while (ends.length === 0) {
    bytes += 10;
    for (const list of lists) list.advance(bytes);
  }
  t.equal(bytes, 10_000);
  t.ok(watchers.looks < 4000, `${watchers.looks} looks for 100 000 batches`);
});
