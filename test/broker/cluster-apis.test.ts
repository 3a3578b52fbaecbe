import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { describeLogDirs } from '../../broker/apis/35-describe-log-dirs.ts';
import { electLeaders } from '../../broker/apis/43-elect-leaders.ts';
import { alterPartitionReassignments } from '../../broker/apis/45-alter-partition-reassignments.ts';
import { listPartitionReassignments } from '../../broker/apis/46-list-partition-reassignments.ts';
import { listConfigResources } from '../../broker/apis/74-list-config-resources.ts';
import { describeTopicPartitions } from '../../broker/apis/75-describe-topic-partitions.ts';
import { ErrorCode, errorName } from '../../protocol/errors.ts';
import {
  NODE_ID,
  newTopic,
  rejectsWith,
  startTopics,
  type TestTopics,
  versionsOf,
} from './topics-harness.ts';

/** Topics a, b, c with two, three and four partitions. */
async function withTopics(
  t: Parameters<typeof startTopics>[0],
  settings = {},
): Promise<TestTopics> {
  const broker = await startTopics(t, settings);
  const topics = ['a', 'b', 'c'].map((name, index) => newTopic(name, { numPartitions: index + 2 }));
  await broker.topics.createAll(topics, false);
  return broker;
}

t.test('DescribeLogDirs says of a folder that has no volume that it cannot be used', async (t) => {
  const broker = await withTopics(t, { 'log.dirs': 'no/such/folder' });
  const { results } = await broker.call(describeLogDirs, 4, { topics: null });
  const logDir = path.resolve('no/such/folder');
  t.match(results, [{ errorCode: ErrorCode.KAFKA_STORAGE_ERROR, logDir, topics: [] }]);
});

t.test('DescribeLogDirs tells the one folder and what is in it', async (t) => {
  const broker = await withTopics(t, { 'log.dirs': tmpdir() });
  for (const version of versionsOf(describeLogDirs)) {
    const all = await broker.call(describeLogDirs, version, { topics: null });
    t.equal(all.results.length, 1);
    t.match(all.results[0], { errorCode: 0, logDir: path.resolve(tmpdir()) });
    t.equal(all.results[0]!.totalBytes! > 0, version >= 4, 'the size of its volume');
    t.strictSame(
      all.results[0]!.topics.map(({ name, partitions }) => [name, partitions.length]),
      [
        ['a', 2],
        ['b', 3],
        ['c', 4],
      ],
    );
    const some = await broker.call(describeLogDirs, version, {
      topics: [
        { topic: 'b', partitions: [2, 0, 9, 2, -1] },
        { topic: 'b', partitions: [1] },
        { topic: 'nope', partitions: [0] },
        { topic: 'a', partitions: [7] },
      ],
    });
    t.strictSame(some.results[0]!.topics, [
      {
        name: 'b',
        partitions: [2, 0, 1].map((partitionIndex) => ({
          partitionIndex,
          partitionSize: 0,
          offsetLag: 0,
          isFutureKey: false,
        })),
      },
    ]);
  }
});

t.test('ElectLeaders finds every leader where it should be', async (t) => {
  const broker = await withTopics(t);
  for (const version of versionsOf(electLeaders)) {
    const topicPartitions = [
      { topic: 'a', partitions: [0, 7] },
      { topic: 'nope', partitions: [0] },
    ];
    const some = await broker.call(electLeaders, version, { topicPartitions, timeoutMs: 1 });
    t.strictSame(
      some.replicaElectionResults.map(({ topic, partitionResult }) => [
        topic,
        partitionResult.map(({ partitionId, errorCode }) => [partitionId, errorName(errorCode)]),
      ]),
      [
        [
          'a',
          [
            [0, 'ELECTION_NOT_NEEDED'],
            [7, 'UNKNOWN_TOPIC_OR_PARTITION'],
          ],
        ],
        ['nope', [[0, 'UNKNOWN_TOPIC_OR_PARTITION']]],
      ],
    );
    const all = await broker.call(electLeaders, version, { topicPartitions: null, timeoutMs: 1 });
    t.strictSame(
      all.replicaElectionResults,
      ['a', 'b', 'c'].map((topic) => ({ topic, partitionResult: [] })),
    );
  }
  const odd = { electionType: 5, topicPartitions: null, timeoutMs: 1 };
  await rejectsWith(t, broker.call(electLeaders, 2, odd), 'INVALID_REQUEST');
});

t.test('a partition can be assigned to the one node only', async (t) => {
  const broker = await withTopics(t);
  for (const version of versionsOf(alterPartitionReassignments)) {
    const assign = (partitionIndex: number, replicas: number[] | null) => ({
      partitionIndex,
      replicas,
    });
    const request = {
      timeoutMs: 1,
      topics: [
        {
          name: 'a',
          partitions: [
            assign(0, [NODE_ID]),
            assign(1, null),
            assign(9, null),
            assign(0, [NODE_ID, NODE_ID]),
            assign(0, []),
            assign(0, [NODE_ID + 1]),
          ],
        },
        { name: 'nope', partitions: [assign(0, [NODE_ID])] },
      ],
    };
    const answer = await broker.call(alterPartitionReassignments, version, request);
    t.match(answer, { errorCode: 0, errorMessage: null, allowReplicationFactorChange: true });
    t.strictSame(
      answer.responses.map(({ partitions }) => partitions.map((p) => errorName(p.errorCode))),
      [
        [
          'NONE',
          'NO_REASSIGNMENT_IN_PROGRESS',
          'UNKNOWN_TOPIC_OR_PARTITION',
          'INVALID_REPLICA_ASSIGNMENT',
          'INVALID_REPLICA_ASSIGNMENT',
          'INVALID_REPLICA_ASSIGNMENT',
        ],
        ['UNKNOWN_TOPIC_OR_PARTITION'],
      ],
    );
  }
  const listed = await broker.call(listPartitionReassignments, 0, { timeoutMs: 1 });
  t.strictSame(listed, { throttleTimeMs: 0, errorCode: 0, errorMessage: null, topics: [] });
});

t.test('ListConfigResources lists what can have configurations', async (t) => {
  const broker = await withTopics(t);
  const list = async (version: number, resourceTypes: number[] = []) => {
    const answer = await broker.call(listConfigResources, version, { resourceTypes });
    return answer.configResources.map(({ resourceType, resourceName }) => [
      resourceType,
      resourceName,
    ]);
  };
  const topics = ['a', 'b', 'c'].map((name) => [2, name]);
  t.strictSame(await list(0), []);
  t.strictSame(await list(1), [...topics, [4, String(NODE_ID)], [8, String(NODE_ID)]]);
  t.strictSame(await list(1, [2, 2]), topics);
  t.strictSame(await list(1, [16, 32]), []);
  await rejectsWith(t, list(1, [3]), 'UNSUPPORTED_VERSION');
});

t.test('DescribeTopicPartitions gives so many partitions and where to go on', async (t) => {
  const broker = await withTopics(t, { 'max.request.partition.size.limit': '5' });
  const ask = async (names: string[], rest: object = {}) => {
    const topics = names.map((name) => ({ name }));
    const answer = await broker.call(describeTopicPartitions, 0, { topics, ...rest });
    const shown = answer.topics.map(({ name, errorCode, partitions }) => [
      name,
      errorCode,
      partitions.map(({ partitionIndex }) => partitionIndex).join(),
    ]);
    const cursor = answer.nextCursor;
    return [...shown, cursor === null ? 'end' : [cursor.topicName, cursor.partitionIndex]];
  };
  const from = (topicName: string, partitionIndex: number) => ({
    cursor: { topicName, partitionIndex },
  });
  t.strictSame(await ask([]), [
    ['a', 0, '0,1'],
    ['b', 0, '0,1,2'],
    ['c', 0],
  ]);
  t.strictSame(await ask([], from('c', 0)), [['c', 0, '0,1,2,3'], 'end']);
  t.strictSame(await ask([], { responsePartitionLimit: 0 }), [
    ['a', 0, '0'],
    ['a', 1],
  ]);
  t.strictSame(await ask([], { responsePartitionLimit: 3, ...from('a', 1) }), [
    ['a', 0, '1'],
    ['b', 0, '0,1'],
    ['b', 2],
  ]);
  t.strictSame(await ask([], { responsePartitionLimit: 3, ...from('a', 7) }), [
    ['a', 0, ''],
    ['b', 0, '0,1,2'],
    ['c', 0],
  ]);
  t.strictSame(await ask([], from('aa', 1)), [
    ['b', 0, '0,1,2'],
    ['c', 0, '0,1'],
    ['c', 2],
  ]);
  t.strictSame(await ask(['c', 'nope', 'a/b', 'a']), [
    ['a', 0, '0,1'],
    ['a/b', 17, ''],
    ['c', 0, '0,1,2'],
    ['c', 3],
  ]);
  t.strictSame(await ask(['nope'], { responsePartitionLimit: 1 }), [['nope', 3, ''], 'end']);
  await rejectsWith(t, ask(['b'], from('a', 1)), 'INVALID_REQUEST');
  await rejectsWith(t, ask(['b'], from('b', -1)), 'INVALID_REQUEST');
  t.equal(broker.topics.count, 3, 'none was created');
});

t.test('DescribeTopicPartitions tells ids, leaders and operations', async (t) => {
  const broker = await withTopics(t);
  const answer = await broker.call(describeTopicPartitions, 0, { topics: [{ name: 'a' }] });
  t.match(answer.topics, [
    {
      name: 'a',
      topicId: broker.topics.get('a')!.id,
      isInternal: false,
      topicAuthorizedOperations: 3576,
      partitions: [
        {
          leaderId: NODE_ID,
          leaderEpoch: 0,
          replicaNodes: [NODE_ID],
          isrNodes: [NODE_ID],
          eligibleLeaderReplicas: [],
          lastKnownElr: [],
          offlineReplicas: [],
        },
        { partitionIndex: 1 },
      ],
    },
  ]);
});
