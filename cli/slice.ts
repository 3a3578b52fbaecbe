/**
 * `tailrace slice`: a topic read by the reader library and printed, record by record or as raw
 * batches. `--explain` tells on standard error which of the three cases answered each request:
 * where the records lie, the records themselves, or nothing yet.
 */

import {
  ReadError,
  type ReadErrorCode,
  type ReadEvent,
  type Reading,
  type ReadOptions,
  type ReadRecord,
  read,
  readBatches,
} from '../reader/index.ts';
import { CliError, ExitCode, UsageError } from './exit.ts';
import { drained, print, printJson, timeText } from './inspect/output.ts';
import { jsonOf, textOf } from './inspect/record-text.ts';

export interface SliceOptions {
  readonly bootstrap: string;
  readonly from: string;
  readonly follow?: boolean;
  readonly limit?: number;
  readonly isolation: 'read_committed' | 'read_uncommitted';
  readonly by: readonly ('file' | 'url' | 'none')[];
  readonly reset: 'error' | 'earliest' | 'latest';
  readonly json?: boolean;
  readonly raw?: boolean;
  readonly valueBytes: number;
  readonly minBytes?: number;
  readonly maxBytes?: number;
  readonly timeout?: number;
  readonly patience: number;
  readonly explain?: boolean;
}

const EXIT_CODES: Partial<Record<ReadErrorCode, number>> = {
  INVALID_OPTIONS: ExitCode.usage,
  TOPIC_NOT_FOUND: ExitCode.notFound,
  TOPIC_DELETED: ExitCode.notFound,
  UNREACHABLE: ExitCode.unavailable,
};
const SIGNAL_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

export async function slice(name: string, options: SliceOptions): Promise<void> {
  try {
    if (options.raw === true) await printBatches(readBatches(readOptions(name, options)), options);
    else await printRecords(name, read(readOptions(name, options)), options);
  } catch (error) {
    if (!(error instanceof ReadError)) throw error;
    throw new CliError(error.message, EXIT_CODES[error.code] ?? ExitCode.failed);
  }
}

function readOptions(name: string, options: SliceOptions): ReadOptions {
  const [, topic, partition] = /^([^:]+)(?::(\d+))?$/.exec(name) ?? [];
  if (topic === undefined) throw new UsageError(`${name} is no topic, nor topic:partition`);
  const { raw, json, maxBytes, minBytes, timeout } = options;
  if (raw === true && json === true) throw new UsageError('--raw and --json are two things');
  return {
    bootstrap: options.bootstrap,
    topic,
    from: placeOf(options.from),
    follow: options.follow ?? false,
    isolation: options.isolation,
    reset: options.reset,
    ways: options.by.filter((way) => way !== 'none'),
    patienceMs: options.patience,
    clientId: 'tailrace-slice',
    ...(partition !== undefined && { partitions: [Number(partition)] }),
    ...(minBytes !== undefined && { minBytes }),
    ...(maxBytes !== undefined && { maxBytes, maxLocatedBytes: maxBytes }),
    ...(timeout !== undefined && { maxWaitMs: timeout }),
    ...(options.explain === true && { onEvent: (event) => explain(`${topic}`, event) }),
  };
}

/** An offset or a time; what is neither is the reader's to judge. */
function placeOf(from: string): string | number | Date {
  if (/^\d+$/.test(from)) return Number(from);
  if (!/^\d{4}-/.test(from)) return from;
  const time = new Date(from);
  if (Number.isNaN(time.getTime())) throw new UsageError(`--from: ${from} is no time`);
  return time;
}

async function printRecords(
  name: string,
  reading: Reading<ReadRecord>,
  { json, limit, valueBytes, explain }: SliceOptions,
): Promise<void> {
  const topic = name.split(':')[0]!;
  await printAll(reading, limit, explain, (record) => {
    if (json === true) printJson(fieldsOf(topic, record));
    else print(lineOf(topic, record, valueBytes));
  });
}

async function printBatches(
  reading: ReturnType<typeof readBatches>,
  { limit, explain }: SliceOptions,
): Promise<void> {
  await printAll(reading, limit, explain, ({ bytes }) => process.stdout.write(bytes));
}

/** A signal ends it as it ends other programs, with what was printed whole. */
async function printAll<T>(
  reading: Reading<T>,
  limit: number | undefined,
  explains: boolean | undefined,
  printOne: (one: T) => void,
): Promise<void> {
  let ended: keyof typeof SIGNAL_CODES | undefined;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      ended = signal;
      reading.close();
    });
  }
  let left = limit ?? Number.POSITIVE_INFINITY;
  try {
    while (left-- > 0) {
      const { done, value } = await reading.next();
      if (done === true) break;
      printOne(value);
      await drained();
    }
  } finally {
    reading.close();
    if (explains === true) summarize(reading);
  }
  if (ended !== undefined) process.exitCode = SIGNAL_CODES[ended];
}

function fieldsOf(topic: string, record: ReadRecord): object {
  const { partition, offset, timestamp, key, value, headers } = record;
  return {
    topic,
    partition,
    offset,
    timestamp,
    key: jsonOf(key),
    value: jsonOf(value),
    headers: headers.map((header) => ({ key: header.key, value: jsonOf(header.value) })),
  };
}

function lineOf(topic: string, record: ReadRecord, most: number): string {
  const { partition, offset, timestamp, key, value, headers } = record;
  const parts = [`${topic}-${partition}`, offset, timeText(timestamp) ?? '-'];
  parts.push(textOf(key, most), textOf(value, most));
  for (const header of headers) parts.push(`${header.key}=${textOf(header.value, most)}`);
  return parts.join('  ');
}

function say(text: string): void {
  process.stderr.write(`slice: ${text}\n`);
}

const CASES = { location: 'located', records: 'records', nothing: 'nothing yet' } as const;

function explain(topic: string, event: ReadEvent): void {
  if (event.kind === 'disconnected') {
    say(`not connected: ${event.reason}`);
    return;
  }
  if (event.kind === 'added') {
    say(`${topic}-${event.partition} is new: reading from its start`);
    return;
  }
  const place = `${topic}-${event.partition} from ${event.offset}`;
  switch (event.kind) {
    case 'open':
      say(`${place}: reading ${event.bytes} bytes of ${event.way} ${event.name}`);
      return;
    case 'again':
      say(`${place}: asked again, ${event.reason}`);
      return;
    case 'reset':
    case 'truncated':
      say(`${place}: ${event.kind}, going on at ${event.nextOffset}`);
      return;
    default: {
      const got = event.bytes === 0 ? '' : `, ${event.bytes} bytes up to ${event.nextOffset}`;
      say(`${place}: ${CASES[event.kind]}${got}, after ${event.waitedMs.toFixed(1)} ms`);
    }
  }
}

function summarize(reading: Reading<unknown>): void {
  const { requests, fileBytes, urlBytes, recordBytes, waits, waitedMs } = reading.stats;
  say(
    `${requests} requests; ${fileBytes} bytes from files, ${urlBytes} by URL, ${recordBytes} as ` +
      `records; waited ${waits} times in vain, ${waitedMs.toFixed(0)} ms`,
  );
  const token = reading.token();
  if (token !== undefined) say(`token ${token}`);
}
