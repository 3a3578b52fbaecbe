import { readFileSync } from 'node:fs';
import t from 'tap';
import { Metrics } from '../../broker/metrics.ts';
import { metricsPage } from '../../http/documentation.ts';
import { type ObservedBroker, openHttp } from '../../http/server.ts';

const LOCAL = { host: '127.0.0.1', port: 0 };

function partition(index: number, logStartOffset: number, highWatermark: number) {
  return { index, log: { logStartOffset, highWatermark } };
}

/** Two topics, and a group that is 7 records behind on one of them. */
function observed(metrics: Metrics, reason?: () => string | undefined): ObservedBroker {
  const topics = new Map([
    ['orders', { name: 'orders', partitions: [partition(0, 2, 10), partition(1, 0, 5)] }],
    ['say "hi"\\', { name: 'say "hi"\\', partitions: [] }],
  ]);
  const groups = {
    listGroups: () => [{ groupId: 'billing' }],
    describeGroup: () => ({ members: [{}, {}] }),
    fetchOffsets: async () => [
      {
        topic: 'orders',
        partitions: [
          { partition: 0, error: 'NONE', committed: { offset: 4 } },
          { partition: 1, error: 'NONE', committed: { offset: 4 } },
          { partition: 9, error: 'NONE', committed: undefined },
        ],
      },
    ],
  };
  return {
    services: {
      metrics,
      nodeId: 3,
      groups,
      topics: {
        all: () => topics.values(),
        partition: (name: string, index: number) => topics.get(name)?.partitions[index],
      },
    } as unknown as ObservedBroker['services'],
    unreadiness: reason ?? (() => undefined),
  };
}

async function open(t: { teardown(close: () => Promise<void>): void }, broker: ObservedBroker) {
  const http = await openHttp([LOCAL], broker);
  t.teardown(() => http.close());
  const { host, port } = http.addresses[0]!;
  return (path: string) => fetch(`http://${host}:${port}${path}`);
}

t.test('health is told as long as the process answers', async (t) => {
  const get = await open(
    t,
    observed(new Metrics(), () => 'stopping'),
  );
  const answer = await get('/healthz');
  t.equal(answer.status, 200);
  t.same(await answer.json(), { status: 'ok' });
});

t.test('readiness follows the broker, with the reason', async (t) => {
  let reason: string | undefined = 'the broker is stopping';
  const get = await open(
    t,
    observed(new Metrics(), () => reason),
  );
  const refused = await get('/readyz');
  t.equal(refused.status, 503);
  t.match(await refused.json(), { reason });
  reason = undefined;
  t.equal((await get('/readyz')).status, 200);
});

t.test('metrics are those of the table, by both of their names', async (t) => {
  const metrics = new Metrics();
  metrics.counter('produce_bytes_total').add(42);
  metrics.counter('request_errors_total', 'Fetch', 'NONE').add(2);
  metrics.histogram('request_seconds', 'Fetch').record(0.0002);
  metrics.histogram('request_seconds', 'Fetch').record(99);
  const get = await open(t, observed(metrics));
  const answer = await get('/metrics');
  t.match(answer.headers.get('content-type'), /^text\/plain; version=0\.0\.4/);
  const lines = (await answer.text()).split('\n');
  for (const line of [
    '# TYPE tailrace_produce_bytes_total counter',
    'tailrace_produce_bytes_total 42',
    'kafka_server_brokertopicmetrics_bytesin_total 42',
    'tailrace_request_errors_total{api="Fetch",error="NONE"} 2',
    '# TYPE tailrace_request_seconds histogram',
    'tailrace_request_seconds_bucket{api="Fetch",le="0.0001"} 0',
    'tailrace_request_seconds_bucket{api="Fetch",le="0.00025"} 1',
    'tailrace_request_seconds_bucket{api="Fetch",le="30"} 1',
    'tailrace_request_seconds_bucket{api="Fetch",le="+Inf"} 2',
    'tailrace_request_seconds_count{api="Fetch"} 2',
    'tailrace_watchers_parked 0',
  ]) {
    t.ok(lines.includes(line), line);
  }
  t.ok(lines.some((line) => /^tailrace_resident_memory_bytes \d{6,}$/.test(line)));
  t.ok(lines.some((line) => line.startsWith('tailrace_event_loop_delay_seconds{quantile="0.99"}')));
});

t.test("partitions and groups have kafka_exporter's names, and can be left out", async (t) => {
  const get = await open(t, observed(new Metrics()));
  const lines = (await (await get('/metrics')).text()).split('\n');
  for (const line of [
    'kafka_brokers 1',
    'kafka_topic_partitions{topic="orders"} 2',
    'kafka_topic_partitions{topic="say \\"hi\\"\\\\"} 0',
    'kafka_topic_partition_current_offset{topic="orders",partition="0"} 10',
    'kafka_topic_partition_oldest_offset{topic="orders",partition="0"} 2',
    'kafka_topic_partition_leader{topic="orders",partition="1"} 3',
    'kafka_topic_partition_in_sync_replica{topic="orders",partition="1"} 1',
    'kafka_topic_partition_under_replicated_partition{topic="orders",partition="1"} 0',
    'kafka_consumergroup_members{consumergroup="billing"} 2',
    'kafka_consumergroup_current_offset{consumergroup="billing",topic="orders",partition="0"} 4',
    'kafka_consumergroup_lag{consumergroup="billing",topic="orders",partition="0"} 6',
    'kafka_consumergroup_lag_sum{consumergroup="billing",topic="orders"} 7',
  ]) {
    t.ok(lines.includes(line), line);
  }
  t.notOk(lines.some((line) => line.includes('partition="9"')));
  const few = await (await get('/metrics?partitions=false')).text();
  t.notMatch(few, /kafka_topic_partition/);
  t.match(few, /tailrace_produce_bytes_total 0/);
});

t.test('a port that is taken is an error, and nothing stays open', async (t) => {
  const first = await openHttp([LOCAL], observed(new Metrics()));
  t.teardown(() => first.close());
  const again = openHttp([LOCAL, first.addresses[0]!], observed(new Metrics()));
  await t.rejects(again, { code: 'EADDRINUSE' });
});

t.test('docs/metrics.md is what npm run docs writes', async (t) => {
  const root = import.meta.url.endsWith('.ts') ? '../../' : '../../../';
  const written = readFileSync(new URL(`${root}docs/metrics.md`, import.meta.url), 'utf8');
  t.ok(written === metricsPage(), 'run npm run docs');
  t.match(
    written,
    /\| `tailrace_requests_total` \| counter \| count \| `api` \| Requests taken in/,
  );
});
