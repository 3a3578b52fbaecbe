/**
 * Encoding and decoding of the messages that pass most often, the header of a batch, its checksum,
 * and frames out of chunks. One operation is one message (or batch, or chunk).
 */

import Benchmark from 'benchmark';
import { codec } from '../../protocol/compile.ts';
import { crc32c, crc32cPortable } from '../../protocol/crc32c.ts';
import { Framer } from '../../protocol/frame.ts';
import { decodeRequestHeader, encodeRequest, encodeResponse } from '../../protocol/header.ts';
import { FetchRequest, FetchResponse } from '../../protocol/messages/fetch.ts';
import { MetadataRequest, MetadataResponse } from '../../protocol/messages/metadata.ts';
import { ProduceRequest, ProduceResponse } from '../../protocol/messages/produce.ts';
import { Reader } from '../../protocol/reader.ts';
import {
  assignOffset,
  BATCH_HEADER_BYTES,
  batchFault,
  computeCrc,
  LOG_OVERHEAD,
  readBatchHeader,
} from '../../protocol/record-batch.ts';
import type { Input, Message } from '../../protocol/schema.ts';
import { walkCodec } from '../../protocol/walk.ts';
import { Writer } from '../../protocol/writer.ts';

const TOPIC_ID = 'ASNFZ4mrze_-3LqYdlQyEA';

function range<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index));
}

/** A sound batch of so many bytes; its records are noise. */
function batch(sizeBytes: number): Buffer {
  const buffer = Buffer.alloc(sizeBytes);
  for (let at = BATCH_HEADER_BYTES; at < sizeBytes; at++) buffer[at] = (at * 2654435761) >>> 24;
  buffer.writeInt32BE(sizeBytes - LOG_OVERHEAD, 8);
  buffer.writeInt8(2, 16);
  buffer.writeInt32BE(-1, 53);
  buffer.writeInt32BE(10, 57);
  buffer.writeUInt32BE(computeCrc(buffer, 0), 17);
  return buffer;
}

const batch1K = batch(1024);
const batch16K = batch(16 * 1024);
const batch1M = batch(1024 * 1024);

function produceRequest(topics: number, partitions: number): Input<typeof ProduceRequest> {
  return {
    acks: -1,
    timeoutMs: 30_000,
    topicData: range(topics, (topic) => ({
      name: `orders.eu-${topic}`,
      partitionData: range(partitions, (index) => ({ index, records: batch1K })),
    })),
  };
}

function produceResponse(topics: number, partitions: number): Input<typeof ProduceResponse> {
  return {
    responses: range(topics, (topic) => ({
      name: `orders.eu-${topic}`,
      partitionResponses: range(partitions, (index) => ({
        index,
        errorCode: 0,
        baseOffset: 4_294_967_301 + index,
        logStartOffset: 0,
      })),
    })),
  };
}

function fetchRequest(topics: number, partitions: number): Input<typeof FetchRequest> {
  return {
    maxWaitMs: 500,
    minBytes: 1,
    topics: range(topics, (topic) => ({
      topic: `orders.eu-${topic}`,
      topicId: TOPIC_ID,
      partitions: range(partitions, (partition) => ({
        partition,
        fetchOffset: 4_294_967_301,
        partitionMaxBytes: 1_048_576,
      })),
    })),
  };
}

function fetchResponse(topics: number, partitions: number): Input<typeof FetchResponse> {
  return {
    throttleTimeMs: 0,
    responses: range(topics, (topic) => ({
      topic: `orders.eu-${topic}`,
      topicId: TOPIC_ID,
      partitions: range(partitions, (partitionIndex) => ({
        partitionIndex,
        errorCode: 0,
        highWatermark: 4_294_967_301,
        lastStableOffset: 4_294_967_301,
        logStartOffset: 0,
        abortedTransactions: null,
        records: batch16K,
      })),
    })),
  };
}

const metadataResponse: Input<typeof MetadataResponse> = {
  brokers: [{ nodeId: 0, host: 'localhost', port: 9092 }],
  clusterId: 'cluster-of-one-broker',
  controllerId: 0,
  topics: range(20, (topic) => ({
    errorCode: 0,
    name: `orders.eu-${topic}`,
    topicId: TOPIC_ID,
    partitions: range(6, (partitionIndex) => ({
      errorCode: 0,
      partitionIndex,
      leaderId: 0,
      leaderEpoch: 3,
      replicaNodes: [0],
      isrNodes: [0],
    })),
  })),
};

type Work = [name: string, run: () => unknown];

/** Where each result goes, so that no work is found to be without effect. */
let sink: unknown;

function suite(name: string, works: Work[]): Benchmark.Suite {
  const result = new Benchmark.Suite(name);
  for (const [what, run] of works) {
    result.add(what, () => {
      sink = run();
    });
  }
  result.on('complete', () => {
    if (sink === undefined) throw new Error('nothing ran');
  });
  return result;
}

function encodedBody<M extends Message>(message: M, version: number, value: Input<M>): Buffer {
  const writer = new Writer();
  codec(message, version).encode(writer, value);
  return Buffer.concat(writer.finish());
}

function decodes<M extends Message>(message: M, version: number, value: Input<M>): () => unknown {
  const body = encodedBody(message, version, value);
  const made = codec(message, version);
  return () => made.decode(new Reader(body));
}

function answers<M extends Message>(message: M, version: number, value: Input<M>): () => unknown {
  return () => encodeResponse(message, version, 7, value);
}

const requests = suite('decode a request', [
  ['Produce 7, 1 partition', decodes(ProduceRequest, 7, produceRequest(1, 1))],
  ['Produce 7, 12 partitions', decodes(ProduceRequest, 7, produceRequest(1, 12))],
  ['Produce 9, 1 partition', decodes(ProduceRequest, 9, produceRequest(1, 1))],
  ['Produce 9, 12 partitions', decodes(ProduceRequest, 9, produceRequest(1, 12))],
  ['Fetch 11, 1 partition', decodes(FetchRequest, 11, fetchRequest(1, 1))],
  ['Fetch 11, 10 topics of 6', decodes(FetchRequest, 11, fetchRequest(10, 6))],
  ['Fetch 17, 1 partition', decodes(FetchRequest, 17, fetchRequest(1, 1))],
  ['Fetch 17, 10 topics of 6', decodes(FetchRequest, 17, fetchRequest(10, 6))],
  ['Metadata 12, 20 topics', decodes(MetadataRequest, 12, metadataResponse)],
]);

const responses = suite('encode an answer, its frame and header', [
  ['Produce 7, 1 partition', answers(ProduceResponse, 7, produceResponse(1, 1))],
  ['Produce 7, 12 partitions', answers(ProduceResponse, 7, produceResponse(1, 12))],
  ['Produce 9, 1 partition', answers(ProduceResponse, 9, produceResponse(1, 1))],
  ['Produce 9, 12 partitions', answers(ProduceResponse, 9, produceResponse(1, 12))],
  ['Fetch 11, 1 partition', answers(FetchResponse, 11, fetchResponse(1, 1))],
  ['Fetch 11, 10 topics of 6', answers(FetchResponse, 11, fetchResponse(10, 6))],
  ['Fetch 17, 1 partition', answers(FetchResponse, 17, fetchResponse(1, 1))],
  ['Fetch 17, 10 topics of 6', answers(FetchResponse, 17, fetchResponse(10, 6))],
  ['Metadata 12, 20 topics of 6', answers(MetadataResponse, 12, metadataResponse)],
]);

const fetch17 = encodedBody(FetchRequest, 17, fetchRequest(10, 6));
const walk17 = walkCodec(FetchRequest, 17);
const walked = suite('the same by walking the declaration', [
  ['decode Fetch 17, 10 topics of 6', () => walk17.decode(new Reader(fetch17))],
]);

const header = { apiVersion: 7, correlationId: 1, clientId: 'benchmark' };
const small = Buffer.concat(encodeRequest(ProduceRequest, header, produceRequest(1, 1)));
const chunk = Buffer.concat(range(32, () => small));
const framer = new Framer(1024 * 1024);
const framing = suite('frames and headers', [
  ['one frame of 1 KiB in a chunk', () => [...framer.push(small)]],
  ['32 frames of 1 KiB in a chunk', () => [...framer.push(chunk)]],
  ['request header', () => decodeRequestHeader(new Reader(small, 4))],
]);

const batches = suite('a batch', [
  ['header view of 1 KiB', () => readBatchHeader(batch1K, 0)],
  ['check of 1 KiB with its CRC', () => batchFault(batch1K, 0) ?? 'sound'],
  ['check of 16 KiB with its CRC', () => batchFault(batch16K, 0) ?? 'sound'],
  ['assign an offset', () => assignOffset(batch1K, 0, 4_294_967_301, 5) ?? 'done'],
]);

const sums = suite('CRC-32C', [
  ['native, 1 KiB', () => crc32c(batch1K)],
  ['native, 16 KiB', () => crc32c(batch16K)],
  ['native, 1 MiB', () => crc32c(batch1M)],
  ['portable, 1 KiB', () => crc32cPortable(batch1K)],
  ['portable, 16 KiB', () => crc32cPortable(batch16K)],
  ['portable, 1 MiB', () => crc32cPortable(batch1M)],
]);

export const suites = [requests, responses, walked, framing, batches, sums];
