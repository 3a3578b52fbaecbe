/**
 * A codec that reads the declaration step by step, each time. It is what `compile.ts` must agree
 * with, and what takes its place where a process may not turn text into code.
 */

import type { Codec, Layout } from './layout.ts';
import * as layouts from './layout.ts';
import type { Reader } from './reader.ts';
import type { Decoded, Field, Fields, FieldType, Message, PrimitiveKind } from './schema.ts';
import type { Writer } from './writer.ts';

type Values = Record<string, unknown>;

/** A codec that walks the declaration. */
export function walkCodec<M extends Message>(message: M, version: number): Codec<M> {
  const layout = layouts.layoutOf(message, version);
  return {
    flexible: layout.flexible,
    decode: (reader) => decodeStruct(reader, layout, message.fields) as Decoded<M>,
    encode: (writer, value) => encodeStruct(writer, layout, message.fields, value as Values),
  };
}

function decodeStruct(reader: Reader, layout: Layout, fields: Fields): Values {
  const values: Values = {};
  for (const [name, field] of Object.entries(fields)) {
    values[name] = layouts.isPlain(field, layout)
      ? decodeField(reader, layout, field)
      : layouts.defaultOf(field);
  }
  if (layout.flexible) decodeTags(reader, layout, fields, values);
  return values;
}

function decodeTags(reader: Reader, layout: Layout, fields: Fields, values: Values): void {
  const tagged = layouts.taggedFields(fields, layout);
  for (let count = reader.unsignedVarint(); count > 0; count--) {
    const tag = reader.unsignedVarint();
    const end = reader.tagEnd();
    const known = tagged.find(([, field]) => field.tag === tag);
    if (known === undefined) {
      reader.at = end;
      continue;
    }
    const [name, field] = known;
    values[name] = decodeField(reader, layout, field);
    reader.endTag(tag, end);
  }
}

function decodeField(reader: Reader, layout: Layout, field: Field): unknown {
  const nullable = layouts.isNullable(field, layout);
  const { type } = field;
  if (type.kind === 'struct' && nullable && reader.int8() < 0) return null;
  if (type.kind !== 'array') return decodeValue(reader, layout, type, nullable);
  const least = layouts.leastBytes(type.element, layout);
  const count = layout.flexible ? reader.compactArrayCount(least) : reader.arrayCount(least);
  if (nullable && count < 0) return null;
  reader.present(count, 'array');
  return Array.from({ length: count }, () => decodeValue(reader, layout, type.element, false));
}

function decodeValue(reader: Reader, layout: Layout, type: FieldType, nullable: boolean): unknown {
  if (type.kind === 'struct') return decodeStruct(reader, layout, type.fields);
  const kind = type.kind as PrimitiveKind;
  const method = layouts.primitiveMethod(kind, nullable, layout) as 'int32';
  return reader[method]();
}

function encodeStruct(writer: Writer, layout: Layout, fields: Fields, values: Values): void {
  for (const [name, field] of Object.entries(fields)) {
    if (!layouts.isPlain(field, layout)) continue;
    const given = values[name];
    const leftOut = given === undefined && layouts.hasDefault(field);
    encodeField(writer, layout, field, leftOut ? layouts.defaultOf(field) : given);
  }
  if (layout.flexible) encodeTags(writer, layout, fields, values);
}

function encodeTags(writer: Writer, layout: Layout, fields: Fields, values: Values): void {
  const given = layouts
    .taggedFields(fields, layout)
    .filter(([name, field]) => !isDefault(field, values[name]));
  writer.unsignedVarint(given.length);
  for (const [name, field] of given) {
    const mark = writer.beginTag(field.tag!);
    encodeField(writer, layout, field, values[name]);
    writer.endTag(mark);
  }
}

/** Whether a value is what a reader assumes where the tag is missing. */
function isDefault(field: Field, value: unknown): boolean {
  if (value === undefined) return true;
  const assumed = layouts.defaultOf(field);
  if (value === null || assumed === null) return value === assumed;
  const { type } = field;
  if (type.kind === 'struct') {
    return Object.entries(type.fields).every(([name, inner]) =>
      isDefault(inner, (value as Values)[name]),
    );
  }
  if (type.kind === 'array' || type.kind === 'bytes') return (value as unknown[]).length === 0;
  return value === assumed;
}

function encodeField(writer: Writer, layout: Layout, field: Field, value: unknown): void {
  const nullable = layouts.isNullable(field, layout);
  const { type } = field;
  if (type.kind === 'struct' && nullable) {
    writer.int8(value === null ? -1 : 1);
    if (value === null) return;
  }
  if (type.kind !== 'array') {
    encodeValue(writer, layout, type, nullable, value);
    return;
  }
  const elements = value as readonly unknown[] | null;
  const count = elements === null && nullable ? -1 : elements!.length;
  if (layout.flexible) writer.compactArrayCount(count);
  else writer.arrayCount(count);
  for (const element of elements ?? []) encodeValue(writer, layout, type.element, false, element);
}

function encodeValue(
  writer: Writer,
  layout: Layout,
  type: FieldType,
  nullable: boolean,
  value: unknown,
): void {
  if (type.kind === 'struct') {
    encodeStruct(writer, layout, type.fields, value as Values);
    return;
  }
  const kind = type.kind as PrimitiveKind;
  const method = layouts.primitiveMethod(kind, nullable, layout) as 'bytes';
  writer[method](value as Buffer);
}
