/**
 * A whole broker, composed as the real one, on a disk, a network and a clock in memory, to which
 * frames are sent one at a time. After each: what came back is decoded, what the frame cost is
 * measured, and nothing was logged as an error. Between them a client with sound requests must be
 * served as ever; in the end everything that was counted as held must have been given back.
 */

import { Broker } from '../../broker/broker.ts';
import { InlineCodecs } from '../../broker/codec-pool.ts';
import { settingsOfProgram } from '../../broker/config/sources.ts';
import { Config } from '../../broker/config.ts';
import type { World } from '../../broker/main.ts';
import { codec } from '../../protocol/compile.ts';
import { decodeResponse, encodeRequest } from '../../protocol/header.ts';
import {
  CreateTopicsRequest,
  CreateTopicsResponse,
} from '../../protocol/messages/create-topics.ts';
import { FetchRequest, FetchResponse } from '../../protocol/messages/fetch.ts';
import { ProduceRequest, ProduceResponse } from '../../protocol/messages/produce.ts';
import { Reader } from '../../protocol/reader.ts';
import { buildBatch } from '../../protocol/records.ts';
import type { Input, Message } from '../../protocol/schema.ts';
import { InlineCleaners } from '../../storage/cleaner/inline-cleaners.ts';
import type { Logger } from '../../storage/env.ts';
import { FrameClient } from '../broker/harness.ts';
import { SimClock } from '../sim/clock.ts';
import { SimDisk } from '../sim/disk.ts';
import { PoisoningFrames } from '../sim/frames.ts';
import { SeededRandom } from '../sim/random.ts';
import { SimulatedNetwork } from '../sim/transport.ts';
import { Batches, type Compressors } from './batches.ts';
import type { Findings } from './findings.ts';
import { type Expected, expectedOf, FuzzFrames, mayCarryBatches } from './frames.ts';
import { Vocabulary } from './values.ts';

const PORT = 9092;
export const TOPICS: readonly (readonly [string, Record<string, string>])[] = [
  ['plain', {}],
  ['compacted', { 'cleanup.policy': 'compact', 'tail.compaction.enable': 'true' }],
  ['checked', { 'record.validation': 'full' }],
  ['squeezed', { 'compression.type': 'lz4' }],
  ['durable', { 'fetch.visibility': 'durable' }],
  ['clean', {}],
];
/** Small, so that a fresh world costs little. */
export const SETTINGS = {
  'offsets.topic.num.partitions': '2',
  'transaction.state.log.num.partitions': '2',
  'journal.file.bytes': '1048576',
  'journal.max.bytes': '8388608',
  'socket.request.max.bytes': '2000000',
};
const API_VERSIONS_KEY = 18;
const CLEAN_EVERY = 50;
/** A frame that arrives in pieces takes several turns; all of them are counted as one. */
const TURN_LIMIT_MS = 100;

/** One connection's frames and answers. */
interface Talk {
  readonly client: FrameClient;
  readonly expected: Expected[];
  /** False once a frame's length has lied: where requests begin, only the broker knows then. */
  isInStep: boolean;
}

export interface BrokerTargetOptions {
  /** CPU time above which what a frame starts counts as a hang. */
  readonly turnLimitMs?: number;
}

export class BrokerTarget {
  readonly #seed: number;
  readonly #random: SeededRandom;
  readonly #findings: Findings;
  readonly #turnLimitMs: number;
  readonly #clock = new SimClock();
  readonly #network: SimulatedNetwork;
  readonly #words = new Vocabulary();
  readonly #frames: FuzzFrames;
  #broker: Broker | undefined;
  #lastBytes: Buffer | undefined;
  #cleanCount = 0;

  constructor(
    seed: number,
    compressors: Compressors,
    findings: Findings,
    options: BrokerTargetOptions = {},
  ) {
    this.#seed = seed;
    this.#random = new SeededRandom(seed);
    this.#findings = findings;
    this.#turnLimitMs = options.turnLimitMs ?? TURN_LIMIT_MS;
    const chunkBytes = this.#random.pick([40, 1000, 65_536, 65_536]);
    this.#network = new SimulatedNetwork(this.#clock, this.#random.fork(), { chunkBytes });
    const batches = new Batches(this.#random.fork(), compressors);
    this.#frames = new FuzzFrames(this.#random.fork(), this.#words, batches);
  }

  /** A world of its own from start to stop, into which so many frames are sent. */
  async run(frames: number): Promise<void> {
    const onRejection = (error: unknown) => this.#fault('unhandled rejection', error);
    process.on('unhandledRejection', onRejection);
    try {
      await this.#start();
      for (let sent = 0; sent < frames; ) sent += await this.#connection(frames - sent);
      await this.#checkClean();
      await this.#checkReleased();
      await this.#clock.run((this.#broker as Broker).stop());
    } catch (error) {
      this.#fault('the broker broke', error);
    } finally {
      process.off('unhandledRejection', onRejection);
    }
    this.#findings.noteMemory();
  }

  async #start(): Promise<void> {
    const disk = new SimDisk(this.#clock);
    const env = {
      clock: this.#clock,
      disk: disk.mount(),
      random: this.#random.fork(),
      host: { bootId: 'boot', hostName: 'machine', processId: 1 },
      log: this.#log(),
    };
    const world: World = {
      env,
      openCleaners: () => new InlineCleaners(env),
      transport: this.#network,
      frames: new PoisoningFrames(),
      openCodecs: () => new InlineCodecs(),
      openHttp: () => Promise.reject(new Error('there is no HTTP in this world')),
    };
    const listeners = `PLAINTEXT://127.0.0.1:${PORT}`;
    const settings = settingsOfProgram({ listeners, 'log.dirs': '/data', ...SETTINGS });
    this.#broker = await this.#clock.run(Broker.launch(new Config(settings), world));
    const topics = TOPICS.map(([name, configs]) => ({
      name,
      numPartitions: 2,
      replicationFactor: 1,
      assignments: [],
      configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
    }));
    const made = await this.#ask(CreateTopicsRequest, 7, { topics, timeoutMs: 1000 });
    const { topics: ids } = decodeResponse(made, CreateTopicsResponse, 7).value;
    this.#words.protectedId = ids.find(({ name }) => name === 'clean')?.topicId ?? '';
  }

  /** Whatever the broker calls an error is one, for here nothing fails but the clients. */
  #log(): Logger {
    return {
      debug() {},
      info() {},
      warn() {},
      error: (values, text) => {
        const { err } = values as { err?: Error };
        this.#fault(`logged: ${text}: ${err?.message.replace(/\d+/g, '#')}`, err ?? values);
      },
    };
  }

  /** Opens a connection, sends some frames, and leaves in one way or another; gives their number. */
  async #connection(most: number): Promise<number> {
    const random = this.#random;
    const client = new FrameClient(this.#network.connect(PORT));
    const talk: Talk = { client, expected: [], isInStep: true };
    const count = Math.min(most, 1 + random.below(20));
    if (random.chance(0.05)) client.transport.pause();
    let sent = 0;
    while (sent < count && !client.closed) {
      await this.#frame(talk);
      sent++;
      if ((this.#findings.frames + sent) % CLEAN_EVERY === 0) await this.#checkClean();
    }
    if (client.closed) this.#findings.closed++;
    if (random.chance(0.3)) await this.#clock.advance(random.pick([1, 20, 200]));
    client.transport.destroy();
    await this.#clock.settle();
    this.#findings.count('broker', sent);
    return sent;
  }

  async #frame(talk: Talk): Promise<void> {
    const { client, expected } = talk;
    const { bytes } = this.#frames.next();
    const half = this.#random.chance(0.02);
    this.#lastBytes = bytes;
    const announced = bytes.readInt32BE(0);
    const isWhole = announced === bytes.length - 4 && !half;
    if (!isWhole) talk.isInStep = false;
    const awaited = isWhole ? expectedOf(bytes.subarray(4)) : undefined;
    if (awaited !== undefined) expected.push(awaited);
    client.send(half ? bytes.subarray(0, this.#random.below(bytes.length)) : bytes);
    const before = process.cpuUsage();
    await this.#clock.settle();
    const { user, system } = process.cpuUsage(before);
    const tookMs = (user + system) / 1000;
    // Decompression is the work of threads, in the turn only here.
    if (!mayCarryBatches(bytes.subarray(4)))
      this.#noteTurn(tookMs, awaited?.apiName ?? 'no request');
    this.#readAnswers(talk);
  }

  #noteTurn(tookMs: number, what: string): void {
    this.#findings.noteTurn(tookMs, what);
    if (tookMs > this.#turnLimitMs) this.#fault(`hang: ${what}`, `${tookMs} ms`);
  }

  /** Every answer is to a request that was sent, in its version, and whole. */
  #readAnswers({ client, expected, isInStep }: Talk): void {
    for (const frame of client.frames.splice(0)) {
      this.#findings.answers++;
      const correlationId = frame.readInt32BE(0);
      const at = expected.findIndex((other) => other.correlationId === correlationId);
      if (at < 0) {
        if (isInStep) this.#fault('an answer to nothing', frame.toString('hex', 0, 100));
        continue;
      }
      const [{ apiName, response, version }] = expected.splice(0, at + 1).slice(-1) as [Expected];
      try {
        const reader = new Reader(frame, 4);
        const { flexible, decode } = codec(response, version);
        if (flexible && response.key !== API_VERSIONS_KEY) reader.skipTags();
        this.#words.learn(decode(reader));
        if (reader.bytesLeft > 0) this.#fault(`${apiName}: bytes behind the answer`, version);
      } catch (error) {
        this.#fault(`${apiName} ${version}: an answer that cannot be decoded`, error);
      }
    }
  }

  async #ask<Q extends Message>(request: Q, version: number, value: Input<Q>): Promise<Buffer> {
    const client = new FrameClient(this.#network.connect(PORT));
    const header = { apiVersion: version, correlationId: 1, clientId: 'clean' };
    client.send(encodeRequest(request, header, value));
    await this.#clock.settle();
    for (let waits = 0; client.frames.length === 0 && waits < 50 && !client.closed; waits++) {
      await this.#clock.advance(20);
    }
    client.transport.destroy();
    const [frame] = client.frames;
    if (frame === undefined) throw new Error(`${request.name} of a sound client is not answered`);
    return frame;
  }

  /** A client that does nothing wrong: its record is taken, and read again. */
  async #checkClean(): Promise<void> {
    const before = this.#clock.monotonic();
    const value = Buffer.from(`clean ${this.#cleanCount}`);
    const records = buildBatch({ records: [{ key: null, value, timestamp: this.#clock.now() }] });
    const partitionData = [{ index: 0, records }];
    const topicData = [{ name: 'clean', partitionData }];
    const produced = { acks: -1, timeoutMs: 1000, topicData };
    const taken = await this.#ask(ProduceRequest, 9, produced);
    const { responses } = decodeResponse(taken, ProduceResponse, 9).value;
    const { errorCode, baseOffset } = responses[0]!.partitionResponses[0]!;
    if (errorCode !== 0) return this.#fault('a sound record is refused', errorCode);
    const partitions = [{ partition: 0, fetchOffset: baseOffset, partitionMaxBytes: 1e6 }];
    const topics = [{ topic: 'clean', partitions }];
    const fetched = { maxWaitMs: 0, minBytes: 1, maxBytes: 1e6, topics };
    const read = await this.#ask(FetchRequest, 11, fetched);
    const answer = decodeResponse(read, FetchResponse, 11).value.responses[0]!.partitions[0]!;
    if (baseOffset !== this.#cleanCount || !answer.records?.includes(value)) {
      this.#fault('a sound record is not there', `offset ${baseOffset} of ${this.#cleanCount}`);
    }
    this.#cleanCount++;
    this.#findings.cleanAsks++;
    const tookMs = this.#clock.monotonic() - before;
    this.#findings.worstCleanMs = Math.max(this.#findings.worstCleanMs, tookMs);
  }

  /** With everybody gone, nothing is held for anybody. */
  async #checkReleased(): Promise<void> {
    await this.#clock.advance(70_000);
    const { memory, metrics } = (this.#broker as Broker).services;
    for (const user of ['frames', 'answers', 'reads', 'decompression'] as const) {
      const left = memory.bytesOf(user);
      if (left !== 0) this.#fault(`memory is not given back: ${user}`, left);
    }
    const gauges = [
      'connections',
      'watchers_parked',
      'paused_sources',
      'requests_in_flight',
    ] as const;
    for (const name of gauges) {
      const left = metrics.gauge(name).read();
      if (left !== 0) this.#fault(`not let go: ${name}`, left);
    }
  }

  #fault(kind: string, detail: unknown): void {
    const text = detail instanceof Error ? (detail.stack ?? String(detail)) : String(detail);
    this.#findings.add({ kind, detail: text, seed: this.#seed, bytes: this.#lastBytes });
  }
}
