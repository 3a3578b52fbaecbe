/** The README's lines for curl do what is said of them; done as curl does them, but for the port. */

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import t from 'tap';
import { readBatchHeader } from '../../protocol/record-batch.ts';
import { HttpWorld } from './http-world.ts';

const root = resolve(import.meta.dirname, import.meta.url.endsWith('.ts') ? '../..' : '../../..');
const readme = readFileSync(resolve(root, 'README.md'), 'utf8');

interface Line {
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly follows: boolean;
}

function curlLines(): Line[] {
  return [...readme.matchAll(/```sh\n(curl [\s\S]*?)```/g)].map(([, text = '']) => {
    const [, url = ''] = /'(http:[^']+)'/.exec(text) ?? [];
    const headers = Object.fromEntries(
      [...text.matchAll(/-H '([^:]+): ([^']+)'/g)].map(([, name, value]) => [name!, value!]),
    );
    return { url, headers, follows: /curl -\w*L/.test(text) };
  });
}

t.test('the lines for curl', async (t) => {
  const world = await HttpWorld.start(t);
  const orders = await world.topic('orders');
  await world.produce(orders, [{ key: 'a', value: 'first', timestamp: Date.now() }]);
  const ask = ({ url, headers, follows }: Line, signal?: AbortSignal) =>
    fetch(url.replace('127.0.0.1:9644', `127.0.0.1:${world.port}`), {
      headers,
      redirect: follows ? 'follow' : 'manual',
      ...(signal && { signal }),
    });
  const [lines, follow, batches, ...others] = curlLines();
  t.same(others, []);
  const said = /prints `("key"[^`]+)`/.exec(readme)?.[1];
  t.ok(said);
  t.ok((await (await ask(lines!)).text()).includes(said!));

  const leaving = new AbortController();
  const following = await ask(follow!, leaving.signal);
  const reader = following.body!.getReader();
  t.ok(Buffer.from((await reader.read()).value!).includes(said!));
  await world.produce(orders, [{ key: 'b', value: 'second', timestamp: Date.now() }]);
  t.ok(Buffer.from((await reader.read()).value!).includes('"second"'), 'it goes on');
  leaving.abort();

  for (const place of ['memory', 'segments']) {
    if (place === 'segments') await orders.log.flush();
    const answer = await ask(batches!);
    t.equal(answer.redirected, place === 'segments');
    const body = Buffer.from(await answer.arrayBuffer());
    t.equal(readBatchHeader(body, 0).baseOffset, 0, place);
  }
});
