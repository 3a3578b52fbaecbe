/** Which @platformatic/kafka the tests of clients run with. */

import t from 'tap';
import {
  Admin,
  NODE_OF_RELEASE_2,
  packageOf,
  RELEASE_1,
  RELEASE_2,
  release,
} from './platformatic-release.ts';

/** The oldest Node that 2.x asks for. */
const [oldest = ''] = /\d+\.\d+/.exec(packageOf(RELEASE_2).engines.node) ?? [];

t.test('2.x is taken from the Node on that it asks for', async (t) => {
  t.match(packageOf(RELEASE_1).version, /^1\./);
  t.match(packageOf(RELEASE_2).version, /^2\./);
  t.equal(NODE_OF_RELEASE_2.join('.'), oldest);
});

t.test('each Node runs the newest that it can', async (t) => {
  const order = process.versions.node.localeCompare(oldest, 'en', { numeric: true });
  const name = order < 0 ? RELEASE_1 : RELEASE_2;
  t.equal(release, packageOf(name).version);
  t.equal(Admin, (await import(name)).Admin);
});
