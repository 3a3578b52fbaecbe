/**
 * Codecs as text: for one version of a message a function for each of its structs, decoding into
 * one object literal (so that all values of a struct share one hidden class) and encoding field by
 * field, with nothing left to decide but what the bytes decide. Compiled at first use.
 *
 * `walk.ts` says what the text must do; where text may not become code it does it.
 */

import { ProtocolError } from './errors.ts';
import type { Codec, Layout } from './layout.ts';
import * as layouts from './layout.ts';
import type { Field, Fields, FieldType, Message, PrimitiveKind } from './schema.ts';
import { inRange } from './schema.ts';
import { walkCodec } from './walk.ts';

const NO_BYTES = Buffer.alloc(0);
const FIELD_NAME = /^[a-z][A-Za-z0-9]*$/;

const codecs = new WeakMap<Message, (Codec<Message> | undefined)[]>();

/** The codec of one version of a message. Throws UNSUPPORTED_VERSION outside its range. */
export function codec<M extends Message>(message: M, version: number): Codec<M> {
  let row = codecs.get(message);
  if (row === undefined) {
    row = [];
    codecs.set(message, row);
  }
  let made = row[version];
  if (made === undefined) {
    made = makeCodec(message, version);
    row[version] = made;
  }
  return made as unknown as Codec<M>;
}

function makeCodec(message: Message, version: number): Codec<Message> {
  if (!inRange(message.versions, version)) {
    throw new ProtocolError(
      'UNSUPPORTED_VERSION',
      `${message.name} has no version ${version}, only ${message.versions}`,
    );
  }
  return mayCompile() ? compileCodec(message, version) : walkCodec(message, version);
}

/** False under --disallow-code-generation-from-strings. */
function mayCompile(): boolean {
  try {
    new Function('');
    return true;
  } catch (error) {
    if (error instanceof EvalError) return false;
    throw error;
  }
}

/** Turns a declaration into code, whether or not it was done before. */
export function compileCodec<M extends Message>(message: M, version: number): Codec<M> {
  const text = new CodecText(layouts.layoutOf(message, version));
  const decode = text.decodeStruct(message.fields);
  const encode = text.encodeStruct(message.fields);
  const make = new Function(
    'NO_BYTES',
    `'use strict';\n${text.functions.join('\n')}\nreturn { decode: ${decode}, encode: ${encode} };`,
  );
  return make(NO_BYTES) as Codec<M>;
}

/** Text of functions. A local of a field is called `$` and its name, so that none meets ours. */
class CodecText {
  /** The functions, inner ones first. */
  readonly functions: string[] = [];
  readonly #layout: Layout;
  readonly #arrayCount: string;

  constructor(layout: Layout) {
    this.#layout = layout;
    this.#arrayCount = layout.flexible ? 'compactArrayCount' : 'arrayCount';
  }

  /** Adds the function `(r) => values` of a struct; gives its name. */
  decodeStruct(fields: Fields): string {
    const lines: string[] = [];
    for (const [name, field] of Object.entries(fields)) {
      if (!FIELD_NAME.test(name)) throw new RangeError(`not a field name: ${name}`);
      if (layouts.isPlain(field, this.#layout)) lines.push(...this.#decodeField(`$${name}`, field));
      else lines.push(`let $${name} = ${literal(layouts.defaultOf(field))};`);
    }
    if (this.#layout.flexible) lines.push(...this.#decodeTags(fields));
    const values = Object.keys(fields).map((name) => `${name}: $${name}`);
    lines.push(`return { ${values.join(', ')} };`);
    return this.#add('decode', 'r', lines);
  }

  #decodeTags(fields: Fields): string[] {
    const tagged = layouts.taggedFields(fields, this.#layout);
    if (tagged.length === 0) return ['r.skipTags();'];
    const cases = tagged.flatMap(([name, field]) => [
      `case ${field.tag}: {`,
      ...this.#decodeField('value', field),
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

  /** Lines that declare a local with the field's value. */
  #decodeField(local: string, field: Field): string[] {
    const nullable = layouts.isNullable(field, this.#layout);
    const { type } = field;
    if (type.kind === 'struct') {
      const value = `${this.decodeStruct(type.fields)}(r)`;
      return [`let ${local} = ${nullable ? `r.int8() < 0 ? null : ${value}` : value};`];
    }
    if (type.kind !== 'array') return [`let ${local} = ${this.#decodePrimitive(type, nullable)};`];
    const { element } = type;
    const value =
      element.kind === 'struct'
        ? `${this.decodeStruct(element.fields)}(r)`
        : this.#decodePrimitive(element, false);
    const count = `r.${this.#arrayCount}(${layouts.leastBytes(element, this.#layout)})`;
    return [
      `let ${local} = null;`,
      `const ${local}_count = ${nullable ? count : `r.present(${count}, 'array')`};`,
      `if (${local}_count >= 0) {`,
      `${local} = [];`,
      `for (let i = 0; i < ${local}_count; i++) ${local}.push(${value});`,
      '}',
    ];
  }

  #decodePrimitive(type: FieldType, nullable: boolean): string {
    return `r.${layouts.primitiveMethod(type.kind as PrimitiveKind, nullable, this.#layout)}()`;
  }

  /** Adds the function `(w, values)` of a struct; gives its name. */
  encodeStruct(fields: Fields): string {
    const lines: string[] = [];
    for (const [name, field] of Object.entries(fields)) {
      if (!layouts.isPlain(field, this.#layout)) continue;
      lines.push(`let $${name} = v.${name};`);
      if (layouts.hasDefault(field)) {
        lines.push(`if ($${name} === undefined) $${name} = ${literal(layouts.defaultOf(field))};`);
      }
      lines.push(...this.#encodeField(`$${name}`, field));
    }
    if (this.#layout.flexible) lines.push(...this.#encodeTags(fields));
    return this.#add('encode', 'w, v', lines);
  }

  #encodeTags(fields: Fields): string[] {
    const tagged = layouts.taggedFields(fields, this.#layout);
    if (tagged.length === 0) return ['w.unsignedVarint(0);'];
    const lines = ['let tags = 0;'];
    for (const [name, field] of tagged) {
      lines.push(`const $${name} = v.${name};`);
      lines.push(`const $${name}_sent = !(${isDefaultText(`$${name}`, field)});`);
      lines.push(`if ($${name}_sent) tags++;`);
    }
    lines.push('w.unsignedVarint(tags);');
    for (const [name, field] of tagged) {
      lines.push(`if ($${name}_sent) {`);
      lines.push(`const mark = w.beginTag(${field.tag});`);
      lines.push(...this.#encodeField(`$${name}`, field));
      lines.push('w.endTag(mark);', '}');
    }
    return lines;
  }

  #encodeField(local: string, field: Field): string[] {
    const nullable = layouts.isNullable(field, this.#layout);
    const { type } = field;
    if (type.kind === 'struct') {
      const put = `${this.encodeStruct(type.fields)}(w, ${local});`;
      if (!nullable) return [put];
      return [`w.int8(${local} === null ? -1 : 1);`, `if (${local} !== null) ${put}`];
    }
    if (type.kind !== 'array') return [this.#encodePrimitive(type, nullable, local)];
    const { element } = type;
    const put =
      element.kind === 'struct'
        ? `${this.encodeStruct(element.fields)}(w, ${local}[i]);`
        : this.#encodePrimitive(element, false, `${local}[i]`);
    const all = [
      `w.${this.#arrayCount}(${local}.length);`,
      `for (let i = 0; i < ${local}.length; i++) ${put}`,
    ];
    if (!nullable) return all;
    return [`if (${local} === null) w.${this.#arrayCount}(-1);`, 'else {', ...all, '}'];
  }

  #encodePrimitive(type: FieldType, nullable: boolean, value: string): string {
    const kind = type.kind as PrimitiveKind;
    return `w.${layouts.primitiveMethod(kind, nullable, this.#layout)}(${value});`;
  }

  #add(verb: string, parameters: string, lines: string[]): string {
    const name = `${verb}${this.functions.length}`;
    this.functions.push(`function ${name}(${parameters}) {\n${lines.join('\n')}\n}`);
    return name;
  }
}

/** A default as text. */
function literal(value: unknown): string {
  if (Buffer.isBuffer(value)) return 'NO_BYTES';
  if (Array.isArray(value)) return '[]';
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).map(([name, inner]) => `${name}: ${literal(inner)}`);
  return `{ ${fields.join(', ')} }`;
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
  } else parts.push(`${value} === ${literal(assumed)}`);
  return parts.join(' || ');
}
