/** Apache Kafka's command line tools, run as they are: DumpLogSegments and ProducerPerformance. */

import { spawn } from 'node:child_process';
import { join } from 'node:path';

/** Where install.sh puts the jars. */
const LIBS = join('.dev', 'kafka-tools', 'libs', '*');
/** Short runs are over before the second compiler would be of use. */
const JVM_OPTIONS = ['-Xmx512m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC'];

export interface ToolOutput {
  readonly out: string;
  /** Without what the logging library says of itself. */
  readonly err: string;
}

/** Runs a tool by its class; throws when it ends with anything but 0. */
async function runTool(className: string, words: readonly string[]): Promise<ToolOutput> {
  const args = [...JVM_OPTIONS, '-cp', LIBS, `org.apache.kafka.tools.${className}`, ...words];
  const child = spawn('java', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const chunks: { out: Buffer[]; err: Buffer[] } = { out: [], err: [] };
  child.stdout.on('data', (bytes: Buffer) => chunks.out.push(bytes));
  child.stderr.on('data', (bytes: Buffer) => chunks.err.push(bytes));
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const out = Buffer.concat(chunks.out).toString();
  const err = Buffer.concat(chunks.err)
    .toString()
    .replace(/^(SLF4J|.*StatusLogger).*\n/gm, '');
  if (code !== 0) throw new Error(`${className} ended with ${code}: ${err}${out.slice(-2000)}`);
  return { out, err };
}

/** Runs DumpLogSegments over files. */
export function dumpLogSegments(
  files: readonly string[],
  ...flags: readonly string[]
): Promise<ToolOutput> {
  return runTool('DumpLogSegments', ['--files', files.join(','), ...flags]);
}

export interface JavaProducerOptions {
  readonly bootstrap: string;
  readonly topic: string;
  readonly records: number;
  readonly recordBytes: number;
  /** Of the producer: `compression.type` and so on. */
  readonly properties: Readonly<Record<string, string>>;
  readonly transactionalId?: string;
}

/** Writes records with Kafka's own Java producer, idempotent as it is by default. */
export function produceWithJava(options: JavaProducerOptions): Promise<ToolOutput> {
  const { bootstrap, topic, records, recordBytes, properties, transactionalId } = options;
  const words = ['--topic', topic, '--num-records', String(records), '--throughput', '-1'];
  words.push('--record-size', String(recordBytes), '--bootstrap-server', bootstrap);
  if (transactionalId !== undefined) {
    words.push('--transactional-id', transactionalId, '--transaction-duration-ms', '50');
  }
  words.push('--command-property');
  for (const [name, value] of Object.entries({ acks: 'all', ...properties })) {
    words.push(`${name}=${value}`);
  }
  return runTool('ProducerPerformance', words);
}

/**
 * What DumpLogSegments says is wrong; nothing where all is right. `isCompacted`: not what it does not
 * know of compaction. It takes gaps for lost offsets; and it compares an entry of a time index with
 * the records of its batch, -1 where a cleaner has emptied that: Kafka's own leaves the time, too.
 */
export function complaints({ out, err }: ToolOutput, isCompacted = false): string[] {
  const found: string[] = [];
  const said = isCompacted ? withoutEmptied(err) : err;
  for (const line of said.split('\n')) {
    // It counts from -1 where a segment does not begin with 0.
    const isGap = /^Non-consecutive offsets in |^ +-?\d+ is followed by \d+$/.test(line);
    const isFirst = isGap && (!/^ +\d/.test(line) || isCompacted);
    if (line.trim() !== '' && !isFirst) found.push(line);
  }
  for (const line of out.split('\n')) {
    if (/isvalid: false|Unknown|Error|Exception|Could not|corrupt/i.test(line)) found.push(line);
  }
  return found;
}

/** Entries of time indexes that name emptied batches, and the heads under which nothing else is. */
function withoutEmptied(text: string): string {
  return text
    .replace(/^ +Index timestamp: \d+, log timestamp: -1\n/gm, '')
    .replace(/^Found timestamp mismatch in .*\n(?! )/gm, '');
}
