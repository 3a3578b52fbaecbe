import t from 'tap';
import { BufferPool, SharedBuffer } from '../../storage/buffer-pool.ts';

const KIB = 1024;
/** What each buffer has beyond its round size. */
const SLACK = 256;

t.test('a buffer that was given back is given out again', async (t) => {
  const pool = new BufferPool(64 * KIB);
  const first = pool.acquire(5000);
  t.equal(first.length, 8 * KIB + SLACK);
  pool.release(first);
  t.equal(pool.freeBytes, 8 * KIB + SLACK);
  t.equal(pool.acquire(8 * KIB), first);
  t.equal(pool.freeBytes, 0);
});

t.test('no more is kept than the limit says, and nothing of odd sizes', async (t) => {
  const pool = new BufferPool(2 * (4 * KIB + SLACK));
  const [one, two, three] = [pool.acquire(1), pool.acquire(1), pool.acquire(1)];
  for (const buffer of [one, two, three]) pool.release(buffer);
  t.equal(pool.freeBytes, 2 * (4 * KIB + SLACK));
  const large = new BufferPool(64 * KIB * KIB);
  large.release(large.acquire(5 * KIB * KIB));
  t.equal(large.freeBytes, 0);
});

t.test('a round size and a batch header fit without doubling', async (t) => {
  t.equal(new BufferPool(0).acquire(KIB * KIB + 61).length, KIB * KIB + SLACK);
  t.equal(new BufferPool(0).acquire(KIB * KIB + SLACK + 1).length, 2 * KIB * KIB + SLACK);
});

t.test('the smallest size can be told', async (t) => {
  const pool = new BufferPool(64 * KIB, 256);
  const small = pool.acquire(3);
  t.equal(small.length, 256 + SLACK);
  pool.release(small);
  t.equal(pool.acquire(256), small);
});

t.test('trimming lets go of what was not needed since the last time', async (t) => {
  const pool = new BufferPool(1024 * KIB);
  const buffers = [1, 2, 3, 4].map(() => pool.acquire(4 * KIB));
  for (const buffer of buffers) pool.release(buffer);
  pool.trim();
  t.equal(pool.freeBytes, 4 * (4 * KIB + SLACK), 'all were in use since');
  const used = [pool.acquire(1), pool.acquire(1), pool.acquire(1)];
  for (const buffer of used) pool.release(buffer);
  pool.trim();
  t.equal(pool.freeBytes, 3 * (4 * KIB + SLACK), 'one was never needed');
  pool.trim();
  t.equal(pool.freeBytes, 0);
  const again = pool.acquire(1);
  pool.release(again);
  t.equal(pool.acquire(1), again);
});

t.test('a shared buffer goes back when the last one lets go', async (t) => {
  const pool = new BufferPool(64 * KIB);
  const shared = new SharedBuffer(pool.acquire(1), pool);
  shared.retain();
  shared.release();
  t.equal(pool.freeBytes, 0);
  shared.release();
  t.equal(pool.freeBytes, 4 * KIB + SLACK);
  t.throws(() => shared.release());
  t.throws(() => shared.retain());
});
