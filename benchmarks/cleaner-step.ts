/**
 * Measures the log cleaner's step alone, on segments that are made for it: what one pass reads a
 * second, and what its map takes. Without a broker, to find out what the step itself can do; the
 * scenario `compaction` of the macro benchmarks measures a whole broker beside Apache Kafka.
 *
 *   node build/benchmarks/cleaner-step.js [--records N] [--keys N] [--value-bytes N]
 *        [--batch-records N] [--segment-bytes N] [--buffer-bytes N] [--map-bytes N] [--folder DIR]
 */

import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { buildBatch, type RecordInput } from '../protocol/records.ts';
import { Cleaning } from '../storage/cleaner/cleaning.ts';
import type { CleaningJob, SegmentInput } from '../storage/cleaner/cleaning-job.ts';
import { nodeDisk } from '../storage/node-disk.ts';
import { LOG_SUFFIX, segmentFileName } from '../storage/segment-names.ts';

const { values } = parseArgs({
  options: {
    records: { type: 'string', default: '4000000' },
    keys: { type: 'string', default: '2000000' },
    'value-bytes': { type: 'string', default: '80' },
    'batch-records': { type: 'string', default: '150' },
    'segment-bytes': { type: 'string', default: String(128 * 1024 * 1024) },
    'buffer-bytes': { type: 'string', default: String(256 * 1024) },
    'map-bytes': { type: 'string', default: String(128 * 1024 * 1024) },
    folder: { type: 'string', default: os.tmpdir() },
  },
});

const MB = 1e6;
const folder = mkdtempSync(path.join(values.folder, 'cleaner-step-'));

/** Segments of batches whose keys come in random order. */
function makeSegments(): SegmentInput[] {
  const noise = randomBytes(1 << 20);
  const valueBytes = Number(values['value-bytes']);
  const segments: SegmentInput[] = [];
  const records = Number(values.records);
  const keys = Number(values.keys);
  const perBatch = Number(values['batch-records']);
  let parts: Buffer[] = [];
  let sizeBytes = 0;
  let base = 0;
  const close = (end: number) => {
    writeFileSync(path.join(folder, segmentFileName(base, LOG_SUFFIX)), Buffer.concat(parts));
    segments.push({ baseOffset: base, nextOffset: end, sizeBytes });
    parts = [];
    sizeBytes = 0;
    base = end;
  };
  for (let offset = 0; offset < records; offset += perBatch) {
    const inputs: RecordInput[] = Array.from({ length: perBatch }, () => ({
      key: Buffer.from(`customer-${Math.floor(Math.random() * keys)}`),
      value: noise.subarray(offset % (1 << 19), (offset % (1 << 19)) + valueBytes),
      timestamp: 1_700_000_000_000 + offset,
    }));
    const batch = buildBatch({ baseOffset: offset, records: inputs });
    parts.push(batch);
    sizeBytes += batch.length;
    if (sizeBytes >= Number(values['segment-bytes'])) close(offset + perBatch);
  }
  if (sizeBytes > 0) close(Math.ceil(records / perBatch) * perBatch);
  return segments;
}

async function clean(segments: readonly SegmentInput[]): Promise<void> {
  const job: CleaningJob = {
    folder,
    segments,
    firstDirtyOffset: 0,
    aborted: [],
    lastOfProducers: [],
    nowMs: Date.now(),
    deleteRetentionMs: 86_400_000,
    segmentBytes: Number(values['segment-bytes']),
    segmentIndexBytes: 10 * 1024 * 1024,
    indexIntervalBytes: 4096,
    mapBytes: Number(values['map-bytes']),
    mapLoadFactor: 0.9,
    bufferBytes: Number(values['buffer-bytes']),
    maxBytesPerSecond: Number.POSITIVE_INFINITY,
    maxRecordsBytes: 64 * 1024 * 1024,
    secret: randomBytes(16),
  };
  const pace = { spent: () => Promise.resolve() };
  const cleaning = new Cleaning(nodeDisk(), job, pace, () => undefined);
  const started = performance.now();
  const before = process.cpuUsage();
  await cleaning.map();
  const mapped = performance.now();
  while ((await cleaning.cleanNext()) !== undefined);
  const ended = performance.now();
  const { bytesRead, bytesWritten, keys, mapHeldBytes, recordsRead, recordsWritten } =
    await cleaning.stats();
  const { user, system } = process.cpuUsage(before);
  const rate = (bytes: number, ms: number) => (bytes / MB / (ms / 1000)).toFixed(0);
  console.log(
    [
      `${(bytesRead / MB).toFixed(0)} MB of log, ${rate(bytesRead, ended - started)} MB/s`,
      `${((user + system) / 1000 / (bytesRead / MB)).toFixed(2)} ms of processor time a MB`,
      `map ${rate(bytesRead, mapped - started)} MB/s`,
      `filter ${rate(bytesRead, ended - mapped)} MB/s`,
      `${recordsRead} -> ${recordsWritten} records, ${(bytesWritten / MB).toFixed(0)} MB`,
      `${keys} keys in ${(mapHeldBytes / 1048576).toFixed(1)} MiB`,
      `resident ${(process.memoryUsage.rss() / 1048576).toFixed(0)} MiB`,
    ].join(', '),
  );
}

try {
  await clean(makeSegments());
} finally {
  rmSync(folder, { recursive: true });
}
