/**
 * The records of __consumer_offsets against bytes that Apache Kafka 4.4.0's own
 * GroupCoordinatorRecordHelpers and CoordinatorRecordSerde wrote.
 */

import t from 'tap';
import {
  groupRecord,
  groupTombstone,
  type KeyedRecord,
  offsetRecord,
  offsetTombstone,
  readGroupRecord,
} from '../../../broker/groups/offset-records.ts';
import { javaHashCode, partitionFor } from '../../../broker/groups/partition-for.ts';
import { ZERO_UUID } from '../../../protocol/schema.ts';

const TOPIC_ID = '4xUeWfLKRnS5vVb8k3x0Lw';
const OFFSET_KEY = '000100086d792d67726f757000066f726465727300000007';
const GROUP_KEY = '000200086d792d67726f7570';

const hexOf = ({ key, value }: KeyedRecord) => [
  key.toString('hex'),
  value === null ? null : value.toString('hex'),
];

t.test('a committed offset is written in version 4, with its topic id', async (t) => {
  const value = {
    offset: 1234567890123,
    leaderEpoch: 5,
    metadata: 'meta ü',
    commitTimestamp: 1700000000123,
    topicId: TOPIC_ID,
  };
  t.same(hexOf(offsetRecord('my-group', 'orders', 7, value)), [
    OFFSET_KEY,
    '00040000011f71fb04cb00000005086d65746120c3bc0000018bcfe5687b' +
      '010010e3151e59f2ca4674b9bd56fc937c742f',
  ]);
  const bare = { offset: 0, leaderEpoch: -1, metadata: '', commitTimestamp: 1700000000123 };
  t.same(hexOf(offsetRecord('my-group', 'orders', 0, bare)), [
    '000100086d792d67726f757000066f726465727300000000',
    '00040000000000000000ffffffff010000018bcfe5687b00',
  ]);
});

t.test('an offset with an expiry of its own is written in version 1', async (t) => {
  const value = {
    offset: 42,
    leaderEpoch: 5,
    metadata: 'm',
    commitTimestamp: 1700000000123,
    expireTimestamp: 1700000600123,
    topicId: TOPIC_ID,
  };
  t.same(hexOf(offsetRecord('my-group', 'orders', 7, value)), [
    OFFSET_KEY,
    '0001000000000000002a00016d0000018bcfe5687b0000018bcfee903b',
  ]);
});

t.test('tombstones have a key only', async (t) => {
  t.same(hexOf(offsetTombstone('my-group', 'orders', 7)), [OFFSET_KEY, null]);
  t.same(hexOf(groupTombstone('my-group')), [GROUP_KEY, null]);
});

const member = (memberId: string, groupInstanceId: string | null) => ({
  memberId,
  groupInstanceId,
  clientId: 'c',
  clientHost: '/127.0.0.1',
  rebalanceTimeout: 60000,
  sessionTimeout: 30000,
  subscription: Buffer.from([1, 2, 3]),
  assignment: Buffer.from([4, 5]),
});

const group = {
  protocolType: 'consumer',
  generation: 3,
  protocol: 'range',
  leader: 'c-1',
  currentStateTimestamp: 1700000000456,
  members: [member('c-1', 'i-1'), member('c-2', null)],
};

const GROUP_VALUES = [
  '00000008636f6e73756d657200000003000572616e67650003632d31000000020003632d31000163000a2f3132372e302e302e3100007530000000030102030000000204050003632d32000163000a2f3132372e302e302e310000753000000003010203000000020405',
  '00010008636f6e73756d657200000003000572616e67650003632d31000000020003632d31000163000a2f3132372e302e302e310000ea6000007530000000030102030000000204050003632d32000163000a2f3132372e302e302e310000ea600000753000000003010203000000020405',
  '00020008636f6e73756d657200000003000572616e67650003632d310000018bcfe569c8000000020003632d31000163000a2f3132372e302e302e310000ea6000007530000000030102030000000204050003632d32000163000a2f3132372e302e302e310000ea600000753000000003010203000000020405',
  '00030008636f6e73756d657200000003000572616e67650003632d310000018bcfe569c8000000020003632d310003692d31000163000a2f3132372e302e302e310000ea6000007530000000030102030000000204050003632d32ffff000163000a2f3132372e302e302e310000ea600000753000000003010203000000020405',
  '000409636f6e73756d6572000000030672616e676504632d310000018bcfe569c80304632d3104692d3102630b2f3132372e302e302e310000ea6000007530040102030304050004632d320002630b2f3132372e302e302e310000ea6000007530040102030304050000',
];

t.test('a group is written in version 3', async (t) => {
  t.same(hexOf(groupRecord('my-group', group)), [GROUP_KEY, GROUP_VALUES[3]]);
  const empty = { ...group, generation: 4, protocol: null, leader: null, members: [] };
  t.same(hexOf(groupRecord('my-group', empty)), [
    GROUP_KEY,
    '00030008636f6e73756d657200000004ffffffff0000018bcfe569c800000000',
  ]);
});

t.test('groups of every version are read', async (t) => {
  for (const [version, hex] of GROUP_VALUES.entries()) {
    const read = readGroupRecord(Buffer.from(GROUP_KEY, 'hex'), Buffer.from(hex, 'hex'));
    const first = {
      ...group.members[0]!,
      groupInstanceId: version >= 3 ? 'i-1' : null,
      rebalanceTimeout: version >= 1 ? 60000 : -1,
    };
    const second = { ...group.members[1]!, rebalanceTimeout: first.rebalanceTimeout };
    const currentStateTimestamp = version >= 2 ? 1700000000456 : -1;
    const value = { ...group, currentStateTimestamp, members: [first, second] };
    t.same(read, { kind: 'group', group: 'my-group', value }, `version ${version}`);
  }
});

t.test('offsets of every version are read, also under the oldest type of key', async (t) => {
  const keys = ['000100016700017400000001', '000000016700017400000001'];
  const values = [
    ['0000000000000000002a00016d0000018bcfe5687b', -1, -1, ZERO_UUID],
    ['0001000000000000002a00016d0000018bcfe5687b0000018bcfee903b', -1, 1700000600123, ZERO_UUID],
    ['0002000000000000002a00016d0000018bcfe5687b', -1, -1, ZERO_UUID],
    ['0003000000000000002a0000000900016d0000018bcfe5687b', 9, -1, ZERO_UUID],
    ['0004000000000000002a00000009026d0000018bcfe5687b00', 9, -1, ZERO_UUID],
  ] as const;
  for (const key of keys) {
    for (const [hex, leaderEpoch, expireTimestamp, topicId] of values) {
      t.same(readGroupRecord(Buffer.from(key, 'hex'), Buffer.from(hex, 'hex')), {
        kind: 'offset',
        group: 'g',
        topic: 't',
        partition: 1,
        value: {
          offset: 42,
          leaderEpoch,
          metadata: 'm',
          commitTimestamp: 1700000000123,
          expireTimestamp,
          topicId,
        },
      });
    }
  }
});

t.test('records of other coordinators are told apart, broken ones throw', async (t) => {
  const consumerGroup = Buffer.from('00030001670000', 'hex');
  t.same(readGroupRecord(consumerGroup, null), { kind: 'other', type: 3 });
  const malformed = { name: 'MalformedFrame' };
  const unknownVersion = { name: 'ProtocolError', errorName: 'UNSUPPORTED_VERSION' };
  const broken: [key: string | null, value: string | null, error: { name: string }][] = [
    [null, null, malformed],
    ['00', null, malformed],
    ['0001000867', null, malformed],
    [GROUP_KEY, '0003', malformed],
    [GROUP_KEY, '0009', unknownVersion],
    [GROUP_KEY, 'ffff', unknownVersion],
    [OFFSET_KEY, '00040000', malformed],
  ];
  const bytes = (hex: string | null) => (hex === null ? null : Buffer.from(hex, 'hex'));
  for (const [key, value, error] of broken) {
    t.throws(() => readGroupRecord(bytes(key), bytes(value)), error, `${key} ${value}`);
  }
});

t.test("groups lie in the partition that Kafka's hash chooses", async (t) => {
  const known: [id: string, hash: number, partition: number][] = [
    ['', 0, 0],
    ['a', 97, 47],
    ['my-group', -1906497762, 12],
    // Java's lowest int, whose absolute value Kafka takes to be 0.
    ['polygenelubricants', -2147483648, 0],
    ['日本語-グループ', 541561164, 14],
    ['ZZ😀', 4540579, 29],
  ];
  for (const [id, hash, partition] of known) {
    t.equal(javaHashCode(id), hash, id);
    t.equal(partitionFor(id, 50), partition, id);
  }
});
