/**
 * Catching up by location: some readers read a topic from its start, through plain Fetches, from the
 * broker's files on the same host, by URL from the broker, and by URL from a static server, beside
 * Apache Kafka's plain Fetch in the same run. Bytes are counted and not looked at, but by the reader
 * library, which checks and cuts batches. Figures are megabytes a second of all readers together,
 * and the broker's processor time per gigabyte.
 *
 *   node build/benchmarks/locations.js [--gb 4] [--readers 1,4,16] [--rounds 3] [--json FILE]
 *     --way NAME     only these; may be given several times (the names are in the table)
 *     --smoke        a hundredth of it, once
 *
 * It needs `npm run build`, and three times the gigabytes on the disk of the temporary folder.
 */

import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type Load, openLoads, waysOf } from './location-loads.ts';
import { processStats } from './process-stats.ts';
import { digits, median } from './report.ts';

/** One measurement. */
interface Figure {
  readonly way: string;
  readonly readers: number;
  readonly megabytesPerSecond: number;
  readonly cpuSecondsPerGigabyte: number | undefined;
}

const { values } = parseArgs({
  options: {
    gb: { type: 'string', default: '4' },
    readers: { type: 'string', default: '1,4,16' },
    rounds: { type: 'string', default: '3' },
    way: { type: 'string', multiple: true, default: waysOf },
    json: { type: 'string' },
    smoke: { type: 'boolean', default: false },
  },
});

function numberOf(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${name} takes a number above 0, not ${text}`);
  return value;
}

const gigabytes = numberOf('gb', values.gb) / (values.smoke ? 100 : 1);
const readerCounts = values.readers.split(',').map((text) => numberOf('readers', text));
const rounds = values.smoke ? 1 : numberOf('rounds', values.rounds);

async function measure(load: Load, readers: number): Promise<Figure> {
  const before = processStats(load.brokerPid);
  const began = performance.now();
  const bytes = await Promise.all(Array.from({ length: readers }, () => load.read()));
  const seconds = (performance.now() - began) / 1000;
  const after = processStats(load.brokerPid);
  const total = bytes.reduce((sum, one) => sum + one, 0);
  const used = before && after && after.cpuSeconds - before.cpuSeconds;
  return {
    way: load.name,
    readers,
    megabytesPerSecond: total / 1e6 / seconds,
    cpuSecondsPerGigabyte: used === undefined ? undefined : used / (total / 1e9),
  };
}

function rowsOf(figures: readonly Figure[], loads: readonly Load[]): string[] {
  const of = (way: string, readers: number) =>
    figures.filter((figure) => figure.way === way && figure.readers === readers);
  const cpu = (some: readonly Figure[]) =>
    median(some.map(({ cpuSecondsPerGigabyte }) => cpuSecondsPerGigabyte ?? Number.NaN));
  return readerCounts.flatMap((readers) => {
    const kafka = of('kafka, Fetch', readers);
    return loads.map(({ name }) => {
      const mine = of(name, readers);
      const speed = digits(median(mine.map(({ megabytesPerSecond }) => megabytesPerSecond)));
      const used = cpu(mine);
      const share = kafka.length === 0 ? '-' : `${digits((used / cpu(kafka)) * 100)} %`;
      return `| ${[readers, name, speed, digits(used), share].join(' | ')} |`;
    });
  });
}

process.once('SIGTERM', () => process.exit(143));
process.once('SIGINT', () => process.exit(130));
const opened = await openLoads(values.way, gigabytes * 1e9);
try {
  const figures: Figure[] = [];
  const { loads } = opened;
  // Once for nothing: code is compiled, and all is in the page cache.
  for (const load of loads) await measure(load, 1);
  for (let round = 0; round < rounds; round += 1) {
    for (const readers of readerCounts) {
      // The order changes from round to round.
      for (const load of round % 2 === 0 ? loads : loads.toReversed()) {
        const figure = await measure(load, readers);
        figures.push(figure);
        process.stderr.write(`${JSON.stringify(figure)}\n`);
      }
    }
  }
  const table = [
    '| readers | way | MB/s | broker CPU-s/GB | of Kafka’s |',
    '| ---: | --- | ---: | ---: | ---: |',
    ...rowsOf(figures, loads),
  ];
  process.stdout.write(`${table.join('\n')}\n`);
  if (values.json !== undefined) {
    const how = { gigabytes, rounds, node: process.version };
    writeFileSync(values.json, `${JSON.stringify({ how, figures }, null, 2)}\n`);
  }
} finally {
  await opened.close();
}
