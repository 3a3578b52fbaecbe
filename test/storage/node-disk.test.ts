import { mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fs from 'fs-extra';
import t, { type Test } from 'tap';
import { nodeDisk } from '../../storage/node-disk.ts';

const disk = nodeDisk();

async function tempFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'tailrace-disk-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

t.test('a file is made once, written anywhere and read back', async (t) => {
  const folder = await tempFolder(t);
  const at = path.join(folder, 'file');
  await t.rejects(disk.open(at, 'write'), { code: 'ENOENT' });
  await t.rejects(disk.open(at, 'read'), { code: 'ENOENT' });
  const file = await disk.open(at, 'create');
  await t.rejects(disk.open(at, 'create'), { code: 'EEXIST' });
  await file.write([Buffer.from('hello '), Buffer.alloc(0), Buffer.from('world')], 3);
  file.writeSync([Buffer.from('J'), Buffer.from('ell')], 3);
  await file.sync();
  const target = Buffer.alloc(20, '.');
  t.equal(await file.read(target, 2, 18, 3), 11, 'fewer bytes only at the end');
  t.equal(target.toString(), '..Jello world.......');
  t.equal(file.readSync(target, 0, 2, 3), 2);
  t.equal(await file.read(target, 0, 5, 100), 0);
  const { sizeBytes, inode, device, isDirectory } = await file.stat();
  const known = await stat(at);
  t.same([sizeBytes, inode, device, isDirectory], [14, known.ino, known.dev, false]);
  await file.truncate(5);
  await file.close();
  t.equal((await readFile(at)).toString(), '\0\0\0Je');
  await truncate(at, 0);
});

t.test('more buffers than the kernel takes at once are all written', async (t) => {
  const folder = await tempFolder(t);
  const buffers = Array.from({ length: 5000 }, (_, index) => Buffer.from(`${index},`));
  const expected = Buffer.concat(buffers);
  for (const way of ['write', 'writeSync'] as const) {
    const at = path.join(folder, way);
    const file = await disk.open(at, 'create');
    await file[way](buffers, 7);
    await file.close();
    t.ok((await readFile(at)).subarray(7).equals(expected), way);
  }
});

t.test('a short write is gone on with, whatever its size', async (t) => {
  const folder = await tempFolder(t);
  const buffers = ['one', 'two', '', 'three', 'four'].map((text) => Buffer.from(text));
  const expected = Buffer.concat(buffers).toString();
  const { writev, writevSync } = fs;
  t.teardown(() => Object.assign(fs, { writev, writevSync }));
  for (let most = 1; most <= expected.length; most++) {
    const cut = (vectors: readonly NodeJS.ArrayBufferView[]) => [
      (Buffer.concat(vectors as Buffer[]) as Buffer).subarray(0, most),
    ];
    Object.assign(fs, {
      writev: (descriptor: number, vectors: Buffer[], position: number) =>
        writev(descriptor, cut(vectors), position),
      writevSync: (descriptor: number, vectors: Buffer[], position: number) =>
        writevSync(descriptor, cut(vectors), position),
    });
    for (const way of ['write', 'writeSync'] as const) {
      const at = path.join(folder, `${way}-${most}`);
      const file = await disk.open(at, 'create');
      await file[way](buffers, 0);
      await file.close();
      t.equal((await readFile(at)).toString(), expected, `${way}, ${most} bytes at once`);
    }
  }
  Object.assign(fs, {
    writev: async () => ({ bytesWritten: 0, buffers: [] }),
    writevSync: () => 0,
  });
  const file = await disk.open(path.join(folder, 'none'), 'create');
  await t.rejects(file.write(buffers, 0), { code: 'EIO' });
  t.throws(() => file.writeSync(buffers, 0), { code: 'EIO' });
  await file.close();
});

t.test('a full disk is said so', { skip: process.platform !== 'linux' }, async (t) => {
  const file = await disk.open('/dev/full', 'write');
  await t.rejects(file.write([Buffer.from('x')], 0), { code: 'ENOSPC' });
  t.throws(() => file.writeSync([Buffer.from('x')], 0), { code: 'ENOSPC' });
  await file.close();
});

t.test('names: made, listed, renamed and removed', async (t) => {
  const folder = await tempFolder(t);
  const at = (name: string) => path.join(folder, name);
  t.same(await disk.list(at('none')), []);
  t.equal(await disk.stat(at('none')), undefined);
  t.equal(await disk.readFile(at('none')), undefined);
  await disk.remove(at('none'));
  await disk.removeTree(at('none'));
  await disk.makeDir(at('a/b/c'));
  await disk.makeDir(at('a/b/c'));
  for (const name of ['z', 'a/x', 'b']) await writeFile(at(name), name);
  t.same(await disk.list(folder), ['a', 'b', 'z']);
  t.match(await disk.stat(at('a')), { isDirectory: true });
  await disk.rename(at('z'), at('b'));
  t.equal((await disk.readFile(at('b')))?.toString(), 'z');
  await disk.syncDir(folder);
  await disk.syncDir(path.relative('.', folder));
  await disk.remove(at('b'));
  await t.rejects(disk.rename(at('b'), at('c')), { code: 'ENOENT' });
  await t.rejects(disk.syncDir(at('none')), { code: 'ENOENT' });
  await disk.removeTree(at('a'));
  t.same(await disk.list(folder), []);
});

t.test('a large file goes step by step, its name first', async (t) => {
  const folder = await tempFolder(t);
  const MIB = 1024 * 1024;
  const at = path.join(folder, 'large');
  const made = async () => {
    const file = await disk.open(at, 'create');
    await file.truncate(40 * MIB);
    return file;
  };
  const remove = async (goesOn: (round: number) => boolean) => {
    const file = await made();
    const sizes: number[] = [];
    await disk.removeInSteps?.(at, async () => {
      t.equal(await disk.stat(at), undefined);
      sizes.push(file.statSync().sizeBytes / MIB);
      return goesOn(sizes.length);
    });
    await file.close();
    return sizes;
  };
  t.same(await remove(() => true), [32, 16, 16], 'the last step is the closing, then a rest');
  t.same(await remove((round) => round < 1), [32], 'the remainder goes at once');
  const file = await made();
  await disk.link(at, path.join(folder, 'backup'));
  await disk.removeInSteps?.(at, async () => t.fail('a file with another name is not cut'));
  t.equal(file.statSync().sizeBytes, 40 * MIB);
  await file.close();
  t.same(await disk.list(folder), ['backup']);
  await disk.removeInSteps?.(at, async () => t.fail('there is none'));
});
