import t from 'tap';
import { silentLog, systemWorld } from '../../broker/main.ts';
import { HoldTimeout, LogFailed } from '../../storage/errors.ts';
import { FlushQueue, type FlushTarget } from '../../storage/flush-queue.ts';
import { Chunk } from '../../storage/memory-tail.ts';

/** A log whose writes end when the test says so; its syncs too where that is asked for. */
class Target implements FlushTarget {
  failure: Error | undefined;
  overlapsSync = true;
  holdsSyncs = false;
  readonly runs: number[] = [];
  readonly syncs: number[] = [];
  #settle: ((error?: Error) => void)[] = [];

  write(chunks: readonly Chunk[]): Promise<void> {
    this.runs.push(chunks.length);
    return this.#held();
  }

  sync(chunks: readonly Chunk[]): Promise<void> {
    this.syncs.push(chunks.length);
    return this.holdsSyncs ? this.#held() : Promise.resolve();
  }

  #held(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#settle.push((error) => (error === undefined ? resolve() : reject(error)));
    });
  }

  /** What ends the writes and syncs that are held, in the order in which they began. */
  takeSettlers(): ((error?: Error) => void)[] {
    return this.#settle.splice(0);
  }

  async settle(error?: Error): Promise<void> {
    this.#settle.shift()!(error);
    await turn();
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function chunkOf(bytes: number): Chunk {
  const chunk = new Chunk(0, 0);
  chunk.sizeBytes = bytes;
  chunk.heldBytes = bytes;
  return chunk;
}

function setUp(more: { isBlocked?: () => boolean; holdMaxMs?: number; parallelism?: number } = {}) {
  const { env } = systemWorld(silentLog);
  return new FlushQueue(env, {
    limitBytes: 100,
    reserveBytes: 50,
    parallelism: 2,
    holdMaxMs: 30_000,
    isBlocked: () => false,
    ...more,
  });
}

t.test('a source is let in until the queue is full, and again when it has drained', async (t) => {
  const queue = setUp();
  const log = new Target();
  t.equal(queue.admit(10, false), undefined);
  queue.push(log, chunkOf(100), false);
  const held = queue.admit(10, false);
  t.ok(held);
  t.equal(queue.held, 1);
  await log.settle();
  await held;
  t.equal(queue.held, 0);
  t.equal(queue.sizeBytes, 0);
});

t.test('internal sources use the reserve, also past those who are held', async (t) => {
  const queue = setUp();
  const log = new Target();
  queue.push(log, chunkOf(100), false);
  const held = queue.admit(10, false)!;
  t.equal(queue.admit(10, true), undefined);
  queue.push(log, chunkOf(60), false);
  const heldToo = queue.admit(10, true)!;
  await log.settle();
  await log.settle();
  await Promise.all([held, heldToo]);
  t.equal(queue.chunks, 0);
});

t.test('a crowd does not rush in through one gap', async (t) => {
  const queue = setUp();
  const log = new Target();
  queue.push(log, chunkOf(100), false);
  let entered = 0;
  const enter = () => {
    entered++;
  };
  const held = [60, 60, 60].map((bytes) => queue.admit(bytes, false)!.then(enter));
  await log.settle();
  t.equal(entered, 1);
  queue.push(log, chunkOf(100), false);
  await turn();
  t.equal(entered, 1, 'the queue is full again before the others come');
  await log.settle();
  await Promise.all(held);
  t.equal(entered, 3);
});

t.test('held sources take turns, whatever each asks for', async (t) => {
  const queue = setUp();
  const log = new Target();
  queue.push(log, chunkOf(100), false);
  const [greedy, modest] = [{}, {}];
  const order: string[] = [];
  const hold = (name: string, bytes: number, source: object) =>
    queue.admit(bytes, false, source)!.then(() => {
      order.push(name);
    });
  const held = [1, 2, 3, 4].map((number) => hold(`greedy ${number}`, 90, greedy));
  held.push(hold('modest 1', 10, modest), hold('modest 2', 10, modest));
  for (let round = 0; round < 4; round++) {
    await log.settle();
    await turn();
    if (round < 3) queue.push(log, chunkOf(100), false);
  }
  await Promise.all(held);
  t.same(order, ['greedy 1', 'modest 1', 'modest 2', 'greedy 2', 'greedy 3', 'greedy 4']);
});

t.test('a small request of a source that asks for little passes those that wait', async (t) => {
  const queue = setUp();
  const log = new Target();
  const little = {};
  queue.push(log, chunkOf(100), false);
  const held = queue.admit(50, false, {})!;
  t.equal(queue.admit(3, false, little), undefined);
  t.equal(queue.admit(3, false, little), undefined);
  const beyond = queue.admit(1, false, little);
  t.ok(beyond, 'a sixteenth of the limit is passed by, and no more');
  t.ok(queue.admit(1, false), 'who is not told apart from others waits');
  await log.settle();
  await Promise.all([held, beyond]);
  queue.push(log, chunkOf(100), false);
  t.equal(queue.admit(3, false, little), undefined, 'what was persisted has made room again');
});

t.test('a source that is held too long is refused', async (t) => {
  const queue = setUp({ holdMaxMs: 5 });
  queue.push(new Target(), chunkOf(100), false);
  // The queue's timer does not keep the process alive; this one does.
  const alive = setInterval(() => {}, 1000);
  await t.rejects(queue.admit(1, false)!, HoldTimeout);
  clearInterval(alive);
  t.equal(queue.held, 0);
});

t.test(
  'when persisting fails, those held are refused at once, and it is tried again',
  async (t) => {
    const queue = setUp();
    const log = new Target();
    queue.push(log, chunkOf(100), false);
    const refused = t.rejects(queue.admit(1, false)!, LogFailed);
    await log.settle(Object.assign(new Error('no space'), { code: 'ENOSPC' }));
    await refused;
    await t.rejects(queue.admit(1, false)!, LogFailed);
    const alive = setInterval(() => {}, 1000);
    while (log.runs.length < 2) await turn();
    clearInterval(alive);
    await log.settle();
    t.equal(queue.admit(1, false), undefined);
    t.equal(queue.sizeBytes, 0);
  },
);

t.test('the chunks of a log that failed for good no longer count', async (t) => {
  const queue = setUp();
  const log = new Target();
  queue.push(log, chunkOf(60), false);
  queue.push(log, chunkOf(60), false);
  log.failure = new Error('sync failed');
  await log.settle(log.failure);
  t.equal(queue.sizeBytes, 0);
  t.equal(queue.chunks, 0);
  await queue.drained();
});

t.test('all chunks of a log go in one write, and no log is persisted twice at once', async (t) => {
  const queue = setUp({ parallelism: 1 });
  const busy = new Target();
  const log = new Target();
  queue.push(busy, chunkOf(1), false);
  for (let index = 0; index < 3; index++) queue.push(log, chunkOf(1), false);
  t.same(log.runs, []);
  await busy.settle();
  t.same(log.runs, [3]);
  queue.push(log, chunkOf(1), false);
  t.same(log.runs, [3]);
  await log.settle();
  t.same(log.runs, [3, 1]);
  await log.settle();
  await queue.drained();
});

t.test('an urgent chunk goes before those that came earlier', async (t) => {
  const queue = setUp({ parallelism: 1 });
  const [busy, patient, urgent] = [new Target(), new Target(), new Target()];
  queue.push(busy, chunkOf(1), false);
  queue.push(patient, chunkOf(1), false);
  queue.push(urgent, chunkOf(1), true);
  await busy.settle();
  t.same([urgent.runs, patient.runs], [[1], []]);
  await urgent.settle();
  await patient.settle();
});

t.test('what else is short holds clients back and not internal sources', async (t) => {
  let blocked = true;
  const queue = setUp({ isBlocked: () => blocked });
  const held = queue.admit(1, false)!;
  t.equal(queue.admit(1, true), undefined);
  blocked = false;
  queue.wake();
  await held;
  t.equal(queue.held, 0);
});

t.test(
  'a log is written to while it is synced, and its next sync covers all of that',
  async (t) => {
    const queue = setUp();
    const log = new Target();
    log.holdsSyncs = true;
    queue.push(log, chunkOf(10), true);
    await log.settle();
    t.same(log.syncs, [1]);
    queue.push(log, chunkOf(10), true);
    const [syncDone, ...later] = log.takeSettlers();
    t.same(log.runs, [1, 1], 'written beside the sync');
    later[0]!();
    await turn();
    queue.push(log, chunkOf(10), true);
    t.same(log.runs, [1, 1, 1]);
    log.takeSettlers()[0]!();
    await turn();
    t.same(log.syncs, [1], 'one sync at a time');
    t.equal(queue.sizeBytes, 30, 'what is not synced counts');
    syncDone!();
    await turn();
    t.same(log.syncs, [1, 2]);
    await log.settle();
    t.equal(queue.sizeBytes, 0);
    await queue.drained();
  },
);

t.test('a log that may not be written to beside its sync is not', async (t) => {
  const queue = setUp();
  const log = new Target();
  log.holdsSyncs = true;
  log.overlapsSync = false;
  queue.push(log, chunkOf(10), false);
  await log.settle();
  queue.push(log, chunkOf(10), false);
  t.same([log.runs, log.syncs], [[1], [1]]);
  await log.settle();
  t.same(log.runs, [1, 1]);
  await log.settle();
  await log.settle();
  await queue.drained();
});

t.test('a sync that failed for a while comes again with all that was written since', async (t) => {
  const queue = setUp();
  const log = new Target();
  log.holdsSyncs = true;
  queue.push(log, chunkOf(10), false);
  await log.settle();
  queue.push(log, chunkOf(10), false);
  const [syncDone, writeDone] = log.takeSettlers();
  syncDone!(Object.assign(new Error('no space'), { code: 'ENOSPC' }));
  await turn();
  t.ok(queue.failure instanceof LogFailed);
  writeDone!();
  await turn();
  t.same(log.syncs, [1], 'nothing is begun while persisting fails');
  const alive = setInterval(() => {}, 1000);
  while (log.syncs.length < 2) await turn();
  clearInterval(alive);
  t.same(log.syncs, [1, 2]);
  await log.settle();
  t.equal(queue.sizeBytes, 0);
});

t.test('a log whose chunks shrink while they are written goes on being written', async (t) => {
  const queue = setUp();
  const log = new Target();
  log.overlapsSync = false;
  const first = chunkOf(60);
  queue.push(log, first, false);
  first.sizeBytes = 10;
  await log.settle();
  t.equal(queue.chunks, 0);
  queue.push(log, chunkOf(20), false);
  t.same(log.runs, [1, 1], 'what compaction took away does not count as unsynced for ever');
  await log.settle();
  await queue.drained();
  t.equal(queue.chunks, 0);
});

t.test('when a crowd of logs waits, more of them are persisted at once', async (t) => {
  const queue = setUp({ parallelism: 1 });
  const logs = Array.from({ length: 30 }, () => new Target());
  for (const log of logs) queue.push(log, chunkOf(1), false);
  const begun = () => logs.filter(({ runs }) => runs.length > 0).length;
  t.equal(begun(), 4, 'of thirty');
  let ended = 0;
  while (ended < 29) {
    const log = logs[ended++]!;
    await log.settle();
  }
  t.equal(begun(), 30);
  await logs[29]!.settle();
  await queue.drained();
  queue.close();
});
