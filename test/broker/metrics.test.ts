import t from 'tap';
import { METRICS, Metrics } from '../../broker/metrics.ts';

t.test('each name says its unit, and each metric says what it is', async (t) => {
  const names = new Set<string>();
  for (const [name, declared] of Object.entries(METRICS)) {
    t.match(name, /^[a-z][a-z0-9_]*$/);
    t.match(declared.doc, /^[A-Z].*\.$/, `${name} has a sentence`);
    if (declared.type === 'counter') t.match(name, /_total$/);
    if (declared.unit === 'seconds') t.match(name, /seconds/);
    if (declared.unit === 'bytes') t.match(name, /bytes/);
    for (const each of [name, 'also' in declared ? declared.also : undefined]) {
      if (each === undefined) continue;
      t.notOk(names.has(each), `${each} is there once`);
      names.add(each);
    }
  }
});

t.test('series of a metric are apart by their labels', async (t) => {
  const metrics = new Metrics();
  metrics.counter('requests_total', 'Fetch').add();
  metrics.counter('requests_total', 'Fetch').add(2);
  metrics.counter('requests_total', 'Produce').add();
  metrics.counter('request_errors_total', 'Fetch', 'NONE').add();
  t.same(
    [...metrics.valuesOf('requests_total')].map((series) => [series.labels, series.read()]),
    [
      [['Fetch'], 3],
      [['Produce'], 1],
    ],
  );
  t.same([...metrics.valuesOf('request_errors_total')][0]?.labels, ['Fetch', 'NONE']);
});

t.test('what has no labels is there with 0 from the start', async (t) => {
  const metrics = new Metrics();
  t.equal([...metrics.valuesOf('produce_bytes_total')].length, 1);
  t.same([...metrics.valuesOf('requests_total')], []);
});

t.test('a gauge may be asked for when it is read', async (t) => {
  const metrics = new Metrics();
  let value = 1;
  metrics.gauge('topics').from(() => value);
  value = 5;
  t.equal(metrics.gauge('topics').read(), 5);
});

t.test('a histogram counts into the first bucket that is not below', async (t) => {
  const series = new Metrics().histogram('sync_seconds', 'journal');
  for (const value of [0, 0.0001, 0.0002, 30, 31]) series.record(value);
  t.same([series.counts[0], series.counts[1]], [2, 1]);
  t.same(series.counts.slice(-2), [1, 1]);
  t.equal(series.count, 5);
  t.ok(Math.abs(series.sum - 61.0003) < 1e-9);
});
