/**
 * Metrics of clients (KIP-714): what is wanted of whom, and what becomes of what is pushed. Apache
 * Kafka answers in the same way, although it does not announce this without a receiver.
 */

import { gzipSync } from 'node:zlib';
import t from 'tap';
import { WireConnection } from '../../benchmarks/client/connection.ts';
import { ResourceType } from '../../broker/metadata-image.ts';
import { errorName } from '../../protocol/errors.ts';
import { ApiVersionsRequest, ApiVersionsResponse } from '../../protocol/messages/api-versions.ts';
import {
  GetTelemetrySubscriptionsRequest,
  GetTelemetrySubscriptionsResponse,
} from '../../protocol/messages/get-telemetry-subscriptions.ts';
import {
  IncrementalAlterConfigsRequest,
  IncrementalAlterConfigsResponse,
} from '../../protocol/messages/incremental-alter-configs.ts';
import {
  PushTelemetryRequest,
  PushTelemetryResponse,
} from '../../protocol/messages/push-telemetry.ts';
import { ZERO_UUID } from '../../protocol/schema.ts';
import { isApacheKafka, startTestBroker } from './test-broker.ts';

const broker = await startTestBroker(t);
const connection = await WireConnection.open(broker.host, broker.port);
t.teardown(() => connection.close());
const identity = { clientSoftwareName: 'test-suite', clientSoftwareVersion: '1.2.3' };
const { apiKeys } = await connection.call(ApiVersionsRequest, ApiVersionsResponse, 3, identity);

async function subscriptions(clientInstanceId = ZERO_UUID, on = connection) {
  const pair = [GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse] as const;
  const answer = await on.call(...pair, 0, { clientInstanceId });
  return { ...answer, error: errorName(answer.errorCode) };
}

async function push(clientInstanceId: string, subscriptionId: number, rest: object = {}) {
  const pair = [PushTelemetryRequest, PushTelemetryResponse] as const;
  const answer = await connection.call(...pair, 0, {
    clientInstanceId,
    subscriptionId,
    terminating: false,
    compressionType: 0,
    metrics: Buffer.from('metrics'),
    ...rest,
  });
  return errorName(answer.errorCode);
}

/** Sets a subscription of client metrics, and waits until a new client is told of it. */
async function subscribe(name: string, settings: Readonly<Record<string, string>>) {
  const configs = Object.entries(settings).map(([option, value]) => {
    return { name: option, configOperation: 0, value };
  });
  const resources = [{ resourceType: ResourceType.clientMetrics, resourceName: name, configs }];
  const pair = [IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse] as const;
  const answer = await connection.call(...pair, 1, { resources, validateOnly: false });
  t.equal(answer.responses[0]!.errorCode, 0);
  const wanted = Number(settings['interval.ms']);
  while ((await subscriptions()).pushIntervalMs !== wanted);
}

t.test('the requests are announced', { skip: isApacheKafka }, async (t) => {
  t.same(apiKeys.filter(({ apiKey }) => apiKey === 71 || apiKey === 72).length, 2);
});

t.test('without a subscription nothing is wanted, every five minutes', async (t) => {
  const first = await subscriptions();
  t.match(first, {
    error: 'NONE',
    acceptedCompressionTypes: [4, 3, 1, 2],
    pushIntervalMs: 300_000,
    telemetryMaxBytes: 1_048_576,
    deltaTemporality: true,
    requestedMetrics: [],
  });
  const { clientInstanceId: id, subscriptionId } = first;
  t.not(id, ZERO_UUID);
  t.not((await subscriptions()).clientInstanceId, id, 'each client has an id of its own');
  t.match(await subscriptions(id), {
    error: 'THROTTLING_QUOTA_EXCEEDED',
    clientInstanceId: ZERO_UUID,
    requestedMetrics: [],
  });
  t.equal(await push(id, subscriptionId + 1), 'UNKNOWN_SUBSCRIPTION_ID');
  t.match(await subscriptions(id), { error: 'NONE', clientInstanceId: id, subscriptionId });
  t.equal(await push(id, subscriptionId), 'THROTTLING_QUOTA_EXCEEDED');
});

t.test('a client is asked for what the subscriptions that match it want', async (t) => {
  const stranger = await WireConnection.open(broker.host, broker.port);
  t.teardown(() => stranger.close());
  const { clientInstanceId: id, subscriptionId: before } = await subscriptions();
  const match = 'client_software_name=test-.*,client_software_version=1[.]2.*';
  await subscribe('mine', { match, metrics: 'a.,b.', 'interval.ms': '200' });
  // Who has just been told is told at once of what is new.
  const after = await subscriptions(id);
  t.match(after, { error: 'NONE', pushIntervalMs: 200 });
  t.same([...after.requestedMetrics].sort(), ['a.', 'b.']);
  t.not(after.subscriptionId, before);
  t.same((await subscriptions(ZERO_UUID, stranger)).requestedMetrics, []);
  await subscribe('all', { metrics: '*', 'interval.ms': '100' });
  t.same((await subscriptions(ZERO_UUID, stranger)).requestedMetrics, ['*']);
  t.equal(await push(id, after.subscriptionId), 'UNKNOWN_SUBSCRIPTION_ID', 'it has changed');
  t.same((await subscriptions(id)).requestedMetrics, ['*']);
});

t.test('what is pushed is checked', async (t) => {
  const { clientInstanceId: id, subscriptionId } = await subscriptions();
  /** Pushes as soon as it is the client's time. */
  const pushInTime = async (rest: object) => {
    let error: string;
    do error = await push(id, subscriptionId, rest);
    while (error === 'THROTTLING_QUOTA_EXCEEDED');
    return error;
  };
  t.equal(await push(id, subscriptionId), 'NONE', 'the first one at once');
  t.equal(await push(id, subscriptionId), 'THROTTLING_QUOTA_EXCEEDED');
  const metrics = gzipSync(Buffer.from('metrics'));
  t.equal(await pushInTime({ compressionType: 1, metrics }), 'NONE');
  const garbage = { metrics: Buffer.from('garbage') };
  for (const compressionType of [1, 2, 3, 4]) {
    t.equal(await pushInTime({ compressionType, ...garbage }), 'INVALID_RECORD');
  }
  for (const compressionType of [9, -1]) {
    t.equal(await pushInTime({ compressionType }), 'UNSUPPORTED_COMPRESSION_TYPE');
  }
  const most = Buffer.alloc(1_048_576);
  t.equal(await pushInTime({ metrics: most }), 'NONE');
  t.equal(await pushInTime({ metrics: Buffer.alloc(most.length + 1) }), 'TELEMETRY_TOO_LARGE');
  t.equal(await pushInTime({ metrics: Buffer.alloc(0) }), 'NONE');
  t.equal(await push(id, subscriptionId, { terminating: true }), 'NONE', 'the last one at once');
  t.equal(await push(id, subscriptionId, { terminating: true }), 'INVALID_REQUEST');
  t.equal(await push(id, subscriptionId), 'INVALID_REQUEST', 'it has said that it goes');
  t.equal(await push(ZERO_UUID, 1), 'INVALID_REQUEST');
  t.equal(await push('AAAAAAAAAAAAAAAAAAAAAQ', 1), 'INVALID_REQUEST');
  t.equal(await push('BBBBBBBBBBBBBBBBBBBBBA', 5), 'UNKNOWN_SUBSCRIPTION_ID');
  t.equal((await subscriptions('BBBBBBBBBBBBBBBBBBBBBA')).error, 'NONE');
});

t.test('what is compressed comes to a bounded size', { skip: isApacheKafka }, async (t) => {
  const { clientInstanceId: id, subscriptionId } = await subscriptions();
  const bomb = gzipSync(Buffer.alloc(64 * 1_048_576));
  const rest = { compressionType: 1, metrics: bomb };
  t.equal(await push(id, subscriptionId, rest), 'TELEMETRY_TOO_LARGE');
});
