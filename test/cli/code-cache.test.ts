/** What a start keeps of the compiled program: used as it is, and never where it is anything else. */

import { appendFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { compile, keep, type ProgramFiles } from '../../cli/code-cache.ts';

const TEXT = '(function sum(a, b) { function inner(x) { return x + b; } return inner(a); })';
/** As long as TEXT, which is all that V8 would notice. */
const OTHER_TEXT = TEXT.replace('x + b', 'x - b');

const folder = await mkdtemp(path.join(tmpdir(), 'tailrace-code-cache-'));
t.teardown(() => rm(folder, { recursive: true }));

let count = 0;

async function program(text = TEXT): Promise<ProgramFiles> {
  count += 1;
  const file = path.join(folder, `program-${count}.js`);
  await writeFile(file, text);
  return { program: file, cache: `${file}.cache`, name: 'one' };
}

/** Compiles, runs, and tells whether what was kept was used. */
function run(files: ProgramFiles): { readonly sum: number; readonly isCached: boolean } {
  const { script, isCached } = compile(files);
  return { sum: script.runInThisContext()(2, 3), isCached };
}

async function kept(): Promise<ProgramFiles> {
  const files = await program();
  const { script } = compile(files);
  script.runInThisContext()(2, 3);
  t.ok(keep(script, files));
  return files;
}

t.test('what was kept is used by the next start', async (t) => {
  const files = await program();
  t.same(run(files), { sum: 5, isCached: false });
  t.same(run(files), { sum: 5, isCached: false }, 'nothing is kept by itself');
  t.ok(keep(compile(files).script, files));
  t.same(run(files), { sum: 5, isCached: true });
});

t.test('another build is compiled, also where its text is as long', async (t) => {
  const files = await kept();
  await writeFile(files.program, OTHER_TEXT);
  t.same(run({ ...files, name: 'two' }), { sum: -1, isCached: false });
});

t.test('a file that is cut off anywhere, or longer, is not used', async (t) => {
  const files = await kept();
  const whole = await readFile(files.cache);
  for (const length of [0, 1, 31, 32, 33, whole.length >> 1, whole.length - 1]) {
    await writeFile(files.cache, whole.subarray(0, length));
    t.same(run(files), { sum: 5, isCached: false }, `${length} bytes`);
  }
  await writeFile(files.cache, whole);
  await appendFile(files.cache, 'x');
  t.same(run(files), { sum: 5, isCached: false }, 'a byte more');
});

t.test('a file with any byte changed is not used', async (t) => {
  const files = await kept();
  const whole = await readFile(files.cache);
  for (let at = 0; at < whole.length; at += 7) {
    const damaged = Buffer.from(whole);
    damaged[at]! ^= 1 << (at % 8);
    await writeFile(files.cache, damaged);
    const { sum, isCached } = run(files);
    if (sum !== 5 || isCached) t.fail(`byte ${at}`);
  }
});

t.test('where nothing can be written, nothing is kept, and nothing is left', async (t) => {
  const files = await program();
  const nowhere = { ...files, cache: path.join(folder, 'none', 'cache') };
  t.notOk(keep(compile(nowhere).script, nowhere));
  t.same(run(nowhere), { sum: 5, isCached: false });
  const names = await readdir(folder);
  t.ok(
    names.every((name) => /^program-\d+\.js(\.cache)?$/.test(name)),
    names.join(),
  );
});

t.test('a new file takes the place of the old one, whole', async (t) => {
  const files = await kept();
  const before = await stat(files.cache);
  t.ok(keep(compile(files).script, files));
  t.not((await stat(files.cache)).ino, before.ino);
  t.same(run(files), { sum: 5, isCached: true });
});
