/**
 * Our codec over messages that Apache Kafka's own classes wrote, recorded as a fixture:
 *
 *   npm run test:interop    (installs Java's part)
 *   test/interop/java/record-vectors.sh
 */

import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import t from 'tap';
import { fixtureUrl, messages, messageVersions, versionsOf } from './declared.ts';
import { checkVector, keyOf, parseVectors, wrongDefaults } from './vectors.ts';

const recorded = readFileSync(fixtureUrl('kafka-4.4-vectors.jsonl.gz'));
const { vectors, defaults } = parseVectors(gunzipSync(recorded).toString());

t.test(
  'what Apache Kafka writes is read, and written byte for byte, in every version',
  async (t) => {
    for (const { message, version } of messageVersions) {
      const key = keyOf({ name: message.name, version });
      const ofVersion = vectors.get(key) ?? [];
      t.ok(ofVersion.length >= 3, `${key} is recorded`);
      for (const vector of ofVersion) {
        t.doesNotThrow(
          () => checkVector(message, vector),
          `${key}: ${JSON.stringify(vector.value)}`,
        );
      }
    }
  },
);

t.test('a field that is absent is what Apache Kafka takes it for', async (t) => {
  for (const message of messages) {
    const kafka = defaults.get(message.name) ?? {};
    t.strictSame(wrongDefaults(message.fields, versionsOf(message), kafka), [], message.name);
  }
});
