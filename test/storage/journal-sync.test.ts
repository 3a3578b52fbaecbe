/** Where the journal's syncs are done: by a thread, or in the turn of the event loop. */

import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import t, { type Test } from 'tap';
import { silentLog, systemWorld } from '../../broker/main.ts';
import type { Disk, DiskFile } from '../../storage/env.ts';
import { Journal } from '../../storage/journal.ts';
import { FakeSource } from './fake-source.ts';

const QUICK_ROW = 16;

/** What was synced how, on a disk whose syncs take as long as the test says. */
class SyncWorld {
  beside = 0;
  inTurn = 0;
  syncMs = 0.1;
  isDiskQuiet = true;
  failure: Error | undefined;
  readonly source = new FakeSource(1, 0);
  #passedMs = 0;

  async open(t: Test): Promise<Journal> {
    const dir = await mkdtemp(path.join(os.tmpdir(), 'tailrace-journal-sync-'));
    const { env } = systemWorld(silentLog);
    const journal = new Journal(
      {
        ...env,
        clock: { ...env.clock, monotonic: () => this.#passedMs },
        disk: this.#watched(env.disk),
      },
      {
        dir,
        fileBytes: 1024 * 1024,
        maxBytes: 4 * 1024 * 1024,
        writeSyncMaxBytes: 256 * 1024,
        syncMaxMs: 10_000,
        device: 7,
        isDiskQuiet: () => this.isDiskQuiet,
        onSync: () => {},
        onRoom: () => {},
        onPressure: () => {},
        onStall: () => {},
      },
      1,
      1,
    );
    t.teardown(async () => {
      await journal.close(false);
      await rm(dir, { recursive: true, force: true });
    });
    return journal;
  }

  #watched(disk: Disk): Disk {
    const took = () => {
      this.#passedMs += this.syncMs;
      if (this.failure !== undefined) throw this.failure;
    };
    const watch = (file: DiskFile): DiskFile =>
      Object.assign(Object.create(file) as DiskFile, {
        write: file.write.bind(file),
        writeSync: file.writeSync.bind(file),
        close: file.close.bind(file),
        sync: async () => {
          this.beside++;
          took();
        },
        syncSync: () => {
          this.inTurn++;
          took();
        },
      });
    return { ...disk, open: async (name, mode) => watch(await disk.open(name, mode)) };
  }

  /** Puts so many batches into one group and waits until they are durable. */
  async put(journal: Journal, batches = 1): Promise<void> {
    const { source } = this;
    for (let i = 0; i < batches; i++) source.pending.push(Buffer.from('x'));
    const end = source.taken + batches;
    journal.touch(source, batches);
    while (source.durable < end && source.failure === undefined) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async putTimes(journal: Journal, times: number): Promise<void> {
    for (let i = 0; i < times; i++) await this.put(journal);
  }
}

t.test('a disk that is quick is waited for in the turn, where few wait', async (t) => {
  const world = new SyncWorld();
  const journal = await world.open(t);
  await world.putTimes(journal, QUICK_ROW);
  t.equal(world.inTurn, 0, 'first it shows that it is quick');
  await world.putTimes(journal, 10);
  t.ok(world.inTurn >= 8, 'but for what zeros were written before', { inTurn: world.inTurn });
  const before = world.inTurn;
  await world.put(journal, 5);
  t.equal(world.inTurn, before, 'for many a thread does it');
  world.isDiskQuiet = false;
  await world.put(journal);
  t.equal(world.inTurn, before, 'and where something else is written');
  world.isDiskQuiet = true;
  await world.put(journal);
  t.equal(world.inTurn, before + 1);
});

t.test('a slow sync in the turn is the last one for long', async (t) => {
  const world = new SyncWorld();
  const journal = await world.open(t);
  await world.putTimes(journal, QUICK_ROW + 4);
  const before = world.inTurn;
  t.ok(before > 0, 'syncs are done in the turn');
  world.syncMs = 20;
  await world.put(journal);
  t.equal(world.inTurn, before + 1);
  world.syncMs = 0.1;
  await world.putTimes(journal, 500);
  t.equal(world.inTurn, before + 1, 'a thread does the others');
  await world.putTimes(journal, 600);
  t.ok(world.inTurn > before + 1, 'until the disk has been quick for long');
});

t.test('a sync that fails in the turn ends the journal as any other', async (t) => {
  const world = new SyncWorld();
  const journal = await world.open(t);
  await world.putTimes(journal, QUICK_ROW + 4);
  const before = world.inTurn;
  world.failure = Object.assign(new Error('EIO'), { code: 'EIO' });
  const durable = world.source.durable;
  await world.put(journal);
  t.equal(world.inTurn, before + 1);
  t.equal(world.source.durable, durable, 'nothing is told to be durable');
  t.match(journal.failure, { message: /cannot be synced/ });
});
