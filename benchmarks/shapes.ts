/**
 * The shapes of the write path, measured where the broker is to run: how the journal's small writes
 * reach the disk, in the turn or beside it, into a grown or a prepared file, with segments being
 * written and synced meanwhile.
 *
 *   node build/benchmarks/shapes.js [folder]     a few seconds; the folder is on the disk in question
 */

import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { build as buildHistogram, type Histogram } from 'hdr-histogram-js';
import type { DiskFile } from '../storage/env.ts';
import { nodeDisk } from '../storage/node-disk.ts';

const GROUP = Buffer.alloc(4096, 7);
const CHUNK = Buffer.alloc(1024 * 1024, 9);
const PREPARED_BYTES = 64 * 1024 * 1024;
const SECONDS = 2;
const disk = nodeDisk();

interface Shape {
  readonly name: string;
  /** Zeros are written before, so that a sync need not write the file's size. */
  readonly isPrepared: boolean;
  readonly isInTurn: boolean;
  readonly isSynced: boolean;
  readonly isSyncedInTurn: boolean;
  /** What goes on in another file: chunks of 1 MiB, written in the turn or beside it, and synced. */
  readonly beside: 'nothing' | 'segments in the turn' | 'segments beside the turn';
}

const usual: Shape = {
  name: '',
  isPrepared: true,
  isInTurn: true,
  isSynced: true,
  isSyncedInTurn: false,
  beside: 'nothing',
};

const shapes: readonly Shape[] = [
  { ...usual, name: 'written beside the turn', isInTurn: false, isSynced: false },
  { ...usual, name: 'written in the turn', isSynced: false },
  { ...usual, name: 'synced, file grows', isPrepared: false },
  { ...usual, name: 'synced, file prepared' },
  { ...usual, name: 'synced in the turn', isSyncedInTurn: true },
  { ...usual, name: 'synced, segments in the turn', beside: 'segments in the turn' },
  { ...usual, name: 'synced, segments beside the turn', beside: 'segments beside the turn' },
];

async function prepare(file: DiskFile): Promise<void> {
  for (let at = 0; at < PREPARED_BYTES; at += CHUNK.length) {
    await file.write([Buffer.alloc(CHUNK.length)], at);
  }
  await file.sync();
}

/** Writes chunks to a segment, about 100 MB/s of them, until it is told to stop. */
async function writeSegments(file: DiskFile, shape: Shape, isOver: () => boolean): Promise<void> {
  for (let position = 0; !isOver(); position += CHUNK.length) {
    if (shape.beside === 'segments in the turn') file.writeSync([CHUNK], position);
    else await file.write([CHUNK], position);
    await file.sync();
    await new Promise((resolve) => setTimeout(resolve, 8));
  }
}

/** How long groups took, and the processor's microseconds of each, segments included. */
async function measure(
  folder: string,
  shape: Shape,
): Promise<{ micros: Histogram; cpuMicros: number }> {
  const journal = await disk.open(path.join(folder, 'journal'), 'create');
  const segment = await disk.open(path.join(folder, 'segment'), 'create');
  if (shape.isPrepared) await prepare(journal);
  let isOver = false;
  const beside =
    shape.beside === 'nothing' ? undefined : writeSegments(segment, shape, () => isOver);
  const micros = buildHistogram({ highestTrackableValue: 10_000_000 });
  const cpuBefore = process.cpuUsage();
  const end = performance.now() + SECONDS * 1000;
  for (let position = 0; performance.now() < end; position += GROUP.length) {
    if (shape.isPrepared && position + GROUP.length > PREPARED_BYTES) position = 0;
    const began = performance.now();
    if (shape.isInTurn) journal.writeSync([GROUP], position);
    else await journal.write([GROUP], position);
    if (shape.isSyncedInTurn) journal.syncSync();
    else if (shape.isSynced) await journal.sync();
    micros.recordValue(Math.max(1, Math.round((performance.now() - began) * 1000)));
    if (!shape.isSynced && shape.isInTurn) await new Promise((resolve) => setImmediate(resolve));
  }
  const cpu = process.cpuUsage(cpuBefore);
  isOver = true;
  await beside;
  await journal.close();
  await segment.close();
  await disk.remove(journal.path);
  await disk.remove(segment.path);
  return { micros, cpuMicros: (cpu.user + cpu.system) / micros.totalCount };
}

const parent = process.argv[2] ?? os.tmpdir();
const folder = await mkdtemp(path.join(parent, 'tailrace-shapes-'));
try {
  const rows: string[][] = [];
  for (const shape of shapes) {
    const { micros, cpuMicros } = await measure(folder, shape);
    const rate = Math.round(micros.totalCount / SECONDS);
    const at = (percentile: number) => String(micros.getValueAtPercentile(percentile));
    const max = String(micros.maxValue);
    rows.push([shape.name, String(rate), at(50), at(99), max, cpuMicros.toFixed(0)]);
  }
  const head = ['a group of 4 KiB', 'a second', 'p50 µs', 'p99 µs', 'max µs', 'CPU µs'];
  const lines = [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`);
  process.stdout.write(`${lines.join('\n')}\n`);
} finally {
  await rm(folder, { recursive: true, force: true });
}
