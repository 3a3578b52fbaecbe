/** Tables and texts for people, on a terminal and elsewhere. */

import t from 'tap';
import { ratioText, sizeText, tableText, timeText } from '../../cli/inspect/output.ts';

const HEAD = ['log', 'size', 'generation'];
const ROWS = [
  ['orders-0', 7, undefined],
  ['заказы-1', 1234, 'abc'],
];
const ESCAPE = '\u001b';

t.test('elsewhere columns are set apart by spaces, and nothing else', async (t) => {
  t.same(tableText(HEAD, ROWS, false).split('\n'), [
    'log       size  generation',
    'orders-0     7  -',
    'заказы-1  1234  abc',
  ]);
});

t.test('a terminal gets lines, and colours unless NO_COLOR is set', async (t) => {
  const plain = tableText(HEAD, ROWS, true, false);
  t.match(plain, /^┌─+┬/);
  t.match(plain, /│ orders-0 │ +7 │ - +│/);
  t.notMatch(plain, ESCAPE);
  t.match(tableText(HEAD, ROWS, true, true), ESCAPE);
  process.env.NO_COLOR = '1';
  t.teardown(() => {
    delete process.env.NO_COLOR;
  });
  t.notMatch(tableText(HEAD, ROWS, true), ESCAPE);
});

t.test('sizes, times and ratios', async (t) => {
  t.equal(sizeText(undefined), undefined);
  t.equal(sizeText(1023), '1023 B');
  t.equal(sizeText(1024), '1.00 KiB');
  t.equal(sizeText(10 * 1024 ** 3), '10.0 GiB');
  t.equal(sizeText(2 ** 60), '1024.0 PiB');
  t.equal(timeText(-1), undefined);
  t.equal(timeText(0), '1970-01-01T00:00:00.000Z');
  t.equal(timeText(Number.MAX_SAFE_INTEGER), '9007199254740991');
  t.equal(ratioText(0.3333), '33.3 %');
});
