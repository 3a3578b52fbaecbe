/** What kafkajs's admin client says and hears. */

import * as alterConfigs from '../../protocol/messages/alter-configs.ts';
import * as createPartitions from '../../protocol/messages/create-partitions.ts';
import * as createTopics from '../../protocol/messages/create-topics.ts';
import * as deleteGroups from '../../protocol/messages/delete-groups.ts';
import * as deleteRecords from '../../protocol/messages/delete-records.ts';
import * as deleteTopics from '../../protocol/messages/delete-topics.ts';
import * as describeConfigs from '../../protocol/messages/describe-configs.ts';
import * as initProducerId from '../../protocol/messages/init-producer-id.ts';
import type { Case } from './kafkajs-case.ts';

export const adminCases: Case[] = [
  {
    api: 'CreateTopics',
    first: 2,
    last: 3,
    messages: [createTopics.CreateTopicsRequest, createTopics.CreateTopicsResponse],
    options: {
      topics: [
        {
          topic: 'orders',
          numPartitions: 3,
          replicationFactor: 1,
          replicaAssignment: [{ partition: 0, replicas: [4] }],
          configEntries: [{ name: 'cleanup.policy', value: 'compact' }],
        },
      ],
      timeout: 5000,
      validateOnly: true,
    },
    request: {
      topics: [
        {
          name: 'orders',
          numPartitions: 3,
          replicationFactor: 1,
          assignments: [{ partitionIndex: 0, brokerIds: [4] }],
          configs: [{ name: 'cleanup.policy', value: 'compact' }],
        },
      ],
      timeoutMs: 5000,
      validateOnly: true,
    },
    response: {
      throttleTimeMs: 3,
      topics: [{ name: 'orders', errorCode: 0, errorMessage: null }],
    },
    parsed: { topicErrors: [{ topic: 'orders', errorCode: 0, errorMessage: null }] },
  },
  {
    api: 'DeleteTopics',
    first: 1,
    last: 1,
    messages: [deleteTopics.DeleteTopicsRequest, deleteTopics.DeleteTopicsResponse],
    options: { topics: ['orders'], timeout: 5000 },
    request: { topicNames: ['orders'], timeoutMs: 5000 },
    response: { throttleTimeMs: 3, responses: [{ name: 'orders', errorCode: 0 }] },
    parsed: { topicErrors: [{ topic: 'orders', errorCode: 0 }] },
  },
  {
    api: 'DeleteRecords',
    first: 0,
    last: 1,
    messages: [deleteRecords.DeleteRecordsRequest, deleteRecords.DeleteRecordsResponse],
    options: {
      topics: [{ topic: 'orders', partitions: [{ partition: 2, offset: '-1' }] }],
      timeout: 5000,
    },
    request: {
      topics: [{ name: 'orders', partitions: [{ partitionIndex: 2, offset: -1 }] }],
      timeoutMs: 5000,
    },
    response: {
      throttleTimeMs: 3,
      topics: [
        { name: 'orders', partitions: [{ partitionIndex: 2, lowWatermark: 9, errorCode: 0 }] },
      ],
    },
    parsed: { topics: [{ topic: 'orders', partitions: [{ partition: 2, errorCode: 0 }] }] },
  },
  {
    api: 'InitProducerId',
    first: 0,
    last: 1,
    messages: [initProducerId.InitProducerIdRequest, initProducerId.InitProducerIdResponse],
    options: { transactionalId: null, transactionTimeout: 60_000 },
    request: { transactionalId: null, transactionTimeoutMs: 60_000, producerId: -1 },
    response: { throttleTimeMs: 3, errorCode: 0, producerId: 4000, producerEpoch: 1 },
    parsed: { errorCode: 0, producerId: '4000', producerEpoch: 1 },
  },
  {
    api: 'DescribeConfigs',
    first: 1,
    last: 2,
    messages: [describeConfigs.DescribeConfigsRequest, describeConfigs.DescribeConfigsResponse],
    options: {
      resources: [{ type: 2, name: 'orders', configNames: ['retention.ms'] }],
      includeSynonyms: true,
    },
    request: {
      resources: [{ resourceType: 2, resourceName: 'orders', configurationKeys: ['retention.ms'] }],
      includeSynonyms: true,
    },
    response: {
      throttleTimeMs: 3,
      results: [
        {
          errorCode: 0,
          errorMessage: null,
          resourceType: 2,
          resourceName: 'orders',
          configs: [
            {
              name: 'retention.ms',
              value: '1000',
              readOnly: true,
              configSource: 1,
              isSensitive: false,
              synonyms: [{ name: 'log.retention.ms', value: '9', source: 5 }],
            },
          ],
        },
      ],
    },
    parsed: {
      resources: [
        {
          errorCode: 0,
          errorMessage: null,
          resourceType: 2,
          resourceName: 'orders',
          configEntries: [
            {
              configName: 'retention.ms',
              configValue: '1000',
              readOnly: true,
              isDefault: false,
              configSource: 1,
              isSensitive: false,
              configSynonyms: [
                { configName: 'log.retention.ms', configValue: '9', configSource: 5 },
              ],
            },
          ],
        },
      ],
    },
  },
  {
    api: 'AlterConfigs',
    first: 0,
    last: 1,
    messages: [alterConfigs.AlterConfigsRequest, alterConfigs.AlterConfigsResponse],
    options: {
      resources: [{ type: 2, name: 'orders', configEntries: [{ name: 'a.b', value: null }] }],
      validateOnly: true,
    },
    request: {
      resources: [
        { resourceType: 2, resourceName: 'orders', configs: [{ name: 'a.b', value: null }] },
      ],
      validateOnly: true,
    },
    response: {
      throttleTimeMs: 3,
      responses: [{ errorCode: 0, errorMessage: null, resourceType: 2, resourceName: 'orders' }],
    },
    parsed: {
      resources: [{ errorCode: 0, errorMessage: null, resourceType: 2, resourceName: 'orders' }],
    },
  },
  {
    api: 'CreatePartitions',
    first: 0,
    last: 1,
    messages: [createPartitions.CreatePartitionsRequest, createPartitions.CreatePartitionsResponse],
    options: {
      topicPartitions: [{ topic: 'orders', count: 6, assignments: [[4], [5]] }],
      timeout: 5000,
    },
    request: {
      topics: [{ name: 'orders', count: 6, assignments: [{ brokerIds: [4] }, { brokerIds: [5] }] }],
      timeoutMs: 5000,
      validateOnly: false,
    },
    response: {
      throttleTimeMs: 3,
      results: [{ name: 'orders', errorCode: 0, errorMessage: null }],
    },
    parsed: { topicErrors: [{ topic: 'orders', errorCode: 0, errorMessage: null }] },
  },
  {
    api: 'DeleteGroups',
    first: 0,
    last: 1,
    messages: [deleteGroups.DeleteGroupsRequest, deleteGroups.DeleteGroupsResponse],
    options: ['group', 'other'],
    request: { groupsNames: ['group', 'other'] },
    response: { throttleTimeMs: 3, results: [{ groupId: 'group', errorCode: 0 }] },
    parsed: { results: [{ groupId: 'group', errorCode: 0 }] },
  },
];
