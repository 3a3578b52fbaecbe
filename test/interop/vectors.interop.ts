/**
 * Our codec and Apache Kafka's generated classes on fresh random messages of every kind and version,
 * both ways: what Java writes we read and write again, what we write Java reads and writes again.
 */

import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { codec } from '../../protocol/compile.ts';
import {
  arbitraryValues,
  encoded,
  expectedValues,
  messages,
  messageVersions,
  versionsOf,
} from '../protocol/declared.ts';
import {
  checkFields,
  checkVector,
  keyOf,
  parseVectors,
  type Vector,
  wrongDefaults,
} from '../protocol/vectors.ts';
import { runJava } from './java.ts';

const VECTORS = 'tailrace.interop.Vectors';
const PER_VERSION = 30;
const seed = Number(process.env.TAILRACE_VECTOR_SEED ?? Math.floor(Math.random() * 2 ** 31));

t.setTimeout(300_000);
t.comment(`TAILRACE_VECTOR_SEED=${seed}`);

t.test('what Apache Kafka writes is read, and written byte for byte', async (t) => {
  const { out } = await runJava(VECTORS, ['write', String(seed), String(PER_VERSION)]);
  const { vectors, defaults } = parseVectors(out);
  for (const { message, version } of messageVersions) {
    const key = keyOf({ name: message.name, version });
    const ofVersion = vectors.get(key) ?? [];
    t.equal(ofVersion.length, PER_VERSION, `${key} is written`);
    for (const vector of ofVersion) {
      try {
        checkVector(message, vector);
      } catch (error) {
        t.fail(`${JSON.stringify(vector)}: ${(error as Error).message}`);
      }
    }
  }
  for (const message of messages) {
    const kafka = defaults.get(message.name) ?? {};
    t.strictSame(wrongDefaults(message.fields, versionsOf(message), kafka), [], message.name);
  }
});

t.test('what we write is read by Apache Kafka, and written byte for byte', async (t) => {
  const written = messageVersions.flatMap(({ message, version }) => {
    const all = fc.sample(arbitraryValues(message.fields, version), { numRuns: PER_VERSION, seed });
    return all.map((values) => {
      const bytes = encoded(codec(message, version), values).toString('base64');
      return { message, values, vector: { name: message.name, version, bytes } };
    });
  });
  const input = written.map(({ vector }) => `${JSON.stringify(vector)}\n`).join('');
  const { out } = await runJava(VECTORS, ['read'], { input });
  const lines = out.trimEnd().split('\n');
  t.equal(lines.length, written.length);
  for (const [at, { message, values, vector }] of written.entries()) {
    const read = JSON.parse(lines[at]!) as Vector;
    try {
      assert.equal(keyOf(read), keyOf(vector));
      assert.equal(read.bytes, vector.bytes);
      const wanted = expectedValues(message.fields, vector.version, values);
      checkFields(message.fields, vector.version, read.value, wanted);
    } catch (error) {
      t.fail(`${JSON.stringify(vector)}: ${(error as Error).message}`);
    }
  }
});
