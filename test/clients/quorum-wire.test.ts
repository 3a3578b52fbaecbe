/** What a single node answers of its quorum and its features, in all versions. */

import t from 'tap';
import { WireConnection } from '../../benchmarks/client/connection.ts';
import { errorName } from '../../protocol/errors.ts';
import {
  DescribeQuorumRequest,
  DescribeQuorumResponse,
} from '../../protocol/messages/describe-quorum.ts';
import {
  UpdateFeaturesRequest,
  UpdateFeaturesResponse,
} from '../../protocol/messages/update-features.ts';
import { newTopic } from './kafkajs-client.ts';
import { isApacheKafka, startTestBroker } from './test-broker.ts';

const broker = await startTestBroker(t);
const connection = await WireConnection.open(broker.host, broker.port);
t.teardown(() => connection.close());

async function describe(version: number, topicName: string, partitionIndex = 0) {
  const topics = [{ topicName, partitions: [{ partitionIndex }] }];
  const pair = [DescribeQuorumRequest, DescribeQuorumResponse] as const;
  const answer = await connection.call(...pair, version, { topics });
  return { ...answer, partition: answer.topics[0]!.partitions[0]! };
}

t.test('the one node leads the metadata log and votes for itself', async (t) => {
  for (const version of [0, 1, 2]) {
    const { errorCode, partition, nodes } = await describe(version, '__cluster_metadata');
    t.same([errorCode, partition.errorCode], [0, 0]);
    const [voter, ...others] = partition.currentVoters;
    t.equal(voter?.replicaId, partition.leaderId);
    t.same([others, partition.observers], [[], []]);
    t.ok(partition.highWatermark <= voter!.logEndOffset);
    if (version >= 1) t.ok(Math.abs(voter!.lastCaughtUpTimestamp - Date.now()) < 60_000);
    if (version >= 2) t.equal(nodes[0]?.nodeId, partition.leaderId);
    await newTopic(broker);
    const later = await describe(version, '__cluster_metadata');
    t.ok(later.partition.highWatermark > partition.highWatermark, 'it has grown by a topic');
  }
});

t.test('there is no quorum of anything else', async (t) => {
  for (const version of [0, 1, 2]) {
    const { partition } = await describe(version, 'other');
    t.equal(errorName(partition.errorCode), 'UNKNOWN_TOPIC_OR_PARTITION');
    const second = await describe(version, '__cluster_metadata', 1);
    t.equal(errorName(second.partition.errorCode), 'UNKNOWN_TOPIC_OR_PARTITION');
  }
});

t.test('a feature is in force at one level', async (t) => {
  const update = async (version: number, feature: string, level: number, more = {}) => {
    const featureUpdates = [{ feature, maxVersionLevel: level, ...more }];
    const pair = [UpdateFeaturesRequest, UpdateFeaturesResponse] as const;
    const request = { timeoutMs: 5000, featureUpdates };
    const answer = await connection.call(...pair, version, request);
    return errorName(answer.errorCode || (answer.results[0]?.errorCode ?? 0));
  };
  for (const version of [0, 1, 2]) {
    t.equal(await update(version, 'transaction.version', 2), 'NONE');
    t.equal(await update(version, 'transaction.version', 9), 'INVALID_UPDATE_VERSION');
    t.equal(await update(version, 'no.such.version', 1), 'INVALID_UPDATE_VERSION');
  }
  if (isApacheKafka) return;
  const lower = await update(2, 'transaction.version', 1, { upgradeType: 2 });
  t.equal(lower, 'FEATURE_UPDATE_FAILED');
});
