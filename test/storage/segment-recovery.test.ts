import t from 'tap';
import { CorruptLog } from '../../storage/errors.ts';
import type { SegmentLog } from '../../storage/segment-log.ts';
import {
  append,
  batchesFrom,
  batchOf,
  CLEAN,
  FOLDER,
  KILLED,
  OPTIONS,
  POWER_LOST,
  readAll,
  World,
} from './segment-world.ts';

const FIRST = `${FOLDER}/00000000000000000000`;

/** A log whose files are closed, with these batches, and a function that opens it anew. */
async function written(batches: readonly Buffer[], options = OPTIONS) {
  const world = new World();
  world.options = options;
  const log = await world.create();
  await append(log, batches);
  await log.close();
  return world;
}

/** Gives the file of that world other contents. */
async function overwrite(world: World, path: string, contents: Buffer): Promise<void> {
  const disk = world.disk.mount();
  const file = await disk.open(path, 'write');
  await file.truncate(0);
  await file.write([contents], 0);
  await file.close();
}

async function contentsOf(log: SegmentLog): Promise<Buffer> {
  return readAll(log, log.firstOffset, 10_000);
}

t.test('a torn tail is cut at the last whole batch, wherever it was torn', async (t) => {
  const batches = batchesFrom(0, 12);
  const all = Buffer.concat(batches);
  const lastTwo = all.length - batches[10]!.length - batches[11]!.length;
  for (const request of [KILLED, POWER_LOST]) {
    const world = await written(batches);
    for (let size = lastTwo; size < all.length; size++) {
      await overwrite(world, `${FIRST}.log`, all.subarray(0, size));
      const log = await world.open({ ...request, recoveryPoint: size % 3 === 0 ? 0 : 14 });
      const whole = size < lastTwo + batches[10]!.length ? 10 : 11;
      if (log.endOffset !== whole * 2) t.fail(`cut at ${size}: end ${log.endOffset}`);
      const expected = Buffer.concat(batches.slice(0, whole));
      if (!(await contentsOf(log)).equals(expected)) t.fail(`cut at ${size}: other contents`);
      t.equal(world.disk.file(`${FIRST}.log`).sizeBytes, expected.length);
      await append(log, batchesFrom(log.endOffset, 1));
      await log.close();
    }
    t.ok(world.said('a torn tail was cut'));
    t.equal(world.buffers.out.size, 0);
  }
});

t.test('zeros behind the last batch are a torn tail', async (t) => {
  const batches = batchesFrom(0, 5);
  for (const zeros of [1, 60, 61, 4096, 2_000_000]) {
    const world = await written(batches);
    const all = Buffer.concat([...batches, Buffer.alloc(zeros)]);
    await overwrite(world, `${FIRST}.log`, all);
    const log = await world.open(KILLED);
    t.equal(log.endOffset, 10);
    t.equal(log.sizeBytes, all.length - zeros);
  }
});

t.test('every flipped byte of the last two batches is found', async (t) => {
  const batches = batchesFrom(0, 12);
  const all = Buffer.concat(batches);
  const last = all.length - batches[11]!.length;
  const lastTwo = last - batches[10]!.length;
  for (const request of [KILLED, POWER_LOST]) {
    const world = await written(batches);
    for (let at = lastTwo; at < all.length; at++) {
      // The leader epoch of a batch is under no checksum; nothing can tell.
      const within = at < last ? at - lastTwo : at - last;
      if (within >= 12 && within < 16) continue;
      const flipped = Buffer.from(all);
      flipped[at]! ^= 1 << (at % 8);
      await overwrite(world, `${FIRST}.log`, flipped);
      const log = await world.open(request);
      const isInLast = at >= last;
      const good = batches.slice(0, isInLast ? 11 : 10);
      const before = await log.read(0, 10_000, log.endOffset, true);
      if (!Buffer.concat(before.buffers).equals(Buffer.concat(good))) {
        t.fail(`byte ${at}: the sound batches before it`);
      }
      before.release();
      if (request.powerLost || isInLast) {
        if (log.endOffset !== good.length * 2) t.fail(`byte ${at}: end ${log.endOffset}`);
      } else {
        if (log.endOffset !== 24) t.fail(`byte ${at}: end ${log.endOffset}`);
        await t.rejects(async () => log.read(20, 100, 24, true), CorruptLog);
        const behind = await log.read(22, 1000, 24, true);
        if (!Buffer.concat(behind.buffers).equals(batches[11]!)) t.fail(`byte ${at}: behind it`);
        behind.release();
      }
      await log.close();
    }
    t.equal(world.buffers.out.size, 0);
  }
});

t.test('after a power cut the rest behind damage is put aside, and said', async (t) => {
  const batches = batchesFrom(0, 12);
  const all = Buffer.concat(batches);
  const world = await written(batches);
  const at = Buffer.concat(batches.slice(0, 8)).length;
  world.disk.file(`${FIRST}.log`).flip(at + 70, 0x40);
  const log = await world.open({ ...POWER_LOST, recoveryPoint: 6 });
  t.equal(log.endOffset, 16);
  const aside = world.disk.file(`${FIRST}.log-${at}.damaged`).contents;
  t.equal(aside.length, all.length - at);
  t.ok(aside.subarray(batches[8]!.length).equals(all.subarray(at + batches[8]!.length)));
  const line = world.lines.find(({ text }) => text.includes('put aside'));
  t.match(line, {
    level: 'error',
    values: { segment: `${FIRST}.log`, position: at, reason: 'wrong checksum', nextOffset: 16 },
  });
  await append(log, batchesFrom(16, 2));
  await log.close();
  t.equal((await world.open(CLEAN)).endOffset, 20, 'the file put aside is in nobodys way');
});

t.test('damage in a closed segment stays there and is told, wherever the power went', async (t) => {
  const batches = batchesFrom(0, 12);
  for (const request of [KILLED, POWER_LOST]) {
    const world = await written(batches, { ...OPTIONS, segmentBytes: 800 });
    world.disk.file(`${FIRST}.log`).flip(batches[0]!.length + 65, 1);
    const log = await world.open(request);
    t.equal(log.endOffset, 24);
    const before = await log.read(0, 1000, 24, true);
    t.equal(before.nextOffset, 2);
    before.release();
    await t.rejects(
      async () => log.read(2, 1000, 24, true),
      /offsets 2 to 3\) are damaged: wrong checksum/,
    );
    await t.rejects(async () => log.read(3, 1000, 24, true), CorruptLog);
    const behind = await readAll(log, 4);
    t.ok(behind.equals(Buffer.concat(batches.slice(2))));
    t.ok(world.said('a segment is damaged'));
  }
});

t.test('bit rot below the recovery point is found by who reads there', async (t) => {
  const batches = batchesFrom(0, 12);
  const all = Buffer.concat(batches);
  for (let at = 0; at < all.length; at += 4) {
    const index = Math.floor(at / batches[0]!.length);
    const within = at % batches[0]!.length;
    if (within >= 12 && within < 16) continue;
    const world = await written(batches, { ...OPTIONS, segmentBytes: 600 });
    const first = index - (index % 3);
    const path = `${FOLDER}/${String(first * 2).padStart(20, '0')}.log`;
    world.disk.file(path).flip(at - first * batches[0]!.length, 1 << (at % 8));
    const log = await world.open({ ...KILLED, recoveryPoint: 24 });
    for (let from = 0; from < 24; from += 2) {
      let slice: Awaited<ReturnType<SegmentLog['read']>>;
      try {
        slice = await log.read(from, 1, 24, true);
      } catch (error) {
        if (!(error instanceof CorruptLog)) throw error;
        if (from !== index * 2) t.fail(`byte ${at}: offset ${from} is sound: ${error.message}`);
        continue;
      }
      const got = Buffer.concat(slice.buffers);
      if (from === index * 2) t.fail(`byte ${at}: nothing was noticed at ${from}`);
      else if (!got.equals(batches[from / 2]!)) t.fail(`byte ${at}: other data at ${from}`);
      slice.release();
    }
    await log.close();
  }
});

t.test('missing and damaged indexes give the same reads', async (t) => {
  const batches = batchesFrom(0, 40);
  const all = Buffer.concat(batches);
  const options = { ...OPTIONS, segmentBytes: 2000 };
  const reference = await written(batches, options);
  const names = reference.disk.files().filter((file) => /\.(time)?index$/.test(file));
  t.equal(names.length, 8);
  for (const name of names) {
    const good = Buffer.from(reference.disk.file(name).contents);
    t.ok(good.length > 0);
    const damages: [string, Buffer | undefined][] = [
      ['missing', undefined],
      ['empty', Buffer.alloc(0)],
      ['zeros', Buffer.alloc(good.length)],
      ['cut', good.subarray(0, good.length - 3)],
      ['halved', good.subarray(0, Math.floor(good.length / 24) * 12)],
      ['longer', Buffer.concat([good, Buffer.alloc(24)])],
      ['other', Buffer.concat([good.subarray(0, 0), Buffer.alloc(good.length, 7)])],
    ];
    for (let at = 0; at < good.length; at += 3) {
      const flipped = Buffer.from(good);
      flipped[at]! ^= 1 << (at % 8);
      damages.push([`flipped at ${at}`, flipped]);
    }
    for (const [kind, contents] of damages) {
      for (const request of [CLEAN, { ...KILLED, recoveryPoint: 77 }]) {
        const world = await written(batches, options);
        const disk = world.disk.mount();
        if (contents === undefined) await disk.remove(name);
        else await overwrite(world, name, contents);
        const log = await world.open(request);
        if (log.endOffset !== 80) t.fail(`${name} ${kind}: end ${log.endOffset}`);
        for (let from = 0; from < 80; from += 7) {
          const slice = await log.read(from, 300, 80, true);
          const first = Math.floor(from / 2);
          const expected = Buffer.concat(batches.slice(first)).subarray(0, slice.sizeBytes);
          if (slice.sizeBytes === 0 || !Buffer.concat(slice.buffers).equals(expected)) {
            t.fail(`${name} ${kind}: read from ${from}`);
          }
          slice.release();
        }
        if (!(await contentsOf(log)).equals(all)) t.fail(`${name} ${kind}: all`);
        await log.close();
      }
    }
  }
});

t.test('indexes made anew are those that were written', async (t) => {
  const batches = batchesFrom(0, 40).map((batch, index) =>
    index % 5 === 0 ? batchOf({ baseOffset: index * 2, timestamp: 5000 + index * 100 }) : batch,
  );
  const options = { ...OPTIONS, segmentBytes: 2000 };
  const world = await written(batches, options);
  const names = world.disk.files().filter((file) => /\.(time)?index$/.test(file));
  const before = names.map((name) => Buffer.from(world.disk.file(name).contents));
  const disk = world.disk.mount();
  for (const name of names) await disk.remove(name);
  const log = await world.open(KILLED);
  await log.close();
  for (const [at, name] of names.entries()) {
    t.ok(world.disk.file(name).contents.equals(before[at]!), name);
  }
});

t.test('what is above the recovery point is written and synced again', async (t) => {
  const batches = batchesFrom(0, 6);
  const world = new World();
  const log = await world.create();
  await append(log, batches.slice(0, 3));
  await log.sync();
  await append(log, batches.slice(3));
  world.disk.onCall = ({ name }) => (name === 'sync' ? { code: 'EIO' } : undefined);
  await t.rejects(log.sync(), { name: 'LogFailed' });
  await t.rejects(append(log, batchesFrom(12, 1)), { name: 'LogFailed' }, 'for ever');
  world.disk.onCall = undefined;
  await t.rejects(log.sync(), { name: 'LogFailed' }, 'a sync is not tried again');
  world.disk.kill();
  const again = await world.open({ ...KILLED, recoveryPoint: 6 });
  t.equal(again.endOffset, 12);
  world.disk.powerCut(world.random, 0);
  const last = await world.open({ ...POWER_LOST, recoveryPoint: 6 });
  t.ok((await contentsOf(last)).equals(Buffer.concat(batches)), 'the pages were not only clean');
});

t.test('what is appended beside a sync is not lost, whenever the sync begins', async (t) => {
  for (const segmentBytes of [OPTIONS.segmentBytes, 400]) {
    // At which call of the append the sync begins; 0: before it.
    for (const call of [0, 1, 2, 3]) {
      const batches = batchesFrom(0, 12);
      const world = new World();
      world.options = { ...OPTIONS, segmentBytes };
      const log = await world.create();
      await append(log, batches.slice(0, 3));
      await log.sync();
      await append(log, batches.slice(3, 6));
      let calls = 0;
      const syncs = call === 0 ? [log.sync()] : [];
      world.disk.onCall = () => {
        if (++calls === call) syncs.push(log.sync());
        return undefined;
      };
      await append(log, batches.slice(6));
      world.disk.onCall = undefined;
      await Promise.all(syncs);
      await log.sync();
      world.disk.powerCut(world.random, 0);
      const left = await world.open({ ...POWER_LOST, recoveryPoint: 6 });
      const isWhole = (await contentsOf(left)).equals(Buffer.concat(batches));
      t.ok(isWhole, `call ${call}, segments of ${segmentBytes} bytes`);
    }
  }
});

t.test('recovery starts at the recovery point and says how far it is', async (t) => {
  const batches = batchesFrom(0, 200);
  const world = await written(batches);
  let read = 0;
  const log = await world.open({
    ...KILLED,
    recoveryPoint: 380,
    onProgress: (bytes) => {
      read += bytes;
    },
  });
  t.equal(log.endOffset, 400);
  const above = Buffer.concat(batches.slice(190)).length;
  t.ok(read >= above && read < above + 600, `${read} bytes for ${above}`);
  const again = await world.open({ ...KILLED, recoveryPoint: 10_000 });
  t.equal(again.endOffset, 400, 'a recovery point ahead of the log does no harm');
});

t.test('an end that is known is believed, and proved when the log is used', async (t) => {
  const batches = batchesFrom(0, 20);
  const world = new World();
  world.options = { ...OPTIONS, segmentBytes: 1400 };
  const log = await world.create();
  await append(log, batches);
  await log.sync();
  const { knownEnd } = log;
  t.same(knownEnd, { baseOffset: 36, sizeBytes: 310, endOffset: 40 });
  for (const cleanShutdown of [true, false]) {
    world.disk.kill();
    const calls: string[] = [];
    world.disk.onCall = ({ name }) => {
      calls.push(name);
      return undefined;
    };
    const known = await world.open({ cleanShutdown, recoveryPoint: 40, knownEnd });
    t.same(calls, ['list', 'stat', 'stat', 'stat'], 'nothing is read');
    t.equal(known.endOffset, 40);
    t.equal(known.replayFrom, 40);
    t.ok((await contentsOf(known)).equals(Buffer.concat(batches)));
  }
  world.disk.kill();
  const again = await world.open({ ...KILLED, recoveryPoint: 40, knownEnd });
  const more = batchesFrom(40, 9);
  await append(again, more);
  t.ok((await contentsOf(again)).equals(Buffer.concat([...batches, ...more])));
  t.match(await again.offsetOfMaxTimestamp(0, again.endOffset), { offset: 56 });
  await again.sync();

  world.disk.kill();
  const grown = await world.open({ ...KILLED, recoveryPoint: 40, knownEnd });
  t.equal(grown.endOffset, 58, 'what was written since is looked for');
  world.disk.kill();
  const below = await world.open({ ...KILLED, recoveryPoint: 30, knownEnd: grown.knownEnd });
  t.equal(below.endOffset, 58);
  world.disk.kill();
  const wrong = { ...grown.knownEnd!, endOffset: 60 };
  const mistaken = await world.open({ ...CLEAN, knownEnd: wrong });
  await append(mistaken, batchesFrom(60, 1));
  t.equal(mistaken.endOffset, 62, 'what is gone was given out: its offsets are not given again');
  await t.rejects(async () => mistaken.read(58, 100, 62, true), /synced are gone/);
  const behind = await mistaken.read(60, 100, 62, true);
  t.equal(behind.nextOffset, 62);
  behind.release();
});

t.test(
  'a flipped byte of the last batch spoils that batch alone where the end is known',
  async (t) => {
    const batches = batchesFrom(0, 12);
    const last = Buffer.concat(batches.slice(0, 11)).length;
    const sound = Buffer.concat(batches.slice(0, 11));
    const added = batchOf({ baseOffset: 24 });
    for (const withIndexes of [true, false]) {
      const world = await written(batches);
      const log = await world.open(KILLED);
      const { knownEnd } = log;
      await log.close();
      const files = world.disk
        .files()
        .map((file) => [file, Buffer.from(world.disk.file(file).contents)] as const);
      for (let at = 0; at < batches[11]!.length; at++) {
        if (at >= 12 && at < 16) continue;
        for (const [file, contents] of files) await overwrite(world, file, contents);
        if (!withIndexes) await world.disk.mount().remove(`${FIRST}.index`);
        world.disk.file(`${FIRST}.log`).flip(last + at, 1 << (at % 8));
        const known = await world.open({ ...CLEAN, recoveryPoint: 24, knownEnd });
        const what = `byte ${at}, ${withIndexes ? 'with' : 'without'} indexes`;
        const before = await known.read(0, 10_000, 24, true);
        if (!Buffer.concat(before.buffers).equals(sound)) t.fail(`${what}: the sound batches`);
        before.release();
        await t.rejects(async () => known.read(22, 100, 24, true), CorruptLog, what);
        await append(known, [added]);
        const behind = await known.read(24, 1000, known.endOffset, true);
        if (!Buffer.concat(behind.buffers).equals(added)) t.fail(`${what}: what came behind`);
        behind.release();
        await known.close();
        for (const file of world.disk.files()) {
          if (!files.some(([name]) => name === file)) await world.disk.mount().remove(file);
        }
      }
      t.equal(world.buffers.out.size, 0);
    }
  },
);

t.test('a log that ends below its start is emptied', async (t) => {
  const world = await written(batchesFrom(0, 5));
  const log = await world.open({ ...KILLED, logStartOffset: 50 });
  t.equal(log.endOffset, 50);
  t.equal(log.firstOffset, 50);
  await append(log, batchesFrom(50, 2));
  t.equal((await contentsOf(log)).length, log.sizeBytes);
  t.ok(world.said('end below the log start'));
});

t.test('segments below the log start are removed at the start', async (t) => {
  const world = await written(batchesFrom(0, 12), { ...OPTIONS, segmentBytes: 600 });
  const log = await world.open({ ...CLEAN, logStartOffset: 13 });
  t.equal(log.firstOffset, 12);
  t.notOk(world.disk.files().includes(`${FIRST}.log`));
  t.notOk(world.disk.files().includes(`${FIRST}.index`));
  t.equal(log.endOffset, 24);
});

t.test('a folder without segments, and none, are an empty log at its start', async (t) => {
  const world = new World();
  await world.disk.mount().makeDir(FOLDER);
  t.equal((await world.open({ logStartOffset: 5 })).endOffset, 5);
  t.equal((await new World().open({ ...KILLED, logStartOffset: 6 })).endOffset, 6);
});

t.test('leftovers of a crash are cleared up as Kafka does', async (t) => {
  const file = (offset: number, suffix: string) =>
    `${FOLDER}/${String(offset).padStart(20, '0')}${suffix}`;
  const put = async (world: World, path: string, contents: Buffer) => {
    const opened = await world.disk.mount().open(path, 'create');
    await opened.write([contents], 0);
  };

  await t.test('what was deleted or not finished goes', async (t) => {
    const world = await written(batchesFrom(0, 3));
    for (const name of [
      file(0, '.log.deleted'),
      file(0, '.index.deleted'),
      file(0, '.log.cleaned'),
      file(0, '.log.swap'),
      file(7, '.index'),
      file(7, '.timeindex'),
      file(7, '.txnindex'),
    ]) {
      await put(world, name, batchOf({ baseOffset: 0 }));
    }
    const log = await world.open(CLEAN);
    t.equal(log.endOffset, 6);
    t.same(world.disk.files(), [
      file(0, '.index'),
      file(0, '.log'),
      file(0, '.timeindex'),
      `${FOLDER}/partition.metadata`,
    ]);
  });

  await t.test('a finished swap takes the place of what it replaces', async (t) => {
    for (let seed = 0; seed < 40; seed++) {
      const batches = batchesFrom(0, 12);
      const world = await written(batches, { ...OPTIONS, segmentBytes: 600 });
      const compacted = [batchOf({ baseOffset: 0 }), batches[8]!];
      await put(world, file(0, '.log.swap'), Buffer.concat(compacted));
      await world.disk.mount().syncDir(FOLDER);
      for (const path of world.disk.files()) world.disk.file(path).sync();
      const at = world.disk.calls + 1 + seed;
      world.disk.onCall = ({ number }) => (number === at ? { ends: 'after' } : undefined);
      const work = world.open(POWER_LOST);
      await world.clock.settle();
      world.disk.onCall = undefined;
      world.disk.powerCut(world.random);
      const log = await world.open(POWER_LOST);
      const expected = Buffer.concat([...compacted, ...batches.slice(9)]);
      const read = await contentsOf(log);
      if (!read.equals(expected)) t.fail(`seed ${seed}: ${read.length} of ${expected.length}`);
      t.same(
        log.segments().map((segment) => segment.baseOffset),
        [0, 18],
      );
      work.catch(() => {});
    }
  });
});

t.test('a batch inside a value is not taken for one of the log', async (t) => {
  const inner = batchOf({ baseOffset: 4 });
  const outer = batchOf({ baseOffset: 2, valueBytes: 400, records: 1 });
  inner.copy(outer, 100);
  const batches = [batchOf({ baseOffset: 0 }), outer, batchOf({ baseOffset: 3 })];
  const world = await written([batches[0]!, batchOf({ baseOffset: 2 })]);
  await overwrite(world, `${FIRST}.log`, Buffer.concat(batches));
  const log = await world.open(KILLED);
  t.equal(log.endOffset, 5);
  await t.rejects(async () => log.read(2, 1000, 5, true), /offsets 2 to 2\)/);
  const behind = await log.read(3, 1000, 5, true);
  t.ok(Buffer.concat(behind.buffers).equals(batches[2]!));
  behind.release();
});

t.test('a length that lies does not cost memory', async (t) => {
  const batches = batchesFrom(0, 8, { records: 1, valueBytes: 2_000_000 });
  const world = await written(batches, { ...OPTIONS, segmentBytes: 100_000_000 });
  const all = Buffer.concat(batches);
  all.writeInt32BE(11_000_000, batches[0]!.length + 8);
  await overwrite(world, `${FIRST}.log`, all);
  let largest = 0;
  const acquire = world.buffers.acquire.bind(world.buffers);
  world.buffers.acquire = (sizeBytes) => {
    largest = Math.max(largest, sizeBytes);
    return acquire(sizeBytes);
  };
  const log = await world.open(KILLED);
  t.equal(log.endOffset, 8);
  await t.rejects(async () => log.read(1, 100, 8, true), CorruptLog);
  t.ok(largest <= 4 * 1024 * 1024, `${largest} bytes`);
  const behind = await log.read(2, 100, 8, true);
  t.ok(Buffer.concat(behind.buffers).equals(batches[2]!));
  behind.release();
  t.equal(world.buffers.out.size, 0);
});
