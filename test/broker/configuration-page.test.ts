import { readFileSync } from 'node:fs';
import t from 'tap';
import { brokerOptions } from '../../broker/config/broker-options.ts';
import { configurationPage } from '../../broker/config/documentation.ts';
import { topicOptions } from '../../broker/config/topic-options.ts';

const fromSource = import.meta.url.endsWith('.ts');
const page = new URL(
  `${fromSource ? '../../' : '../../../'}docs/configuration.md`,
  import.meta.url,
);

t.test('docs/configuration.md is what npm run docs writes', async (t) => {
  const written = readFileSync(page, 'utf8');
  t.ok(written === configurationPage(), 'run npm run docs');
});

t.test('the page has every option once in the table it belongs to', async (t) => {
  const text = configurationPage();
  const [broker = '', topics = ''] = text.split('## Topics\n');
  for (const name of Object.keys(brokerOptions)) {
    t.equal(broker.split(`\n| \`${name}\` |`).length, 2, name);
  }
  for (const name of Object.keys(topicOptions)) {
    t.equal(topics.split(`\n| \`${name}\` |`).length, 2, name);
  }
});
