/**
 * The broker that a client test talks to: one of ours in this process, on a free port and a folder
 * of its own. With TAILRACE_TEST_PEER=kafka it is the Apache Kafka of benchmarks/peers, with the
 * same settings: a test that fails there is wrong about Kafka.
 */

import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fse from 'fs-extra';
import { Kafka, type KafkaConfig, logLevel } from 'kafkajs';
import type { Test } from 'tap';
import { WireConnection } from '../../benchmarks/client/connection.ts';
import { untilLed } from '../../benchmarks/client/topics.ts';
import { type RunningKafka, startKafka } from '../../benchmarks/peers/kafka.ts';
import {
  InitProducerIdRequest,
  InitProducerIdResponse,
} from '../../protocol/messages/init-producer-id.ts';
import { MetadataRequest, MetadataResponse } from '../../protocol/messages/metadata.ts';

/** Whether the tests run against Apache Kafka, where the few deliberate differences do not hold. */
export const isApacheKafka = process.env.TAILRACE_TEST_PEER === 'kafka';

export type BrokerSettings = Readonly<Record<string, string>>;

export interface TestBroker {
  readonly host: string;
  readonly port: number;
  readonly address: string;
  /** Stops the broker in an orderly way and starts it again on the same port and data. */
  restart(): Promise<void>;
}

type TestBrokerParts = Omit<TestBroker, 'address'>;

/** Starts a broker that ends with the test. */
export async function startTestBroker(t: Test, settings: BrokerSettings = {}): Promise<TestBroker> {
  const broker = isApacheKafka ? await startPeer(t, settings) : await startOurs(t, settings);
  return { ...broker, address: `${broker.host}:${broker.port}` };
}

async function startPeer(t: Test, settings: BrokerSettings): Promise<TestBrokerParts> {
  const kafka = await startKafka({ settings });
  t.teardown(() => kafka.stop());
  return {
    host: kafka.host,
    port: kafka.port,
    restart: async () => {
      await kafka.restart();
      await untilReady(kafka);
    },
  };
}

/** Apache Kafka listens before it leads its partitions and knows its producers. */
async function untilReady({ host, port }: RunningKafka): Promise<void> {
  const connection = await WireConnection.open(host, port);
  try {
    let code: number;
    do {
      const request = { transactionalId: null, transactionTimeoutMs: 0 };
      const pair = [InitProducerIdRequest, InitProducerIdResponse] as const;
      ({ errorCode: code } = await connection.call(...pair, 4, request));
    } while (code !== 0);
    const { topics } = await connection.call(MetadataRequest, MetadataResponse, 9, {
      topics: null,
    });
    for (const { name, partitions, isInternal } of topics) {
      if (!isInternal) await untilLed(connection, name ?? '', partitions.length);
    }
  } finally {
    connection.close();
  }
}

async function startOurs(t: Test, config: BrokerSettings): Promise<TestBrokerParts> {
  const { Broker } = await import('../../broker/index.ts');
  const dataDir = await fse.mkdtemp(join(tmpdir(), 'tailrace-client-test-'));
  let broker = await Broker.start({ port: 0, dataDir, config });
  t.teardown(async () => {
    await broker.stop();
    await fse.remove(dataDir);
  });
  const { port } = broker;
  return {
    host: '127.0.0.1',
    port,
    restart: async () => {
      await broker.stop();
      broker = await Broker.start({ port, dataDir, config });
    },
  };
}

/** A name that nothing else has, for topics, groups and clients. */
export function uniqueName(what: string): string {
  return `${what}-${randomBytes(6).toString('hex')}`;
}

/** A kafkajs client of the broker that says nothing and gives up after a few seconds. */
export function kafkaFor(broker: TestBroker, options: Partial<KafkaConfig> = {}): Kafka {
  return new Kafka({
    clientId: uniqueName('client'),
    brokers: [broker.address],
    logLevel: logLevel.NOTHING,
    retry: { initialRetryTime: 50, retries: 8 },
    ...options,
  });
}

/** A promise with its ends, for what a callback will tell. */
export class Signal<T = void> {
  readonly promise: Promise<T>;
  #resolve!: (value: T) => void;
  #reject!: (error: Error) => void;

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  resolve(value: T): void {
    this.#resolve(value);
  }

  reject(error: Error): void {
    this.#reject(error);
  }
}
