/** `tailrace slice` as a program: what it prints, what it explains, and how it ends. */

import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import t from 'tap';
import { batchBytes, recordCount } from '../../protocol/record-batch.ts';
import { Source } from '../reader/source.ts';
import { run } from './program.ts';

t.setTimeout(120_000);
const source = await Source.start(t, {
  partitions: 2,
  // What is not persisted stays in memory, however slow the machine.
  config: { 'tail.chunk.max.ms': '600000' },
});
for (let i = 0; i < 10; i++) await source.produce(10, 0, 50);
await source.persist();
const time = new Date(Date.now() + 1);
while (Date.now() <= time.getTime()) await new Promise((resolve) => setImmediate(resolve));
await source.produce(5, 0);
await source.produce(3, 1);

function slice(name: string, ...words: string[]) {
  return run('slice', name, '--bootstrap', source.address, ...words);
}

function lines(out: string): string[] {
  return out.trim().split('\n');
}

t.test('lines for people, JSON for programs', async (t) => {
  const { code, out, err } = await slice('numbers:0');
  t.equal(code, 0);
  t.equal(err, '');
  t.equal(lines(out).length, 105);
  t.match(lines(out)[104], /^numbers-0 {2}104 {2}\d{4}-\d\d-\d\dT\S+Z {2}"k104" {2}"0:104:"$/);
  const both = await slice('numbers', '--json', '--from', time.toISOString());
  const records = lines(both.out).map((line) => JSON.parse(line));
  t.same(records.map(({ partition, offset }) => `${partition}:${offset}`).toSorted(), [
    '0:100',
    '0:101',
    '0:102',
    '0:103',
    '0:104',
    '1:0',
    '1:1',
    '1:2',
  ]);
  t.match(records[0], { topic: 'numbers', key: String, value: String, headers: [] });
  t.match(
    (await slice('numbers:0', '--from', '7', '--limit', '2')).out,
    /^numbers-0 {2}7.*\n.* 8 /,
  );
});

t.test('--explain says which case answered, and a token to go on from', async (t) => {
  const { out, err } = await slice('numbers:0', '--explain');
  t.equal(lines(out).length, 105);
  t.match(err, /^slice: numbers-0 from 0: located, \d+ bytes up to 100, after [\d.]+ ms$/m);
  t.match(err, /^slice: numbers-0 from 0: reading \d+ bytes of file \/.*\.log$/m);
  t.match(err, /^slice: numbers-0 from 100: records, \d+ bytes up to 105, after [\d.]+ ms$/m);
  t.match(err, /^slice: \d+ requests; [1-9]\d* bytes from files, 0 by URL, [1-9]\d* as records/m);
  const [, token] = /^slice: token (\S+)$/m.exec(err) ?? [];
  t.equal((await slice('numbers:0', '--from', token!)).out, '');
  const none = await slice('numbers:0', '--by', 'none', '--max-bytes', '2000', '--explain');
  t.equal(none.out, out);
  t.match(none.err, /; 0 bytes from files, 0 by URL/);
});

t.test('--follow prints what comes, until a signal', async (t) => {
  const program = resolve(
    import.meta.dirname,
    import.meta.url.endsWith('.ts') ? '../../cli/main.ts' : '../../cli/main.js',
  );
  const words = ['slice', 'numbers:1', '--follow', '--from', 'latest', '--explain'];
  const options = ['--bootstrap', source.address, '--timeout', '50'];
  const child = spawn(process.execPath, [program, ...words, ...options]);
  t.teardown(() => child.kill('SIGKILL'));
  let out = '';
  let err = '';
  const seen = (pattern: RegExp, text: () => string) =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (!pattern.test(text())) return;
        child.stdout.off('data', look);
        child.stderr.off('data', look);
        resolve();
      };
      child.stdout.on('data', look);
      child.stderr.on('data', look);
      look();
    });
  child.stdout.on('data', (bytes) => {
    out += bytes;
  });
  child.stderr.on('data', (bytes) => {
    err += bytes;
  });
  await seen(/numbers-1 from 3: nothing yet, after \d+/, () => err);
  await source.produce(2, 1);
  await seen(/"1:4:"/, () => out);
  t.equal(lines(out).length, 2);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGINT');
  t.equal(await ended, 130);
});

t.test('--raw gives the batches as they are stored', async (t) => {
  const program = resolve(
    import.meta.dirname,
    import.meta.url.endsWith('.ts') ? '../../cli/main.ts' : '../../cli/main.js',
  );
  const words = ['slice', 'numbers:0', '--raw', '--limit', '4', '--bootstrap', source.address];
  const child = spawn(process.execPath, [program, ...words]);
  const parts: Buffer[] = [];
  child.stdout.on('data', (bytes: Buffer) => parts.push(bytes));
  t.equal(await new Promise((resolve) => child.once('close', resolve)), 0);
  const bytes = Buffer.concat(parts);
  let records = 0;
  for (let at = 0; at < bytes.length; at += batchBytes(bytes, at))
    records += recordCount(bytes, at);
  t.equal(records, 40);
});

t.test('how it ends when it cannot', async (t) => {
  const codeOf = async (...words: Parameters<typeof slice>) => (await slice(...words)).code;
  t.equal(await codeOf('nothing'), 3);
  t.equal(await codeOf('numbers:7'), 3);
  t.equal(await codeOf('numbers', '--from', 'soon'), 2);
  t.equal(await codeOf('numbers', '--from', '2020-99-99'), 2);
  t.equal(await codeOf('numbers', '--raw', '--json'), 2);
  const options = ['--bootstrap', '127.0.0.1:1', '--patience', '50'];
  const { code, err } = await run('slice', 'numbers', ...options);
  t.equal(code, 4);
  t.match(err, /^tailrace: .*ECONNREFUSED/);
});
