/** OffsetCommit, OffsetFetch and FindCoordinator through their codecs, as each version sees them. */

import t from 'tap';
import { offsetCommit } from '../../../broker/apis/08-offset-commit.ts';
import { offsetFetch } from '../../../broker/apis/09-offset-fetch.ts';
import { findCoordinator } from '../../../broker/apis/10-find-coordinator.ts';
import { ErrorCode } from '../../../protocol/errors.ts';
import { ZERO_UUID } from '../../../protocol/schema.ts';
import { GroupBroker, line, versionsOf } from './group-broker.ts';

const UNKNOWN_ID = 'AAAAAAAAAAAAAAAAAAAA_w';

t.test('OffsetCommit and OffsetFetch go by names up to version 9', async (t) => {
  for (const version of versionsOf(offsetCommit, '2-9')) {
    const broker = await GroupBroker.loaded();
    const partitions = [line(0, 5, 'meta'), line(7, 5)];
    const answer = await broker.commit(version, { name: 't', partitions });
    t.match(answer.topics, [
      {
        name: 't',
        partitions: [
          { partitionIndex: 0, errorCode: 0 },
          { partitionIndex: 7, errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION },
        ],
      },
    ]);
    const other = await broker.commit(version, { name: 'nope', partitions: [line(0, 5)] });
    t.equal(other.topics[0]?.partitions[0]?.errorCode, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
    const found = { partitionIndex: 0, committedOffset: 5, metadata: 'meta', errorCode: 0 };
    const none = { partitionIndex: 1, committedOffset: -1, metadata: '', errorCode: 0 };
    const topics = [{ name: 't', partitionIndexes: [0, 1] }];
    for (const fetchVersion of versionsOf(offsetFetch, '1-7')) {
      const fetched = await broker.ask(offsetFetch, fetchVersion, { groupId: 'g', topics });
      t.match(fetched, { errorCode: 0, topics: [{ name: 't', partitions: [found, none] }] });
      if (fetchVersion < 2) continue;
      const all = await broker.ask(offsetFetch, fetchVersion, { groupId: 'g', topics: null });
      t.match(all, { errorCode: 0, topics: [{ name: 't', partitions: [found] }] });
      t.equal(all.topics[0]?.partitions.length, 1);
    }
    for (const fetchVersion of versionsOf(offsetFetch, '8-9')) {
      const groups = [
        { groupId: 'g', topics },
        { groupId: 'h', topics: null },
      ];
      const fetched = await broker.ask(offsetFetch, fetchVersion, { groups });
      t.match(fetched.groups, [
        { groupId: 'g', errorCode: 0, topics: [{ name: 't', partitions: [found, none] }] },
        { groupId: 'h', errorCode: 0, topics: [] },
      ]);
    }
  }
});

t.test('OffsetCommit and OffsetFetch go by topic ids in version 10', async (t) => {
  const broker = await GroupBroker.loaded();
  const { id } = broker.orders;
  const partitions = [line(0, 5), line(7, 5)];
  const committed = await broker.commit(10, { topicId: id, partitions });
  t.match(committed.topics, [
    {
      topicId: id,
      partitions: [{ errorCode: 0 }, { errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION }],
    },
  ]);
  const unknown = await broker.commit(10, { topicId: UNKNOWN_ID, partitions });
  t.match(unknown.topics, [
    {
      topicId: UNKNOWN_ID,
      partitions: [
        { partitionIndex: 0, errorCode: ErrorCode.UNKNOWN_TOPIC_ID },
        { partitionIndex: 7, errorCode: ErrorCode.UNKNOWN_TOPIC_ID },
      ],
    },
  ]);
  const topics = [
    { topicId: UNKNOWN_ID, partitionIndexes: [0] },
    { topicId: id, partitionIndexes: [0] },
  ];
  const fetched = await broker.ask(offsetFetch, 10, { groups: [{ groupId: 'g', topics }] });
  t.match(fetched.groups[0], {
    errorCode: 0,
    topics: [
      { topicId: id, partitions: [{ committedOffset: 5, errorCode: 0 }] },
      {
        topicId: UNKNOWN_ID,
        partitions: [{ committedOffset: -1, errorCode: ErrorCode.UNKNOWN_TOPIC_ID }],
      },
    ],
  });
  const groups = [{ groupId: 'g', topics: null }];
  const all = await broker.ask(offsetFetch, 10, { groups });
  t.match(all.groups[0]?.topics, [{ topicId: id, partitions: [{ committedOffset: 5 }] }]);
  t.not(id, ZERO_UUID);

  broker.deleteTopic(broker.orders);
  const gone = await broker.ask(offsetFetch, 10, { groups });
  t.same(gone.groups[0]?.topics, [], 'there is no id to tell it under');
  const again = broker.topic('t');
  const asked = [{ topicId: again.id, partitionIndexes: [0] }];
  const anew = await broker.ask(offsetFetch, 10, { groups: [{ groupId: 'g', topics: asked }] });
  t.match(anew.groups[0]?.topics, [{ partitions: [{ committedOffset: -1, errorCode: 0 }] }]);
});

t.test('OffsetCommit tells each version of a missing group in its own way', async (t) => {
  const broker = await GroupBroker.loaded();
  for (const version of versionsOf(offsetCommit, '2-9')) {
    const member = { generationIdOrMemberEpoch: 4, memberId: 'm' };
    const answer = await broker.commit(version, { name: 't', partitions: [line(0, 5)] }, member);
    const expected = version >= 9 ? ErrorCode.GROUP_ID_NOT_FOUND : ErrorCode.ILLEGAL_GENERATION;
    t.equal(answer.topics[0]?.partitions[0]?.errorCode, expected, `version ${version}`);
  }
});

t.test('OffsetFetch says that a group cannot be asked where the version can', async (t) => {
  // Nothing has been loaded.
  const broker = new GroupBroker();
  const code = ErrorCode.COORDINATOR_LOAD_IN_PROGRESS;
  const topics = [{ name: 't', partitionIndexes: [3] }];
  const first = await broker.ask(offsetFetch, 1, { groupId: 'g', topics });
  t.match(first.topics, [
    { name: 't', partitions: [{ partitionIndex: 3, committedOffset: -1, errorCode: code }] },
  ]);
  const second = await broker.ask(offsetFetch, 2, { groupId: 'g', topics });
  t.match(second, { errorCode: code, topics: [] });
  const ninth = await broker.ask(offsetFetch, 9, { groups: [{ groupId: 'g', topics }] });
  t.match(ninth.groups, [{ groupId: 'g', errorCode: code, topics: [] }]);
});

t.test('FindCoordinator names this broker for every group', async (t) => {
  const broker = await GroupBroker.loaded();
  const here = { nodeId: 1, host: 'broker.test', port: 9092, errorCode: 0 };
  for (const version of versionsOf(findCoordinator, '0-3')) {
    const answer = await broker.ask(findCoordinator, version, { key: 'g' });
    t.match(answer, here, `version ${version}`);
    t.equal(answer.errorMessage, version === 0 ? '' : 'NONE', 'as Kafka has it');
  }
  for (const version of versionsOf(findCoordinator, '4+')) {
    const request = { keyType: 0, coordinatorKeys: ['g', 'h'] };
    const { coordinators } = await broker.ask(findCoordinator, version, request);
    t.match(coordinators, [
      { key: 'g', ...here, errorMessage: null },
      { key: 'h', ...here, errorMessage: null },
    ]);
  }
});

t.test('FindCoordinator knows those of groups and transactions, and no others', async (t) => {
  const broker = await GroupBroker.loaded();
  const noNode = { nodeId: -1, host: '', port: -1 };
  for (const version of versionsOf(findCoordinator, '1-3')) {
    const transaction = await broker.ask(findCoordinator, version, { key: 'x', keyType: 1 });
    t.match(transaction, { nodeId: 1, host: 'broker.test', port: 9092, errorCode: 0 });
    const share = await broker.ask(findCoordinator, version, { key: 'x', keyType: 2 });
    t.match(share, { ...noNode, errorCode: ErrorCode.INVALID_REQUEST });
  }
  for (const version of versionsOf(findCoordinator, '4+')) {
    for (const keyType of [2, 9]) {
      const request = { keyType, coordinatorKeys: ['x'] };
      const { coordinators } = await broker.ask(findCoordinator, version, request);
      const errorCode = ErrorCode.INVALID_REQUEST;
      t.match(coordinators, [{ key: 'x', ...noNode, errorCode }]);
    }
  }
});
