/**
 * Floods over real sockets, all at once: thousands of silent connections, half requests that come
 * byte by byte, readers that ask and take nothing, compressed bombs. Meanwhile a sound client is
 * served, memory grows by little, and afterwards all of it comes back, descriptors too. Then a
 * broker with few descriptors, to which more clients come than it can have.
 */

import { readdirSync, readFileSync } from 'node:fs';
import net from 'node:net';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { WireConnection } from '../../benchmarks/client/connection.ts';
import { createTopic } from '../../benchmarks/client/topics.ts';
import { loadCodec } from '../../protocol/compression.ts';
import { encodeRequest } from '../../protocol/header.ts';
import { FetchRequest, FetchResponse } from '../../protocol/messages/fetch.ts';
import { ProduceRequest, ProduceResponse } from '../../protocol/messages/produce.ts';
import { Codec, type CodecNumber } from '../../protocol/record-batch.ts';
import { buildBatch, wrapPayload } from '../../protocol/records.ts';
import { type ServedBroker, serve } from '../fuzz/served-broker.ts';

const IDLE = 3000;
const SLOW = 500;
const DEAF = 50;
const FETCHES_OF_A_DEAF = 300;
const BOMBS = 16;
/** What each bomb becomes; its records are some hundred kilobytes. */
const BOMB_BYTES = 768 * 1024 ** 2;
const BOMB_PART_BYTES = 32 * 1024 ** 2;
const FILL_MB = 48;
const MB = 1024 ** 2;
/** On a quiet machine it is 256 and 128; what an allocator keeps differs from run to run. */
const GROWTH_LIMIT_MB = 320;
const LEFT_LIMIT_MB = 160;
const DESCRIPTORS_LEFT = 20;
const FLOOD_MS = 8000;
const DRIP_MS = 250;
const BACK_MS = 10_000;
/** On a machine that does nothing else it is one. */
const CLEAN_LIMIT_MS = 5000;

t.setTimeout(180_000);

const timestamp = 1_704_067_200_000;

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Looks again and again; false when it has not come to hold in time. */
async function comesToHold(condition: () => boolean, limitMs: number): Promise<boolean> {
  const until = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > until) return false;
    await pause(50);
  }
  return true;
}

function residentMb({ pid }: ServedBroker): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)![1]) / 1024;
}

function descriptors({ pid }: ServedBroker): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** A client that does nothing wrong, asked over and over. */
class CleanClient {
  asked = 0;
  worstMs = 0;
  readonly #broker: ServedBroker;
  readonly #topic: string;

  constructor(broker: ServedBroker, topic: string) {
    this.#broker = broker;
    this.#topic = topic;
  }

  /** A record is written durably and read again. */
  async ask(): Promise<void> {
    const connection = await WireConnection.open('127.0.0.1', this.#broker.port);
    const value = Buffer.from(`clean ${this.asked}`);
    const beganMs = performance.now();
    const offset = await produce(connection, this.#topic, [{ value }]);
    const partition = { partition: 0, fetchOffset: offset, partitionMaxBytes: 1e6 };
    const { responses } = await connection.call(FetchRequest, FetchResponse, 11, {
      maxWaitMs: 0,
      minBytes: 1,
      maxBytes: 1e6,
      topics: [{ topic: this.#topic, partitions: [partition] }],
    });
    const found = responses[0]!.partitions[0]!.records?.includes(value);
    if (found !== true) throw new Error('what was written is not read');
    this.worstMs = Math.max(this.worstMs, performance.now() - beganMs);
    this.asked++;
    connection.close();
  }
}

async function produce(
  connection: WireConnection,
  topic: string,
  values: readonly { readonly value: Buffer }[],
): Promise<number> {
  const records = buildBatch({ records: values.map((one) => ({ key: null, timestamp, ...one })) });
  const topicData = [{ name: topic, partitionData: [{ index: 0, records }] }];
  const request = { acks: -1, timeoutMs: 30_000, topicData };
  const { responses } = await connection.call(ProduceRequest, ProduceResponse, 9, request);
  const { errorCode, baseOffset } = responses[0]!.partitionResponses[0]!;
  if (errorCode !== 0) throw new Error(`a sound record is refused with ${errorCode}`);
  return baseOffset;
}

/** Sockets that are there to be a burden; some may be cut off, which is the broker's right. */
class Crowd {
  readonly sockets: net.Socket[] = [];
  cutOff = 0;

  async join(port: number, count: number, begin: (socket: net.Socket) => void): Promise<void> {
    const joining = Array.from({ length: count }, async () => {
      const socket = net.connect({ port, host: '127.0.0.1' });
      this.sockets.push(socket);
      socket.on('error', () => socket.destroy());
      socket.once('close', () => this.cutOff++);
      await new Promise<void>((resolve) => {
        socket.once('connect', () => resolve());
        socket.once('close', () => resolve());
      });
      if (!socket.destroyed) begin(socket);
    });
    await Promise.all(joining);
  }

  leave(): void {
    for (const socket of this.sockets) socket.destroy();
  }
}

/** A request that announces a megabyte and comes byte by byte. */
function drip(socket: net.Socket): void {
  const head = Buffer.from('000f4240000000090000000100027878', 'hex');
  socket.write(head);
  const timer = setInterval(() => {
    if (socket.destroyed) clearInterval(timer);
    else socket.write('x');
  }, DRIP_MS);
}

/** Asks for a megabyte hundreds of times and reads nothing. */
function askAndTakeNothing(topic: string): (socket: net.Socket) => void {
  const partition = { partition: 0, fetchOffset: 0, partitionMaxBytes: MB };
  const value = {
    maxWaitMs: 0,
    minBytes: 1,
    maxBytes: MB,
    topics: [{ topic, partitions: [partition] }],
  };
  const requests = Array.from({ length: FETCHES_OF_A_DEAF }, (_, correlationId) =>
    Buffer.concat(
      encodeRequest(FetchRequest, { apiVersion: 11, correlationId, clientId: 'deaf' }, value),
    ),
  );
  const all = Buffer.concat(requests);
  return (socket) => {
    socket.pause();
    socket.write(all);
  };
}

/** Records that become 768 MiB, in each codec: frames one after the other where that is legal. */
async function bombs(): Promise<{ codec: CodecNumber; batch: Buffer }[]> {
  const part = Buffer.alloc(BOMB_PART_BYTES);
  const times = BOMB_BYTES / BOMB_PART_BYTES;
  const repeated = (bytes: Buffer, most: number) =>
    Buffer.concat(Array.from({ length: Math.min(times, most) }, () => bytes));
  const made: [CodecNumber, Buffer][] = [[Codec.gzip, repeated(gzipSync(part), times)]];
  for (const codec of [Codec.lz4, Codec.zstd] as const) {
    const frame = (await loadCodec(codec)).compress(part);
    made.push([codec, repeated(frame, Math.floor(1_000_000 / frame.length))]);
  }
  // Snappy says its size beforehand: 768 MiB before a few bytes.
  made.push([Codec.snappy, Buffer.from('80808080030061', 'hex')]);
  const facts = { lastOffsetDelta: 0, baseTimestamp: timestamp, maxTimestamp: timestamp };
  return made.map(([codec, payload]) => ({
    codec,
    batch: wrapPayload({}, payload, { codec, recordCount: 1, ...facts }),
  }));
}

/** Sends each bomb several times; gives the codes that they are answered with. */
async function throwBombs(port: number, topic: string): Promise<Set<number>> {
  const codes = new Set<number>();
  const all = await bombs();
  const thrown = Array.from({ length: BOMBS }, async (_, index) => {
    const { batch } = all[index % all.length]!;
    const connection = await WireConnection.open('127.0.0.1', port);
    const topicData = [{ name: topic, partitionData: [{ index: 0, records: batch }] }];
    const request = { acks: -1, timeoutMs: 60_000, topicData };
    const answer = await connection.call(ProduceRequest, ProduceResponse, 9, request);
    codes.add(answer.responses[0]!.partitionResponses[0]!.errorCode);
    connection.close();
  });
  await Promise.all(thrown);
  return codes;
}

const CORRUPT_MESSAGE = 2;
const MESSAGE_TOO_LARGE = 10;
const INVALID_RECORD = 87;

t.test('floods of all kinds at once', async (t) => {
  const broker = await serve({});
  t.teardown(() => broker.kill());
  const { port } = broker;
  const filler = await WireConnection.open('127.0.0.1', port);
  for (const topic of ['clean', 'filled']) await createTopic(filler, topic, 1, {});
  await createTopic(filler, 'checked', 1, { 'record.validation': 'full' });
  const value = Buffer.alloc(MB - 1000, 'x');
  for (let count = 0; count < FILL_MB; count++) await produce(filler, 'filled', [{ value }]);
  filler.close();
  const clean = new CleanClient(broker, 'clean');
  for (let count = 0; count < 20; count++) await clean.ask();
  await pause(1000);
  const before = { residentMb: residentMb(broker), descriptors: descriptors(broker) };

  clean.worstMs = 0;
  let peakMb = 0;
  let isOver = false;
  const asking = (async () => {
    while (!isOver) {
      await clean.ask();
      peakMb = Math.max(peakMb, residentMb(broker));
      await pause(20);
    }
  })();
  const crowd = new Crowd();
  await crowd.join(port, IDLE, () => {});
  await crowd.join(port, SLOW, drip);
  await crowd.join(port, DEAF, askAndTakeNothing('filled'));
  const codes = await throwBombs(port, 'checked');
  await pause(FLOOD_MS);
  isOver = true;
  await asking;
  const cutOff = crowd.cutOff;
  crowd.leave();
  const growthMb = peakMb - before.residentMb;
  const back = () => descriptors(broker) - before.descriptors <= DESCRIPTORS_LEFT;
  t.ok(await comesToHold(back, BACK_MS), 'the descriptors are back');
  const isFree = () => residentMb(broker) - before.residentMb <= LEFT_LIMIT_MB;
  t.ok(await comesToHold(isFree, 4 * BACK_MS), 'so is the memory');
  await clean.ask();
  t.ok(clean.worstMs < CLEAN_LIMIT_MS, `a sound client waited ${Math.round(clean.worstMs)} ms`);
  t.ok(growthMb < GROWTH_LIMIT_MB, `memory grew by ${Math.round(growthMb)} MB`);
  const refusals = [CORRUPT_MESSAGE, MESSAGE_TOO_LARGE, INVALID_RECORD];
  t.ok(
    [...codes].every((code) => refusals.includes(code)),
    `bombs: ${[...codes].join()}`,
  );
  t.notMatch(broker.log(), /"level":50/, 'no error was logged');
  t.comment(
    `resident ${Math.round(before.residentMb)} MB before, ${Math.round(peakMb)} MB at most, ` +
      `${Math.round(residentMb(broker))} MB after; ${cutOff} were cut off meanwhile; ` +
      `clean asked ${clean.asked} times, worst ${Math.round(clean.worstMs)} ms`,
  );
});

t.test('more clients than there are descriptors', async (t) => {
  const broker = await serve({}, { openFiles: 256 });
  t.teardown(() => broker.kill());
  const { port } = broker;
  const setUp = await WireConnection.open('127.0.0.1', port);
  await createTopic(setUp, 'clean', 8, {});
  const crowd = new Crowd();
  await crowd.join(port, 1000, () => {});
  t.ok(await comesToHold(() => crowd.cutOff > 500, BACK_MS), `${crowd.cutOff} are refused`);
  t.ok(descriptors(broker) < 256, `${descriptors(broker)} descriptors are in use`);
  // Who is connected is served, and new files can be made for him.
  await createTopic(setUp, 'made-meanwhile', 8, {});
  t.equal(await produce(setUp, 'made-meanwhile', [{ value: Buffer.from('x') }]), 0);
  crowd.leave();
  const clean = new CleanClient(broker, 'clean');
  const serves = async () => {
    for (;;) {
      try {
        return await clean.ask();
      } catch {
        await pause(50);
      }
    }
  };
  await Promise.race([serves(), pause(BACK_MS)]);
  t.equal(clean.asked, 1, 'a new client is served when the others have gone');
  t.notMatch(broker.log(), /EMFILE/);
  setUp.close();
});
