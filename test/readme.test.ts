/** The README's first example runs as it stands there, but for the port of the test's broker. */

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import t from 'tap';
import { Broker } from '../broker/index.ts';

const root = resolve(import.meta.dirname, import.meta.url.endsWith('.ts') ? '..' : '../..');
const readme = readFileSync(resolve(root, 'README.md'), 'utf8');

t.test('the first example prints what the README says', async (t) => {
  const [, example = ''] = /```js\n([\s\S]*?)```/.exec(readme) ?? [];
  const [, expected] = /it prints `([^`]+)`/.exec(readme) ?? [];
  t.match(example, /127\.0\.0\.1:9092/);
  await using broker = await Broker.start();
  const program = example.replace('127.0.0.1:9092', broker.bootstrapServers);
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], { cwd: root });
  t.teardown(() => child.kill('SIGKILL'));
  const line = new Promise<string>((resolve, reject) => {
    let text = '';
    child.stdout.on('data', (chunk) => {
      text += chunk;
      for (const line of text.split('\n').slice(0, -1)) {
        // kafkajs logs to standard output as well, in JSON.
        if (!line.startsWith('{')) resolve(line);
      }
    });
    child.once('exit', (code) => reject(new Error(`the example ended with ${code}: ${text}`)));
  });
  t.equal(await line, expected);
});
