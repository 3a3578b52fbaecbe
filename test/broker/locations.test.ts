import t from 'tap';
import { fetch } from '../../broker/apis/01-fetch.ts';
import { Config } from '../../broker/config.ts';
import { Locations } from '../../broker/locations.ts';
import { ErrorCode } from '../../protocol/errors.ts';
import type { Location } from '../../storage/types.ts';
import { DataBroker } from './data-broker.ts';

const LOG = { topicId: 'mGLLJmJwQOKoNTpZuFXtMg', partition: 3 };
const LOCATION: Location = {
  path: '/data/orders-3/00000000000000000042.log',
  device: 1,
  inode: 2,
  segmentBaseOffset: 42,
  generation: '0123456789abcdef',
  position: 100,
  length: 50,
  firstOffset: 42,
  nextOffset: 45,
  isLinked: true,
};
const PATH = '/v1/segments/mGLLJmJwQOKoNTpZuFXtMg/3/42/0123456789abcdef/100-50';

function locations(settings: Record<string, string> = {}): Locations {
  const given = Object.entries(settings).map(([name, value]) => {
    return { name, value, origin: 'test', kind: 'flag' as const };
  });
  return new Locations(new Config(given));
}

t.test('the URL of a location is that of a door that is open', async (t) => {
  const own = locations();
  t.equal(own.url(LOG, LOCATION, 'log.test'), undefined, 'no door');
  t.equal(own.hasUrls, false);
  t.equal(own.redirect(LOG, LOCATION), PATH, 'who came through the door finds it again');
  for (const [host, expected] of [
    ['10.0.0.7', 'http://10.0.0.7:9644'],
    ['0.0.0.0', 'http://log.test:9644'],
    ['::', 'http://log.test:9644'],
    ['::1', 'http://[::1]:9644'],
  ] as const) {
    own.door = { host, port: 9644 };
    t.equal(own.url(LOG, LOCATION, 'log.test'), expected + PATH, host);
  }
  t.equal(own.hasUrls, true);
});

t.test('the broker can be told what it is called', async (t) => {
  const told = locations({ 'http.advertised.url': 'https://log.example.org/tailrace/' });
  told.door = { host: '127.0.0.1', port: 9644 };
  const url = `https://log.example.org/tailrace${PATH}`;
  t.equal(told.url(LOG, LOCATION, 'log.test'), url);
  t.equal(told.redirect(LOG, LOCATION), url);
});

t.test('a static server has the file in the path and the bytes in the query', async (t) => {
  const shared = locations({ 'slice.location.base.url': 'http://files.test/log//' });
  const url = `http://files.test/log/${LOG.topicId}/3/42-0123456789abcdef?bytes=100-149`;
  t.equal(shared.url(LOG, LOCATION, 'log.test'), url);
  t.equal(shared.redirect(LOG, LOCATION), url);
  t.equal(shared.hasUrls, true);
  const unlinked = { ...LOCATION, isLinked: false };
  t.equal(shared.url(LOG, unlinked, 'log.test'), undefined);
  t.equal(shared.redirect(LOG, unlinked), PATH);
});

t.test('what is no beginning of a URL stops the start', async (t) => {
  for (const name of ['slice.location.base.url', 'http.advertised.url']) {
    for (const value of [
      'files.test',
      'ftp://files.test',
      'http://f.test/?a=b',
      'http://f.test/#a',
    ]) {
      t.throws(() => locations({ [name]: value }), { name: 'ConfigurationError' }, value);
    }
  }
});

t.test('who may not read a topic gets nothing of it from a Fetch', async (t) => {
  const broker = new DataBroker();
  const orders = broker.topic('orders');
  broker.fill(orders, 0, ['secret']);
  broker.fill(broker.topic('open'), 0, ['news']);
  Object.assign(broker.services, {
    authorizer: { mayRead: (_asker: unknown, topic: string) => topic !== 'orders' },
  });
  const partition = { partition: 0, fetchOffset: 0, partitionMaxBytes: 1000 };
  const names = ['orders', 'open', 'nobody'];
  const topics = names.map((topic) => ({ topic, partitions: [partition] }));
  const request = { maxWaitMs: 0, minBytes: 1, maxBytes: 1000, topics };
  const { responses } = await broker.call(fetch, 12, request).answer;
  const codes = new Map(
    responses.map(({ topic, partitions }) => [topic, partitions[0]!.errorCode]),
  );
  t.equal(codes.get('orders'), ErrorCode.TOPIC_AUTHORIZATION_FAILED);
  t.equal(codes.get('open'), ErrorCode.NONE);
  t.equal(codes.get('nobody'), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
  t.notOk(JSON.stringify(responses).includes('secret'));
});
