import { mkdtemp, open, readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import t, { type Test as TapTest } from 'tap';
import { silentLog, systemWorld } from '../../broker/main.ts';
import type { Disk, DiskFile, Env } from '../../storage/env.ts';
import { Journal, type JournalOptions, type JournalSource } from '../../storage/journal.ts';
import { JournalFile } from '../../storage/journal-file.ts';
import { type JournalContents, journalKey, readJournal } from '../../storage/journal-replay.ts';
import { SimClock } from '../sim/clock.ts';
import { SimDisk } from '../sim/disk.ts';
import { SeededRandom } from '../sim/random.ts';
import { FakeSource } from './fake-source.ts';

const DEVICE = 7;

interface Faults {
  write?: NodeJS.ErrnoException;
  sync?: NodeJS.ErrnoException;
}

function errno(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(code), { code });
}

/** The real disk, whose writes and syncs fail on request. */
function faulty(disk: Disk, faults: Faults): Disk {
  return {
    ...disk,
    open: async (name, mode) => {
      const file = await disk.open(name, mode);
      const wrapped: DiskFile = {
        path: file.path,
        read: (...args) => file.read(...args),
        readSync: (...args) => file.readSync(...args),
        write: async (...args) => {
          if (faults.write) throw faults.write;
          return file.write(...args);
        },
        writeSync: (...args) => {
          if (faults.write) throw faults.write;
          file.writeSync(...args);
        },
        sync: async () => {
          if (faults.sync) throw faults.sync;
          return file.sync();
        },
        syncSync: () => {
          if (faults.sync) throw faults.sync;
          file.syncSync();
        },
        truncate: (size) => file.truncate(size),
        stat: () => file.stat(),
        statSync: () => file.statSync(),
        close: () => file.close(),
      };
      return wrapped;
    },
  };
}

async function setUp(t: TapTest, more: Partial<JournalOptions> = {}) {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'tailrace-journal-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  const world = systemWorld(silentLog).env;
  const faults: Faults = {};
  const disk = faulty(world.disk, faults);
  const env: Env = { ...world, disk };
  const stalls: (Error | undefined)[] = [];
  const pressed: JournalSource[] = [];
  const rooms: number[] = [];
  const options: JournalOptions = {
    dir,
    fileBytes: 64 * 1024,
    maxBytes: 1024 * 1024,
    writeSyncMaxBytes: 8 * 1024,
    syncMaxMs: 20,
    device: DEVICE,
    isDiskQuiet: () => true,
    onSync: () => {},
    onRoom: () => rooms.push(journal.usedBytes),
    onPressure: (sources) => pressed.push(...sources),
    onStall: (error) => stalls.push(error),
    ...more,
  };
  const journal = new Journal(env, options, 1, 1);
  return { dir, env, faults, journal, stalls, pressed, rooms };
}

/** Waits for a condition, looking again after each round of input and output. */
async function until(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error('the condition never came to hold');
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

function put(journal: Journal, source: FakeSource, text: string): void {
  source.pending.push(Buffer.from(text));
  journal.touch(source, source.pendingBytes);
}

/** The texts of one log as the journal has them, and its lease. */
async function replayed(contents: JournalContents, source: FakeSource) {
  const topicId = source.topicIdBytes.toString('base64url');
  const log = contents.logs.get(journalKey(topicId, source.partition));
  const texts: string[] = [];
  for (const run of log?.runs ?? []) {
    const bytes = Buffer.alloc(run.sizeBytes);
    await run.file.file.read(bytes, 0, bytes.length, run.position);
    texts.push(bytes.toString());
  }
  return { texts, leaseEnd: log?.leaseEnd ?? 0, ends: (log?.runs ?? []).map(({ end }) => end) };
}

async function read(env: Env, dir: string, device = DEVICE): Promise<JournalContents> {
  const contents = await readJournal(env, dir, device);
  return contents;
}

async function closeParts(contents: JournalContents): Promise<void> {
  for (const part of contents.parts) await part.file.close();
}

t.test('what several logs wrote comes back in order, with their leases', async (t) => {
  const { dir, env, journal } = await setUp(t);
  const a = new FakeSource(1, 0);
  const b = new FakeSource(2, 5);
  a.lease = 500;
  put(journal, a, 'a0');
  put(journal, a, 'a1');
  put(journal, b, 'b0');
  await until(() => a.durable === 2 && b.durable === 1);
  t.equal(a.leased, 500);
  put(journal, a, 'a2');
  await until(() => a.durable === 3);
  t.equal(a.written, 3);
  await journal.close(false);

  const contents = await read(env, dir);
  t.same(await replayed(contents, a), { texts: ['a0a1', 'a2'], leaseEnd: 500, ends: [2, 3] });
  t.same(await replayed(contents, b), { texts: ['b0'], leaseEnd: 0, ends: [1] });
  t.equal(contents.isForeign, false);
  await closeParts(contents);
  const elsewhere = await read(env, dir, DEVICE + 1);
  t.equal(elsewhere.isForeign, true);
  await closeParts(elsewhere);
});

t.test(
  'a large group is written beside the turn, and what comes meanwhile follows it',
  async (t) => {
    const { dir, env, journal } = await setUp(t);
    const a = new FakeSource(1, 0);
    put(journal, a, 'x'.repeat(40_000));
    await until(() => a.taken === 1);
    put(journal, a, 'y');
    await until(() => a.durable === 2);
    await journal.close(false);
    const contents = await read(env, dir);
    const { texts } = await replayed(contents, a);
    t.same(texts, ['x'.repeat(40_000), 'y']);
    await closeParts(contents);
  },
);

t.test('what a turn brings in bulk is written before the turn ends', async (t) => {
  const { journal } = await setUp(t, { fileBytes: 1e6, writeSyncMaxBytes: 5e5 });
  const a = new FakeSource(1, 0);
  put(journal, a, 'makes the file');
  await until(() => a.durable === 1);
  put(journal, a, 'x'.repeat(200_000));
  await Promise.resolve();
  t.equal(a.written, 1, 'a little waits for more');
  put(journal, a, 'y'.repeat(100_000));
  await Promise.resolve();
  t.equal(a.written, 3);
  await until(() => a.durable === 3);
  await journal.close(false);
});

t.test('files that a burst made are used again', async (t) => {
  const { dir, journal } = await setUp(t);
  const busy = new FakeSource(1, 0);
  let written = 0;
  const burst = async () => {
    for (let count = 0; count < 60; count++) {
      put(journal, busy, 'z'.repeat(7000));
      written++;
      await until(() => busy.durable === written);
    }
    journal.release(busy, written);
  };
  await burst();
  const names = await readdir(dir);
  t.ok(names.length > 4, 'it made many');
  await burst();
  t.same(await readdir(dir), names);
  await journal.close(true);
});

t.test('after a close with nothing left the journal is void', async (t) => {
  const { dir, env, journal } = await setUp(t);
  const a = new FakeSource(1, 0);
  put(journal, a, 'gone');
  await until(() => a.durable === 1);
  await journal.close(true);
  const contents = await read(env, dir);
  t.equal(contents.logs.size, 0);
  await closeParts(contents);
});

t.test('files whose data is persisted are used again, never growing in number', async (t) => {
  const { dir, env, journal } = await setUp(t);
  const a = new FakeSource(1, 0);
  for (let index = 1; index <= 40; index++) {
    put(journal, a, String(index).repeat(10_000).slice(0, 7000));
    await until(() => a.durable === index);
    a.persistedOffset = index;
    journal.release(a, index);
  }
  t.ok((await readdir(dir)).length <= 3, 'at most three files');
  await journal.close(false);
  const contents = await read(env, dir);
  const { ends } = await replayed(contents, a);
  t.equal(ends.at(-1), 40);
  t.same(
    ends,
    [...ends].sort((x, y) => x - y),
    'runs of the recycled files come in order',
  );
  await closeParts(contents);
});

t.test('what a file had left that waits for its next use is no damage', async (t) => {
  const { dir, env, journal } = await setUp(t);
  const a = new FakeSource(1, 0);
  // Persisting lags at first, so that there are several files; of those free then one waits long.
  for (let index = 1; index <= 60; index++) {
    put(journal, a, String(index).padEnd(20_000, '.'));
    await until(() => a.durable === index);
    if (index < 12) continue;
    a.persistedOffset = index;
    journal.release(a, index);
  }
  await journal.close(false);
  const reported: object[] = [];
  const log = { ...silentLog, error: (values: object) => reported.push(values) };
  const contents = await read({ ...env, log }, dir);
  t.same(reported, []);
  t.equal((await replayed(contents, a)).ends.at(-1), 60);
  await closeParts(contents);
});

t.test('a full journal names the logs that hold its oldest file', async (t) => {
  const { journal, pressed } = await setUp(t, { maxBytes: 256 * 1024 });
  const quiet = new FakeSource(1, 0);
  const busy = new FakeSource(2, 0);
  put(journal, quiet, 'holds the first file');
  await until(() => quiet.durable === 1);
  for (let index = 1; index <= 40 && !pressed.includes(quiet); index++) {
    put(journal, busy, 'z'.repeat(7000));
    await until(() => busy.durable === index);
  }
  t.ok(pressed.includes(quiet));
  await journal.close(false);
});

t.test('a lease that is still needed is written again before its file is used again', async (t) => {
  const { journal } = await setUp(t);
  const holder = new FakeSource(1, 0);
  holder.keepsLease = true;
  holder.lease = 900;
  put(journal, holder, 'leased');
  await until(() => holder.leased === 900);
  journal.release(holder, 1);
  const busy = new FakeSource(2, 0);
  for (let index = 1; index <= 30; index++) {
    put(journal, busy, 'z'.repeat(7000));
    await until(() => busy.durable === index);
    journal.release(busy, index);
  }
  t.ok(holder.renewals > 0);
  await journal.close(false);
});

t.test('room is told of when a file goes, also when a lease was all that held it', async (t) => {
  const maxBytes = 128 * 1024;
  const { journal, rooms } = await setUp(t, { maxBytes });
  const holder = new FakeSource(1, 0);
  holder.keepsLease = true;
  holder.lease = 900;
  put(journal, holder, 'leased');
  await until(() => holder.leased === 900);
  const busy = new FakeSource(2, 0);
  let puts = 0;
  while (!journal.isFull) {
    put(journal, busy, 'z'.repeat(7000));
    puts++;
    await until(() => busy.durable === puts);
  }
  journal.release(holder, 1);
  journal.release(busy, puts);
  t.ok(journal.isFull, 'the lease is still there');
  t.same(rooms, []);
  holder.lease = 1800;
  put(journal, holder, 'leased again');
  await until(() => rooms.length > 0);
  t.ok(rooms[0]! < maxBytes);
  t.equal(rooms.length, 1);
  await journal.close(false);
});

t.test('a torn tail is cut at every byte, whole groups before it stay', async (t) => {
  const { dir, env, journal } = await setUp(t);
  const a = new FakeSource(1, 0);
  for (let index = 1; index <= 3; index++) {
    put(journal, a, `group ${index}`);
    await until(() => a.durable === index);
  }
  await journal.close(false);
  const name = path.join(dir, (await readdir(dir))[0]!);
  const whole = await read(env, dir);
  const runs = [...whole.logs.values()][0]!.runs;
  const last = runs[2]!;
  await closeParts(whole);
  const handle = await open(name, 'r+');
  t.teardown(() => handle.close());
  // From the last group's end backwards: each cut leaves fewer of its bytes, zeros instead.
  for (let size = last.position + last.sizeBytes - 1; size > runs[1]!.position + 7; size--) {
    await handle.write(Buffer.alloc(1), 0, 1, size);
    const cut = await read(env, dir);
    const { ends } = await replayed(cut, a);
    // The payload has checksums of its own; a cut there is found when the batches are read.
    const isPayload = size >= last.position;
    if (!isPayload) t.same(ends, [1, 2], `cut at ${size}`);
    await closeParts(cut);
  }
});

t.test('damage where the journal was synced is reported, and what follows is read', async (t) => {
  const { dir, env, journal } = await setUp(t);
  const a = new FakeSource(1, 0);
  const b = new FakeSource(2, 0);
  put(journal, a, 'first');
  await until(() => a.durable === 1);
  put(journal, b, 'second');
  await until(() => b.durable === 1);
  put(journal, b, 'third');
  await until(() => b.durable === 2);
  await journal.close(false);
  const handle = await open(path.join(dir, (await readdir(dir))[0]!), 'r+');
  await handle.write(Buffer.from([0xff]), 0, 1, 512 + 40);
  await handle.close();
  const reported: object[] = [];
  const log = { ...silentLog, error: (values: object) => reported.push(values) };
  const contents = await read({ ...env, log }, dir);
  t.equal(reported.length, 1);
  t.match(reported[0], { position: 512 });
  t.equal(contents.parts[0]!.isDamaged, true);
  t.same((await replayed(contents, a)).texts, []);
  t.same((await replayed(contents, b)).texts, ['second', 'third']);
  await closeParts(contents);
});

t.test('the rest of a file that was full is no damage; a group lost before it is', async (t) => {
  const { dir, env, journal } = await setUp(t);
  const a = new FakeSource(1, 0);
  // Each takes more than half of a file.
  for (let index = 1; index <= 3; index++) {
    put(journal, a, String(index).padEnd(40_000, '.'));
    await until(() => a.durable === index);
  }
  await journal.close(false);
  const reported: object[] = [];
  const log = { ...silentLog, error: (values: object) => reported.push(values) };
  const whole = await read({ ...env, log }, dir);
  t.same(reported, []);
  t.same((await replayed(whole, a)).ends, [1, 2, 3]);
  t.notOk(whole.parts.some(({ isDamaged }) => isDamaged));
  const first = [...whole.logs.values()][0]!.runs[0]!.file.path;
  await closeParts(whole);
  const handle = await open(first, 'r+');
  await handle.write(Buffer.from([0xff]), 0, 1, 512 + 40);
  await handle.close();
  const damaged = await read({ ...env, log }, dir);
  t.match(reported, [{ path: first, position: 512 }]);
  t.same((await replayed(damaged, a)).ends, [2, 3]);
  await closeParts(damaged);
});

t.test('a failed write refuses what was not written, and writing resumes by itself', async (t) => {
  const { dir, env, faults, journal, stalls } = await setUp(t);
  const a = new FakeSource(1, 0);
  put(journal, a, 'before');
  await until(() => a.durable === 1);
  faults.write = errno('ENOSPC');
  put(journal, a, 'refused');
  await until(() => a.errors.length === 1);
  t.equal(a.written, 1);
  t.ok(journal.failure);
  put(journal, a, 'refused too');
  await until(() => a.errors.length === 2);
  faults.write = undefined as never;
  delete faults.write;
  await until(() => journal.failure === undefined);
  t.equal(stalls.length, 2);
  put(journal, a, 'after');
  await until(() => a.durable === 2);
  await journal.close(false);
  const contents = await read(env, dir);
  t.same((await replayed(contents, a)).texts, ['before', 'after']);
  await closeParts(contents);
});

t.test('a file that cannot be made leaves nothing open, and none is made beside it', async (t) => {
  for (const failing of ['write', 'syncDir'] as const) {
    const clock = new SimClock();
    const disk = new SimDisk(clock);
    const env: Env = {
      clock,
      disk: disk.mount(),
      random: new SeededRandom(1),
      host: { bootId: 'boot', hostName: 'sim', processId: 1 },
      log: silentLog,
    };
    const dir = '/data/journal';
    const options: JournalOptions = {
      dir,
      fileBytes: 64 * 1024,
      maxBytes: 1024 * 1024,
      writeSyncMaxBytes: 8 * 1024,
      syncMaxMs: 20,
      device: DEVICE,
      isDiskQuiet: () => false,
      onSync: () => {},
      onRoom: () => {},
      onPressure: () => {},
      onStall: () => {},
    };
    const journal = new Journal(env, options, 1, 1);
    const source = new FakeSource(1, 0);
    const write = async () => {
      put(journal, source, 'x'.repeat(4096));
      await clock.advance(1);
    };
    await write();
    disk.onCall = ({ name, path: at }) => {
      const isHit = name === failing && (name === 'syncDir' || at.endsWith('00000002.journal'));
      return isHit ? { code: 'EIO' } : undefined;
    };
    for (let count = 0; count < 11; count++) await write();
    t.equal(source.durable, 12, 'the file in use takes what comes');
    disk.onCall = undefined;
    for (let count = 0; count < 8; count++) await write();
    t.equal(source.durable, 20);
    t.equal(disk.files().length, 2, disk.files().join());
    await clock.run(journal.close(false));
    t.equal(disk.openFiles.size, 0, failing);
  }
});

t.test('after a failed sync nothing is durable any more', async (t) => {
  const { faults, journal } = await setUp(t);
  const a = new FakeSource(1, 0);
  put(journal, a, 'before');
  await until(() => a.durable === 1);
  faults.sync = errno('EIO');
  put(journal, a, 'lost');
  await until(() => a.failure !== undefined);
  delete faults.sync;
  t.equal(a.durable, 1);
  put(journal, a, 'refused');
  await until(() => a.errors.length === 1);
  t.equal(a.durable, 1);
  await journal.close(false);
});

t.test('what nobody waits for is synced a little later', async (t) => {
  const { journal } = await setUp(t);
  const a = new FakeSource(1, 0);
  a.wantsSync = false;
  put(journal, a, 'lazy');
  await until(() => a.written === 1);
  t.equal(a.durable, 0);
  await until(() => a.durable === 1);
  await journal.close(false);
});

t.test('bytes of an earlier use of a file are never taken for new', async (t) => {
  const { dir, env, journal } = await setUp(t);
  const a = new FakeSource(1, 0);
  put(journal, a, 'old one');
  await until(() => a.durable === 1);
  put(journal, a, 'old two');
  await until(() => a.durable === 2);
  await journal.close(false);
  const name = path.join(dir, (await readdir(dir))[0]!);
  const file = await env.disk.open(name, 'write');
  const { sizeBytes } = await file.stat();
  const options: JournalOptions = {
    dir,
    fileBytes: 64 * 1024,
    maxBytes: 1024 * 1024,
    writeSyncMaxBytes: 8 * 1024,
    syncMaxMs: 20,
    device: DEVICE,
    isDiskQuiet: () => true,
    onSync: () => {},
    onRoom: () => {},
    onPressure: () => {},
    onStall: () => {},
  };
  const free = [new JournalFile<JournalSource>(file, sizeBytes)];
  const second = new Journal(env, options, 2, 2);
  second.adopt(free);
  const b = new FakeSource(2, 0);
  // As long as the first group was, so that the old second one follows right behind it.
  put(second, b, 'new one');
  await until(() => b.durable === 1);
  await second.close(false);
  const contents = await read(env, dir);
  t.same((await replayed(contents, b)).texts, ['new one']);
  t.same((await replayed(contents, a)).texts, []);
  await closeParts(contents);
});
