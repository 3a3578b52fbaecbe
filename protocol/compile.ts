/**
 * Codecs as text: for one version of a message a function for each of its structs, with nothing
 * left to decide but what the bytes decide. Compiled at first use, once for each version.
 *
 * `walk.ts` says what the text must do; where text may not become code it does it.
 */

import { DECODE_HELPERS, DecodeText } from './decode-text.ts';
import { ENCODE_HELPERS, EncodeText } from './encode-text.ts';
import { ProtocolError } from './errors.ts';
import { type Codec, layoutOf } from './layout.ts';
import { inRange, type Message } from './schema.ts';
import { walkCodec } from './walk.ts';

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
  const layout = layoutOf(message, version);
  const decoding = new DecodeText(layout);
  const decode = decoding.struct(message.fields);
  const encoding = new EncodeText(layout);
  const encode = encoding.struct(message.fields);
  const helpers = { ...DECODE_HELPERS, ...ENCODE_HELPERS };
  const text = [
    `'use strict';`,
    `const { ${Object.keys(helpers).join(', ')} } = helpers;`,
    ...decoding.functions,
    ...encoding.functions,
    `return { flexible: ${layout.flexible}, decode: ${decode}, encode: ${encode} };`,
  ];
  return new Function('helpers', text.join('\n'))(helpers) as Codec<M>;
}
