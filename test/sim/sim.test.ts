import t from 'tap';
import type { Disk } from '../../storage/env.ts';
import { CompactionChecker } from './checkers/compaction.ts';
import { SimClock } from './clock.ts';
import { SimDisk } from './disk.ts';
import { History, type Place } from './history.ts';
import { SeededRandom } from './random.ts';
import { PORT, SimWorld } from './world.ts';

t.test('the same seed gives the same numbers', async (t) => {
  const draw = (seed: number) => {
    const random = new SeededRandom(seed);
    return [
      random.fraction(),
      random.below(1000),
      random.bytes(5).toString('hex'),
      random.fork().bits(),
    ];
  };
  t.same(draw(42), draw(42));
  t.notSame(draw(42), draw(43));
  const random = new SeededRandom(7);
  const counts = Array.from({ length: 10 }, () => 0);
  for (let count = 0; count < 10_000; count++) counts[random.below(10)]!++;
  for (const count of counts) t.ok(count > 850 && count < 1150, `${count} of 10 000`);
});

t.test('time moves only when it is told to, and timers fire in order', async (t) => {
  const clock = new SimClock();
  const fired: string[] = [];
  const startMs = clock.now();
  clock.setTimer(20, () => fired.push(`b at ${clock.monotonic()}`));
  clock.setTimer(10, () => {
    fired.push(`a at ${clock.monotonic()}`);
    clock.setTimer(5, () => fired.push(`c at ${clock.monotonic()}`));
    clock.defer(() => fired.push('deferred'));
  });
  const cancelled = clock.setTimer(12, () => fired.push('never'));
  cancelled.cancel();
  await clock.settle();
  t.same(fired, []);
  await clock.advance(18);
  t.same(fired, ['a at 10', 'deferred', 'c at 15']);
  await clock.runUntilIdle();
  t.same(fired.at(-1), 'b at 20');
  t.equal(clock.now(), startMs + 20);
  clock.jumpWall(-5000);
  t.equal(clock.now(), startMs - 4980);
  t.equal(clock.monotonic(), 20);
});

t.test('work that waits for time is run to its end, and no further', async (t) => {
  const clock = new SimClock();
  const sleep = (ms: number) => new Promise<void>((resolve) => clock.setTimer(ms, resolve));
  clock.setTimer(5000, () => t.fail('too far'));
  const work = async () => {
    await sleep(100);
    await sleep(200);
    return 'done';
  };
  t.equal(await clock.run(work()), 'done');
  t.equal(clock.monotonic(), 300);
  await t.rejects(clock.run(sleep(4000), 50), /not done after 50 ms/);
});

async function write(disk: Disk, path: string, text: string, isSynced: boolean): Promise<void> {
  const exists = (await disk.stat(path)) !== undefined;
  const file = await disk.open(path, exists ? 'write' : 'create');
  await file.write([Buffer.from(text)], 0);
  if (isSynced) await file.sync();
  await file.close();
}

t.test('a kill keeps what was written, a power cut what was synced', async (t) => {
  const disk = new SimDisk(new SimClock());
  const mount = disk.mount();
  await mount.makeDir('/d');
  await write(mount, '/d/synced', 'synced', true);
  await write(mount, '/d/written', 'written', false);
  await mount.syncDir('/d');
  await mount.syncDir('/');
  await write(mount, '/d/unnamed', 'unnamed', true);
  disk.kill();
  t.equal(disk.files().length, 3);
  t.equal(disk.file('/d/written').contents.toString(), 'written');
  disk.powerCut(new SeededRandom(1), 0);
  t.same(disk.files(), ['/d/synced', '/d/written']);
  t.equal(disk.file('/d/synced').contents.toString(), 'synced');
  t.equal(disk.file('/d/written').contents.length, 0);
});

t.test('sectors that were not synced are lost one by one', async (t) => {
  const kinds = new Set<string>();
  for (let seed = 0; seed < 60; seed++) {
    const disk = new SimDisk(new SimClock());
    const mount = disk.mount();
    await write(mount, '/f', 'o'.repeat(1536), true);
    await mount.syncDir('/');
    await write(mount, '/f', 'n'.repeat(2048), false);
    disk.powerCut(new SeededRandom(seed), 0.5);
    const text = disk.file('/f').contents.toString();
    const sectors = text.match(/.{512}/gs) ?? [];
    t.ok(text.length === 1536 || text.length === 2048);
    for (const sector of sectors) t.match(sector, /^(o{512}|n{512}|\0{512})$/);
    kinds.add(sectors.map((sector) => sector[0]).join(''));
  }
  t.ok(kinds.has('ono') || kinds.has('onon') || kinds.has('onoo'), [...kinds].join());
  t.ok(kinds.size > 8);
});

t.test('a rename is lost or kept as a whole', async (t) => {
  const seen = new Set<string>();
  for (let seed = 0; seed < 20; seed++) {
    const disk = new SimDisk(new SimClock());
    const mount = disk.mount();
    await write(mount, '/a', 'a', true);
    await write(mount, '/b', 'b', true);
    await mount.syncDir('/');
    await mount.rename('/a', '/b');
    disk.powerCut(new SeededRandom(seed), 0.5);
    seen.add(
      disk
        .files()
        .map((file) => file + disk.file(file).contents.toString())
        .join(),
    );
  }
  t.same([...seen].sort(), ['/aa,/bb', '/ba']);
});

t.test('a sync that failed leaves pages clean that the disk never got', async (t) => {
  const disk = new SimDisk(new SimClock());
  const mount = disk.mount();
  const file = await mount.open('/f', 'create');
  await mount.syncDir('/');
  await file.write([Buffer.from('lost')], 0);
  disk.onCall = ({ name }) => (name === 'sync' ? { code: 'EIO' } : undefined);
  await t.rejects(file.sync(), { code: 'EIO' });
  disk.onCall = undefined;
  await file.sync();
  t.equal(disk.file('/f').contents.toString(), 'lost');
  disk.kill();
  t.equal(disk.file('/f').contents.toString(), 'lost');
});

t.test('a call can write short, fail, take time, or be the last one', async (t) => {
  const clock = new SimClock();
  const disk = new SimDisk(clock);
  const mount = disk.mount();
  const file = await mount.open('/f', 'create');
  disk.onCall = ({ name }) => (name === 'write' ? { code: 'ENOSPC', writtenBytes: 2 } : undefined);
  await t.rejects(file.write([Buffer.from('abc')], 0), { code: 'ENOSPC' });
  t.equal(disk.file('/f').contents.toString(), 'ab');
  disk.onCall = undefined;

  disk.delayMs = () => 50;
  await clock.run(file.write([Buffer.from('x')], 0));
  t.equal(clock.monotonic(), 50);
  disk.delayMs = undefined;

  let answered = false;
  disk.onCall = () => ({ ends: 'after' });
  const last = file.write([Buffer.from('end')], 0).then(() => {
    answered = true;
  });
  await clock.settle();
  t.equal(disk.file('/f').contents.toString(), 'end');
  disk.onCall = undefined;
  const after = mount.stat('/f').then(() => {
    answered = true;
  });
  t.throws(() => file.writeSync([Buffer.from('no')], 0), 'what cannot wait is thrown');
  await clock.settle();
  t.notOk(answered, 'who has ended never hears of it');
  t.ok(last instanceof Promise && after instanceof Promise);
  t.match(await disk.mount().stat('/f'), { sizeBytes: 3 });
});

t.test('a process that stands still hears of everything later, and of nothing twice', async (t) => {
  const world = new SimWorld(1);
  await world.clock.run(world.start());
  const { clock } = world;
  const answers: number[] = [];
  const client = world.network.connect(PORT);
  client.start({
    data: () => answers.push(clock.monotonic()),
    drained: () => {},
    gone: () => answers.push(-1),
  });
  await clock.advance(100);
  const holding = world.hold(5000);
  const sentMs = clock.monotonic();
  // ApiVersions 0 without a client id.
  client.write(
    [Buffer.from('0000000a00120000000000010000'.replace(/0000$/, 'ffff'), 'hex')],
    () => {},
  );
  await clock.advance(4000);
  t.same(answers, [], 'it has not heard of it');
  await clock.run(holding);
  await clock.advance(100);
  t.equal(answers.length, 1);
  t.ok(answers[0]! >= sentMs + 5000);
  client.destroy();
  t.ok(await clock.run(world.stop()));
  t.same(world.heldAtStop, []);
});

t.test('a key whose newer record lies behind the end of a reading is not lost', async (t) => {
  const place: Place = { topic: 'keys', partition: 0, visibility: 'written' };
  const history = new History(() => 0);
  const checker = new CompactionChecker(history, place);
  checker.sent('k', false)(2);
  const check = checker.reading('reader');
  checker.sent('k', false)(45);
  check({ records: [], end: 43, keepsDeletes: true });
  t.same(history.violations, []);
  check({ records: [], end: 46, keepsDeletes: true });
  t.match(history.violations, [{ checker: 'compaction', text: /k at 2 is lost/ }]);
});
