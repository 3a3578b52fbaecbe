import { readdirSync } from 'node:fs';
import t from 'tap';
import { apis } from '../../broker/apis/index.ts';
import { parseRange } from '../../protocol/schema.ts';

/** Key, name and stable versions of all that Apache Kafka 4.4 serves to clients. */
const KAFKA: readonly [key: number, name: string, versions: string][] = [
  [0, 'Produce', '3-13'],
  [1, 'Fetch', '4-18'],
  [2, 'ListOffsets', '1-11'],
  [3, 'Metadata', '0-13'],
  [8, 'OffsetCommit', '2-10'],
  [9, 'OffsetFetch', '1-10'],
  [10, 'FindCoordinator', '0-6'],
  [11, 'JoinGroup', '0-9'],
  [12, 'Heartbeat', '0-4'],
  [13, 'LeaveGroup', '0-5'],
  [14, 'SyncGroup', '0-5'],
  [15, 'DescribeGroups', '0-6'],
  [16, 'ListGroups', '0-5'],
  [17, 'SaslHandshake', '0-1'],
  [18, 'ApiVersions', '0-5'],
  [19, 'CreateTopics', '2-7'],
  [20, 'DeleteTopics', '1-6'],
  [21, 'DeleteRecords', '0-2'],
  [22, 'InitProducerId', '0-5'],
  [23, 'OffsetForLeaderEpoch', '2-4'],
  [24, 'AddPartitionsToTxn', '0-5'],
  [25, 'AddOffsetsToTxn', '0-4'],
  [26, 'EndTxn', '0-5'],
  [27, 'WriteTxnMarkers', '1-2'],
  [28, 'TxnOffsetCommit', '0-6'],
  [29, 'DescribeAcls', '1-3'],
  [30, 'CreateAcls', '1-3'],
  [31, 'DeleteAcls', '1-3'],
  [32, 'DescribeConfigs', '1-4'],
  [33, 'AlterConfigs', '0-2'],
  [34, 'AlterReplicaLogDirs', '1-2'],
  [35, 'DescribeLogDirs', '1-5'],
  [36, 'SaslAuthenticate', '0-2'],
  [37, 'CreatePartitions', '0-3'],
  [38, 'CreateDelegationToken', '1-3'],
  [39, 'RenewDelegationToken', '1-2'],
  [40, 'ExpireDelegationToken', '1-2'],
  [41, 'DescribeDelegationToken', '1-3'],
  [42, 'DeleteGroups', '0-3'],
  [43, 'ElectLeaders', '0-2'],
  [44, 'IncrementalAlterConfigs', '0-1'],
  [45, 'AlterPartitionReassignments', '0-1'],
  [46, 'ListPartitionReassignments', '0-0'],
  [47, 'OffsetDelete', '0-0'],
  [48, 'DescribeClientQuotas', '0-1'],
  [49, 'AlterClientQuotas', '0-1'],
  [50, 'DescribeUserScramCredentials', '0-0'],
  [51, 'AlterUserScramCredentials', '0-0'],
  [55, 'DescribeQuorum', '0-2'],
  [57, 'UpdateFeatures', '0-2'],
  [60, 'DescribeCluster', '0-2'],
  [61, 'DescribeProducers', '0-0'],
  [64, 'UnregisterBroker', '0-0'],
  [65, 'DescribeTransactions', '0-0'],
  [66, 'ListTransactions', '0-2'],
  [68, 'ConsumerGroupHeartbeat', '0-1'],
  [69, 'ConsumerGroupDescribe', '0-1'],
  [71, 'GetTelemetrySubscriptions', '0-0'],
  [72, 'PushTelemetry', '0-0'],
  [74, 'ListConfigResources', '0-1'],
  [75, 'DescribeTopicPartitions', '0-0'],
  [76, 'ShareGroupHeartbeat', '1-1'],
  [77, 'ShareGroupDescribe', '1-1'],
  [78, 'ShareFetch', '1-2'],
  [79, 'ShareAcknowledge', '1-2'],
  [80, 'AddRaftVoter', '0-1'],
  [81, 'RemoveRaftVoter', '0-0'],
  [88, 'StreamsGroupHeartbeat', '0-1'],
  [89, 'StreamsGroupDescribe', '0-1'],
  [90, 'DescribeShareGroupOffsets', '0-1'],
  [91, 'AlterShareGroupOffsets', '0-0'],
  [92, 'DeleteShareGroupOffsets', '0-0'],
  [93, 'StreamsGroupTopologyDescriptionUpdate', '0-0'],
  [94, 'UnregisterController', '0-0'],
];

t.test('each file of an API is in the table', async (t) => {
  const files = readdirSync(new URL('../../broker/apis/', import.meta.url))
    .filter(
      (file) => /\.[jt]s$/.test(file) && !file.endsWith('.d.ts') && !file.startsWith('index.'),
    )
    .map((file) => file.replace(/\.[jt]s$/, ''));
  const listed = apis.map((api) => fileOf(api.key, api.name));
  t.same(listed.sort(), files.sort());
});

t.test('each key is there once', async (t) => {
  const keys = apis.map((api) => api.key);
  t.equal(new Set(keys).size, keys.length);
});

t.test("versions are Apache Kafka's, and within the declarations", async (t) => {
  for (const { key, name, versions } of apis) {
    const theirs = KAFKA.find((row) => row[0] === key);
    t.same(theirs?.slice(0, 2), [key, name]);
    // `0` and `0-0` are the same range.
    t.same(parseRange(versions), parseRange(theirs?.[2] ?? ''), `${name} ${versions}`);
  }
  for (const { name, key, versions, request, response } of apis) {
    const served = parseRange(versions);
    for (const message of [request, response]) {
      const declared = parseRange(message.versions);
      t.ok(served.first >= declared.first && served.last <= declared.last, `${name} ${versions}`);
      t.equal(message.key, key);
    }
    t.match([request.type, response.type], ['request', 'response']);
    t.match([request.name, response.name], [`${name}Request`, `${name}Response`]);
  }
});

t.test('memory is estimated for each API, and frames are bounded', async (t) => {
  for (const api of apis) {
    t.ok(api.memory(1000) >= 0, api.name);
    if (api.name !== 'Produce') t.ok(api.largestFrameBytes <= 16 * 1024 * 1024, api.name);
  }
});

/** `01-fetch` for key 1, Fetch. */
function fileOf(key: number, name: string): string {
  const kebab = name.replace(/(?<=[a-z])([A-Z])/g, '-$1').toLowerCase();
  return `${String(key).padStart(2, '0')}-${kebab}`;
}
