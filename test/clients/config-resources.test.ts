/**
 * Configurations of subscriptions of client metrics and of groups, as Apache Kafka checks, keeps and
 * shows them.
 */

import t from 'tap';
import { WireConnection } from '../../benchmarks/client/connection.ts';
import { ResourceType } from '../../broker/metadata-image.ts';
import { errorName } from '../../protocol/errors.ts';
import {
  AlterConfigsRequest,
  AlterConfigsResponse,
} from '../../protocol/messages/alter-configs.ts';
import {
  DescribeConfigsRequest,
  DescribeConfigsResponse,
} from '../../protocol/messages/describe-configs.ts';
import {
  IncrementalAlterConfigsRequest,
  IncrementalAlterConfigsResponse,
} from '../../protocol/messages/incremental-alter-configs.ts';
import {
  ListConfigResourcesRequest,
  ListConfigResourcesResponse,
} from '../../protocol/messages/list-config-resources.ts';
import { startTestBroker } from './test-broker.ts';

const broker = await startTestBroker(t);
let connection = await WireConnection.open(broker.host, broker.port);
t.teardown(() => connection.close());

const { clientMetrics: METRICS, group: GROUP } = ResourceType;
const SET = 0;
const DELETE = 1;
const APPEND = 2;

type Change = readonly [name: string, operation: number, value: string | null];

async function alter(resourceType: number, resourceName: string, ...changes: readonly Change[]) {
  const configs = changes.map(([name, configOperation, value]) => {
    return { name, configOperation, value };
  });
  const pair = [IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse] as const;
  const resources = [{ resourceType, resourceName, configs }];
  const answer = await connection.call(...pair, 1, { resources, validateOnly: false });
  return errorName(answer.responses[0]!.errorCode);
}

/** What a resource has afterwards, and nothing else. */
async function replace(resourceType: number, resourceName: string, values: object) {
  const configs = Object.entries(values).map(([name, value]) => ({ name, value: String(value) }));
  const resources = [{ resourceType, resourceName, configs }];
  const pair = [AlterConfigsRequest, AlterConfigsResponse] as const;
  const answer = await connection.call(...pair, 2, { resources, validateOnly: false });
  return errorName(answer.responses[0]!.errorCode);
}

/** `value from source` by name, for those named. */
async function shown(resourceType: number, resourceName: string, ...names: readonly string[]) {
  const pair = [DescribeConfigsRequest, DescribeConfigsResponse] as const;
  const configurationKeys = names.length === 0 ? null : [...names];
  const resources = [{ resourceType, resourceName, configurationKeys }];
  const { results } = await connection.call(...pair, 4, { resources, includeSynonyms: true });
  const { configs, errorCode } = results[0]!;
  if (errorCode !== 0) return errorName(errorCode);
  const entries = configs.map(({ name, value, configSource, configType, readOnly }) => {
    t.notOk(readOnly);
    return [name, `${value} from ${configSource}, type ${configType}`] as const;
  });
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

async function listed(version: number, ...resourceTypes: readonly number[]) {
  const pair = [ListConfigResourcesRequest, ListConfigResourcesResponse] as const;
  const answer = await connection.call(...pair, version, { resourceTypes: [...resourceTypes] });
  return answer.configResources.map(({ resourceName }) => resourceName).sort();
}

async function restart(): Promise<void> {
  connection.close();
  await broker.restart();
  connection = await WireConnection.open(broker.host, broker.port);
}

const UNSET = {
  'interval.ms': '300000 from 5, type 3',
  match: ' from 5, type 7',
  metrics: ' from 5, type 7',
};

t.test('a subscription of client metrics is there as long as something is set', async (t) => {
  t.same(await shown(METRICS, 'orders'), UNSET);
  t.same(await listed(0), []);
  const match = 'client_id=orders.*,client_software_name=apache-kafka-java';
  const done = await alter(
    METRICS,
    'orders',
    ['metrics', SET, 'org.apache.kafka.producer.'],
    ['interval.ms', SET, '1000'],
    ['match', SET, match],
  );
  t.equal(done, 'NONE');
  await restart();
  t.same(await shown(METRICS, 'orders'), {
    'interval.ms': '1000 from 7, type 3',
    match: `${match} from 7, type 7`,
    metrics: 'org.apache.kafka.producer. from 7, type 7',
  });
  t.same(Object.keys(await shown(METRICS, 'orders', 'match', 'no.such')), ['match']);
  t.same(await listed(0), ['orders']);
  t.same(await listed(1, METRICS), ['orders']);
  t.equal(await alter(METRICS, 'orders', ['match', DELETE, null], ['none', DELETE, null]), 'NONE');
  t.match(await shown(METRICS, 'orders'), { match: ' from 5, type 7' });
  t.equal(await replace(METRICS, 'orders', { metrics: '*' }), 'NONE');
  t.same(await shown(METRICS, 'orders'), { ...UNSET, metrics: '* from 7, type 7' });
  t.equal(await replace(METRICS, 'orders', {}), 'NONE');
  t.same(await shown(METRICS, 'orders'), UNSET);
  t.same(await listed(0), []);
});

t.test('a subscription that cannot be is refused', async (t) => {
  const refused = async (error: string, ...change: Change) => {
    t.equal(await alter(METRICS, 'x', change), error, change.join(' '));
  };
  await refused('INVALID_REQUEST', 'interval.ms', SET, '99');
  await refused('INVALID_REQUEST', 'interval.ms', SET, '3600001');
  await refused('INVALID_CONFIG', 'interval.ms', SET, 'x');
  await refused('INVALID_REQUEST', 'no.such', SET, '1');
  await refused('INVALID_REQUEST', 'constructor', SET, '1');
  await refused('INVALID_CONFIG', 'match', SET, 'who=me');
  await refused('INVALID_CONFIG', 'match', SET, 'client_id');
  await refused('INVALID_CONFIG', 'match', SET, 'client_id=[');
  await refused('INVALID_CONFIG', 'match', SET, 'client_id=a=b');
  await refused('INVALID_CONFIG', 'metrics', APPEND, 'a');
  await refused('INVALID_REQUEST', 'metrics', SET, null);
  t.equal(await alter(METRICS, '', ['interval.ms', SET, '1000']), 'INVALID_REQUEST');
  t.equal(await replace(METRICS, 'x', { 'interval.ms': 5 }), 'INVALID_REQUEST');
  t.equal(await shown(METRICS, ''), 'INVALID_REQUEST');
  t.same(await listed(1, METRICS), []);
});

t.test('configurations of a group are checked, kept and taken back', async (t) => {
  const name = 'consumer.session.timeout.ms';
  const byDefault = Object.keys(await shown(GROUP, 'g'));
  t.equal(byDefault.length, 21);
  t.same(await shown(GROUP, 'g', name), { [name]: '45000 from 5, type 3' });
  t.equal(await alter(GROUP, 'g', [name, SET, '50000']), 'NONE');
  await restart();
  t.same(await shown(GROUP, 'g', name), { [name]: '50000 from 8, type 3' });
  t.same(await listed(1, GROUP), ['g']);
  const refused: readonly (readonly [name: string, value: string])[] = [
    [name, '1'],
    [name, 'x'],
    [name, '70000'],
    ['consumer.heartbeat.interval.ms', '16000'],
    ['consumer.assignment.interval.ms', '20000'],
    ['share.record.lock.duration.ms', '1'],
    ['share.delivery.count.limit', '11'],
    ['share.auto.offset.reset', 'now'],
    ['share.auto.offset.reset', 'by_duration:P'],
    ['share.isolation.level', 'x'],
    ['streams.num.standby.replicas', '3'],
    ['no.such', '1'],
  ];
  for (const [option, value] of refused) {
    t.equal(await alter(GROUP, 'h', [option, SET, value]), 'INVALID_CONFIG', `${option} ${value}`);
  }
  t.equal(await alter(GROUP, 'h', [name, APPEND, '1']), 'INVALID_CONFIG');
  t.equal(await alter(GROUP, '', [name, SET, '50000']), 'INVALID_REQUEST');
  t.equal(await shown(GROUP, ''), 'INVALID_REQUEST');
  const reset: Change = ['share.auto.offset.reset', SET, 'by_duration:PT1H'];
  t.equal(await alter(GROUP, 'g', reset), 'NONE');
  t.equal(await replace(GROUP, 'g', {}), 'NONE');
  t.same(await listed(1, GROUP), []);
});
