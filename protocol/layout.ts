/**
 * What a declaration means in one version: which fields travel, plain or tagged, how a primitive is
 * laid out, what stands for a value that does not travel. Shared by `walk.ts` and `compile.ts`.
 */

import type { Reader } from './reader.ts';
import type { Decoded, Field, Fields, FieldType, Input, Message, PrimitiveKind } from './schema.ts';
import { inRange, ZERO_UUID } from './schema.ts';
import type { Writer } from './writer.ts';

/** Decodes and encodes one version of one message. */
export interface Codec<M extends Message> {
  /** Whether the version has compact types and tags; its headers then have tags too. */
  readonly flexible: boolean;
  decode(reader: Reader): Decoded<M>;
  encode(writer: Writer, value: Input<M>): void;
}

/** One version of a message: its number and whether it has compact types and tags. */
export interface Layout {
  readonly version: number;
  readonly flexible: boolean;
}

export type NamedField = readonly [name: string, field: Field];

export function layoutOf(message: Message, version: number): Layout {
  return { version, flexible: inRange(message.flexible, version) };
}

/** Whether a field travels in its place, not tagged. */
export function isPlain(field: Field, { version }: Layout): boolean {
  return inRange(field.versions, version) && !inRange(field.tagged, version);
}

/** The tagged fields of a struct in the order of their tags, in which they are sent. */
export function taggedFields(fields: Fields, { version }: Layout): NamedField[] {
  return Object.entries(fields)
    .filter(([, field]) => inRange(field.versions, version) && inRange(field.tagged, version))
    .sort(([, a], [, b]) => a.tag! - b.tag!);
}

export function isNullable(field: Field, { version }: Layout): boolean {
  return inRange(field.nullable, version);
}

/** What an absent field is decoded to, and a field left out is encoded as. */
export function defaultOf(field: Field): unknown {
  if (Array.isArray(field.default)) return [];
  return field.default === undefined ? zeroOf(field.type) : field.default;
}

/** Whether a field may be left out when it is encoded in its place. */
export function hasDefault(field: Field): boolean {
  return field.default !== undefined || field.type.kind === 'struct';
}

function zeroOf(type: FieldType): unknown {
  switch (type.kind) {
    case 'struct':
      return Object.fromEntries(
        Object.entries(type.fields).map(([name, field]) => [name, defaultOf(field)]),
      );
    case 'array':
      return [];
    case 'bool':
      return false;
    case 'string':
      return '';
    case 'uuid':
      return ZERO_UUID;
    case 'bytes':
    case 'records':
      return Buffer.alloc(0);
    default:
      return 0;
  }
}

const FIXED_BYTES: Partial<Record<FieldType['kind'], number>> = {
  bool: 1,
  int8: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
  uint32: 4,
  int64: 8,
  float64: 8,
  uuid: 16,
};

/** Bytes of a primitive of fixed size; undefined for the others. */
export function fixedBytes(type: FieldType): number | undefined {
  return FIXED_BYTES[type.kind];
}

/**
 * The least bytes that a value takes, at least 1: what bounds an array's count by the bytes left.
 */
export function leastBytes(type: FieldType, layout: Layout): number {
  if (type.kind === 'struct') {
    let sum = layout.flexible ? 1 : 0;
    for (const field of Object.values(type.fields)) {
      if (!isPlain(field, layout)) continue;
      const mayBeNull = field.type.kind === 'struct' && isNullable(field, layout);
      sum += mayBeNull ? 1 : leastBytes(field.type, layout);
    }
    return Math.max(sum, 1);
  }
  if (type.kind === 'string') return layout.flexible ? 1 : 2;
  return fixedBytes(type) ?? (layout.flexible ? 1 : 4);
}

/** The method of Reader or Writer for a primitive: `compactNullableString`, `int32`, ... */
export function primitiveMethod(kind: PrimitiveKind, nullable: boolean, layout: Layout): string {
  if (kind !== 'string' && kind !== 'bytes' && kind !== 'records') return kind;
  const words = [kind as string];
  if (nullable) words.unshift('nullable');
  if (layout.flexible) words.unshift('compact');
  return words.map((word, i) => (i === 0 ? word : word[0]!.toUpperCase() + word.slice(1))).join('');
}
