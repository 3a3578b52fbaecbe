/**
 * Mutated real files: whatever a file holds, its readers end, with an answer or with an error that
 * says what is wrong; a store opens and serves what is sound, or refuses the folder. More seeds:
 * TAILRACE_FUZZ_SEEDS=5000 node build/test/storage/file-fuzz.test.js
 */

import path from 'node:path';
import t, { type Test } from 'tap';
import { listSnapshots, readSnapshot, snapshotBatches } from '../../broker/metadata-snapshot.ts';
import { ProtocolError } from '../../protocol/errors.ts';
import { batchBytes, batchFault } from '../../protocol/record-batch.ts';
import { InvalidRecords } from '../../protocol/records.ts';
import { BufferPool } from '../../storage/buffer-pool.ts';
import { CorruptLog, StorageError } from '../../storage/errors.ts';
import { readDataFolder } from '../../storage/inspect/data-folder.ts';
import { Findings } from '../../storage/inspect/findings.ts';
import { readBatches } from '../../storage/inspect/read-batches.ts';
import { readSegmentFacts } from '../../storage/inspect/segment-facts.ts';
import { summarizeSegment } from '../../storage/inspect/segment-summary.ts';
import { decodeSnapshot } from '../../storage/producer-snapshot.ts';
import { SeededRandom } from '../sim/random.ts';
import { FileMap } from './file-map.ts';
import { DATA, makeDataFolder, verifyAll } from './inspect-world.ts';
import { mutate } from './mutations.ts';
import { StoreWorld } from './store-world.ts';

const SEEDS = Number(process.env.TAILRACE_FUZZ_SEEDS ?? 250);
/** Far above what the few files of these folders can need. */
const MOST_READ_BYTES = 64 * 1024 * 1024;
const MOST_CALLS = 20_000;
const MOST_HELD_BYTES = 300 * 1024 * 1024;

const buffers = new BufferPool(1 << 20);

t.setTimeout(SEEDS * 400 + 30_000);

const folders = [await makeDataFolder('stop'), await makeDataFolder('kill')];
for (const { files } of folders) files.delete(`${DATA}/.lock`);

/** A folder with one or two files that are not what was written. */
function damaged(seed: number): { disk: FileMap; changed: string[]; random: SeededRandom } {
  const random = new SeededRandom(seed);
  let disk = random.pick(folders);
  const names = [...disk.files.keys()];
  // Each kind of file is as likely as any other.
  const kinds = [...new Set(names.map((name) => path.extname(name) || path.basename(name)))];
  const changed: string[] = [];
  for (let left = 1 + random.below(2); left > 0; left--) {
    const kind = random.pick(kinds);
    const name = random.pick(names.filter((one) => one.endsWith(kind)));
    const contents = disk.files.get(name);
    const other = disk.files.get(random.pick(names));
    // It may have been taken away before.
    if (contents === undefined || other === undefined) continue;
    disk = disk.with(name, random.chance(0.05) ? undefined : mutate(contents, random, other));
    changed.push(name);
  }
  return { disk, changed, random };
}

/** Runs something for many seeds; what it throws is told with its seed. */
async function forSeeds(t: Test, run: (seed: number) => Promise<void>): Promise<void> {
  let held = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    try {
      await run(seed);
    } catch (error) {
      const { stack, cause } = error as Error;
      t.fail(`seed ${seed}: ${stack} ${(cause as Error | undefined)?.stack ?? ''}`);
    }
    held = Math.max(held, process.memoryUsage().arrayBuffers);
  }
  t.ok(held < MOST_HELD_BYTES, `${held} bytes held`);
}

t.test('inspections end, whatever the files hold', async (t) => {
  await forSeeds(t, async (seed) => {
    const { disk, changed } = damaged(seed);
    await verifyAll(disk);
    const { logs } = await readDataFolder(disk, DATA, new Findings());
    for (const log of logs) {
      for (const { segment } of await readSegmentFacts(disk, buffers, log)) {
        await summarizeSegment(disk, buffers, segment);
      }
      for await (const item of readBatches(disk, buffers, log)) {
        if (item.kind === 'batch' && batchFault(item.bytes, 0) !== undefined) {
          throw new Error(`an unsound batch was given of ${changed}`);
        }
      }
    }
    if (disk.bytesRead > MOST_READ_BYTES) throw new Error(`${disk.bytesRead} bytes were read`);
    if (disk.openFiles > 0) throw new Error(`${disk.openFiles} files are still open`);
  });
});

/** A store's world on a disk with these files. */
async function worldWith({ files }: FileMap): Promise<StoreWorld> {
  const world = new StoreWorld({ topic: { segmentBytes: 4096, indexIntervalBytes: 300 } });
  const disk = world.disk.mount();
  for (const [name, contents] of files) {
    await disk.makeDir(path.dirname(name));
    const file = await disk.open(name, 'create');
    await file.write([contents], 0);
    await file.sync();
    await file.close();
    await disk.syncDir(path.dirname(name));
  }
  return world;
}

/** Serves the folder as a broker would; errors that the storage throws on purpose are answers. */
async function serve(world: StoreWorld): Promise<void> {
  await world.start();
  const { log } = world;
  for (let next = log.logStartOffset; next < log.highWatermark; ) {
    try {
      const slice = await world.clock.run(
        Promise.resolve(log.read(next, 8192, log.highWatermark, true)),
      );
      const bytes = Buffer.concat(slice.buffers);
      slice.release();
      for (let at = 0; at < bytes.length; at += batchBytes(bytes, at)) {
        const fault = batchFault(bytes, at);
        if (fault !== undefined) throw new Error(`served at ${next}: ${fault}`);
      }
      if (slice.nextOffset <= next) break;
      next = slice.nextOffset;
    } catch (error) {
      if (!(error instanceof CorruptLog)) throw error;
      next++;
    }
  }
  await world.clock.run(log.offsetForTime(0, log.highWatermark).catch(corruptOnly));
  await world.clock.run(
    Promise.resolve(log.abortedTransactions(0, log.endOffset)).catch(corruptOnly),
  );
  const end = log.endOffset;
  world.append(1, 20);
  await world.reached('durable', end + 1);
  await world.stop();
}

function corruptOnly(error: unknown): undefined {
  if (!(error instanceof CorruptLog)) throw error;
  return undefined;
}

t.test('a store opens what it can, serves what is sound, and goes on', async (t) => {
  let opened = 0;
  await forSeeds(t, async (seed) => {
    const { disk: files, changed } = damaged(seed);
    const world = await worldWith(files);
    const before = world.disk.calls;
    world.disk.onCall = ({ number }) => {
      if (number - before > MOST_CALLS)
        throw new Error(`more than ${MOST_CALLS} calls: ${changed}`);
      return undefined;
    };
    try {
      await serve(world);
      opened++;
    } catch (error) {
      if (!(error instanceof StorageError)) throw new Error(`${changed}`, { cause: error });
    }
  });
  t.ok(opened > SEEDS * 0.8, `${opened} of ${SEEDS} were opened`);
});

t.test('an index whose last entry is about another batch is made anew', async (t) => {
  const [stopped] = folders as [FileMap];
  const name = [...stopped.files.keys()].filter((file) => /orders-0.*\.index$/.test(file)).at(-1)!;
  const index = Buffer.from(stopped.files.get(name)!);
  const at = index.length - 8;
  index.writeInt32BE(index.readInt32BE(at) + 3, at);
  const world = await worldWith(
    stopped.with(name, index).with(`${DATA}/tailrace-log-ends`, undefined),
  );
  await serve(world);
  const line = world.lines.find(({ text }) => text === 'an index is made anew');
  t.match(line, { values: { reason: /its last entry is not where that batch is/ } });
});

t.test('producer snapshots and snapshots of the metadata', async (t) => {
  const names = [...folders[0]!.files.keys()];
  const snapshot = folders[0]!.files.get(names.find((name) => name.endsWith('.snapshot'))!)!;
  const id = { endOffset: 9, epoch: 2 };
  const topicId = Buffer.alloc(16, 5).toString('base64url');
  const records = Array.from({ length: 30 }, (_, index) => ({
    kind: 'TopicRecord' as const,
    value: { name: `topic-${index}`, topicId },
  }));
  const metadata = Buffer.concat(snapshotBatches(id, records, 1000));
  const file = `${DATA}/00000000000000000009-0000000002.checkpoint`;
  await forSeeds(t, async (seed) => {
    const random = new SeededRandom(seed);
    try {
      decodeSnapshot(mutate(snapshot, random, metadata), 0);
    } catch (error) {
      if (!(error instanceof CorruptLog)) throw error;
    }
    const disk = new FileMap(new Map([[file, mutate(metadata, random, snapshot)]]));
    try {
      const [found] = await listSnapshots(disk, DATA);
      await readSnapshot(disk, DATA, found!);
    } catch (error) {
      const isTold =
        error instanceof CorruptLog ||
        error instanceof InvalidRecords ||
        error instanceof ProtocolError;
      if (!isTold) throw error;
    }
  });
});
