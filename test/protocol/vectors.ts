/**
 * Messages as Apache Kafka's own generated classes write them: lines of JSON that the Java program of
 * test/interop prints, which says what is in them. A recorded set of them is a fixture.
 */

import assert from 'node:assert/strict';
import { codec } from '../../protocol/compile.ts';
import { defaultOf } from '../../protocol/layout.ts';
import { Reader } from '../../protocol/reader.ts';
import type { Field, Fields, FieldType, Message } from '../../protocol/schema.ts';
import { inRange } from '../../protocol/schema.ts';
import { encoded, type Values } from './declared.ts';

/** A message in one version. */
export interface Vector {
  readonly name: string;
  readonly version: number;
  readonly bytes: string;
  /** The same message with tagged fields that nobody knows. */
  readonly tagged?: string;
  /** The fields that travel, except for tagged ones that are as by default. */
  readonly value: Values;
}

/** Of a field's name in lower case what it is by default. */
interface Defaults {
  readonly [name: string]: unknown;
}
interface StructDefaults {
  readonly isNull: boolean;
  readonly fields: Defaults;
}

export interface Vectors {
  readonly vectors: ReadonlyMap<string, readonly Vector[]>;
  readonly defaults: ReadonlyMap<string, Defaults>;
}

export function keyOf({ name, version }: Pick<Vector, 'name' | 'version'>): string {
  return `${name} ${version}`;
}

export function parseVectors(text: string): Vectors {
  const vectors = new Map<string, Vector[]>();
  const defaults = new Map<string, Defaults>();
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const parsed = JSON.parse(line) as Vector | { name: string; defaults: Defaults };
    if ('defaults' in parsed) {
      defaults.set(parsed.name, parsed.defaults);
      continue;
    }
    const key = keyOf(parsed);
    const ofVersion = vectors.get(key);
    if (ofVersion === undefined) vectors.set(key, [parsed]);
    else ofVersion.push(parsed);
  }
  return { vectors, defaults };
}

/** Throws where we do not read what Kafka wrote, or write the same otherwise. */
export function checkVector(message: Message, vector: Vector): void {
  const { version } = vector;
  const { decode, encode, flexible } = codec(message, version);
  const bytes = Buffer.from(vector.bytes, 'base64');
  const decoded = decodeWhole(decode, bytes);
  checkFields(message.fields, version, vector.value, decoded);
  assert.deepEqual(encoded({ decode, encode, flexible }, decoded), bytes);
  if (vector.tagged === undefined) return;
  assert.deepEqual(decodeWhole(decode, Buffer.from(vector.tagged, 'base64')), decoded);
}

function decodeWhole(decode: (reader: Reader) => object, bytes: Buffer): Values {
  const reader = new Reader(bytes);
  const decoded = decode(reader);
  assert.equal(reader.bytesLeft, 0, 'bytes are left');
  return decoded as Values;
}

/** Throws where values are not as Kafka tells them in JSON, in which our own fields are missing. */
export function checkFields(fields: Fields, version: number, told: Values, values: Values): void {
  const names = Object.keys(fields).filter((name) => inRange(fields[name]!.versions, version));
  for (const name of Object.keys(told)) assert.ok(names.includes(name), `${name} is not declared`);
  for (const name of names) {
    const field = fields[name]!;
    const value = values[name] === undefined ? defaultOf(field) : values[name];
    if (name in told) checkValue(field.type, version, told[name], value, name);
    else if (!isOurs(field)) assert.deepEqual(value, defaultOf(field), name);
  }
}

/** Whether a field is one of our own, whose tags begin behind Kafka's. */
function isOurs(field: Field): boolean {
  return field.tag !== undefined && field.tag >= 10_000;
}

function checkValue(
  type: FieldType,
  version: number,
  told: unknown,
  value: unknown,
  name: string,
): void {
  if (told === null || value === null) {
    assert.equal(value, told, name);
  } else if (type.kind === 'struct') {
    checkFields(type.fields, version, told as Values, value as Values);
  } else if (type.kind === 'array') {
    const [elements, toldElements] = [value as unknown[], told as unknown[]];
    assert.equal(elements.length, toldElements.length, name);
    for (const [at, element] of elements.entries()) {
      checkValue(type.element, version, toldElements[at], element, `${name}[${at}]`);
    }
  } else if (type.kind === 'bytes') {
    assert.deepEqual(value, Buffer.from(told as string, 'base64'), name);
  } else if (type.kind === 'float64') {
    // JSON has no numbers for NaN and the infinities; Kafka tells their names.
    assert.equal(value, Number(told), name);
  } else if (type.kind !== 'records') {
    // What is in records Kafka does not tell; that they are written again byte for byte does.
    assert.deepEqual(value, told, name);
  }
}

/** Names of the fields that we take for something else than Kafka does where they are absent. */
export function wrongDefaults(fields: Fields, versions: readonly number[], kafka: Defaults) {
  const wrong: string[] = [];
  for (const [name, field] of Object.entries(fields)) {
    if (isOurs(field)) continue;
    const theirs = kafka[name.toLowerCase()];
    if (!isSame(field, versions, theirs)) wrong.push(name);
    const inner = field.type.kind === 'array' ? field.type.element : field.type;
    if (inner.kind !== 'struct') continue;
    const { fields: theirFields } = theirs as StructDefaults;
    const found = wrongDefaults(inner.fields, versions, theirFields);
    wrong.push(...found.map((below) => `${name}.${below}`));
  }
  return wrong;
}

function isSame(field: Field, versions: readonly number[], theirs: unknown): boolean {
  const mayMiss = versions.some(
    (version) => !inRange(field.versions, version) || inRange(field.tagged, version),
  );
  if (!mayMiss && field.default === undefined) return true;
  const ours = defaultOf(field);
  if (typeof theirs === 'object' && theirs !== null && 'isNull' in theirs) {
    return (ours === null) === theirs.isNull;
  }
  if (Buffer.isBuffer(ours)) return ours.length === 0 && theirs === '';
  if (Array.isArray(ours)) return Array.isArray(theirs) && ours.length === theirs.length;
  if (typeof theirs !== 'number' || Math.abs(theirs) < 2 ** 53) return ours === theirs;
  return ours === Math.sign(theirs) * Number.MAX_SAFE_INTEGER;
}
