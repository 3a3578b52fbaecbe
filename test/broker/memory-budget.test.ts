import t from 'tap';
import { systemClock } from '../../broker/main.ts';
import { FRAME_FLOOR_BYTES, MemoryBudget } from '../../broker/memory-budget.ts';
import { until } from './harness.ts';

const LIMIT = 10 * FRAME_FLOOR_BYTES;

/** A reader that notes when it was told to go on. */
function makeReader(name: string, told: string[]) {
  return { memoryGranted: () => told.push(name) };
}

t.test('below the limit everybody reads on, above it one', async (t) => {
  const budget = new MemoryBudget(LIMIT, systemClock);
  const told: string[] = [];
  const [a, b] = [makeReader('a', told), makeReader('b', told)];
  t.ok(budget.mayReadOn(a) && budget.mayReadOn(b));
  budget.take('frames', LIMIT + 1);
  t.ok(budget.mayReadOn(a), 'the first that asks is favoured');
  t.notOk(budget.mayReadOn(b));
  t.ok(budget.mayReadOn(a), 'and stays it');
  budget.doneReading(a);
  t.same(told, ['b'], 'the next one is favoured, though there is no room');
  t.ok(budget.mayReadOn(b));
  budget.doneReading(b);
  t.equal(budget.waiting, 0);
});

t.test('room is given to those who wait, as they came, and not more than there is', async (t) => {
  const budget = new MemoryBudget(LIMIT, systemClock);
  const told: string[] = [];
  const readers = ['a', 'b', 'c', 'd', 'e'].map((name) => makeReader(name, told));
  budget.take('answers', 2 * LIMIT);
  t.same(
    readers.map((reader) => budget.mayReadOn(reader)),
    [true, false, false, false, false],
  );
  budget.doneReading(readers[2]!);
  budget.give('answers', LIMIT);
  t.same(told, ['b'], 'just at the limit there is room for one');
  budget.give('answers', 2 * FRAME_FLOOR_BYTES);
  t.same(told, ['b', 'd', 'e'], 'who was done does not wait');
});

t.test(
  "the storage's bytes count, it is asked to make room, and its room is noticed",
  async (t) => {
    const budget = new MemoryBudget(LIMIT, systemClock);
    let tailBytes = LIMIT + 1;
    let asked = 0;
    budget.attachStorage(
      () => tailBytes,
      () => {
        asked += 1;
      },
    );
    const told: string[] = [];
    t.ok(budget.mayReadOn(makeReader('a', told)));
    t.notOk(budget.mayReadOn(makeReader('b', told)));
    t.equal(asked, 1);
    t.ok(budget.isShort);
    tailBytes = 0;
    await until(() => told.length === 1);
    t.notOk(budget.isShort);
  },
);

t.test('readers share what is free and always get the least they need', async (t) => {
  const budget = new MemoryBudget(1000, systemClock);
  t.equal(budget.allowance(5000, 10), 250);
  t.equal(budget.allowance(100, 10), 100);
  budget.take('reads', 1000);
  t.equal(budget.allowance(100, 10), 10);
});

t.test('giving back more than was taken is a broken invariant', async (t) => {
  const budget = new MemoryBudget(1000, systemClock);
  budget.take('answers', 5);
  t.throws(() => budget.give('answers', 6), RangeError);
});
