/**
 * The handlers of the data APIs over fake logs: requests and answers go through their codecs, time
 * is the test's, and what the storage does is in the test's hand.
 */

import type { Api, ClientConnection, RequestContext } from '../../broker/api.ts';
import { Staged } from '../../broker/api.ts';
import { everybody } from '../../broker/authorizer.ts';
import { InlineCodecs } from '../../broker/codec-pool.ts';
import { Config } from '../../broker/config.ts';
import { Deadlines } from '../../broker/deadlines.ts';
import { FetchSessions } from '../../broker/fetch-sessions.ts';
import { Later } from '../../broker/later.ts';
import { LimitedLog } from '../../broker/limited-log.ts';
import { Locations } from '../../broker/locations.ts';
import { MemoryBudget } from '../../broker/memory-budget.ts';
import { Metrics } from '../../broker/metrics.ts';
import { Partition } from '../../broker/partition.ts';
import { ProducerIds } from '../../broker/producer-ids.ts';
import type { Services } from '../../broker/services.ts';
import type { Topic } from '../../broker/topics.ts';
import {
  TransactionCoordinator,
  transactionOptions,
} from '../../broker/transactions/coordinator.ts';
import { markersOf } from '../../broker/transactions/markers.ts';
import { Watchers } from '../../broker/watchers.ts';
import {
  decodeRequest,
  decodeRequestHeader,
  decodeResponse,
  encodeRequest,
  encodeResponse,
} from '../../protocol/header.ts';
import { Reader } from '../../protocol/reader.ts';
import { type BatchOptions, buildBatch } from '../../protocol/records.ts';
import type { Decoded, Input, Message } from '../../protocol/schema.ts';
import type { Env } from '../../storage/env.ts';
import type { LogOptions } from '../../storage/types.ts';
import { FakeLog } from './fake-log.ts';
import { FakeTopics } from './groups/fake-offsets-topic.ts';
import { keptLog, seededRandom } from './harness.ts';
import { ManualClock } from './manual-clock.ts';

export interface FakeTopicOptions {
  readonly partitions?: number;
  readonly settings?: Record<string, string>;
  readonly log?: Partial<LogOptions>;
  readonly internal?: boolean;
}

export class FakeConnection implements ClientConnection {
  readonly id = 7;
  readonly remoteAddress = '127.0.0.1';
  readonly remotePort = 50_000;
  readonly advertised = { host: 'broker.test', port: 9092 };
  clientSoftwareName = '';
  clientSoftwareVersion = '';
  closed = false;
  readonly listeners = new Set<() => void>();

  onClose(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  close(): void {
    this.closed = true;
    for (const listener of [...this.listeners]) listener();
    this.listeners.clear();
  }
}

/** A topic whose logs are the test's. */
export interface FakeTopic extends Topic {
  readonly logs: readonly FakeLog[];
}

/** A request on its way. */
export interface Call<M extends Message> {
  /** Undefined as long as the next request may not start. */
  isOrdered: boolean;
  isAnswered: boolean;
  /** The answer as a client reads it, or the symbol that stands for none. */
  readonly answer: Promise<Decoded<M>>;
  readonly given: Promise<unknown>;
}

export class DataBroker {
  readonly clock = new ManualClock();
  readonly metrics = new Metrics();
  readonly deadlines = new Deadlines(this.clock);
  readonly watchers = new Watchers(this.deadlines, this.metrics);
  readonly lines;
  readonly services: Services;
  /** Knows nothing before its `load`. */
  readonly transactions: TransactionCoordinator;
  /** What `logs.admit` gives; a promise holds the source. */
  admit: (sizeBytes: number, internal: boolean) => Promise<void> | undefined = () => undefined;
  readonly ledger = {
    planned: { nextProducerId: 0 },
    failure: undefined as Error | undefined,
    appends: 0,
    append: async (records: readonly { value: unknown }[]) => {
      await Promise.resolve();
      if (this.ledger.failure !== undefined) throw this.ledger.failure;
      this.ledger.appends++;
      const { nextProducerId } = records[0]!.value as { nextProducerId: number };
      this.ledger.planned.nextProducerId = nextProducerId;
    },
  };
  private readonly byName = new Map<string, FakeTopic>();
  private readonly byId = new Map<string, FakeTopic>();
  private readonly config: Config;
  private lastTopic = 0;

  constructor(settings: Record<string, string> = {}) {
    const { clock, metrics } = this;
    const { log, lines } = keptLog();
    this.lines = lines;
    const given = Object.entries(settings).map(([name, value]) => {
      return { name, value, origin: 'test', kind: 'flag' as const };
    });
    this.config = new Config(given);
    const random = seededRandom(1);
    const slots = this.config.get('max.incremental.fetch.session.cache.slots');
    const producerIds = new ProducerIds(this.ledger, 1);
    const env = { clock, random, log } as unknown as Env;
    const topics = {
      get: (name: string) => this.byName.get(name),
      byId: (id: string) => this.byId.get(id),
      partition: (name: string, index: number) => this.byName.get(name)?.partitions[index],
    };
    this.transactions = new TransactionCoordinator({
      env,
      topics: new FakeTopics('__transaction_state'),
      options: transactionOptions(this.config),
      metrics,
      producerIds,
      markers: markersOf(topics, { endTransaction: async () => {} }),
    });
    this.services = {
      env,
      transactions: this.transactions,
      config: this.config,
      nodeId: 1,
      clusterId: 'a-cluster',
      hostId: 'a-host',
      logs: { admit: (size: number, internal: boolean) => this.admit(size, internal) },
      topics,
      producerIds,
      fetchSessions: new FetchSessions(slots, clock, random, metrics),
      watchers: this.watchers,
      deadlines: this.deadlines,
      codecs: new InlineCodecs(),
      metrics,
      limitedLog: new LimitedLog(clock, log),
      memory: new MemoryBudget(this.config.get('memory.max.bytes'), clock),
      authorizer: everybody,
      locations: new Locations(this.config),
    } as unknown as Services;
  }

  /** Makes a topic, also in the place of one of the same name. */
  topic(name: string, options: FakeTopicOptions = {}): FakeTopic {
    const id = Buffer.alloc(16, ++this.lastTopic).toString('base64url');
    const internal = options.internal ?? false;
    const settings = new Map(Object.entries(options.settings ?? {}));
    const logs = Array.from({ length: options.partitions ?? 1 }, (_, index) => {
      return new FakeLog(name, id, index, { internal, ...options.log });
    });
    const partitions: Partition[] = [];
    const config = this.config.topicConfig(settings, internal);
    const topic: FakeTopic = { name, id, internal, config, partitions, logs };
    const { logs: store, env } = this.services;
    for (const log of logs) {
      partitions.push(new Partition(topic, log.partition, log, { logs: store, clock: env.clock }));
    }
    this.byName.set(name, topic);
    this.byId.set(id, topic);
    return topic;
  }

  /** Deletes a topic, as Topics does it. */
  deleteTopic(topic: FakeTopic): void {
    if (this.byName.get(topic.name) === topic) this.byName.delete(topic.name);
    this.byId.delete(topic.id);
    for (const partition of topic.partitions) partition.deleted();
    for (const log of topic.logs) log.remove();
  }

  /** Appends records in one batch, as the broker's own, and makes them visible. */
  fill(topic: FakeTopic, index: number, values: readonly string[]): void {
    const partition = topic.partitions[index]!;
    const batch = batchOf(values, { timestamp: this.clock.now() });
    void partition.appendOwnBatch(batch);
    topic.logs[index]!.sync();
  }

  /** Sends a request, given as the message's value; answers what the client would read. */
  call<Q extends Message, R extends Message>(
    api: Api<Q, R>,
    apiVersion: number,
    value: Input<Q>,
    options: { clientId?: string; connection?: FakeConnection } = {},
  ): Call<R> {
    const header = { apiVersion, correlationId: 1, clientId: options.clientId ?? 'test' };
    const sent = Buffer.concat(encodeRequest(api.request, header, value)).subarray(4);
    const reader = new Reader(sent);
    decodeRequestHeader(reader);
    const request = decodeRequest(reader, api.request, apiVersion);
    const releases: (() => void)[] = [];
    const context: RequestContext = {
      services: this.services,
      connection: options.connection ?? new FakeConnection(),
      apiKey: api.key,
      apiVersion,
      correlationId: 1,
      clientId: header.clientId,
      onSent: (release) => releases.push(release),
    };
    const handled = api.handle(context, request);
    const staged = handled instanceof Staged ? handled : undefined;
    const answered = staged === undefined ? handled : staged.answer;
    const given: Promise<unknown> =
      answered instanceof Later ? answered.promise() : Promise.resolve(answered);
    const call = { isOrdered: staged === undefined, isAnswered: false, given };
    const answer = given.then((response) => {
      call.isAnswered = true;
      if (typeof response === 'symbol') return response as never;
      const buffers = encodeResponse(api.response, apiVersion, 1, response as Input<R>);
      const frame = Buffer.concat(buffers).subarray(4);
      for (const release of releases) release();
      return decodeResponse(frame, api.response, apiVersion).value;
    });
    void staged?.ordered.then(() => {
      call.isOrdered = true;
    });
    return Object.assign(call, { answer });
  }
}

export interface BatchShape extends Omit<BatchOptions, 'records'> {
  readonly timestamp?: number;
  readonly keys?: readonly (string | null)[];
}

/** A batch as a producer sends it. */
export function batchOf(values: readonly (string | null)[], shape: BatchShape = {}): Buffer {
  const { timestamp, keys, ...fields } = shape;
  const records = values.map((value, i) => {
    const key = keys?.[i] ?? null;
    return {
      key: key === null ? null : Buffer.from(key),
      value: value === null ? null : Buffer.from(value),
      timestamp: timestamp ?? 1_700_000_000_000,
    };
  });
  return buildBatch({ ...fields, records });
}
