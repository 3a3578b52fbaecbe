/**
 * A topic for readers to read: a broker in this process, and records whose value says which one of
 * its partition it is, so that what is missing, doubled or out of order shows.
 */

import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import fse from 'fs-extra';
import type { Test } from 'tap';
import { Config, settingsOfProgram } from '../../broker/config.ts';
import { Broker, type BrokerOptions } from '../../broker/index.ts';
import { silentLog, systemWorld } from '../../broker/main.ts';
import { ErrorCode } from '../../protocol/errors.ts';
import {
  CreatePartitionsRequest,
  CreatePartitionsResponse,
} from '../../protocol/messages/create-partitions.ts';
import {
  CreateTopicsRequest,
  CreateTopicsResponse,
} from '../../protocol/messages/create-topics.ts';
import { ProduceRequest, ProduceResponse } from '../../protocol/messages/produce.ts';
import { type BatchOptions, buildBatch } from '../../protocol/records.ts';
import type { ReadOptions } from '../../reader/index.ts';
import { LOCK_FILE } from '../../storage/folder-lock.ts';
import type { PartitionLogView } from '../../storage/types.ts';
import { WireClient } from '../broker/wire-client.ts';

const PRODUCE_VERSION = 11;
const CREATE_TOPICS_VERSION = 7;
const CREATE_PARTITIONS_VERSION = 3;

export type BatchShape = Omit<BatchOptions, 'records'>;

export class Source {
  readonly topic: string;
  broker!: Broker;
  client!: WireClient;
  readonly #options: BrokerOptions;
  #powerCuts = 0;
  /** The next number of each partition. */
  readonly #next: number[];

  private constructor(topic: string, partitions: number, options: BrokerOptions) {
    this.topic = topic;
    this.#options = options;
    this.#next = new Array<number>(partitions).fill(0);
  }

  static async start(
    t: Test,
    {
      partitions = 1,
      topic = 'numbers',
      configs = {},
      ...options
    }: BrokerOptions & {
      readonly partitions?: number;
      readonly topic?: string;
      readonly configs?: Readonly<Record<string, string>>;
    } = {},
  ): Promise<Source> {
    const home = await fse.mkdtemp(join(tmpdir(), 'tailrace-reader-'));
    t.teardown(() => fse.remove(home));
    const dataDir = join(home, 'data');
    const source = new Source(topic, partitions, { ...options, dataDir });
    await source.open();
    t.teardown(() => source.stop());
    await source.createTopic(topic, partitions, configs);
    return source;
  }

  get address(): string {
    return this.broker.bootstrapServers;
  }

  /** What every reader of it is told. */
  options(more: Partial<ReadOptions> = {}): ReadOptions {
    return { bootstrap: this.address, topic: this.topic, ...more };
  }

  async open(): Promise<void> {
    const port = this.broker?.port ?? this.#options.port ?? 0;
    const options = { ...this.#options, port };
    this.broker = await (this.#powerCuts === 0 ? Broker.start(options) : this.#launch(port));
    this.client = await WireClient.connect(this.broker.port);
  }

  /** Starts the broker as after so many starts of the machine. */
  #launch(port: number): Promise<Broker> {
    const { config, dataDir } = this.#options;
    const world = systemWorld(silentLog);
    const bootId = `boot ${this.#powerCuts}`;
    const env = { ...world.env, host: { ...world.env.host, bootId } };
    const listeners = `PLAINTEXT://127.0.0.1:${port}`;
    const settings = settingsOfProgram({ listeners, ...config, 'log.dirs': dataDir! });
    return Broker.launch(new Config(settings), { ...world, env });
  }

  /** A copy of what a power cut would leave now. */
  async copyDisk(): Promise<string> {
    const copy = `${this.broker.dataDir}-copy`;
    const isKept = (path: string) => basename(path) !== LOCK_FILE && !path.endsWith('.sock');
    await fse.copy(this.broker.dataDir, copy, { filter: isKept });
    return copy;
  }

  /** Power was cut when the copy was made, and is back. */
  async cutPower(copy: string): Promise<void> {
    await this.stop();
    await fse.remove(this.broker.dataDir);
    await fse.move(copy, this.broker.dataDir);
    this.#powerCuts++;
    await this.open();
  }

  async stop(): Promise<void> {
    await this.client.close();
    await this.broker.stop();
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.open();
  }

  async createTopic(
    name: string,
    numPartitions: number,
    configs: Readonly<Record<string, string>>,
  ): Promise<void> {
    const { topics } = await this.client.ask(
      CreateTopicsRequest,
      CreateTopicsResponse,
      CREATE_TOPICS_VERSION,
      {
        topics: [
          {
            name,
            numPartitions,
            replicationFactor: 1,
            assignments: [],
            configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
          },
        ],
        timeoutMs: 1000,
      },
    );
    if (topics[0]?.errorCode !== 0) throw new Error(`CreateTopics: ${topics[0]?.errorCode}`);
  }

  /** Gives the topic more partitions: `count` in all. */
  async grow(count: number): Promise<void> {
    const { results } = await this.client.ask(
      CreatePartitionsRequest,
      CreatePartitionsResponse,
      CREATE_PARTITIONS_VERSION,
      {
        topics: [{ name: this.topic, count, assignments: null }],
        timeoutMs: 1000,
        validateOnly: false,
      },
    );
    if (results[0]?.errorCode !== 0) throw new Error(`CreatePartitions: ${results[0]?.errorCode}`);
    while (this.#next.length < count) this.#next.push(0);
  }

  log(partition = 0): PartitionLogView {
    return this.broker.services.topics.get(this.topic)!.partitions[partition]!.log;
  }

  /** Puts all that is in memory into the files. */
  async persist(): Promise<void> {
    const { partitions } = this.broker.services.topics.get(this.topic)!;
    await Promise.all(partitions.map(({ log }) => log.flush()));
  }

  /** Produces so many further numbers as one batch; resolves when they are durable. */
  async produce(
    count: number,
    partition = 0,
    padBytes = 0,
    { keys = Number.POSITIVE_INFINITY, ...shape }: BatchShape & { readonly keys?: number } = {},
  ): Promise<void> {
    const first = this.#next[partition]!;
    this.#next[partition] = first + count;
    const records = Array.from({ length: count }, (_, i) => ({
      key: Buffer.from(`k${(first + i) % keys}`),
      value: Buffer.from(`${partition}:${first + i}:${'.'.repeat(padBytes)}`),
      timestamp: Date.now(),
    }));
    await this.send(buildBatch({ ...shape, records }), partition);
  }

  async send(records: Buffer, index = 0): Promise<number> {
    const { responses } = await this.client.ask(ProduceRequest, ProduceResponse, PRODUCE_VERSION, {
      acks: -1,
      timeoutMs: 5000,
      topicData: [{ name: this.topic, partitionData: [{ index, records }] }],
    });
    const { errorCode, baseOffset } = responses[0]!.partitionResponses[0]!;
    if (errorCode !== ErrorCode.NONE) throw new Error(`Produce is answered ${errorCode}`);
    return baseOffset;
  }

  /** The topic was made anew. */
  forgetNumbers(): void {
    this.#next.fill(0);
  }

  /** How many numbers a partition has got. */
  count(partition = 0): number {
    return this.#next[partition]!;
  }
}

/** The number that a record of `produce` carries. */
export function numberOf({ value }: { readonly value: Buffer | null }): number {
  return Number(value!.toString('latin1').split(':')[1]);
}
