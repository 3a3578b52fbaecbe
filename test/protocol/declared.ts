/** What the tests of the protocol share: all declared messages, their versions, random values. */

import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import type { Codec } from '../../protocol/layout.ts';
import type { Field, Fields, FieldType, Message } from '../../protocol/schema.ts';
import { inRange, parseRange } from '../../protocol/schema.ts';
import { Writer } from '../../protocol/writer.ts';

export type Values = Record<string, unknown>;

const messagesFolder = new URL('../../protocol/messages/', import.meta.url);
const isSource = import.meta.url.endsWith('.ts');

/** Every message that a file of protocol/messages declares. */
export const messages: readonly Message[] = await (async () => {
  const found: Message[] = [];
  for (const name of readdirSync(messagesFolder)) {
    if (!/\.(ts|js)$/.test(name) || name.endsWith('.d.ts')) continue;
    const exported: Values = await import(new URL(name, messagesFolder).href);
    for (const value of Object.values(exported)) {
      if (typeof value === 'object' && value !== null && 'fields' in value) {
        found.push(value as Message);
      }
    }
  }
  return found;
})();

export function versionsOf(message: Message): number[] {
  const { first, last } = parseRange(message.versions);
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

/** Every message in every version. */
export const messageVersions = messages.flatMap((message) =>
  versionsOf(message).map((version) => ({ message, version })),
);

/** Where a fixture is, also when the test runs compiled. */
export function fixtureUrl(name: string): URL {
  const folder = isSource ? '../fixtures/' : '../../../test/fixtures/';
  return new URL(folder + name, import.meta.url);
}

export function fixture<T>(name: string): T {
  return JSON.parse(readFileSync(fixtureUrl(name), 'utf8')) as T;
}

export function encoded<M extends Message>(codec: Codec<M>, value: unknown): Buffer {
  const writer = new Writer();
  codec.encode(writer, value as Parameters<Codec<M>['encode']>[1]);
  return Buffer.concat(writer.finish());
}

/** One for each length that UTF-8 has, and more of the common one. */
const character = fc.constantFrom('a', 'Z', '9', '.', 'é', '\u{20ac}', '\u{1f980}');

/** Random values that may be encoded in a version; fields with a default are sometimes left out. */
export function arbitraryValues(fields: Fields, version: number): fc.Arbitrary<Values> {
  const arbitraries: Record<string, fc.Arbitrary<unknown>> = {};
  for (const [name, field] of Object.entries(fields)) {
    if (!inRange(field.versions, version)) continue;
    let value = arbitraryValue(field.type, version);
    if (inRange(field.nullable, version)) value = fc.option(value, { nil: null, freq: 3 });
    const mayMiss = field.default !== undefined || inRange(field.tagged, version);
    arbitraries[name] = mayMiss ? fc.option(value, { nil: undefined, freq: 3 }) : value;
  }
  return fc.record(arbitraries);
}

function arbitraryValue(type: FieldType, version: number): fc.Arbitrary<unknown> {
  const buffer = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
  switch (type.kind) {
    case 'struct':
      return arbitraryValues(type.fields, version);
    case 'array':
      return fc.array(arbitraryValue(type.element, version), { maxLength: 3 });
    case 'bool':
      return fc.boolean();
    case 'int8':
      return fc.integer({ min: -0x80, max: 0x7f });
    case 'int16':
      return fc.integer({ min: -0x8000, max: 0x7fff });
    case 'uint16':
      return fc.integer({ min: 0, max: 0xffff });
    case 'int32':
      return fc.integer();
    case 'uint32':
      return fc.integer({ min: 0, max: 0xffff_ffff });
    case 'int64':
      return fc.maxSafeInteger();
    case 'float64':
      return fc.double();
    case 'string':
      return fc.string({ unit: character, maxLength: 40 });
    case 'uuid':
      return fc
        .uint8Array({ minLength: 16, maxLength: 16 })
        .map((bytes) => Buffer.from(bytes).toString('base64url'));
    case 'bytes':
      return buffer;
    case 'records':
      return fc.oneof(buffer, fc.array(buffer, { maxLength: 3 }));
  }
}

/** What decoding gives for values that were encoded: told here a second time, in plain words. */
export function expectedValues(fields: Fields, version: number, values: Values): Values {
  return Object.fromEntries(
    Object.entries(fields).map(([name, field]) => {
      const given = inRange(field.versions, version) ? values[name] : undefined;
      return [name, given === undefined ? absent(field) : expected(field.type, version, given)];
    }),
  );
}

function expected(type: FieldType, version: number, value: unknown): unknown {
  if (value === null) return null;
  if (type.kind === 'struct') return expectedValues(type.fields, version, value as Values);
  if (type.kind === 'array') {
    return (value as unknown[]).map((element) => expected(type.element, version, element));
  }
  return type.kind === 'records' && Array.isArray(value) ? Buffer.concat(value) : value;
}

function absent(field: Field): unknown {
  if (field.default !== undefined) return field.default;
  if (field.type.kind === 'struct') return expectedValues(field.type.fields, -1, {});
  throw new Error('a field without a default is missing');
}

/** Counts the values in what was decoded: a measure of what decoding has allocated. */
export function countValues(value: unknown): number {
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return 1;
  let count = 1;
  for (const inner of Object.values(value)) count += countValues(inner);
  return count;
}
