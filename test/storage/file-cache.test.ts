import t from 'tap';
import { CachedFile, FileCache } from '../../storage/file-cache.ts';
import { SimClock } from '../sim/clock.ts';
import { SimDisk } from '../sim/disk.ts';

async function setUp(maxOpen: number, names: readonly string[]) {
  const disk = new SimDisk(new SimClock());
  const mount = disk.mount();
  for (const name of names) await (await mount.open(`/${name}`, 'create')).close();
  const calls: string[] = [];
  disk.onCall = ({ name, path }) => {
    calls.push(`${name} ${path.slice(1)}`);
    return undefined;
  };
  const failed: unknown[] = [];
  const cache = new FileCache(mount, maxOpen, (error) => failed.push(error));
  const files = names.map((name) => new CachedFile(() => `/${name}`));
  return { disk, cache, files, calls, failed };
}

async function touch(cache: FileCache, file: CachedFile): Promise<void> {
  await cache.use(file, async () => {});
}

t.test('the longest unused file is closed when there are too many', async (t) => {
  const { cache, files, calls } = await setUp(2, ['a', 'b', 'c']);
  const [a, b, c] = files as [CachedFile, CachedFile, CachedFile];
  for (const file of [a, b, a, c, b]) await touch(cache, file);
  await cache.settled();
  t.same(calls, ['open a', 'open b', 'open c', 'close b', 'open b', 'close a']);
  t.equal(cache.openFiles, 2);
});

t.test('a file in use stays open, however many there are', async (t) => {
  const { cache, files, calls } = await setUp(1, ['a', 'b', 'c']);
  for (const file of files) await cache.acquire(file);
  t.equal(cache.openFiles, 3);
  for (const file of files) cache.release(file);
  await cache.settled();
  t.equal(cache.openFiles, 1);
  t.same(calls.slice(3), ['close a', 'close b']);
});

t.test('many that want a file at once share one descriptor', async (t) => {
  const { cache, files, calls } = await setUp(4, ['a']);
  const opened = await Promise.all([1, 2, 3].map(() => cache.acquire(files[0]!)));
  t.ok(opened.every((file) => file === opened[0]));
  t.same(calls, ['open a']);
});

t.test('a file that is given up is closed when its last reader is through', async (t) => {
  const { cache, files, calls } = await setUp(4, ['a']);
  const [a] = files as [CachedFile];
  await cache.acquire(a);
  await cache.acquire(a);
  cache.retire(a);
  cache.release(a);
  await cache.settled();
  t.same(calls, ['open a']);
  cache.release(a);
  await cache.settled();
  t.same(calls, ['open a', 'close a']);
  await touch(cache, a);
  await cache.settled();
  t.equal(cache.openFiles, 0, 'who comes late opens it for himself');
});

t.test('an open that fails is the error of all who waited, and of nobody later', async (t) => {
  const { disk, cache, files } = await setUp(4, ['a']);
  disk.onCall = ({ name }) => (name === 'open' ? { code: 'EACCES' } : undefined);
  const results = await Promise.allSettled([1, 2].map(() => cache.acquire(files[0]!)));
  t.same(
    results.map(({ status }) => status),
    ['rejected', 'rejected'],
  );
  t.equal(cache.openFiles, 0);
  disk.onCall = undefined;
  await touch(cache, files[0]!);
  t.equal(cache.openFiles, 1);
});

t.test('without descriptors left, idle files make room', async (t) => {
  const { disk, cache, files } = await setUp(10, ['a', 'b', 'c', 'd']);
  let open = 0;
  disk.onCall = ({ name }) => {
    if (name === 'close') open--;
    if (name === 'open' && open >= 3) return { code: 'EMFILE' };
    if (name === 'open') open++;
    return undefined;
  };
  for (const file of files) await touch(cache, file);
  t.equal(cache.openFiles, 1);
  for (const file of files.slice(1)) await cache.acquire(file);
  await t.rejects(
    cache.acquire(files[0]!),
    { code: 'EMFILE' },
    'where all are in use there is none',
  );
});

t.test('a close that fails is told', async (t) => {
  const { disk, cache, files, failed } = await setUp(10, ['a']);
  await touch(cache, files[0]!);
  disk.onCall = ({ name }) => (name === 'close' ? { code: 'EIO' } : undefined);
  await cache.close();
  t.match(failed, [{ code: 'EIO' }]);
  t.equal(cache.openFiles, 0);
});
