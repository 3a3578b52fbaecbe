/**
 * The text of functions that encode: one for each struct, taking a Writer `w` and the values `v`.
 * Neighbours of fixed size get their room together and are written straight to the bytes; every
 * number is held against its kind before.
 *
 * Names of locals are those of `decode-text.ts`. The text refers to what `ENCODE_HELPERS` names.
 */

import { defaultText, NO_BYTES } from './decode-text.ts';
import type { Layout } from './layout.ts';
import * as layouts from './layout.ts';
import type { Field, Fields, FieldType, PrimitiveKind } from './schema.ts';
import { outOfRange, writeUuid } from './writer.ts';

/** What the text refers to by name. */
export const ENCODE_HELPERS = { NO_BYTES, outOfRange, writeUuid };

/** A value of fixed size, by the text that gives it. */
interface Fixed {
  readonly kind: FieldType['kind'];
  readonly value: string;
}

/** What stands behind the fields of a struct without tags to send. */
const NO_TAGS: Fixed = { kind: 'int8', value: '0' };

/** The condition under which a value does not fit its kind. */
const MISFIT_TEXTS: Partial<Record<FieldType['kind'], (value: string) => string>> = {
  int8: (value) => `${value} << 24 >> 24 !== ${value}`,
  int16: (value) => `${value} << 16 >> 16 !== ${value}`,
  uint16: (value) => `(${value} & 65535) !== ${value}`,
  int32: (value) => `(${value} | 0) !== ${value}`,
  uint32: (value) => `${value} >>> 0 !== ${value}`,
  int64: (value) => `!Number.isSafeInteger(${value})`,
  float64: (value) => `typeof ${value} !== 'number'`,
};

/** Statements that write an int32 to a buffer `b` at a position. */
function wordText(at: string, value: string): string {
  return (
    `b[${at}] = ${value} >>> 24; b[${at} + 1] = ${value} >>> 16; ` +
    `b[${at} + 2] = ${value} >>> 8; b[${at} + 3] = ${value};`
  );
}

function halfText(at: string, value: string): string {
  return `b[${at}] = ${value} >>> 8; b[${at} + 1] = ${value};`;
}

/** What writes a value that fits, room for which is there. */
const FIXED_TEXTS: Partial<Record<FieldType['kind'], (at: string, value: string) => string>> = {
  bool: (at, value) => `b[${at}] = ${value} ? 1 : 0;`,
  int8: (at, value) => `b[${at}] = ${value};`,
  int16: halfText,
  uint16: halfText,
  int32: wordText,
  uint32: wordText,
  int64: (at, value) =>
    `{ const high = Math.floor(${value} / 4294967296); ` +
    `${wordText(at, 'high')} ${wordText(`${at} + 4`, value)} }`,
  float64: (at, value) => `b.writeDoubleBE(${value}, ${at});`,
  uuid: (at, value) => `writeUuid(b, ${at}, ${value});`,
};

export class EncodeText {
  /** The functions, inner ones first. */
  readonly functions: string[] = [];
  readonly #layout: Layout;
  readonly #arrayCount: string;

  constructor(layout: Layout) {
    this.#layout = layout;
    this.#arrayCount = layout.flexible ? 'compactArrayCount' : 'arrayCount';
  }

  /** Adds the function of a struct; gives its name. */
  struct(fields: Fields): string {
    const lines: string[] = [];
    let run: Fixed[] = [];
    for (const [name, field] of Object.entries(fields)) {
      if (!layouts.isPlain(field, this.#layout)) continue;
      const value = `$${name}`;
      lines.push(`let ${value} = v.${name};`);
      if (layouts.hasDefault(field)) {
        const assumed = defaultText(layouts.defaultOf(field));
        lines.push(`if (${value} === undefined) ${value} = ${assumed};`);
      }
      if (layouts.fixedBytes(field.type) !== undefined) {
        run.push({ kind: field.type.kind, value });
      } else {
        lines.push(...this.#run(run), ...this.#field(value, field));
        run = [];
      }
    }
    const tagged = layouts.taggedFields(fields, this.#layout);
    if (this.#layout.flexible && tagged.length === 0) run.push(NO_TAGS);
    lines.push(...this.#run(run));
    if (tagged.length > 0) lines.push(...this.#tags(fields));
    const name = `encode${this.functions.length}`;
    this.functions.push(`function ${name}(w, v) {\n${lines.join('\n')}\n}`);
    return name;
  }

  /** Values of fixed size that stand one after the other. */
  #run(run: readonly Fixed[]): string[] {
    if (run.length === 0) return [];
    const checks: string[] = [];
    const writes: string[] = [];
    let bytes = 0;
    for (const { kind, value } of run) {
      const misfit = MISFIT_TEXTS[kind];
      if (misfit !== undefined && value.startsWith('$')) {
        checks.push(`if (${misfit(value)}) outOfRange('${kind}', ${value});`);
      }
      writes.push(FIXED_TEXTS[kind]!(`p + ${bytes}`, value));
      bytes += layouts.fixedBytes({ kind } as FieldType)!;
    }
    return [...checks, `{ const p = w.reserve(${bytes}), b = w.buffer;`, ...writes, '}'];
  }

  #tags(fields: Fields): string[] {
    const tagged = layouts.taggedFields(fields, this.#layout);
    const lines = ['let tags = 0;'];
    for (const [name, field] of tagged) {
      lines.push(`const $${name} = v.${name};`);
      lines.push(`const $${name}_sent = !(${isDefaultText(`$${name}`, field)});`);
      lines.push(`if ($${name}_sent) tags++;`);
    }
    lines.push('w.unsignedVarint(tags);', 'if (tags > 0) {');
    for (const [name, field] of tagged) {
      lines.push(`if ($${name}_sent) {`);
      lines.push(`const mark = w.beginTag(${field.tag});`);
      lines.push(...this.#field(`$${name}`, field));
      lines.push('w.endTag(mark);', '}');
    }
    lines.push('}');
    return lines;
  }

  #field(local: string, field: Field): string[] {
    const nullable = layouts.isNullable(field, this.#layout);
    const { type } = field;
    if (type.kind === 'struct') {
      const put = `${this.struct(type.fields)}(w, ${local});`;
      if (!nullable) return [put];
      return [`w.int8(${local} === null ? -1 : 1);`, `if (${local} !== null) ${put}`];
    }
    if (type.kind !== 'array') return [this.#primitive(type.kind, nullable, local)];
    const all = [
      '{',
      `w.${this.#arrayCount}(${local}.length);`,
      ...this.#elements(local, type.element),
      '}',
    ];
    if (!nullable) return all;
    return [`if (${local} === null) w.${this.#arrayCount}(-1);`, 'else', ...all];
  }

  #elements(local: string, element: FieldType): string[] {
    if (element.kind === 'struct') {
      const put = `${this.struct(element.fields)}(w, ${local}[i]);`;
      return [`for (let i = 0; i < ${local}.length; i++) ${put}`];
    }
    const bytes = layouts.fixedBytes(element);
    if (bytes === undefined) {
      const put = this.#primitive(element.kind as PrimitiveKind, false, `${local}[i]`);
      return [`for (let i = 0; i < ${local}.length; i++) ${put}`];
    }
    const misfit = MISFIT_TEXTS[element.kind]?.('value');
    return [
      `let at = w.reserve(${local}.length * ${bytes});`,
      'const b = w.buffer;',
      `for (let i = 0; i < ${local}.length; i++, at += ${bytes}) {`,
      `const value = ${local}[i];`,
      misfit === undefined ? '' : `if (${misfit}) outOfRange('${element.kind}', value);`,
      FIXED_TEXTS[element.kind]!('at', 'value'),
      '}',
    ];
  }

  #primitive(kind: PrimitiveKind, nullable: boolean, value: string): string {
    return `w.${layouts.primitiveMethod(kind, nullable, this.#layout)}(${value});`;
  }
}

/** The condition under which a tagged field need not be sent. */
function isDefaultText(value: string, field: Field): string {
  const assumed = layouts.defaultOf(field);
  const { type } = field;
  const parts = [`${value} === undefined`];
  if (assumed === null) parts.push(`${value} === null`);
  else if (type.kind === 'struct') {
    const inner = Object.entries(type.fields).map(
      ([name, innerField]) => `(${isDefaultText(`${value}.${name}`, innerField)})`,
    );
    parts.push(`${value} !== null && ${inner.join(' && ')}`);
  } else if (type.kind === 'array' || type.kind === 'bytes') {
    parts.push(`${value} !== null && ${value}.length === 0`);
  } else parts.push(`${value} === ${defaultText(assumed)}`);
  return parts.join(' || ');
}
