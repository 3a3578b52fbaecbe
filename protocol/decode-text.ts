/**
 * The text of functions that decode: one for each struct, taking a Reader, giving one object
 * literal, so that all values of a struct share a hidden class. Neighbours of fixed size are
 * checked against the end together and read straight from the bytes.
 *
 * A local of a field is called `$` and its name, so that none meets ours; `b` is the buffer, `p0`,
 * `p1`, ... are positions. The text refers to what `DECODE_HELPERS` names.
 */

import type { Layout, NamedField } from './layout.ts';
import * as layouts from './layout.ts';
import { int64Of } from './reader.ts';
import type { Field, Fields, FieldType, PrimitiveKind } from './schema.ts';
import { uuidOf } from './text-cache.ts';

export const NO_BYTES = Buffer.alloc(0);

/** What the text refers to by name. */
export const DECODE_HELPERS = { NO_BYTES, int64Of, uuidOf };

const FIELD_NAME = /^[a-z][A-Za-z0-9]*$/;

/** An int32 as text, from a buffer `b` at a position. */
function wordText(at: string): string {
  return `(b[${at}] << 24 | b[${at} + 1] << 16 | b[${at} + 2] << 8 | b[${at} + 3])`;
}

/** What reads a primitive of fixed size from `b`, all of whose bytes are known to be there. */
const FIXED_TEXTS: Partial<Record<FieldType['kind'], (at: string) => string>> = {
  bool: (at) => `b[${at}] !== 0`,
  int8: (at) => `b[${at}] << 24 >> 24`,
  int16: (at) => `(b[${at}] << 24 | b[${at} + 1] << 16) >> 16`,
  uint16: (at) => `b[${at}] << 8 | b[${at} + 1]`,
  int32: wordText,
  uint32: (at) => `${wordText(at)} >>> 0`,
  int64: (at) => `int64Of(${wordText(at)}, ${wordText(`${at} + 4`)})`,
  float64: (at) => `b.readDoubleBE(${at})`,
  uuid: (at) => `uuidOf(b, ${at})`,
};

export class DecodeText {
  /** The functions, inner ones first. */
  readonly functions: string[] = [];
  readonly #layout: Layout;
  #positions = 0;

  constructor(layout: Layout) {
    this.#layout = layout;
  }

  /** Adds the function of a struct; gives its name. */
  struct(fields: Fields): string {
    const lines: string[] = ['const b = r.buffer;'];
    let run: NamedField[] = [];
    for (const [name, field] of Object.entries(fields)) {
      if (!FIELD_NAME.test(name)) throw new RangeError(`not a field name: ${name}`);
      if (!layouts.isPlain(field, this.#layout)) {
        lines.push(`let $${name} = ${defaultText(layouts.defaultOf(field))};`);
      } else if (layouts.fixedBytes(field.type) !== undefined) {
        run.push([name, field]);
      } else {
        lines.push(...this.#run(run), ...this.#field(`$${name}`, field));
        run = [];
      }
    }
    lines.push(...this.#run(run));
    if (this.#layout.flexible) lines.push(...this.#tags(fields));
    const values = Object.keys(fields).map((name) => `${name}: $${name}`);
    lines.push(`return { ${values.join(', ')} };`);
    const name = `decode${this.functions.length}`;
    this.functions.push(`function ${name}(r) {\n${lines.join('\n')}\n}`);
    return name;
  }

  /** Fields of fixed size that stand one after the other. */
  #run(run: readonly NamedField[]): string[] {
    if (run.length === 0) return [];
    const position = `p${this.#positions++}`;
    const lines: string[] = [];
    let bytes = 0;
    for (const [name, { type }] of run) {
      lines.push(`let $${name} = ${FIXED_TEXTS[type.kind]!(`${position} + ${bytes}`)};`);
      bytes += layouts.fixedBytes(type)!;
    }
    return [`const ${position} = r.take(${bytes});`, ...lines];
  }

  #tags(fields: Fields): string[] {
    const tagged = layouts.taggedFields(fields, this.#layout);
    if (tagged.length === 0) return ['r.skipTags();'];
    const cases = tagged.flatMap(([name, field]) => [
      `case ${field.tag}: {`,
      ...this.#field('value', field),
      `$${name} = value;`,
      'break;',
      '}',
    ]);
    return [
      'for (let tags = r.unsignedVarint(); tags > 0; tags--) {',
      'const tag = r.unsignedVarint();',
      'const end = r.tagEnd();',
      'switch (tag) {',
      ...cases,
      'default: r.at = end;',
      '}',
      'r.endTag(tag, end);',
      '}',
    ];
  }

  /** Lines that declare a local with the value of a field. */
  #field(local: string, field: Field): string[] {
    const nullable = layouts.isNullable(field, this.#layout);
    const { type } = field;
    if (type.kind === 'struct') {
      const value = `${this.struct(type.fields)}(r)`;
      return [`let ${local} = ${nullable ? `r.int8() < 0 ? null : ${value}` : value};`];
    }
    if (type.kind === 'array') return this.#array(local, type.element, nullable);
    return [`let ${local} = ${this.#primitive(type.kind, nullable)};`];
  }

  #array(local: string, element: FieldType, nullable: boolean): string[] {
    const method = this.#layout.flexible ? 'compactArrayCount' : 'arrayCount';
    const count = `r.${method}(${layouts.leastBytes(element, this.#layout)})`;
    return [
      `let ${local} = null;`,
      `const ${local}_count = ${nullable ? count : `r.present(${count}, 'array')`};`,
      `if (${local}_count >= 0) {`,
      `${local} = [];`,
      ...this.#elements(local, element),
      '}',
    ];
  }

  #elements(local: string, element: FieldType): string[] {
    const bytes = layouts.fixedBytes(element);
    if (bytes !== undefined) {
      const value = FIXED_TEXTS[element.kind]!('at');
      return [
        `for (let at = r.take(${local}_count * ${bytes}); at < r.at; at += ${bytes}) {`,
        `${local}.push(${value});`,
        '}',
      ];
    }
    const value =
      element.kind === 'struct'
        ? `${this.struct(element.fields)}(r)`
        : this.#primitive(element.kind as PrimitiveKind, false);
    return [`for (let i = 0; i < ${local}_count; i++) ${local}.push(${value});`];
  }

  #primitive(kind: PrimitiveKind, nullable: boolean): string {
    return `r.${layouts.primitiveMethod(kind, nullable, this.#layout)}()`;
  }
}

/** A default as text. */
export function defaultText(value: unknown): string {
  if (Buffer.isBuffer(value)) return 'NO_BYTES';
  if (Array.isArray(value)) return '[]';
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).map(([name, inner]) => `${name}: ${defaultText(inner)}`);
  return `{ ${fields.join(', ')} }`;
}
