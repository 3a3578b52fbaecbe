/** What @platformatic/kafka says and hears of topics and their records. */

import * as apiVersions from '../../protocol/messages/api-versions.ts';
import * as fetch from '../../protocol/messages/fetch.ts';
import * as initProducerId from '../../protocol/messages/init-producer-id.ts';
import * as listOffsets from '../../protocol/messages/list-offsets.ts';
import * as metadata from '../../protocol/messages/metadata.ts';
import * as offsetForLeaderEpoch from '../../protocol/messages/offset-for-leader-epoch.ts';
import { type Case, TOPIC_ID, TOPIC_UUID } from './platformatic-case.ts';

const partitionFetched = {
  partitionIndex: 2,
  errorCode: 0,
  highWatermark: 4294967310,
  lastStableOffset: 4294967309,
  logStartOffset: 7,
  abortedTransactions: [{ producerId: 4000, firstOffset: 5 }],
  preferredReadReplica: -1,
};

export const dataCases: Case[] = [
  {
    api: 'fetch',
    versions: [12, 13, 14, 15, 16, 17],
    messages: [fetch.FetchRequest, fetch.FetchResponse],
    arguments: (version) => [
      500,
      1,
      1_000_000,
      1,
      0,
      -1,
      [
        {
          topicId: version >= 13 ? TOPIC_UUID : 'orders',
          partitions: [
            {
              partition: 2,
              currentLeaderEpoch: 5,
              fetchOffset: 4294967301n,
              lastFetchedEpoch: 4,
              partitionMaxBytes: 99,
            },
          ],
        },
      ],
      [],
      'r1',
    ],
    request: (version) => ({
      replicaId: -1,
      maxWaitMs: 500,
      minBytes: 1,
      maxBytes: 1_000_000,
      isolationLevel: 1,
      sessionId: 0,
      sessionEpoch: -1,
      topics: [
        {
          ...(version >= 13 ? { topicId: TOPIC_ID } : { topic: 'orders' }),
          partitions: [
            {
              partition: 2,
              currentLeaderEpoch: 5,
              fetchOffset: 4294967301,
              lastFetchedEpoch: 4,
              logStartOffset: -1,
              partitionMaxBytes: 99,
            },
          ],
        },
      ],
      forgottenTopicsData: [],
      rackId: 'r1',
    }),
    response: {
      throttleTimeMs: 3,
      errorCode: 0,
      sessionId: 8,
      responses: [
        {
          topic: 'orders',
          topicId: TOPIC_ID,
          partitions: [{ ...partitionFetched, records: null }],
        },
      ],
    },
    parsed: (version) => ({
      throttleTimeMs: 3,
      errorCode: 0,
      sessionId: 8,
      responses: [{ topicId: version >= 13 ? TOPIC_ID : 'orders', partitions: [partitionFetched] }],
    }),
  },
  {
    api: 'listOffsets',
    versions: [5, 6, 7, 8, 9],
    messages: [listOffsets.ListOffsetsRequest, listOffsets.ListOffsetsResponse],
    arguments: [
      -1,
      1,
      [
        {
          name: 'orders',
          partitions: [{ partitionIndex: 2, currentLeaderEpoch: 5, timestamp: -2n }],
        },
      ],
    ],
    request: {
      replicaId: -1,
      isolationLevel: 1,
      topics: [
        {
          name: 'orders',
          partitions: [{ partitionIndex: 2, currentLeaderEpoch: 5, timestamp: -2 }],
        },
      ],
    },
    response: {
      throttleTimeMs: 3,
      topics: [
        {
          name: 'orders',
          partitions: [
            { partitionIndex: 2, errorCode: 0, timestamp: -1, offset: 11, leaderEpoch: 5 },
          ],
        },
      ],
    },
  },
  {
    api: 'metadata',
    versions: [9, 10, 11, 12],
    messages: [metadata.MetadataRequest, metadata.MetadataResponse],
    arguments: (version) => [['orders', 'bills'], true, version !== 11],
    request: (version) => ({
      topics: [{ name: 'orders' }, { name: 'bills' }],
      allowAutoTopicCreation: true,
      includeClusterAuthorizedOperations: false,
      includeTopicAuthorizedOperations: version !== 11,
    }),
    // Version 11 has no flag for the cluster's operations; the library sends it all the same.
    extraBytes: (version) => (version === 11 ? 1 : 0),
    response: {
      throttleTimeMs: 3,
      brokers: [{ nodeId: 4, host: 'localhost', port: 9092, rack: null }],
      clusterId: 'cluster',
      controllerId: 4,
      topics: [
        {
          errorCode: 0,
          name: 'orders',
          topicId: TOPIC_ID,
          isInternal: true,
          partitions: [
            {
              errorCode: 0,
              partitionIndex: 2,
              leaderId: 4,
              leaderEpoch: 5,
              replicaNodes: [4, 6],
              isrNodes: [4],
              offlineReplicas: [6],
            },
          ],
          topicAuthorizedOperations: 7,
        },
      ],
    },
    parsed: (version) => ({
      brokers: [{ nodeId: 4, host: 'localhost', port: 9092, rack: null }],
      clusterId: 'cluster',
      controllerId: 4,
      topics: [
        {
          name: 'orders',
          ...(version >= 10 && { topicId: TOPIC_ID }),
          isInternal: true,
          partitions: [
            {
              partitionIndex: 2,
              leaderId: 4,
              leaderEpoch: 5,
              replicaNodes: [4, 6],
              isrNodes: [4],
              offlineReplicas: [6],
            },
          ],
          topicAuthorizedOperations: 7,
        },
      ],
    }),
  },
  {
    api: 'apiVersions',
    versions: [3, 4],
    messages: [apiVersions.ApiVersionsRequest, apiVersions.ApiVersionsResponse],
    arguments: ['a-client', '1.2.3'],
    request: { clientSoftwareName: 'a-client', clientSoftwareVersion: '1.2.3' },
    response: {
      errorCode: 0,
      apiKeys: [
        { apiKey: 0, minVersion: 0, maxVersion: 13 },
        { apiKey: 1, minVersion: 4, maxVersion: 18 },
      ],
      throttleTimeMs: 3,
      supportedFeatures: [{ name: 'group.version', minVersion: 0, maxVersion: 1 }],
    },
    parsed: {
      errorCode: 0,
      apiKeys: [
        { apiKey: 0, name: 'Produce', minVersion: 0, maxVersion: 13 },
        { apiKey: 1, name: 'Fetch', minVersion: 4, maxVersion: 18 },
      ],
      throttleTimeMs: 3,
    },
  },
  {
    api: 'initProducerId',
    versions: [3, 4, 5],
    messages: [initProducerId.InitProducerIdRequest, initProducerId.InitProducerIdResponse],
    arguments: ['tx', 60_000, 4000n, 2],
    request: {
      transactionalId: 'tx',
      transactionTimeoutMs: 60_000,
      producerId: 4000,
      producerEpoch: 2,
    },
    response: { throttleTimeMs: 3, errorCode: 0, producerId: 4001, producerEpoch: 1 },
  },
  {
    api: 'offsetForLeaderEpoch',
    versions: [4],
    messages: [
      offsetForLeaderEpoch.OffsetForLeaderEpochRequest,
      offsetForLeaderEpoch.OffsetForLeaderEpochResponse,
    ],
    arguments: [
      -1,
      [
        {
          name: 'orders',
          partitions: [{ partitionIndex: 2, currentLeaderEpoch: 5, leaderEpoch: 4 }],
        },
      ],
    ],
    request: {
      replicaId: -1,
      topics: [
        { topic: 'orders', partitions: [{ partition: 2, currentLeaderEpoch: 5, leaderEpoch: 4 }] },
      ],
    },
    response: {
      throttleTimeMs: 3,
      topics: [
        {
          topic: 'orders',
          // The library reads the partition before the error, Kafka writes it behind: both 0.
          partitions: [{ partition: 0, errorCode: 0, leaderEpoch: 4, endOffset: 4294967301 }],
        },
      ],
    },
  },
];
