/**
 * A real disk that is full: a small file system in memory, mounted in a name space of the test's
 * own, which any user may make where the kernel allows it; skipped where it does not.
 */

import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const MOUNT = 'mount -t tmpfs -o size=24m none "$0"';
const CHILD = import.meta.url.replace(/full-disk\.test\.(\w+)$/, 'full-disk-child.$1');

async function folder(): Promise<string> {
  const made = await mkdtemp(path.join(os.tmpdir(), 'tailrace-full-'));
  t.teardown(() => rm(made, { recursive: true, force: true }));
  return made;
}

const at = await folder();
const tried = spawnSync('unshare', ['-rm', 'sh', '-c', MOUNT, at]);
const skip = tried.status === 0 ? false : 'no file system can be mounted here';

t.test('a full disk refuses writes, serves reads and takes writes again', { skip }, async (t) => {
  const script = `${MOUNT} && exec "$1" "$2" "$0"`;
  const args = ['-rm', 'sh', '-c', script, at, process.execPath, fileURLToPath(CHILD)];
  const child = spawn('unshare', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk;
  });
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk;
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  t.equal(code, 0, errors);
  const found = JSON.parse(said || '{}');
  t.ok(found.taken > 10, `${found.taken} batches were taken before the disk was full`);
  t.equal(found.refusal, 'KAFKA_STORAGE_ERROR');
  t.equal(found.readWhileFull, found.taken, 'all of them are read while it is');
  t.ok(found.resumedMs < 10_000, `writes were taken ${found.resumedMs} ms after there was room`);
  t.equal(found.readInTheEnd, found.takenInTheEnd, 'nothing acknowledged is missing');
  t.equal(found.refusedIsThere, false, 'what was refused is not there');
  t.same(found.doubled, [], 'nothing is there twice');
});
