/** A broker of the test's own with HTTP, asked over real sockets as any client would. */

import http from 'node:http';
import type { Test } from 'tap';
import { Broker } from '../../broker/broker.ts';
import type { Partition } from '../../broker/partition.ts';
import { readBatchHeader } from '../../protocol/record-batch.ts';
import { type BatchOptions, buildBatch, type RecordInput } from '../../protocol/records.ts';
import { keptLog } from '../broker/harness.ts';

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface AskOptions {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal;
}

/** Asks as the path stands there, escaped or not; follows nothing. */
export function ask(port: number, path: string, options: AskOptions = {}): Promise<Answer> {
  const { method = 'GET', headers = {}, signal } = options;
  return new Promise((resolve, reject) => {
    const request = http.request(
      { host: '127.0.0.1', port, path, method, headers, agent: false, ...(signal && { signal }) },
      (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('error', reject);
        response.on('end', () => {
          const { statusCode: status = 0, headers: given } = response;
          resolve({ status, headers: given, body: Buffer.concat(parts) });
        });
      },
    );
    request.on('error', reject);
    request.end();
  });
}

export interface RecordText {
  readonly key?: string | Buffer | null;
  readonly value: string | Buffer | null;
  readonly headers?: RecordInput['headers'];
  readonly timestamp?: number;
}

function bytesOf(text: string | Buffer | null | undefined): Buffer | null {
  return typeof text === 'string' ? Buffer.from(text) : (text ?? null);
}

export class HttpWorld {
  readonly broker: Broker;
  readonly lines = [] as { text: string }[];

  private constructor(broker: Broker, lines: { text: string }[]) {
    this.broker = broker;
    this.lines = lines;
  }

  static async start(
    t: Test,
    config: Record<string, string> = {},
    dataDir?: string,
  ): Promise<HttpWorld> {
    const { log, lines } = keptLog();
    const broker = await Broker.start({
      config: { 'http.listeners': 'http://127.0.0.1:0', ...config },
      logger: log,
      ...(dataDir !== undefined && { dataDir }),
    });
    t.teardown(() => broker.stop());
    return new HttpWorld(broker, lines);
  }

  get port(): number {
    return this.broker.httpAddresses[0]!.port;
  }

  async topic(name: string, settings: Record<string, string> = {}): Promise<Partition> {
    const { topics } = this.broker.services;
    const configs = Object.entries(settings).map(([key, value]) => ({ name: key, value }));
    const one = { numPartitions: 1, replicationFactor: -1, assignments: [] };
    await topics.create({ name, configs, ...one });
    return topics.partition(name, 0)!;
  }

  /** Appends one batch; resolves when readers may see it. */
  async produce(
    partition: Partition,
    records: readonly (string | RecordText)[],
    batch: Omit<BatchOptions, 'records'> = { baseOffset: 0 },
  ): Promise<number> {
    const inputs = records.map((record, index): RecordInput => {
      const { key, value, headers, timestamp } =
        typeof record === 'string' ? { value: record } : record;
      return {
        key: bytesOf(key),
        value: bytesOf(value),
        headers: headers ?? [],
        timestamp: timestamp ?? 1_700_000_000_000 + index,
      };
    });
    const bytes = buildBatch({ ...batch, records: inputs });
    return this.append(partition, bytes);
  }

  async append(partition: Partition, bytes: Buffer): Promise<number> {
    const { baseOffset, lastOffset } = partition.append(
      bytes,
      readBatchHeader(bytes, 0),
      Date.now(),
    );
    await new Promise<void>((resolve, reject) => {
      partition.log.onMark('durable', lastOffset + 1, (error) =>
        error ? reject(error) : resolve(),
      );
    });
    return baseOffset;
  }

  slice(topic: string, query: string, options: AskOptions = {}): Promise<Answer> {
    return ask(this.port, `/v1/topics/${topic}/partitions/0/slice?${query}`, options);
  }

  /** The value of a metric with labels. */
  metric(name: 'slice_requests_total' | 'segment_requests_total', label: string): number {
    return this.broker.services.metrics.counter(name, label).read();
  }
}

/** The number in a header of an answer. */
export function numberIn({ headers }: Answer, name: string): number {
  const value = headers[`tailrace-${name}`];
  if (typeof value !== 'string' || !/^\d+$/.test(value)) throw new Error(`no ${name}: ${value}`);
  return Number(value);
}

/** Waits for a condition, turn by turn. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 20_000;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error('the condition never came');
    await new Promise((resolve) => setImmediate(resolve));
  }
}
