/**
 * Random values of a message, made from its declaration: mostly such as a handler gets far with,
 * since names, ids and offsets come from what the broker has been seen to have; the rest is odd.
 */

import { type Field, type Fields, type FieldType, inRange } from '../../protocol/schema.ts';
import type { SeededRandom } from '../sim/random.ts';

type Value = Record<string, unknown>;

const EVIL_TEXTS = [
  '',
  '.',
  '..',
  '../../etc/passwd',
  '__proto__',
  'constructor',
  'a\nb\u001b[31m',
  '\u0000',
  '\u{1f980}',
  '__consumer_offsets',
  '__transaction_state',
  '__cluster_metadata',
  'x'.repeat(249),
  'x'.repeat(250),
  'y'.repeat(5000),
];

const CONFIG_NAMES = [
  'cleanup.policy',
  'retention.ms',
  'segment.bytes',
  'compression.type',
  'max.message.bytes',
  'flush.messages',
  'min.insync.replicas',
  'fetch.visibility',
  'no.such.configuration',
];
const CONFIG_VALUES = ['compact', 'delete', '1', '-1', '1048576', 'zstd', 'true', 'x', ''];

const INT32_EDGES = [0, 1, -1, 2, 7, 100, 0x7fff_ffff, -0x8000_0000, 1_000_000];
const INT64_EDGES = [...INT32_EDGES, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 2 ** 40];

/** What the broker is known to have; grows with what it answers. */
export class Vocabulary {
  readonly topics = ['plain', 'compacted', 'checked', 'squeezed', 'durable', 'none'];
  readonly groups = ['group-a', 'group-b', 'group-c'];
  readonly transactionalIds = ['transaction-a', 'transaction-b'];
  readonly topicIds: string[] = ['AAAAAAAAAAAAAAAAAAAAAA', 'AAAAAAAAAAAAAAAAAAAAAQ'];
  readonly memberIds: string[] = ['', 'nobody'];
  readonly producerIds: number[] = [-1, 0, 1];
  readonly sessionIds: number[] = [0, 1];

  /** The topic of the client that must be left alone. */
  protectedId = '';

  /** Remembers what an answer tells. */
  learn(value: unknown): void {
    if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return;
    for (const [name, inner] of Object.entries(value)) {
      if (inner === this.protectedId) continue;
      if (name === 'topicId') keep(this.topicIds, inner, 'string');
      else if (name === 'memberId') keep(this.memberIds, inner, 'string');
      else if (name === 'producerId') keep(this.producerIds, inner, 'number');
      else if (name === 'sessionId') keep(this.sessionIds, inner, 'number');
      else this.learn(inner);
    }
  }
}

const MOST_WORDS = 40;

function keep<T>(words: T[], word: unknown, type: 'string' | 'number'): void {
  const isWord = type === 'string' ? typeof word === 'string' : typeof word === 'number';
  if (!isWord || words.includes(word as T)) return;
  words.push(word as T);
  if (words.length > MOST_WORDS) words.splice(2, 1);
}

/** Where the records of a Produce come from. */
interface RecordSource {
  any(): Buffer;
}

export class RandomValues {
  readonly #random: SeededRandom;
  readonly #words: Vocabulary;
  readonly #batches: RecordSource;

  constructor(random: SeededRandom, words: Vocabulary, batches: RecordSource) {
    this.#random = random;
    this.#words = words;
    this.#batches = batches;
  }

  /** A value that can be encoded in a version. */
  of(fields: Fields, version: number): Value {
    const value: Value = {};
    for (const [name, field] of Object.entries(fields)) {
      if (inRange(field.versions, version)) value[name] = this.#field(name, field, version);
    }
    return value;
  }

  #field(name: string, field: Field, version: number): unknown {
    if (inRange(field.nullable, version) && this.#random.chance(0.15)) return null;
    return this.#value(name, field.type, version);
  }

  #value(name: string, type: FieldType, version: number): unknown {
    const random = this.#random;
    switch (type.kind) {
      case 'struct':
        return this.of(type.fields, version);
      case 'array':
        return this.#array(name, type.element, version);
      case 'bool':
        return random.chance(0.5);
      case 'int8':
        return random.pick([0, 1, 2, -1, 3, 4, 32, -128, 127]);
      case 'int16':
        return this.#int16(name);
      case 'uint16':
        return random.pick([0, 1, 9092, 65_535]);
      case 'int32':
        return this.#int32(name);
      case 'uint32':
        return random.pick([0, 1, 0xffff_ffff]);
      case 'int64':
        return this.#int64(name);
      case 'float64':
        return random.pick([0, 1, -1.5, Number.NaN, Number.POSITIVE_INFINITY, 1e300]);
      case 'string':
        return this.#text(name);
      case 'uuid':
        return random.pick(this.#words.topicIds);
      case 'bytes':
        return random.bytes(random.pick([0, 1, 20, 300]));
      case 'records':
        return this.#batches.any();
    }
  }

  #array(name: string, element: FieldType, version: number): unknown[] {
    const fraction = this.#random.fraction();
    const length = fraction < 0.1 ? 0 : fraction < 0.75 ? 1 : fraction < 0.97 ? 3 : 60;
    return Array.from({ length }, () => this.#value(name, element, version));
  }

  #int16(name: string): number {
    const random = this.#random;
    if (/acks/i.test(name)) return random.pick([-1, -1, 1, 0, 2]);
    if (/replication/i.test(name)) return random.pick([1, 1, -1, 3, 0]);
    return random.pick([0, 0, 0, 1, -1, 5, 0x7fff, -0x8000]);
  }

  #int32(name: string): number {
    const random = this.#random;
    if (random.chance(0.05)) return random.pick(INT32_EDGES);
    if (/partition|index/i.test(name)) return random.pick([0, 0, 0, 1, 2, -1]);
    if (/(wait|timeout|poll).*ms/i.test(name)) return random.pick([0, 1, 10, 10_000, 60_000]);
    if (/bytes/i.test(name)) return random.pick([0, 1, 1000, 1_000_000]);
    if (/sessionId/i.test(name)) return random.pick(this.#words.sessionIds);
    if (/epoch|generation/i.test(name)) return random.pick([-1, 0, 1, 2, 3]);
    return random.pick([0, 1, -1, 2, 3]);
  }

  #int64(name: string): number {
    const random = this.#random;
    if (random.chance(0.05)) return random.pick(INT64_EDGES);
    if (/producerId/i.test(name)) return random.pick(this.#words.producerIds);
    if (/timestamp/i.test(name)) return random.pick([-1, -2, -3, -4, -5, 0, 1_704_067_200_000]);
    return random.pick([0, 0, 1, 2, 5, 100, -1, -2]);
  }

  #text(name: string): string {
    const random = this.#random;
    const words = this.#words;
    if (random.chance(0.08)) return random.pick(EVIL_TEXTS);
    if (/config|key$/i.test(name) && random.chance(0.5)) return random.pick(CONFIG_NAMES);
    if (/value/i.test(name)) return random.pick(CONFIG_VALUES);
    if (/transactional/i.test(name)) return random.pick(words.transactionalIds);
    if (/group|key/i.test(name)) return random.pick(words.groups);
    if (/member/i.test(name)) return random.pick(words.memberIds);
    if (/protocol/i.test(name)) return random.pick(['consumer', 'range', 'roundrobin', '']);
    const lists = [words.topics, words.topics, words.groups, CONFIG_NAMES];
    return random.pick(random.pick(lists));
  }
}
