/** Data folders that are damaged, foreign, or not to be written to: what is said, and what stays. */

import t from 'tap';
import { readBatchHeader } from '../../protocol/record-batch.ts';
import { StoreWorld, TOPIC } from './store-world.ts';

const FOLDER = `/data/${TOPIC}-0`;
const LOG = `${FOLDER}/00000000000000000000.log`;

async function put(world: StoreWorld, path: string, contents: string): Promise<void> {
  const file = await world.disk.mount().open(path, 'create');
  await file.write([Buffer.from(contents)], 0);
  await file.sync();
}

t.test('a folder that cannot be used is refused by name, with the reason', async (t) => {
  const reasons: [string, RegExp][] = [
    ['EROFS', /\/data cannot be used: its file system is read-only/],
    ['EACCES', /\/data cannot be used: this user may not write there/],
    ['ENOSPC', /\/data cannot be used: its disk is full/],
    ['ENOTDIR', /\/data cannot be used: it lies below a file/],
  ];
  for (const [code, message] of reasons) {
    const world = new StoreWorld();
    world.disk.onCall = ({ name }) => (name === 'open' ? { code } : undefined);
    await t.rejects(world.start(), { name: 'DataFolderUnusable', message }, code);
  }
  const world = new StoreWorld();
  await put(world, '/data', 'not a folder');
  const message = /\/data cannot be used: it is a file/;
  await t.rejects(world.start(), { name: 'DataFolderUnusable', message });
  t.equal(world.disk.file('/data').contents.toString(), 'not a folder');
});

t.test('foreign files stay where they are and harm nobody', async (t) => {
  const world = new StoreWorld();
  await world.start();
  world.append(3, 100);
  await world.stop();
  const foreign = [
    '/data/README.md',
    '/data/orders-0.bak',
    `${FOLDER}/notes.txt`,
    `${FOLDER}/x.log`,
    `${FOLDER}/00000000000000000000.log.bak`,
    `${FOLDER}/123.log`,
    `${FOLDER}/00000000000000000000`,
    '/data/journal/notes.txt',
  ];
  for (const path of foreign) await put(world, path, 'mine');
  for (const stop of ['stop', 'kill', 'powerCut'] as const) {
    await world.start();
    t.same((await world.batches())[0], [0, 2]);
    world.append();
    await world.reached('durable', world.log.endOffset);
    await world[stop]();
  }
  for (const path of foreign) t.equal(world.disk.file(path).contents.toString(), 'mine', path);
});

t.test('a journal torn at any byte of its last two groups loses only what is torn', async (t) => {
  const sizes = await journalOf(3);
  const [, from = 0] = sizes.ends;
  for (let size = sizes.end; size > from - 4; size--) {
    const world = await filled(3);
    const journal = world.disk.file('/data/journal/00000001.journal');
    // What was there before is not zeros: the last byte of a batch may be one.
    journal.write(Buffer.alloc(journal.sizeBytes - size, 0xa5), size);
    await world.start();
    const whole = sizes.ends.filter((end) => end <= size).length;
    const found = await world.batches();
    const expected = [0, 2, 4].slice(0, whole).map((base) => [base, base + 1]);
    t.same(found, expected, `${size} of ${sizes.end} bytes`);
    t.equal(world.append(), whole * 2);
  }
});

/** A store that was killed with so many batches in its journal only. */
async function filled(batches: number): Promise<StoreWorld> {
  const world = new StoreWorld();
  await world.start();
  for (let count = 0; count < batches; count++) {
    world.append(2, 50);
    await world.reached('durable', (count + 1) * 2);
  }
  await world.kill();
  return world;
}

/** Where the batches in the journal end. */
async function journalOf(batches: number): Promise<{ ends: number[]; end: number }> {
  const world = await filled(batches);
  const bytes = world.disk.file('/data/journal/00000001.journal').contents;
  const ends: number[] = [];
  for (let at = bytes.indexOf('TRJG'); at >= 0; at = bytes.indexOf('TRJG', at + 1)) {
    const batch = at + bytes.readUInt32BE(at + 12);
    const groupEnd = at + bytes.readUInt32BE(at + 8);
    // A group may hold a lease alone.
    if (batch < groupEnd - 61) ends.push(batch + readBatchHeader(bytes, batch).sizeBytes);
  }
  return { ends, end: ends.at(-1)! };
}

t.test('bytes that changed in the middle are an error there, and the rest is served', async (t) => {
  for (const stop of ['stop', 'kill'] as const) {
    const world = new StoreWorld();
    await world.start();
    for (let count = 0; count < 5; count++) world.append(2, 50);
    await world.clock.run(world.log.flush());
    await world.clock.advance(61_000);
    await world[stop]();
    const file = world.disk.file(LOG);
    const { sizeBytes } = readBatchHeader(file.contents, 0);
    const at = 2 * sizeBytes + 70;
    file.write(Buffer.from([file.contents[at]! ^ 1]), at);
    await world.start();
    const read = (from: number) =>
      world.clock.run(Promise.resolve(world.log.read(from, 1 << 20, 10, true)));
    const before = await read(0);
    t.equal(before.nextOffset, 4);
    await t.rejects(read(4), {
      name: 'CorruptLog',
      message: new RegExp(`${LOG}: ${sizeBytes} bytes at ${2 * sizeBytes} .*wrong checksum`),
    });
    await t.rejects(read(5), { name: 'CorruptLog' });
    const behind = await read(6);
    t.equal(behind.nextOffset, 10);
    for (const slice of [before, behind]) slice.release();
    t.equal(world.damaged, 1, 'it is counted once');
    t.match(
      world.lines.find(({ text }) => text === 'a segment is damaged'),
      { level: 'error', values: { path: LOG, position: 2 * sizeBytes, reason: 'wrong checksum' } },
    );
  }
});

t.test('a partition folder that was taken away is missed, and its offsets with it', async (t) => {
  const world = new StoreWorld();
  await world.start();
  world.append(3, 100);
  await world.stop();
  await world.disk.mount().removeTree(FOLDER);
  await world.start();
  t.ok(world.lines.some(({ level, text }) => level === 'error' && text.includes('are missing')));
  t.equal(world.append(), 3, 'no offset names two records');
});

t.test('checkpoints that are lost, cut, foreign or old cost time and nothing else', async (t) => {
  const files = [
    'recovery-point-offset-checkpoint',
    'log-start-offset-checkpoint',
    'tailrace-log-ends',
    'orders-0/leader-epoch-checkpoint',
    'orders-0/00000000000000000007.snapshot',
  ].map((name) => `/data/${name}`);
  for (const path of files) {
    for (const harm of ['lost', 'cut', 'foreign', 'old'] as const) {
      for (const stop of ['stop', 'kill'] as const) {
        const world = new StoreWorld({ topic: { segmentBytes: 500 } });
        await world.start();
        for (const sequence of [0, 2, 4]) world.append(2, 100, { id: 5, sequence });
        await world.clock.run(world.log.flush());
        await world.clock.run(world.log.deleteRecordsBefore(3));
        await world.clock.advance(61_000);
        const old = world.disk.files().includes(path)
          ? Buffer.from(world.disk.file(path).contents)
          : undefined;
        world.append(1, 100, { id: 5, sequence: 6 });
        await world.reached('durable', 7);
        await world[stop]();
        if (!world.disk.files().includes(path)) continue;
        const file = world.disk.file(path);
        if (harm === 'lost') await world.disk.mount().remove(path);
        if (harm === 'cut') file.truncate(Math.floor(file.sizeBytes / 2));
        if (harm === 'foreign') file.write(Buffer.alloc(file.sizeBytes, 0xff), 0);
        if (harm === 'old' && old !== undefined) {
          file.truncate(0);
          file.write(old, 0);
        }
        await world.start();
        const what = `${path} ${harm}, ${stop}`;
        const bases = (await world.batches(world.log.logStartOffset)).map(([base]) => base);
        if (bases.join() !== '2,4,6') t.fail(`${what}: ${bases.join()}`);
        if (world.log.endOffset !== 7) t.fail(`${what}: ends at ${world.log.endOffset}`);
        const repeated = world.batch(1, 100, { id: 5, sequence: 6 }).header;
        if (world.log.producers.check(repeated)?.lastOffset !== 6) t.fail(`${what}: not known`);
        const next = world.batch(1, 100, { id: 5, sequence: 7 }).header;
        if (world.log.producers.check(next) !== undefined) t.fail(`${what}: not taken`);
      }
    }
  }
});
