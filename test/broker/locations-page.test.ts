/** docs/locations.md says what is sent: its example is what the declarations make. */

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import t from 'tap';
import { EXAMPLE_HOST, exampleFrames } from './locations-page.ts';

const root = resolve(import.meta.dirname, import.meta.url.endsWith('.ts') ? '../..' : '../../..');
const page = readFileSync(resolve(root, 'docs/locations.md'), 'utf8');

t.test('the frames of the example are those that are sent', async (t) => {
  const blocks = [...page.matchAll(/```hex\n([^`]*)```/g)].map(([, block]) => block!);
  const frames = blocks.map((block) => block.replaceAll(/#.*$/gm, '').replaceAll(/\s/g, ''));
  t.same(frames, exampleFrames());
});

t.test('the host id of the example is that of its boot id', async (t) => {
  t.ok(page.includes(`\`${EXAMPLE_HOST}\``));
});
