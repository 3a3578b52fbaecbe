/** What kafkajs says and hears of topics and their records. */

import * as apiVersions from '../../protocol/messages/api-versions.ts';
import * as fetch from '../../protocol/messages/fetch.ts';
import * as listOffsets from '../../protocol/messages/list-offsets.ts';
import * as metadata from '../../protocol/messages/metadata.ts';
import type { Case } from './kafkajs-case.ts';

export const dataCases: Case[] = [
  {
    api: 'Fetch',
    first: 4,
    last: 11,
    messages: [fetch.FetchRequest, fetch.FetchResponse],
    options: {
      maxWaitTime: 500,
      minBytes: 1,
      maxBytes: 1_000_000,
      isolationLevel: 1,
      rackId: 'r1',
      topics: [
        {
          topic: 'orders',
          partitions: [{ partition: 2, fetchOffset: '4294967301', maxBytes: 99 }],
        },
      ],
    },
    request: (version) => ({
      replicaId: -1,
      maxWaitMs: 500,
      minBytes: 1,
      maxBytes: 1_000_000,
      isolationLevel: 1,
      sessionId: 0,
      sessionEpoch: -1,
      rackId: version >= 11 ? 'r1' : '',
      topics: [
        {
          topic: 'orders',
          partitions: [
            {
              partition: 2,
              currentLeaderEpoch: -1,
              fetchOffset: 4294967301,
              partitionMaxBytes: 99,
            },
          ],
        },
      ],
    }),
    response: {
      throttleTimeMs: 3,
      sessionId: 8,
      responses: [
        {
          topic: 'orders',
          partitions: [
            {
              partitionIndex: 2,
              errorCode: 0,
              highWatermark: 4294967310,
              lastStableOffset: 4294967309,
              logStartOffset: 7,
              abortedTransactions: [{ producerId: 4000, firstOffset: 5 }],
              preferredReadReplica: -1,
              records: null,
            },
          ],
        },
      ],
    },
    parsed: {
      responses: [
        {
          topicName: 'orders',
          partitions: [
            {
              partition: 2,
              errorCode: 0,
              highWatermark: '4294967310',
              lastStableOffset: '4294967309',
              abortedTransactions: [{ producerId: '4000', firstOffset: '5' }],
              messages: [],
            },
          ],
        },
      ],
    },
  },
  {
    api: 'ListOffsets',
    first: 1,
    last: 3,
    messages: [listOffsets.ListOffsetsRequest, listOffsets.ListOffsetsResponse],
    options: {
      isolationLevel: 1,
      topics: [{ topic: 'orders', partitions: [{ partition: 2, timestamp: -2 }] }],
    },
    request: (version) => ({
      replicaId: -1,
      isolationLevel: version >= 2 ? 1 : 0,
      topics: [{ name: 'orders', partitions: [{ partitionIndex: 2, timestamp: -2 }] }],
    }),
    response: {
      throttleTimeMs: 3,
      topics: [
        {
          name: 'orders',
          partitions: [{ partitionIndex: 2, errorCode: 0, timestamp: 1234567890123, offset: 11 }],
        },
      ],
    },
    parsed: {
      responses: [{ topic: 'orders', partitions: [{ partition: 2, errorCode: 0, offset: '11' }] }],
    },
  },
  {
    api: 'Metadata',
    first: 0,
    last: 6,
    messages: [metadata.MetadataRequest, metadata.MetadataResponse],
    options: { topics: ['orders', 'bills'], allowAutoTopicCreation: false },
    request: (version) => ({
      topics: [{ name: 'orders' }, { name: 'bills' }],
      allowAutoTopicCreation: version < 4,
    }),
    response: {
      throttleTimeMs: 3,
      brokers: [{ nodeId: 4, host: 'localhost', port: 9092, rack: 'r1' }],
      clusterId: 'cluster',
      controllerId: 4,
      topics: [
        {
          errorCode: 0,
          name: 'orders',
          isInternal: true,
          partitions: [
            {
              errorCode: 0,
              partitionIndex: 2,
              leaderId: 4,
              replicaNodes: [4, 5],
              isrNodes: [4],
              offlineReplicas: [5],
            },
          ],
        },
      ],
    },
    parsed: (version) => ({
      brokers: [{ nodeId: 4, host: 'localhost', port: 9092, ...(version >= 1 && { rack: 'r1' }) }],
      ...(version >= 1 && { controllerId: 4 }),
      ...(version >= 2 && { clusterId: 'cluster' }),
      topicMetadata: [
        {
          topicErrorCode: 0,
          topic: 'orders',
          ...(version >= 1 && { isInternal: true }),
          partitionMetadata: [
            {
              partitionErrorCode: 0,
              partitionId: 2,
              leader: 4,
              replicas: [4, 5],
              isr: [4],
              ...(version >= 5 && { offlineReplicas: [5] }),
            },
          ],
        },
      ],
    }),
  },
  {
    api: 'ApiVersions',
    first: 0,
    last: 2,
    messages: [apiVersions.ApiVersionsRequest, apiVersions.ApiVersionsResponse],
    options: {},
    request: { clientSoftwareName: '', clientSoftwareVersion: '' },
    response: {
      errorCode: 0,
      apiKeys: [{ apiKey: 1, minVersion: 4, maxVersion: 18 }],
      throttleTimeMs: 3,
    },
    parsed: { errorCode: 0, apiVersions: [{ apiKey: 1, minVersion: 4, maxVersion: 18 }] },
  },
];
