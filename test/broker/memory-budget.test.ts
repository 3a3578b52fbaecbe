import t from 'tap';
import { systemClock } from '../../broker/main.ts';
import { FRAME_FLOOR_BYTES, MemoryBudget } from '../../broker/memory-budget.ts';
import { until } from './harness.ts';

const LARGE = FRAME_FLOOR_BYTES + 1;

t.test('small frames are always let in, one large one too', async (t) => {
  const budget = new MemoryBudget(LARGE, systemClock);
  budget.take('answers', 10 * LARGE);
  t.ok(budget.tryTakeFrame(FRAME_FLOOR_BYTES));
  t.ok(budget.tryTakeFrame(LARGE), 'nobody else holds a large one');
  t.notOk(budget.tryTakeFrame(LARGE));
  t.ok(budget.tryTakeFrame(1));
});

t.test('waiting frames are let in as they came, none overtakes', async (t) => {
  const budget = new MemoryBudget(4 * LARGE, systemClock);
  t.ok(budget.tryTakeFrame(3 * LARGE));
  const granted: string[] = [];
  budget.waitForFrame(2 * LARGE, () => granted.push('a'));
  t.notOk(budget.tryTakeFrame(LARGE), 'there is room, but somebody waits');
  budget.waitForFrame(LARGE, () => granted.push('b'));
  const cancel = budget.waitForFrame(LARGE, () => granted.push('c'));
  t.same(granted, []);
  cancel();
  budget.giveFrame(3 * LARGE);
  t.same(granted, ['a', 'b']);
  t.equal(budget.usedBytes, 3 * LARGE);
  t.equal(budget.waiting, 0);
});

t.test('cancelling the first of the waiting lets the next one in', async (t) => {
  const budget = new MemoryBudget(3 * LARGE, systemClock);
  t.ok(budget.tryTakeFrame(2 * LARGE));
  const granted: string[] = [];
  const cancel = budget.waitForFrame(2 * LARGE, () => granted.push('large'));
  budget.waitForFrame(LARGE, () => granted.push('fits'));
  cancel();
  t.same(granted, ['fits']);
});

t.test(
  "the storage's bytes count, it is asked to make room, and its room is noticed",
  async (t) => {
    const budget = new MemoryBudget(4 * LARGE, systemClock);
    let tailBytes = 4 * LARGE;
    let asked = 0;
    budget.attachStorage(
      () => tailBytes,
      () => {
        asked += 1;
      },
    );
    t.ok(budget.tryTakeFrame(LARGE), 'the one that may always be held');
    t.notOk(budget.tryTakeFrame(LARGE));
    let granted = false;
    budget.waitForFrame(LARGE, () => {
      granted = true;
    });
    t.equal(asked, 1);
    tailBytes = 0;
    await until(() => granted);
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
