/** A broker of the test's making: answers what the test says, over a real socket. */

import net from 'node:net';
import type { Test } from 'tap';
import { Framer } from '../../protocol/frame.ts';
import { decodeRequest, decodeRequestHeader, encodeResponse } from '../../protocol/header.ts';
import { ApiVersionsRequest, ApiVersionsResponse } from '../../protocol/messages/api-versions.ts';
import { FetchRequest, FetchResponse } from '../../protocol/messages/fetch.ts';
import { ListOffsetsRequest, ListOffsetsResponse } from '../../protocol/messages/list-offsets.ts';
import { MetadataRequest, MetadataResponse } from '../../protocol/messages/metadata.ts';
import { Reader } from '../../protocol/reader.ts';
import type { Decoded, Input, Message } from '../../protocol/schema.ts';

export type AskedPartition = Decoded<typeof FetchRequest>['topics'][number]['partitions'][number];
export type PartitionAnswer = Input<
  typeof FetchResponse
>['responses'][number]['partitions'][number];

export const TOPIC_ID = 'AAECAwQFBgcICQoLDA0ODw';

/** What a partition answers; what is not said is that nothing is there. */
export type FetchScript = (
  asked: AskedPartition,
  request: Decoded<typeof FetchRequest>,
) => Partial<PartitionAnswer>;

export class ScriptedBroker {
  readonly address: string;
  /** Offsets of the log's two ends. */
  start = 0;
  end = 0;
  partitions = 1;
  topicId = TOPIC_ID;
  /** Error code of the next answers to Metadata, one by one. */
  readonly metadataErrors: number[] = [];
  fetch: FetchScript = () => ({});
  fetches = 0;
  readonly #sockets = new Set<net.Socket>();

  private constructor(port: number) {
    this.address = `127.0.0.1:${port}`;
  }

  static async listen(t: Test): Promise<ScriptedBroker> {
    const server = net.createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const broker = new ScriptedBroker((server.address() as net.AddressInfo).port);
    server.on('connection', (socket) => broker.#serve(socket));
    t.teardown(() => {
      broker.disconnect();
      server.close();
    });
    return broker;
  }

  /** Closes all connections. */
  disconnect(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(socket: net.Socket): void {
    const framer = new Framer(1e6);
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('data', (chunk) => {
      for (const frame of framer.push(chunk)) {
        const answer = this.#answer(new Reader(frame));
        if (answer === undefined) socket.destroy();
        else for (const buffer of answer) socket.write(buffer);
      }
    });
  }

  #answer(reader: Reader): Buffer[] | undefined {
    const { apiKey, apiVersion, correlationId } = decodeRequestHeader(reader);
    const read = <M extends Message>(message: M) => decodeRequest(reader, message, apiVersion);
    const give = <M extends Message>(message: M, value: Input<M>) =>
      encodeResponse(message, apiVersion, correlationId, value);
    switch (apiKey) {
      case ApiVersionsRequest.key: {
        const apiKeys = [{ apiKey: FetchRequest.key, minVersion: 4, maxVersion: 17 }];
        return give(ApiVersionsResponse, { errorCode: 0, apiKeys });
      }
      case MetadataRequest.key:
        return give(MetadataResponse, this.#metadata(read(MetadataRequest)));
      case ListOffsetsRequest.key:
        return give(ListOffsetsResponse, this.#offsets(read(ListOffsetsRequest)));
      case FetchRequest.key: {
        this.fetches++;
        const request = read(FetchRequest);
        return give(FetchResponse, this.#fetched(request));
      }
      default:
        return undefined;
    }
  }

  #metadata({ topics }: Decoded<typeof MetadataRequest>): Input<typeof MetadataResponse> {
    const errorCode = this.metadataErrors.shift() ?? 0;
    const partitions = Array.from({ length: this.partitions }, (_, partitionIndex) => ({
      errorCode: 0,
      partitionIndex,
      leaderId: 1,
      replicaNodes: [1],
      isrNodes: [1],
    }));
    const [asked] = topics ?? [];
    const topic = { errorCode, name: asked!.name, topicId: this.topicId, partitions };
    return { brokers: [], topics: [errorCode === 0 ? topic : { ...topic, partitions: [] }] };
  }

  #offsets({ topics }: Decoded<typeof ListOffsetsRequest>): Input<typeof ListOffsetsResponse> {
    return {
      topics: topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex, timestamp }) => ({
          partitionIndex,
          errorCode: 0,
          offset: timestamp === -2 ? this.start : this.end,
        })),
      })),
    };
  }

  #fetched(request: Decoded<typeof FetchRequest>): Input<typeof FetchResponse> {
    const responses = request.topics.map(({ topicId, partitions }) => ({
      topicId,
      partitions: partitions.map((asked) => ({
        partitionIndex: asked.partition,
        errorCode: 0,
        highWatermark: this.end,
        lastStableOffset: this.end,
        abortedTransactions: null,
        records: Buffer.alloc(0),
        ...this.fetch(asked, request),
      })),
    }));
    return { throttleTimeMs: 0, errorCode: 0, responses };
  }
}
