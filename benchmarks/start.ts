/**
 * From `exec` to the first answered Metadata on an empty folder, and the memory a second later,
 * beside a bare Node process, which is started in turns with it.
 *
 *   node build/benchmarks/start.js [--times N] [--kafka]
 *
 * `--times`: starts (15); `--kafka`: Apache Kafka too, once. Run `npm run build` before.
 */

import { spawnSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { MetadataRequest, MetadataResponse } from '../protocol/messages/metadata.ts';
import { WireConnection } from './client/connection.ts';
import { processStats } from './process-stats.ts';
import { startTarget } from './targets.ts';

const METADATA_VERSION = 9;
const IDLE_MS = 1000;

const { values } = parseArgs({
  options: {
    times: { type: 'string', default: '15' },
    kafka: { type: 'boolean', default: false },
  },
});

interface Start {
  /** To the first answered Metadata, and the processor's part of it. */
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** Resident when it has been idle for a while. */
  readonly mebibytes: number;
}

async function start(broker: string): Promise<Start> {
  const began = performance.now();
  const target = await startTarget(broker);
  try {
    const connection = await WireConnection.open(target.host, target.port);
    await connection.call(MetadataRequest, MetadataResponse, METADATA_VERSION, { topics: [] });
    const seconds = (performance.now() - began) / 1000;
    const cpuSeconds = processStats(target.pid)?.cpuSeconds ?? Number.NaN;
    connection.close();
    await delay(IDLE_MS);
    const mebibytes = processStats(target.pid)?.residentMebibytes ?? Number.NaN;
    return { seconds, cpuSeconds, mebibytes };
  } finally {
    await target.stop();
  }
}

function bareSeconds(): number {
  const began = performance.now();
  spawnSync(process.execPath, ['-e', '0'], { stdio: 'ignore' });
  return (performance.now() - began) / 1000;
}

function spread(figures: readonly number[], digits: number): string {
  const sorted = figures.toSorted((a, b) => a - b);
  const [low, middle, high] = [0, sorted.length >> 1, sorted.length - 1].map((at) =>
    sorted[at]!.toFixed(digits),
  );
  return `${middle} (${low}-${high})`;
}

const bare: number[] = [];
const seconds: number[] = [];
const cpuSeconds: number[] = [];
const mebibytes: number[] = [];
for (let count = 0; count < Number(values.times); count += 1) {
  bare.push(bareSeconds());
  const figures = await start('tailrace');
  seconds.push(figures.seconds);
  cpuSeconds.push(figures.cpuSeconds);
  mebibytes.push(figures.mebibytes);
}
process.stdout.write(`bare node           ${spread(bare, 3)} s\n`);
process.stdout.write(`first Metadata      ${spread(seconds, 3)} s\n`);
process.stdout.write(`its processor time  ${spread(cpuSeconds, 2)} s\n`);
process.stdout.write(`idle a second later ${spread(mebibytes, 1)} MiB\n`);
if (values.kafka) {
  const kafka = await start('kafka');
  const { seconds: first, mebibytes: idle } = kafka;
  process.stdout.write(`Apache Kafka        ${first.toFixed(1)} s, ${idle.toFixed(0)} MiB\n`);
}
