/** The example of docs/locations.md as frames, made by the declarations. */

import { encodeRequest, encodeResponse } from '../../protocol/header.ts';
import { hostIdOf } from '../../protocol/host-id.ts';
import { ApiVersionsRequest, ApiVersionsResponse } from '../../protocol/messages/api-versions.ts';
import { FetchRequest, FetchResponse } from '../../protocol/messages/fetch.ts';

export const EXAMPLE_HOST = hostIdOf('1c5b7e0e-6a44-4d5e-9b1f-0d8d2a3c4f10', 'log-1');
export const EXAMPLE_TOPIC_ID = 'AAECAwQFBgcICQoLDA0ODw';

const header = (correlationId: number, apiVersion: number) => ({
  correlationId,
  apiVersion,
  clientId: 'r',
});

function frame(buffers: readonly Buffer[]): string {
  return Buffer.concat(buffers).toString('hex');
}

/** In the order of the page. */
export function exampleFrames(): string[] {
  const maxBytes = 16 * 1024 * 1024;
  return [
    frame(
      encodeRequest(ApiVersionsRequest, header(1, 3), {
        clientSoftwareName: 'r',
        clientSoftwareVersion: '1',
        locations: true,
      }),
    ),
    frame(
      encodeResponse(ApiVersionsResponse, 3, 1, {
        errorCode: 0,
        apiKeys: [{ apiKey: 1, minVersion: 4, maxVersion: 18 }],
        locations: { form: 1, maxBytes: 2 ** 30 },
      }),
    ),
    frame(
      encodeRequest(FetchRequest, header(2, 13), {
        maxWaitMs: 500,
        minBytes: 1,
        maxBytes: 1024 * 1024,
        isolationLevel: 0,
        sessionId: 0,
        sessionEpoch: -1,
        topics: [
          {
            topicId: EXAMPLE_TOPIC_ID,
            partitions: [{ partition: 0, fetchOffset: 1000, partitionMaxBytes: 1024 * 1024 }],
          },
        ],
        locate: { maxBytes, partitionMaxBytes: maxBytes, hostId: EXAMPLE_HOST, urls: true },
      }),
    ),
    frame(
      encodeResponse(FetchResponse, 13, 2, {
        throttleTimeMs: 0,
        errorCode: 0,
        sessionId: 0,
        responses: [
          {
            topicId: EXAMPLE_TOPIC_ID,
            partitions: [
              {
                partitionIndex: 0,
                errorCode: 0,
                highWatermark: 2000,
                lastStableOffset: 2000,
                logStartOffset: 0,
                abortedTransactions: null,
                records: Buffer.alloc(0),
                location: {
                  hostId: EXAMPLE_HOST,
                  path: '/data/t-0/00000000000000000000.log',
                  device: 2049,
                  inode: 131073,
                  url: 'http://log-1:9644/v1/segments/AAECAwQFBgcICQoLDA0ODw/0/0/9f1c22d07a5be368/65536-16384',
                  generation: '9f1c22d07a5be368',
                  segmentBaseOffset: 0,
                  position: 65536,
                  length: 16384,
                  firstOffset: 996,
                  nextOffset: 1254,
                  lastEpoch: 2,
                },
              },
            ],
          },
        ],
      }),
    ),
  ];
}
