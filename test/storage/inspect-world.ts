/** A data folder as a store left it, with a file of every kind, and its inspection. */

import { readBatchHeader } from '../../protocol/record-batch.ts';
import { buildBatch, controlBatch, MarkerType } from '../../protocol/records.ts';
import { BufferPool } from '../../storage/buffer-pool.ts';
import { readDataFolder } from '../../storage/inspect/data-folder.ts';
import { Findings } from '../../storage/inspect/findings.ts';
import { JournalInspection } from '../../storage/inspect/journal.ts';
import { verifyLog } from '../../storage/inspect/verify-log.ts';
import { FileMap, readTree } from './file-map.ts';
import { StoreWorld } from './store-world.ts';

export const DATA = '/data';
export const LOG = '/data/orders-0';

/** What a part of the work appends; each is flushed on its own. */
function appendRound(world: StoreWorld, round: number): void {
  for (let batch = 0; batch < 6; batch++) world.append(2, 120);
  world.append(2, 30, { id: 7, sequence: round * 2 });
  const { log, clock } = world;
  const now = clock.now();
  const take = (batch: Buffer) => log.append(batch, readBatchHeader(batch, 0), now);
  take(
    buildBatch({
      producerId: 9,
      producerEpoch: 0,
      baseSequence: round,
      transactional: true,
      records: [{ key: Buffer.from('k'), value: Buffer.from('v'), timestamp: now }],
    }),
  );
  take(
    controlBatch({
      type: round % 2 === 0 ? MarkerType.abort : MarkerType.commit,
      producerId: 9,
      producerEpoch: 0,
      coordinatorEpoch: 0,
      timestamp: now,
    }),
  );
}

/** A folder with three segments, all indexes and snapshots; `kill`: the broker was killed. */
export async function makeDataFolder(end: 'stop' | 'kill'): Promise<FileMap> {
  const world = new StoreWorld({ topic: { segmentBytes: 4096, indexIntervalBytes: 300 } });
  await world.start();
  for (let round = 0; round < 8; round++) {
    appendRound(world, round);
    await world.clock.advance(1000);
    await world.clock.run(world.log.flush());
    if (round === 3) {
      await world.stop();
      await world.start();
      await world.clock.run(world.log.locate(0, 100));
    }
  }
  if (end === 'kill') {
    // What is in the journal only.
    appendRound(world, 8);
    await world.reached('durable', world.log.endOffset);
    await world.kill();
  } else await world.stop();
  return new FileMap(await readTree(world.disk.mount(), DATA));
}

/** Verifies everything in a data folder. */
export async function verifyAll(disk: FileMap, limit?: number): Promise<Findings> {
  const findings = new Findings(limit);
  const folder = await readDataFolder(disk, DATA, findings);
  const tools = {
    disk,
    buffers: new BufferPool(1 << 20),
    uncompress: (codec: number) => `codec ${codec} is not known`,
    findings,
    onProgress: () => {},
    isWhole: folder.wasStoppedCleanly,
  };
  for (const log of folder.logs) await verifyLog(tools, log);
  const journal = await JournalInspection.open(disk, DATA);
  await journal.verify(findings, () => {});
  await journal.close();
  return findings;
}
