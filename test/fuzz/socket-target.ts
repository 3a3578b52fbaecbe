/**
 * A broker in a process of its own, to which frames are sent over real sockets, as fast as it takes
 * them: whole, in pieces, half, and behind lying lengths, by clients that leave in the middle. A
 * client with sound requests asks all the while and must be answered within a second; the process
 * must not end, and its memory stays bounded.
 */

import { readFileSync } from 'node:fs';
import net from 'node:net';
import { ApiVersionsRequest, ApiVersionsResponse } from '../../protocol/messages/api-versions.ts';
import { CreateTopicsRequest } from '../../protocol/messages/create-topics.ts';
import { FetchRequest, FetchResponse } from '../../protocol/messages/fetch.ts';
import { ProduceRequest, ProduceResponse } from '../../protocol/messages/produce.ts';
import { buildBatch } from '../../protocol/records.ts';
import { WireClient } from '../broker/wire-client.ts';
import { SeededRandom } from '../sim/random.ts';
import { Batches, type Compressors } from './batches.ts';
import { TOPICS } from './broker-target.ts';
import type { Findings } from './findings.ts';
import { FuzzFrames } from './frames.ts';
import { Vocabulary } from './values.ts';

const ATTACKERS = 8;
const FRAMES_A_CONNECTION = 4;
/** Silence after which an attacker leaves: its last frame waits for bytes that do not come. */
const PATIENCE_MS = 20;
const CLEAN_PAUSE_MS = 20;

export interface SocketTargetOptions {
  readonly port: number;
  readonly pid: number;
  readonly seed: number;
  /** Time in which the clean client must be answered. */
  readonly cleanLimitMs: number;
}

export class SocketTarget {
  readonly #options: SocketTargetOptions;
  readonly #compressors: Compressors;
  readonly #findings: Findings;
  #left = 0;
  #isOver = false;
  #lastBytes: Buffer | undefined;

  constructor(options: SocketTargetOptions, compressors: Compressors, findings: Findings) {
    this.#options = options;
    this.#compressors = compressors;
    this.#findings = findings;
  }

  async run(frames: number): Promise<void> {
    this.#left = frames;
    this.#isOver = false;
    const client = await WireClient.connect(this.#options.port);
    await this.#makeTopics(client);
    const clean = this.#askOnAndOn(client);
    const seeds = Array.from({ length: ATTACKERS }, (_, index) => this.#options.seed * 100 + index);
    await Promise.all(seeds.map((seed) => this.#attack(new SeededRandom(seed))));
    this.#isOver = true;
    await clean;
    await client.close();
    this.#findings.count('socket', frames);
  }

  async #makeTopics(client: WireClient): Promise<void> {
    const topics = TOPICS.map(([name, configs]) => ({
      name,
      numPartitions: 2,
      replicationFactor: 1,
      assignments: [],
      configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
    }));
    await client.send(CreateTopicsRequest, 5, { topics, timeoutMs: 10_000 });
  }

  async #attack(random: SeededRandom): Promise<void> {
    const batches = new Batches(random.fork(), this.#compressors);
    const frames = new FuzzFrames(random.fork(), new Vocabulary(), batches);
    while (this.#left > 0) {
      const count = Math.min(this.#left, 1 + random.below(FRAMES_A_CONNECTION));
      this.#left -= count;
      const bytes = Array.from({ length: count }, () => frames.next().bytes);
      if (random.chance(0.3)) bytes.push(frames.next().bytes.subarray(0, 9));
      await this.#talk(random, Buffer.concat(bytes));
    }
  }

  /** One connection: sends all in pieces, reads what comes, and goes when nothing more does. */
  #talk(random: SeededRandom, bytes: Buffer): Promise<void> {
    this.#lastBytes = bytes;
    return new Promise((resolve) => {
      const socket = net.connect({ port: this.#options.port, host: '127.0.0.1', noDelay: true });
      const isDeaf = random.chance(0.05);
      let at = 0;
      const sendOn = () => {
        while (at < bytes.length) {
          const length = random.pick([1, 100, 5000, bytes.length]);
          const piece = bytes.subarray(at, at + length);
          at += piece.length;
          if (!socket.write(piece)) return;
        }
      };
      socket.on('connect', sendOn);
      socket.on('drain', sendOn);
      if (isDeaf) socket.pause();
      else socket.on('data', () => this.#findings.answers++);
      socket.setTimeout(PATIENCE_MS, () => socket.resetAndDestroy());
      socket.on('error', (error: NodeJS.ErrnoException) => {
        const isClose = error.code === 'ECONNRESET' || error.code === 'EPIPE';
        if (!isClose) this.#fault(`a connection failed: ${error.code}`, error.message);
      });
      socket.on('close', () => {
        this.#findings.closed++;
        resolve();
      });
    });
  }

  async #askOnAndOn(client: WireClient): Promise<void> {
    for (let count = 0; !this.#isOver; count++) {
      const before = performance.now();
      try {
        await this.#askClean(client, count);
      } catch (error) {
        this.#fault('a clean client is not served', String((error as Error).stack));
        return;
      }
      const tookMs = performance.now() - before;
      this.#findings.cleanAsks++;
      this.#findings.worstCleanMs = Math.max(this.#findings.worstCleanMs, tookMs);
      if (tookMs > this.#options.cleanLimitMs) this.#fault('a clean client waits', `${tookMs} ms`);
      this.#noteMemory();
      await new Promise((resolve) => setTimeout(resolve, CLEAN_PAUSE_MS));
    }
  }

  /** Three requests that must do what they are for. */
  async #askClean(client: WireClient, count: number): Promise<void> {
    const versions = await client.ask(ApiVersionsRequest, ApiVersionsResponse, 3, {
      clientSoftwareName: 'clean',
      clientSoftwareVersion: '1',
    });
    const value = Buffer.from(`clean ${count}`);
    const records = buildBatch({ records: [{ key: null, value, timestamp: Date.now() }] });
    const topicData = [{ name: 'clean', partitionData: [{ index: 0, records }] }];
    const produced = { acks: -1, timeoutMs: 10_000, topicData };
    const { responses } = await client.ask(ProduceRequest, ProduceResponse, 9, produced);
    const { errorCode, baseOffset } = responses[0]!.partitionResponses[0]!;
    const partitions = [{ partition: 0, fetchOffset: baseOffset, partitionMaxBytes: 1e6 }];
    const read = await client.ask(FetchRequest, FetchResponse, 11, {
      maxWaitMs: 0,
      minBytes: 1,
      maxBytes: 1e6,
      topics: [{ topic: 'clean', partitions }],
    });
    const answer = read.responses[0]!.partitions[0]!;
    if (versions.errorCode + errorCode + answer.errorCode !== 0) throw new Error('refused');
    if (!answer.records?.includes(value)) throw new Error('what was written is not read');
  }

  #noteMemory(): void {
    const status = readFileSync(`/proc/${this.#options.pid}/status`, 'utf8');
    const bytes = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024;
    this.#findings.peakResidentBytes = Math.max(this.#findings.peakResidentBytes, bytes);
  }

  #fault(kind: string, detail: string): void {
    this.#findings.add({ kind, detail, seed: this.#options.seed, bytes: this.#lastBytes });
  }
}
