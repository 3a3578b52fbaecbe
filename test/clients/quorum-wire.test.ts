/** What a single node answers of its quorum, its features, its folder and of tokens, in all versions. */

import { statfs } from 'node:fs/promises';
import t from 'tap';
import { WireConnection } from '../../benchmarks/client/connection.ts';
import { errorName } from '../../protocol/errors.ts';
import {
  AddRaftVoterRequest,
  AddRaftVoterResponse,
} from '../../protocol/messages/add-raft-voter.ts';
import {
  AlterReplicaLogDirsRequest,
  AlterReplicaLogDirsResponse,
} from '../../protocol/messages/alter-replica-log-dirs.ts';
import {
  CreateDelegationTokenRequest,
  CreateDelegationTokenResponse,
} from '../../protocol/messages/create-delegation-token.ts';
import {
  DescribeClusterRequest,
  DescribeClusterResponse,
} from '../../protocol/messages/describe-cluster.ts';
import {
  DescribeDelegationTokenRequest,
  DescribeDelegationTokenResponse,
} from '../../protocol/messages/describe-delegation-token.ts';
import {
  DescribeLogDirsRequest,
  DescribeLogDirsResponse,
} from '../../protocol/messages/describe-log-dirs.ts';
import {
  DescribeQuorumRequest,
  DescribeQuorumResponse,
} from '../../protocol/messages/describe-quorum.ts';
import {
  ExpireDelegationTokenRequest,
  ExpireDelegationTokenResponse,
} from '../../protocol/messages/expire-delegation-token.ts';
import {
  RemoveRaftVoterRequest,
  RemoveRaftVoterResponse,
} from '../../protocol/messages/remove-raft-voter.ts';
import {
  RenewDelegationTokenRequest,
  RenewDelegationTokenResponse,
} from '../../protocol/messages/renew-delegation-token.ts';
import {
  UnregisterBrokerRequest,
  UnregisterBrokerResponse,
} from '../../protocol/messages/unregister-broker.ts';
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
  const feature = 'transaction.version';
  const update = async (version: number, ...featureUpdates: { feature: string }[]) => {
    const levels = featureUpdates.map((one) => ({ maxVersionLevel: 2, ...one }));
    const pair = [UpdateFeaturesRequest, UpdateFeaturesResponse] as const;
    const request = { timeoutMs: 5000, featureUpdates: levels };
    const { errorCode, results } = await connection.call(...pair, version, request);
    return [errorName(errorCode), results.map((one) => [one.feature, errorName(one.errorCode)])];
  };
  for (const version of [0, 1, 2]) {
    const updated = version < 2 ? [[feature, 'NONE']] : [];
    t.same(await update(version, { feature }), ['NONE', updated]);
    t.same(await update(version), ['NONE', []]);
    const failed = ['INVALID_UPDATE_VERSION', []];
    const unknown = { feature: 'no.such.version' };
    t.same(await update(version, unknown), failed);
    t.same(await update(version, { feature }, unknown), failed, 'one error for all');
    for (const maxVersionLevel of [-1, 1, 9]) {
      t.same(await update(version, { feature, ...{ maxVersionLevel } }), failed);
    }
    const untyped = { feature, maxVersionLevel: 1, upgradeType: 0 };
    if (version > 0) t.same(await update(version, untyped), failed);
  }
  if (isApacheKafka) return;
  const lower = { feature, maxVersionLevel: 1, upgradeType: 2 };
  t.same(await update(2, lower), ['FEATURE_UPDATE_FAILED', []]);
  const older = { feature, maxVersionLevel: 1, allowDowngrade: true };
  t.same(await update(0, older), ['FEATURE_UPDATE_FAILED', []]);
});

t.test('the quorum is fixed: nobody joins it or leaves it', async (t) => {
  const cluster = await connection.call(DescribeClusterRequest, DescribeClusterResponse, 0, {
    includeClusterAuthorizedOperations: false,
  });
  const directory = 'AAAAAAAAAAAAAAAAAAAAAQ';
  const endpoints = [{ name: 'CONTROLLER', host: '127.0.0.1', port: 9 }];
  const add = async (version: number, rest: object = {}) => {
    const answer = await connection.call(AddRaftVoterRequest, AddRaftVoterResponse, version, {
      clusterId: cluster.clusterId,
      timeoutMs: 1000,
      voterId: 9,
      voterDirectoryId: directory,
      listeners: endpoints,
      ...rest,
    });
    return errorName(answer.errorCode);
  };
  const remove = async (clusterId: string | null) => {
    const request = { clusterId, voterId: 9, voterDirectoryId: directory };
    const pair = [RemoveRaftVoterRequest, RemoveRaftVoterResponse] as const;
    return errorName((await connection.call(...pair, 0, request)).errorCode);
  };
  for (const version of [0, 1]) {
    t.equal(await add(version), 'UNSUPPORTED_VERSION');
    t.equal(await add(version, { clusterId: null }), 'UNSUPPORTED_VERSION');
    t.equal(await add(version, { clusterId: 'other' }), 'INCONSISTENT_CLUSTER_ID');
    t.equal(await add(version, { voterId: -5 }), 'INVALID_REQUEST');
    t.equal(await add(version, { listeners: [] }), 'INVALID_REQUEST');
  }
  t.equal(await remove(cluster.clusterId), 'UNSUPPORTED_VERSION');
  t.equal(await remove(null), 'UNSUPPORTED_VERSION');
  t.equal(await remove('other'), 'INCONSISTENT_CLUSTER_ID');
});

t.test('a broker that is not there cannot be unregistered', async (t) => {
  const unregister = async (brokerId: number) => {
    const pair = [UnregisterBrokerRequest, UnregisterBrokerResponse] as const;
    return errorName((await connection.call(...pair, 0, { brokerId })).errorCode);
  };
  t.equal(await unregister(77), 'BROKER_ID_NOT_REGISTERED');
  t.equal(await unregister(-1), 'BROKER_ID_NOT_REGISTERED');
  if (isApacheKafka) return;
  const { partition } = await describe(2, '__cluster_metadata');
  t.equal(await unregister(partition.leaderId), 'INVALID_REQUEST');
});

t.test('delegation tokens are not for those who have not said who they are', async (t) => {
  const refused = (code: number) => {
    t.equal(errorName(code), 'DELEGATION_TOKEN_REQUEST_NOT_ALLOWED');
  };
  const hmac = Buffer.from('token');
  for (const version of [1, 2, 3]) {
    const create = [CreateDelegationTokenRequest, CreateDelegationTokenResponse] as const;
    const token = await connection.call(...create, version, { renewers: [], maxLifetimeMs: -1 });
    t.same([token.principalType, token.principalName, token.tokenId], ['User', 'ANONYMOUS', '']);
    refused(token.errorCode);
    const describe = [DescribeDelegationTokenRequest, DescribeDelegationTokenResponse] as const;
    refused((await connection.call(...describe, version, { owners: null })).errorCode);
    if (version === 3) continue;
    const renew = [RenewDelegationTokenRequest, RenewDelegationTokenResponse] as const;
    refused((await connection.call(...renew, version, { hmac, renewPeriodMs: 1 })).errorCode);
    const expire = [ExpireDelegationTokenRequest, ExpireDelegationTokenResponse] as const;
    const request = { hmac, expiryTimePeriodMs: 1 };
    refused((await connection.call(...expire, version, request)).errorCode);
  }
});

t.test('a log directory tells how large its volume is, and how much of it is free', async (t) => {
  const pair = [DescribeLogDirsRequest, DescribeLogDirsResponse] as const;
  for (const version of [4, 5]) {
    const { results } = await connection.call(...pair, version, { topics: null });
    const { logDir, errorCode, totalBytes, usableBytes } = results[0]!;
    const { bsize, blocks } = await statfs(logDir);
    t.equal(errorCode, 0);
    t.equal(totalBytes, bsize * blocks);
    t.ok(usableBytes! > 0 && usableBytes! <= totalBytes!, `${usableBytes} bytes are free`);
  }
});

t.test('a replica lies in the one folder there is', async (t) => {
  const topic = await newTopic(broker);
  const dirs = await connection.call(DescribeLogDirsRequest, DescribeLogDirsResponse, 4, {
    topics: null,
  });
  const folder = dirs.results[0]!.logDir;
  const move = async (version: number, path: string, name: string, ...partitions: number[]) => {
    const pair = [AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse] as const;
    const request = { dirs: [{ path, topics: [{ name, partitions }] }] };
    const [answer] = (await connection.call(...pair, version, request)).results;
    return answer!.partitions.map(({ errorCode }) => errorName(errorCode)).sort();
  };
  for (const version of [1, 2]) {
    t.same(await move(version, folder, topic, 0), ['NONE']);
    const unknown = 'UNKNOWN_TOPIC_OR_PARTITION';
    t.same(await move(version, folder, topic, 0, 7, -1), ['NONE', unknown, unknown]);
    t.same(await move(version, folder, 'no-such-topic', 0), [unknown]);
    t.same(await move(version, '/no/such/folder', topic, 0), ['LOG_DIR_NOT_FOUND']);
    t.same(await move(version, `${folder}/`, topic, 0), ['LOG_DIR_NOT_FOUND']);
    t.same(await move(version, folder, 'x'.repeat(249), 0), ['INVALID_TOPIC_EXCEPTION']);
  }
});
