/** Topics of all kinds, filled by kafkajs and by Kafka's own Java producer, on whatever broker. */

import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import fse from 'fs-extra';
import { type Admin, Kafka, logLevel, type Producer } from 'kafkajs';
import { WireConnection } from '../../benchmarks/client/connection.ts';
import { createTopic } from '../../benchmarks/client/topics.ts';
import { produceWithJava } from './kafka-tools.ts';
import type { Address } from './served.ts';

export const CODECS = ['gzip', 'snappy', 'lz4', 'zstd'] as const;

/** Several segments of the smallest size that Kafka allows. */
const SEGMENT_BYTES = 1024 * 1024;
const JAVA_RECORDS = 6000;
const JAVA_RECORD_BYTES = 600;
const COMPACTED_KEYS = 50;
const COMPACTED_RECORDS = 4000;
const CLEAN_LIMIT_MS = 60_000;

export class Workload {
  readonly #address: Address;
  readonly #kafka: Kafka;
  readonly #bootstrap: string;

  constructor(address: Address) {
    this.#address = address;
    this.#bootstrap = `${address.host}:${address.port}`;
    this.#kafka = new Kafka({
      brokers: [this.#bootstrap],
      logLevel: logLevel.NOTHING,
      retry: { initialRetryTime: 100, retries: 12 },
    });
  }

  async #withAdmin<T>(run: (admin: Admin) => Promise<T>): Promise<T> {
    const admin = this.#kafka.admin();
    await admin.connect();
    try {
      return await run(admin);
    } finally {
      await admin.disconnect();
    }
  }

  async #withProducer(
    options: Parameters<Kafka['producer']>[0],
    run: (producer: Producer) => Promise<void>,
  ): Promise<void> {
    const producer = this.#kafka.producer(options);
    await producer.connect();
    try {
      await run(producer);
    } finally {
      await producer.disconnect();
    }
  }

  /** Makes topics of one partition. */
  async create(topics: readonly string[], configs: Readonly<Record<string, string>> = {}) {
    const connection = await WireConnection.open(this.#address.host, this.#address.port);
    try {
      for (const topic of topics) {
        await createTopic(connection, topic, 1, {
          'segment.bytes': String(SEGMENT_BYTES),
          ...configs,
        });
      }
    } finally {
      connection.close();
    }
  }

  /** Keys, headers, missing keys and values, over several segments, of a plain producer. */
  async fillPlain(topic: string, records = 3000): Promise<void> {
    await this.#withProducer({}, async (producer) => {
      for (let first = 0; first < records; first += 100) {
        const messages = Array.from({ length: 100 }, (_, index) => {
          const number = first + index;
          return {
            key: number % 3 === 0 ? null : `key ${number}`,
            value: number % 7 === 0 ? null : `${number} `.repeat(100),
            headers: number % 5 === 0 ? { number: String(number), empty: '' } : {},
          };
        });
        await producer.send({ topic, acks: -1, messages });
      }
    });
  }

  /** An idempotent Java producer with a codec. */
  async fillCompressed(topic: string, codec: string): Promise<void> {
    await produceWithJava({
      bootstrap: this.#bootstrap,
      topic,
      records: JAVA_RECORDS,
      recordBytes: JAVA_RECORD_BYTES,
      properties: { 'compression.type': codec, 'batch.size': '65536', 'linger.ms': '5' },
    });
  }

  /** Transactions in turn committed and aborted, each of several batches. */
  async fillTransactional(topic: string, transactions = 20): Promise<void> {
    const options = {
      transactionalId: `writer of ${topic}`,
      idempotent: true,
      maxInFlightRequests: 1,
    };
    await this.#withProducer(options, async (producer) => {
      for (let number = 0; number < transactions; number++) {
        const transaction = await producer.transaction();
        for (let part = 0; part < 3; part++) {
          const value = `transaction ${number}, part ${part} `.repeat(1000);
          await transaction.send({ topic, acks: -1, messages: [{ key: `${number}`, value }] });
        }
        if (number % 2 === 0) await transaction.commit();
        else await transaction.abort();
      }
    });
  }

  /** Updates of few keys, some of them deleted in the end. */
  async fillCompacted(topic: string): Promise<void> {
    await this.#withProducer({ idempotent: true, maxInFlightRequests: 1 }, async (producer) => {
      for (let first = 0; first < COMPACTED_RECORDS; first += 50) {
        const messages = Array.from({ length: 50 }, (_, index) => {
          const number = first + index;
          const isDeleted = number >= COMPACTED_RECORDS / 2 && number % COMPACTED_KEYS === 7;
          const value = isDeleted ? null : `${number} `.repeat(150);
          return { key: `key ${number % COMPACTED_KEYS}`, value };
        });
        await producer.send({ topic, acks: -1, messages });
      }
    });
  }

  /** Commits an offset of a group. */
  async commit(topic: string): Promise<void> {
    const partitions = [{ partition: 0, offset: '3' }];
    await this.#withAdmin((admin) => admin.setOffsets({ groupId: 'readers', topic, partitions }));
  }

  /** One more record at a topic's end; gives its offset. */
  async append(topic: string): Promise<number> {
    let offset = -1;
    await this.#withProducer({}, async (producer) => {
      const messages = [{ key: 'one more', value: 'behind what was there' }];
      const [answer] = await producer.send({ topic, acks: -1, messages });
      offset = Number(answer!.baseOffset);
    });
    return offset;
  }
}

/** Resolves when a cleaner has recorded that a topic's closed segments are clean. */
export async function untilCleaned(dataDir: string, topic: string): Promise<void> {
  const deadline = performance.now() + CLEAN_LIMIT_MS;
  const folder = join(dataDir, `${topic}-0`);
  const checkpoint = join(dataDir, 'cleaner-offset-checkpoint');
  for (;;) {
    const logs = (await fse.readdir(folder)).filter((name) => name.endsWith('.log')).sort();
    const activeBase = Number.parseInt(logs.at(-1) ?? '0', 10);
    const lines = (await fse.pathExists(checkpoint)) ? await fse.readFile(checkpoint, 'utf8') : '';
    if (activeBase > 0 && lines.includes(`${topic} 0 ${activeBase}\n`)) return;
    if (performance.now() > deadline) throw new Error(`${topic} is not clean: ${lines}`);
    await delay(100);
  }
}
