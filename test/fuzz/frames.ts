/**
 * Requests for the fuzzer, derived from the table of APIs: of any API in any version that is
 * served, with random values, sound or mutated; and what a client may expect as their answers.
 */

import { apis } from '../../broker/apis/index.ts';
import { decodeRequestHeader, encodeRequest } from '../../protocol/header.ts';
import { MalformedFrame, Reader } from '../../protocol/reader.ts';
import { type Message, parseRange } from '../../protocol/schema.ts';
import type { SeededRandom } from '../sim/random.ts';
import type { Batches } from './batches.ts';
import { mutate } from './mutations.ts';
import { RandomValues, type Vocabulary } from './values.ts';

const FRAME_SIZE_BYTES = 4;
const API_VERSIONS = 18;
const PRODUCE = 0;

const byKey = new Map(apis.map((api) => [api.key, api]));

/** The request that a frame's header names. */
export interface Expected {
  readonly correlationId: number;
  readonly apiName: string;
  readonly response: Message;
  /** Version of the answer. */
  readonly version: number;
}

export interface FuzzFrame {
  /** With its length, which may be a lie. */
  readonly bytes: Buffer;
  /** Whether nothing was done to the frame; its records may lie all the same. */
  readonly isSound: boolean;
}

export class FuzzFrames {
  readonly #random: SeededRandom;
  readonly #values: RandomValues;
  #correlationId = 0;

  constructor(random: SeededRandom, words: Vocabulary, batches: Batches) {
    this.#random = random;
    this.#values = new RandomValues(random, words, batches);
  }

  next(): FuzzFrame {
    const random = this.#random;
    const sound = this.#sound();
    const fraction = random.fraction();
    if (fraction < 0.4) return { bytes: sound, isSound: true };
    if (fraction < 0.93) {
      // Header and length are mostly left alone, so that the lie is met where it was put.
      const kept = random.chance(0.9) ? FRAME_SIZE_BYTES + 8 : FRAME_SIZE_BYTES;
      const body = mutate(random, sound.subarray(kept));
      const bytes = Buffer.concat([sound.subarray(0, kept), body]);
      bytes.writeInt32BE(bytes.length - FRAME_SIZE_BYTES);
      return { bytes, isSound: false };
    }
    return { bytes: this.#lyingLength(sound), isSound: false };
  }

  #sound(): Buffer {
    const random = this.#random;
    const api = random.chance(0.25) ? byKey.get(random.pick([0, 0, 1]))! : random.pick(apis);
    const { first, last } = parseRange(api.versions);
    const apiVersion = first + random.below(last - first + 1);
    this.#correlationId = (this.#correlationId + 1) & 0x7fff_ffff;
    const header = {
      apiVersion,
      correlationId: this.#correlationId,
      clientId: random.pick(['fuzz', '', null, 'a\nb', 'x'.repeat(300)]),
    };
    const value = this.#values.of(api.request.fields, apiVersion);
    return Buffer.concat(encodeRequest(api.request, header, value as never));
  }

  #lyingLength(sound: Buffer): Buffer {
    const random = this.#random;
    const bytes = Buffer.from(sound);
    const real = sound.length - FRAME_SIZE_BYTES;
    const lies = [0, -1, 1, -0x8000_0000, 0x7fff_ffff, real - 1, real + 1, real + 100, 3_000_000];
    bytes.writeInt32BE(random.pick(lies));
    return bytes;
  }
}

/** What is to be expected of a frame that came whole; undefined where the broker must not answer. */
export function expectedOf(frame: Buffer): Expected | undefined {
  let header: ReturnType<typeof decodeRequestHeader>;
  try {
    header = decodeRequestHeader(new Reader(frame));
  } catch (error) {
    if (error instanceof MalformedFrame) return undefined;
    throw error;
  }
  const api = byKey.get(header.apiKey);
  if (api === undefined) return undefined;
  const { first, last } = parseRange(api.versions);
  const { apiVersion, correlationId } = header;
  const isServed = apiVersion >= first && apiVersion <= last;
  if (!isServed && !(api.key === API_VERSIONS && apiVersion > last)) return undefined;
  const version = isServed ? apiVersion : 0;
  return { correlationId, apiName: api.name, response: api.response, version };
}

/** Whether a frame may start work of the codecs, which a simulated world does in the turn. */
export function mayCarryBatches(frame: Buffer): boolean {
  return frame.length > 2 && frame.readInt16BE(0) === PRODUCE;
}
