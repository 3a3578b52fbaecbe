/** What @platformatic/kafka's admin client says and hears. */

import * as alterConfigs from '../../protocol/messages/alter-configs.ts';
import * as createPartitions from '../../protocol/messages/create-partitions.ts';
import * as createTopics from '../../protocol/messages/create-topics.ts';
import * as deleteGroups from '../../protocol/messages/delete-groups.ts';
import * as deleteRecords from '../../protocol/messages/delete-records.ts';
import * as deleteTopics from '../../protocol/messages/delete-topics.ts';
import * as describeCluster from '../../protocol/messages/describe-cluster.ts';
import * as describeConfigs from '../../protocol/messages/describe-configs.ts';
import * as incrementalAlterConfigs from '../../protocol/messages/incremental-alter-configs.ts';
import { type Case, TOPIC_ID, TOPIC_UUID } from './platformatic-case.ts';

const resource = { errorCode: 0, errorMessage: null, resourceType: 2, resourceName: 'orders' };

export const adminCases: Case[] = [
  {
    api: 'createTopics',
    versions: [7],
    messages: [createTopics.CreateTopicsRequest, createTopics.CreateTopicsResponse],
    arguments: [
      [
        {
          name: 'orders',
          numPartitions: 3,
          replicationFactor: 1,
          assignments: [{ partitionIndex: 0, brokerIds: [4] }],
          configs: [{ name: 'cleanup.policy', value: 'compact' }],
        },
      ],
      5000,
      true,
    ],
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
      topics: [
        {
          name: 'orders',
          topicId: TOPIC_ID,
          errorCode: 0,
          errorMessage: null,
          numPartitions: 3,
          replicationFactor: 1,
          configs: [
            { name: 'a.b', value: null, readOnly: true, configSource: 5, isSensitive: true },
          ],
        },
      ],
    },
  },
  {
    api: 'deleteTopics',
    versions: [6],
    messages: [deleteTopics.DeleteTopicsRequest, deleteTopics.DeleteTopicsResponse],
    arguments: [[{ name: null, topicId: TOPIC_UUID }, { name: 'orders' }], 5000],
    request: {
      topics: [{ name: null, topicId: TOPIC_ID }, { name: 'orders' }],
      timeoutMs: 5000,
    },
    response: {
      throttleTimeMs: 3,
      responses: [{ name: 'orders', topicId: TOPIC_ID, errorCode: 0, errorMessage: null }],
    },
  },
  {
    api: 'deleteRecords',
    versions: [2],
    messages: [deleteRecords.DeleteRecordsRequest, deleteRecords.DeleteRecordsResponse],
    arguments: [[{ name: 'orders', partitions: [{ partitionIndex: 2, offset: -1n }] }], 5000],
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
  },
  {
    api: 'describeConfigs',
    versions: [2, 3, 4],
    messages: [describeConfigs.DescribeConfigsRequest, describeConfigs.DescribeConfigsResponse],
    arguments: [
      [{ resourceType: 2, resourceName: 'orders', configurationKeys: ['retention.ms'] }],
      true,
      true,
    ],
    request: (version) => ({
      resources: [{ resourceType: 2, resourceName: 'orders', configurationKeys: ['retention.ms'] }],
      includeSynonyms: true,
      includeDocumentation: version >= 3,
    }),
    // Version 2 has no flag for documentation; the library sends it all the same.
    extraBytes: (version) => (version === 2 ? 1 : 0),
    misread: [2],
    response: {
      throttleTimeMs: 3,
      results: [
        {
          ...resource,
          configs: [
            {
              name: 'retention.ms',
              value: '1000',
              readOnly: true,
              configSource: 1,
              isSensitive: false,
              synonyms: [{ name: 'log.retention.ms', value: '9', source: 5 }],
              configType: 5,
              documentation: 'text',
            },
          ],
        },
      ],
    },
    parsed: {
      results: [
        {
          ...resource,
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
  },
  {
    api: 'alterConfigs',
    versions: [2],
    messages: [alterConfigs.AlterConfigsRequest, alterConfigs.AlterConfigsResponse],
    arguments: [
      [{ resourceType: 2, resourceName: 'orders', configs: [{ name: 'a.b', value: 'c' }] }],
      true,
    ],
    request: {
      resources: [
        { resourceType: 2, resourceName: 'orders', configs: [{ name: 'a.b', value: 'c' }] },
      ],
      validateOnly: true,
    },
    response: { throttleTimeMs: 3, responses: [resource] },
  },
  {
    api: 'incrementalAlterConfigs',
    versions: [1],
    messages: [
      incrementalAlterConfigs.IncrementalAlterConfigsRequest,
      incrementalAlterConfigs.IncrementalAlterConfigsResponse,
    ],
    arguments: [
      [
        {
          resourceType: 2,
          resourceName: 'orders',
          configs: [{ name: 'a.b', configOperation: 1, value: null }],
        },
      ],
      false,
    ],
    request: {
      resources: [
        {
          resourceType: 2,
          resourceName: 'orders',
          configs: [{ name: 'a.b', configOperation: 1, value: null }],
        },
      ],
      validateOnly: false,
    },
    response: { throttleTimeMs: 3, responses: [resource] },
  },
  {
    api: 'createPartitions',
    versions: [1, 2, 3],
    messages: [createPartitions.CreatePartitionsRequest, createPartitions.CreatePartitionsResponse],
    arguments: [[{ name: 'orders', count: 6, assignments: [{ brokerIds: [4] }] }], 5000, true],
    request: {
      topics: [{ name: 'orders', count: 6, assignments: [{ brokerIds: [4] }] }],
      timeoutMs: 5000,
      validateOnly: true,
    },
    response: {
      throttleTimeMs: 3,
      results: [{ name: 'orders', errorCode: 0, errorMessage: null }],
    },
  },
  {
    api: 'deleteGroups',
    versions: [2],
    messages: [deleteGroups.DeleteGroupsRequest, deleteGroups.DeleteGroupsResponse],
    arguments: [['group', 'other']],
    request: { groupsNames: ['group', 'other'] },
    response: { throttleTimeMs: 3, results: [{ groupId: 'group', errorCode: 0 }] },
  },
  {
    api: 'describeCluster',
    versions: [0, 1],
    messages: [describeCluster.DescribeClusterRequest, describeCluster.DescribeClusterResponse],
    arguments: [true, 1],
    request: { includeClusterAuthorizedOperations: true, endpointType: 1 },
    response: {
      throttleTimeMs: 3,
      errorCode: 0,
      errorMessage: null,
      clusterId: 'cluster',
      controllerId: 4,
      brokers: [{ brokerId: 4, host: 'localhost', port: 9092, rack: 'r1' }],
      clusterAuthorizedOperations: 7,
    },
  },
];
