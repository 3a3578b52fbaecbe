/** The cleaner's thread on a real disk: it does what the inline step does, and ends when told. */

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import t, { type Test } from 'tap';
import { buildBatch } from '../../../protocol/records.ts';
import { CleanerThreads } from '../../../storage/cleaner/cleaner-threads.ts';
import {
  type Cleaners,
  CleaningAborted,
  type CleaningJob,
} from '../../../storage/cleaner/cleaning-job.ts';
import { InlineCleaners } from '../../../storage/cleaner/inline-cleaners.ts';
import { CorruptLog } from '../../../storage/errors.ts';
import { nodeDisk } from '../../../storage/node-disk.ts';
import { SimClock } from '../../sim/clock.ts';

const RECORDS = 2000;
const LOG = '00000000000000000000.log';

function folderOf(t: Test): { folder: string; log: Buffer } {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'tailrace-cleaner-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const batches = Array.from({ length: RECORDS / 10 }, (_, batch) =>
    buildBatch({
      baseOffset: batch * 10,
      records: Array.from({ length: 10 }, (_, index) => ({
        key: Buffer.from(`key ${(batch * 7 + index) % 300}`),
        value: Buffer.from(`value ${batch} ${index}`),
        timestamp: 1_700_000_000_000,
      })),
    }),
  );
  const log = Buffer.concat(batches);
  writeFileSync(path.join(folder, LOG), log);
  return { folder, log };
}

function jobOf(folder: string, sizeBytes: number, more: Partial<CleaningJob> = {}): CleaningJob {
  return {
    folder,
    segments: [{ baseOffset: 0, nextOffset: RECORDS, sizeBytes }],
    firstDirtyOffset: 0,
    aborted: [],
    lastOfProducers: [],
    nowMs: 1_700_000_000_000,
    deleteRetentionMs: 1000,
    segmentBytes: 1 << 20,
    segmentIndexBytes: 1 << 20,
    indexIntervalBytes: 1000,
    mapBytes: 1 << 20,
    mapLoadFactor: 0.9,
    bufferBytes: 8192,
    maxBytesPerSecond: Number.POSITIVE_INFINITY,
    maxRecordsBytes: 1 << 20,
    secret: new Uint8Array(16).fill(7),
    ...more,
  };
}

async function cleanedBy(t: Test, cleaners: Cleaners) {
  const { folder, log } = folderOf(t);
  const run = cleaners.begin(jobOf(folder, log.length));
  await run.map();
  const group = await run.cleanNext();
  t.match(group?.cleaned, { bases: [0], oldBytes: log.length, hasTxnIndex: false });
  t.equal(await run.cleanNext(), undefined);
  const stats = await run.stats();
  await run.end();
  const files = readdirSync(folder).filter((name) => name.endsWith('.cleaned'));
  const contents = files.map((name) => [name, readFileSync(path.join(folder, name), 'hex')]);
  return { stats, contents };
}

t.test('a thread does what the step does inline', async (t) => {
  const threads = new CleanerThreads();
  const byThread = await cleanedBy(t, threads);
  await threads.idle();
  const inline = await cleanedBy(
    t,
    new InlineCleaners({ clock: new SimClock(), disk: nodeDisk() }),
  );
  t.same(byThread.contents, inline.contents);
  t.same(byThread.stats, inline.stats);
  t.match(byThread.stats, { recordsRead: RECORDS, recordsWritten: 300, keys: 300 });
});

t.test('damage is told as what it is', async (t) => {
  const { folder, log } = folderOf(t);
  log[500]! ^= 1;
  writeFileSync(path.join(folder, LOG), log);
  const threads = new CleanerThreads();
  const run = threads.begin(jobOf(folder, log.length));
  const error = await run.map().catch((reason: unknown) => reason);
  t.type(error, CorruptLog);
  t.match((error as Error).message, /000\.log at \d+: wrong checksum$/);
  await run.end();
  const gone = threads.begin(jobOf(path.join(folder, 'gone'), log.length));
  await t.rejects(gone.map(), { code: 'ENOENT' });
  await gone.end();
  await threads.close();
});

t.test('one that waits for its pace ends when it is told to', async (t) => {
  const { folder, log } = folderOf(t);
  const threads = new CleanerThreads();
  const run = threads.begin(jobOf(folder, log.length, { maxBytesPerSecond: 1 }));
  const mapped = run.map();
  run.abort();
  await t.rejects(mapped, new CleaningAborted());
  await run.end();
  await threads.idle();
});

t.test('a thread that ends lets its calls fail', async (t) => {
  const { folder, log } = folderOf(t);
  const threads = new CleanerThreads();
  const run = threads.begin(jobOf(folder, log.length, { maxBytesPerSecond: 1 }));
  const mapped = run.map();
  await Promise.all([t.rejects(mapped, /thread has ended/), threads.close()]);
  await t.rejects(run.end(), /thread has ended/);
});
