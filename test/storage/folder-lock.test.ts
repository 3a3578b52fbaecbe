import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import type { Env } from '../../storage/env.ts';
import { DataFolderUnusable } from '../../storage/errors.ts';
import { LOCK_FILE, lockFolder } from '../../storage/folder-lock.ts';
import { SimClock } from '../sim/clock.ts';
import { SimDisk } from '../sim/disk.ts';
import { SeededRandom } from '../sim/random.ts';
import { realEnv } from './lock-holder.ts';

const ENDING = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
const HOLDER = fileURLToPath(new URL(`./lock-holder.${ENDING}`, import.meta.url));
const HAS_PROC = process.platform === 'linux';

async function tempFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'tailrace-lock-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Starts another process that wants the folder; gives what it says first. */
async function startHolder(t: Test, folder: string, bootId = 'boot', hostName = 'host') {
  const child = spawn(process.execPath, [HOLDER, folder, bootId, hostName], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout! });
  const [said] = (await once(lines, 'line')) as [string];
  return { child, said };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
}

t.test('a second process is refused, and told by whom', { skip: !HAS_PROC }, async (t) => {
  const folder = await tempFolder(t);
  const first = await startHolder(t, folder);
  t.equal(first.said, 'locked');
  const second = await startHolder(t, folder);
  t.match(second.said, /^DataFolderUnusable: .*in use by another broker/);
  t.match(second.said, new RegExp(`process ${first.child.pid} on host`));
  await t.rejects(lockFolder(realEnv('boot', 'host'), folder), DataFolderUnusable);
  t.same(await readdir(folder), [LOCK_FILE]);
});

t.test(
  'the lock of a process that was killed is taken over at once',
  { skip: !HAS_PROC },
  async (t) => {
    const folder = await tempFolder(t);
    const first = await startHolder(t, folder);
    await end(first.child, 'SIGKILL');
    t.same(await readdir(folder), [LOCK_FILE], 'it was left behind');
    const startedMs = performance.now();
    const lock = await lockFolder(realEnv('boot', 'host'), folder);
    t.ok(performance.now() - startedMs < 2000);
    await lock.release();
    t.same(await readdir(folder), []);
  },
);

t.test('a process that lets go leaves nothing', { skip: !HAS_PROC }, async (t) => {
  const folder = await tempFolder(t);
  const first = await startHolder(t, folder);
  const ended = once(first.child, 'exit');
  first.child.stdin!.write('go\n');
  await ended;
  t.same(await readdir(folder), []);
});

t.test('another host or container is watched, and refused while it renews', async (t) => {
  const folder = await tempFolder(t);
  const first = await startHolder(t, folder, 'boot-a', 'host-a');
  t.equal(first.said, 'locked');
  const second = await startHolder(t, folder, 'boot-b', 'host-b');
  t.match(second.said, /^DataFolderUnusable: .* on host-a/);
});

t.test('the same process is refused too', { skip: !HAS_PROC }, async (t) => {
  const folder = await tempFolder(t);
  const env = realEnv('boot', 'host');
  const lock = await lockFolder(env, folder);
  await t.rejects(lockFolder(env, folder), DataFolderUnusable);
  await lock.release();
  await lock.release();
  const again = await lockFolder(env, folder);
  await again.release();
});

t.test('what is no lock of ours is taken over: empty, torn, Kafkas', async (t) => {
  const folder = await tempFolder(t);
  for (const contents of ['', '{"nonce":', 'null', '12', '\0\0\0']) {
    await writeFile(path.join(folder, LOCK_FILE), contents);
    await utimes(path.join(folder, LOCK_FILE), 1, 1);
    const lock = await lockFolder(realEnv('boot', 'host'), folder);
    await lock.release();
    t.same(await readdir(folder), []);
  }
});

/** A simulated machine: no /proc there, so that only ids and renewals speak. */
function simulated() {
  const clock = new SimClock();
  const disk = new SimDisk(clock);
  const random = new SeededRandom(5);
  const said: string[] = [];
  const say = (_values: object, text: string) => {
    said.push(text);
  };
  const envOf = (bootId: string, hostName: string, processId: number): Env => ({
    clock,
    disk: disk.mount(),
    random: random.fork(),
    host: { bootId, hostName, processId },
    log: { debug: say, info: say, warn: say, error: say },
  });
  return { clock, disk, envOf, said };
}

t.test('after a reboot the lock of the same host is taken over at once', async (t) => {
  const { clock, disk, envOf } = simulated();
  await clock.run(lockFolder(envOf('boot-1', 'host', 1), '/'));
  disk.kill();
  await clock.advance(20_000);
  const before = clock.monotonic();
  const lock = await clock.run(lockFolder(envOf('boot-2', 'host', 1), '/'));
  t.equal(clock.monotonic(), before);
  await lock.release();
  t.same(disk.files(), []);
});

t.test('without a way to see processes, renewals decide', async (t) => {
  const { clock, disk, envOf } = simulated();
  await clock.run(lockFolder(envOf('boot', 'a', 1), '/'));
  await t.rejects(clock.run(lockFolder(envOf('boot', 'b', 1), '/')), DataFolderUnusable);
  await t.rejects(clock.run(lockFolder(envOf('boot', 'a', 1), '/')), DataFolderUnusable);
  disk.kill();
  const lock = await clock.run(lockFolder(envOf('boot', 'b', 1), '/'));
  await clock.advance(10_000);
  await lock.release();
  t.same(disk.files(), []);
});

t.test('a lock that is being written is not taken for an empty one', async (t) => {
  const { clock, disk, envOf } = simulated();
  disk.delayMs = ({ name }) => (name === 'write' ? 700 : 0);
  const first = lockFolder(envOf('boot', 'a', 1), '/');
  await clock.settle();
  const second = lockFolder(envOf('boot', 'b', 2), '/');
  const results = await clock.run(Promise.allSettled([first, second]));
  t.same(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected'],
  );
});

t.test('a full disk leaves no lock behind', async (t) => {
  const { clock, disk, envOf } = simulated();
  disk.onCall = ({ name }) => (name === 'write' ? { code: 'ENOSPC' } : undefined);
  await t.rejects(clock.run(lockFolder(envOf('boot', 'a', 1), '/')), { code: 'ENOSPC' });
  t.same(disk.files(), []);
});

t.test('who ended while taking a lock over is not waited for long', async (t) => {
  const { clock, disk, envOf } = simulated();
  await clock.run(lockFolder(envOf('old', 'host', 1), '/'));
  disk.kill();
  await clock.advance(20_000);
  await disk.mount().open(`/${LOCK_FILE}.taking`, 'create');
  const lock = await clock.run(lockFolder(envOf('new', 'host', 1), '/'));
  await lock.release();
  t.same(disk.files(), []);
});

t.test('whose lock was taken away is told', async (t) => {
  const { clock, disk, envOf, said } = simulated();
  const env = envOf('boot', 'a', 1);
  const first = await clock.run(lockFolder(env, '/'));
  let lost = 0;
  first.onLost = () => {
    lost++;
  };
  await clock.advance(10_000);
  t.equal(lost, 0);
  const mount = disk.mount();
  await mount.remove(`/${LOCK_FILE}`);
  const second = await clock.run(lockFolder(envOf('boot', 'b', 2), '/'));
  await clock.advance(10_000);
  t.equal(lost, 1);
  t.ok(said.includes('another broker has taken the data folder'));
  await first.release();
  t.same(disk.files(), [`/${LOCK_FILE}`], 'the new holders lock stays');
  await second.release();
});

t.test('of many that find a stale lock one gets it', async (t) => {
  for (let round = 0; round < 30; round++) {
    const { clock, disk, envOf } = simulated();
    await clock.run(lockFolder(envOf('old', 'host', 1), '/'));
    disk.kill();
    await clock.advance(60_000);
    let calls = 0;
    disk.delayMs = () => (calls++ * (round + 7)) % 5;
    const all = [2, 3, 4, 5].map((id) => lockFolder(envOf(`boot-${id}`, 'host', id), '/'));
    const results = await clock.run(Promise.allSettled(all));
    const taken = results.filter(({ status }) => status === 'fulfilled');
    t.equal(taken.length, 1, `round ${round}`);
  }
});
