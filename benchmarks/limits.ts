/**
 * What the machine can do at best, with Node and no broker: no figure of a broker on it can be better
 * than these. Memory, checksum, loopback, disk, and a bare process between socket and file.
 *
 *   node build/benchmarks/limits.js [--folder DIR] [--seconds 2] [--json FILE]
 *
 * The folder is on the disk in question. CPU is that of the process that is named.
 */

import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { crc32c } from '../protocol/crc32c.ts';
import { nodeDisk } from '../storage/node-disk.ts';
import { describeMachine } from './host.ts';
import { fileToSocket, loopback, type PipeFigures, socketToFile } from './limits-sockets.ts';
import { digits } from './report.ts';
import { Latencies } from './scenario.ts';

interface Limit {
  readonly what: string;
  readonly figure: number;
  readonly unit: string;
  /** Processor seconds for a gigabyte. */
  readonly cpu?: number;
}

const MEBIBYTE = 1024 * 1024;
const BLOCK_BYTES = MEBIBYTE;
/** Larger than what processors keep. */
const MEMORY_BYTES = 256 * MEBIBYTE;
const GROUP = Buffer.alloc(4096, 7);
const PREPARED_BYTES = 64 * MEBIBYTE;
const WRITTEN_BYTES = 1024 * MEBIBYTE;
const disk = nodeDisk();

/** Does something that is about bytes until the time is over. */
function overBytes(what: string, seconds: number, step: (at: number) => void): Limit {
  const began = performance.now();
  const before = process.cpuUsage();
  let bytes = 0;
  while (performance.now() - began < seconds * 1000) {
    step(bytes % MEMORY_BYTES);
    bytes += BLOCK_BYTES;
  }
  const elapsed = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(before);
  return {
    what,
    figure: bytes / 1e6 / elapsed,
    unit: 'MB/s',
    cpu: (user + system) / 1e6 / (bytes / 1e9),
  };
}

function memory(seconds: number): Limit[] {
  const from = Buffer.alloc(MEMORY_BYTES, 3);
  const to = Buffer.alloc(MEMORY_BYTES, 4);
  return [
    overBytes('memory copied into memory in use', seconds, (at) => {
      from.copy(to, at, at, at + BLOCK_BYTES);
    }),
    overBytes('memory copied into fresh memory', seconds, (at) => {
      from.copy(Buffer.allocUnsafeSlow(BLOCK_BYTES), 0, at, at + BLOCK_BYTES);
    }),
    overBytes('CRC-32C', seconds, (at) => {
      crc32c(from.subarray(at, at + BLOCK_BYTES));
    }),
  ];
}

/** Large writes, all of them on the disk in the end. */
async function sequentialWrite(folder: string): Promise<Limit> {
  const file = await disk.open(path.join(folder, 'written'), 'create');
  const block = Buffer.alloc(BLOCK_BYTES, 9);
  const before = process.cpuUsage();
  const began = performance.now();
  for (let at = 0; at < WRITTEN_BYTES; at += BLOCK_BYTES) {
    await file.write([block], at);
    if (at % (16 * BLOCK_BYTES) === 0) await file.sync();
  }
  await file.sync();
  const elapsed = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(before);
  await file.close();
  await disk.remove(file.path);
  const cpu = (user + system) / 1e6 / (WRITTEN_BYTES / 1e9);
  const what = 'written in pieces of 1 MiB, synced every 16';
  return { what, figure: WRITTEN_BYTES / 1e6 / elapsed, unit: 'MB/s', cpu };
}

/** Groups of 4 KiB, each written and synced before the next. */
async function syncs(folder: string, isPrepared: boolean, seconds: number): Promise<Limit[]> {
  const file = await disk.open(path.join(folder, 'synced'), 'create');
  const zeros = Buffer.alloc(BLOCK_BYTES);
  for (let at = 0; isPrepared && at < PREPARED_BYTES; at += BLOCK_BYTES) {
    await file.write([zeros], at);
  }
  await file.sync();
  const latencies = new Latencies();
  const end = performance.now() + seconds * 1000;
  for (let at = 0; performance.now() < end; at = (at + GROUP.length) % PREPARED_BYTES) {
    const began = performance.now();
    file.writeSync([GROUP], at);
    await file.sync();
    latencies.add(performance.now() - began);
  }
  await file.close();
  await disk.remove(file.path);
  const { p50, p99 } = latencies.figures();
  const what = `4 KiB written and fdatasynced, ${isPrepared ? 'in a prepared file' : 'the file grows'}`;
  return [
    { what: `${what}, p50`, figure: p50!.value, unit: 'ms' },
    { what: `${what}, p99`, figure: p99!.value, unit: 'ms' },
  ];
}

function pipe(what: string, { bytesPerSecond, cpuSecondsPerGigabyte }: PipeFigures): Limit {
  return { what, figure: bytesPerSecond / 1e6, unit: 'MB/s', cpu: cpuSecondsPerGigabyte };
}

async function measureAll(folder: string, seconds: number): Promise<Limit[]> {
  const file = path.join(folder, 'piped');
  return [
    ...memory(seconds),
    pipe('loopback, the sender', await loopback(seconds)),
    await sequentialWrite(folder),
    ...(await syncs(folder, true, seconds)),
    ...(await syncs(folder, false, seconds)),
    pipe('socket to file, bare Node', await socketToFile(file, seconds)),
    pipe('file to socket, bare Node, reads of 64 KiB', await fileToSocket(file, 65_536, seconds)),
    pipe('file to socket, bare Node, reads of 1 MiB', await fileToSocket(file, MEBIBYTE, seconds)),
  ];
}

const { values } = parseArgs({
  options: {
    folder: { type: 'string', default: os.tmpdir() },
    seconds: { type: 'string', default: '2' },
    json: { type: 'string' },
  },
});
const folder = await mkdtemp(path.join(values.folder, 'tailrace-limits-'));
try {
  const limits = await measureAll(folder, Number(values.seconds));
  const head = ['limit', 'figure', 'CPU-s/GB'];
  const rows = limits.map(({ what, figure, unit, cpu }) => [
    what,
    `${digits(figure)} ${unit}`,
    cpu === undefined ? '' : digits(cpu),
  ]);
  const lines = [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`);
  process.stdout.write(`${lines.join('\n')}\n`);
  if (values.json !== undefined) {
    writeFileSync(
      values.json,
      `${JSON.stringify({ machine: describeMachine(), limits }, null, 2)}\n`,
    );
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
