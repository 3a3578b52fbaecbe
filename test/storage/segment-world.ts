/** A simulated machine with one partition's segments on it, and batches to fill them. */

import { readBatchHeader } from '../../protocol/record-batch.ts';
import { buildBatch, type RecordInput } from '../../protocol/records.ts';
import type { Disk, Env, Logger } from '../../storage/env.ts';
import { type LogContext, makeLogContext } from '../../storage/log-context.ts';
import { type LogPlace, SegmentLog } from '../../storage/segment-log.ts';
import type { OpenRequest } from '../../storage/segment-log-open.ts';
import type { BufferSource } from '../../storage/segment-scan.ts';
import type { LogOptions } from '../../storage/types.ts';
import { SimClock } from '../sim/clock.ts';
import { SimDisk } from '../sim/disk.ts';
import { SeededRandom } from '../sim/random.ts';
import { LOG_OPTIONS } from './log-options.ts';

export const OPTIONS: LogOptions = {
  ...LOG_OPTIONS,
  segmentBytes: 1024 * 1024,
  indexIntervalBytes: 256,
};

export const PLACE: LogPlace = {
  dataDir: '/data',
  topic: 'orders',
  topicId: 'mGLLJmJwQOKoNTpZuFXtMg',
  partition: 3,
};
export const FOLDER = '/data/orders-3';

export const CLEAN: OpenRequest = {
  cleanShutdown: true,
  powerLost: false,
  recoveryPoint: 0,
  logStartOffset: 0,
};
export const KILLED: OpenRequest = { ...CLEAN, cleanShutdown: false };
export const POWER_LOST: OpenRequest = { ...KILLED, powerLost: true };

export interface LogLine {
  readonly level: keyof Logger;
  readonly values: object;
  readonly text: string;
}

/** Gives buffers, spoils what comes back, and knows what is still out. */
export class CountingBuffers implements BufferSource {
  readonly out = new Set<Buffer>();

  acquire(sizeBytes: number): Buffer {
    const buffer = Buffer.alloc(sizeBytes, 0xee);
    this.out.add(buffer);
    return buffer;
  }

  release(buffer: Buffer): void {
    if (!this.out.delete(buffer)) throw new Error('a buffer was released that is not out');
    buffer.fill(0xdb);
  }
}

export class World {
  readonly clock = new SimClock();
  readonly random: SeededRandom;
  readonly disk: SimDisk;
  readonly buffers = new CountingBuffers();
  readonly lines: LogLine[] = [];
  options: LogOptions = OPTIONS;
  bootId = 'boot-1';

  constructor(seed = 1) {
    this.random = new SeededRandom(seed);
    this.disk = new SimDisk(this.clock);
  }

  env(disk: Disk = this.disk.mount()): Env {
    const write = (level: keyof Logger) => (values: object, text: string) => {
      this.lines.push({ level, values, text });
    };
    return {
      clock: this.clock,
      disk,
      random: this.random,
      host: { bootId: this.bootId, hostName: 'host', processId: 100 },
      log: {
        debug: write('debug'),
        info: write('info'),
        warn: write('warn'),
        error: write('error'),
      },
    };
  }

  context(maxOpenFiles = 8, indexCacheBytes = 4096): LogContext {
    return makeLogContext(this.env(), {
      buffers: this.buffers,
      decompress: () => Promise.reject(new Error('nothing is compressed here')),
      maxOpenFiles,
      indexCacheBytes,
    });
  }

  /** A log without files, in a data folder that is there. */
  async create(): Promise<SegmentLog> {
    const context = this.context();
    await context.env.disk.makeDir(PLACE.dataDir);
    await context.env.disk.syncDir('/');
    return SegmentLog.create(context, PLACE, this.options, 0);
  }

  open(request: Partial<OpenRequest> = {}): Promise<SegmentLog> {
    return SegmentLog.open(this.context(), PLACE, this.options, { ...CLEAN, ...request });
  }

  said(text: string): boolean {
    return this.lines.some((line) => line.text.includes(text));
  }
}

export interface BatchPlan {
  readonly baseOffset: number;
  readonly records?: number;
  readonly timestamp?: number;
  readonly valueBytes?: number;
  readonly leaderEpoch?: number;
  readonly lastOffsetDelta?: number;
}

/** A batch whose values are told from all others' by their offsets. */
export function batchOf(plan: BatchPlan): Buffer {
  const { baseOffset, records = 2, timestamp = 1000 + baseOffset, valueBytes = 40 } = plan;
  const inputs: RecordInput[] = [];
  for (let index = 0; index < records; index++) {
    const value = Buffer.alloc(valueBytes, `${baseOffset + index}|`);
    inputs.push({ key: null, value, timestamp });
  }
  const { lastOffsetDelta } = plan;
  return buildBatch({
    baseOffset,
    leaderEpoch: plan.leaderEpoch ?? 4,
    records: inputs,
    ...(lastOffsetDelta === undefined ? {} : { lastOffsetDelta }),
  });
}

/** `count` batches in a row from an offset on. */
export function batchesFrom(from: number, count: number, plan: Partial<BatchPlan> = {}): Buffer[] {
  const batches: Buffer[] = [];
  let baseOffset = from;
  for (let index = 0; index < count; index++) {
    const batch = batchOf({ ...plan, baseOffset });
    batches.push(batch);
    baseOffset = readBatchHeader(batch, 0).lastOffset + 1;
  }
  return batches;
}

export function headersOf(batches: readonly Buffer[]) {
  return batches.map((batch) => readBatchHeader(batch, 0));
}

export async function append(log: SegmentLog, batches: readonly Buffer[]): Promise<void> {
  await log.append(batches, headersOf(batches));
}

/** Reads everything from an offset to the log's end, in steps of so many bytes. */
export async function readAll(log: SegmentLog, from: number, maxBytes = 1024): Promise<Buffer> {
  const parts: Buffer[] = [];
  let next = from;
  while (next < log.endOffset) {
    const slice = await log.read(next, maxBytes, log.endOffset, true);
    for (const buffer of slice.buffers) parts.push(Buffer.from(buffer));
    slice.release();
    if (slice.nextOffset === next) break;
    next = slice.nextOffset;
  }
  return Buffer.concat(parts);
}
