/**
 * Apache Kafka's own performance tools, kafka-producer-perf-test and kafka-consumer-perf-test, on
 * brokers side by side in one run: what a user of the Java clients sees.
 *
 *   node build/benchmarks/kafka-tools.js [--broker tailrace] [--broker kafka] ...
 *     --records N      records of 1 KiB that each run sends and reads (1000000)
 *     --rounds N       (3)
 *     --warm-up N      seconds of load on each broker before (60)
 *     --only NAME      produce-acks1, produce-acksall, latency-acksall or consume; several times
 *     --json FILE      a file that is there is added to; macro.js --show prints it
 *
 * The tools are those of test/interop/install.sh, in .dev/kafka-tools; needs Java 17.
 */

import { parseArgs } from 'node:util';
import { WireConnection } from './client/connection.ts';
import { runKafkaTool } from './client/kafka-tool.ts';
import { createTopic, deleteTopic } from './client/topics.ts';
import { describeMachine } from './host.ts';
import { processStats } from './process-stats.ts';
import { type ScenarioResult, table } from './report.ts';
import { addRun } from './results.ts';
import { type Figures, freshTopic, higher, lower, type Target } from './scenario.ts';
import { settle } from './settle.ts';
import { type RunningTarget, startTarget } from './targets.ts';
import { warmUp } from './warm-up.ts';

const PARTITIONS = 12;
const RECORD_BYTES = 1024;
/** Records a second, and seconds, of the run that is about latency. */
const LATENCY_RATE = 1000;
const LATENCY_SECONDS = 10;
const MEBIBYTE = 1024 * 1024;

interface ToolRun {
  readonly name: string;
  readonly about: string;
  run(target: Target, topic: string, records: number): Promise<Figures>;
}

function producer(acks: string): ToolRun {
  return {
    name: `produce-acks${acks}`,
    about: `kafka-producer-perf-test, ${PARTITIONS} partitions, 1 KiB, acks=${acks}, no throttle`,
    run: (target, topic, records) => produceByTool(target, topic, records, -1, acks),
  };
}

const RUNS: readonly ToolRun[] = [
  producer('1'),
  producer('all'),
  {
    name: 'latency-acksall',
    about: `kafka-producer-perf-test, ${LATENCY_RATE} records a second, acks=all`,
    run: (target, topic) =>
      produceByTool(target, topic, LATENCY_RATE * LATENCY_SECONDS, LATENCY_RATE, 'all'),
  },
  {
    name: 'consume',
    about: `kafka-consumer-perf-test over ${PARTITIONS} partitions of 1 KiB records`,
    run: consumeByTool,
  },
];

async function produceByTool(
  target: Target,
  topic: string,
  records: number,
  rate: number,
  acks: string,
): Promise<Figures> {
  const before = processStats(target.pid);
  const out = await runKafkaTool('ProducerPerformance', [
    ...['--topic', topic, '--num-records', String(records), '--record-size', String(RECORD_BYTES)],
    ...['--throughput', String(rate), '--bootstrap-server', `${target.host}:${target.port}`],
    ...['--command-property', `acks=${acks}`],
  ]);
  const summary =
    out
      .trim()
      .split('\n')
      .findLast((line) => line.includes('99th')) ?? '';
  const value = (pattern: RegExp) => Number(pattern.exec(summary)?.[1] ?? Number.NaN);
  const perSecond = value(/([\d.]+) records\/sec/);
  if (!(perSecond > 0)) throw new Error(`ProducerPerformance said: ${out.slice(-2000)}`);
  return {
    throughput: higher((perSecond * RECORD_BYTES) / 1e6, 'MB/s'),
    ...brokerCpu(target, before?.cpuSeconds, records),
    average: lower(value(/([\d.]+) ms avg latency/), 'ms'),
    p50: lower(value(/(\d+) ms 50th/), 'ms'),
    p99: lower(value(/(\d+) ms 99th/), 'ms'),
    max: lower(value(/([\d.]+) ms max latency/), 'ms'),
  };
}

async function consumeByTool(target: Target, topic: string, records: number): Promise<Figures> {
  await produceByTool(target, topic, records, -1, '1');
  const before = processStats(target.pid);
  const out = await runKafkaTool('ConsumerPerformance', [
    ...['--topic', topic, '--num-records', String(records), '--hide-header'],
    ...['--bootstrap-server', `${target.host}:${target.port}`],
  ]);
  const cells =
    out
      .trim()
      .split('\n')
      .at(-1)
      ?.split(',')
      .map((cell) => cell.trim()) ?? [];
  // start, end, MB, MB/s, records, records/s, rebalance ms, fetch ms, MB/s of fetching, ...
  const [megabytes, perSecond, read, , rebalanceMs, , fetchPerSecond] = cells.slice(2).map(Number);
  if (read === undefined || read < records) throw new Error(`ConsumerPerformance said: ${out}`);
  return {
    'with the group': higher((perSecond! * MEBIBYTE) / 1e6, 'MB/s'),
    fetching: higher((fetchPerSecond! * MEBIBYTE) / 1e6, 'MB/s'),
    ...brokerCpu(target, before?.cpuSeconds, (megabytes! * MEBIBYTE) / RECORD_BYTES),
    'joining the group': lower(rebalanceMs!, 'ms'),
  };
}

function brokerCpu(target: Target, before: number | undefined, records: number): Figures {
  const after = processStats(target.pid)?.cpuSeconds;
  if (before === undefined || after === undefined) return {};
  return { 'broker CPU': lower((after - before) / ((records * RECORD_BYTES) / 1e9), 's/GB') };
}

async function measureOnce(run: ToolRun, target: Target, records: number): Promise<Figures> {
  const control = await WireConnection.open(target.host, target.port);
  const topic = freshTopic('tools');
  await createTopic(control, topic, PARTITIONS);
  try {
    return await run.run(target, topic, records);
  } finally {
    await deleteTopic(control, topic);
    control.close();
  }
}

const { values } = parseArgs({
  options: {
    broker: { type: 'string', multiple: true, default: ['tailrace', 'kafka'] },
    records: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '3' },
    'warm-up': { type: 'string', default: '60' },
    only: { type: 'string', multiple: true, default: RUNS.map(({ name }) => name) },
    json: { type: 'string' },
  },
});
const records = Number(values.records);
const rounds = Number(values.rounds);
const warmUpSeconds = Number(values['warm-up']);
process.once('SIGTERM', () => process.exit(143));
process.once('SIGINT', () => process.exit(130));
const targets: RunningTarget[] = [];
try {
  for (const broker of values.broker) targets.push(await startTarget(broker));
  const settings = { seconds: 5, catchUpBytes: 256e6, parkedFetches: 0, compactionRecords: 0 };
  for (const target of targets) await warmUp(target, warmUpSeconds, settings, []);
  const results: ScenarioResult[] = [];
  for (const run of RUNS.filter(({ name }) => values.only.includes(name))) {
    const found = new Map<string, Figures[]>(targets.map(({ name }) => [name, []]));
    for (let round = 0; round < rounds; round += 1) {
      for (const target of round % 2 === 0 ? targets : targets.toReversed()) {
        await settle(targets);
        found.get(target.name)!.push(await measureOnce(run, target, records));
      }
    }
    const result = { name: `kafka-tools ${run.name}`, about: run.about, rounds: found };
    results.push(result);
    process.stdout.write(`\n${table(result)}\n`);
  }
  const how = { brokers: values.broker, rounds, warmUpSeconds, records };
  if (values.json !== undefined) addRun(values.json, { machine: describeMachine(), how, results });
} finally {
  await Promise.all(targets.map((target) => target.stop()));
}
