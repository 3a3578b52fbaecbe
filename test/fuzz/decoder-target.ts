/**
 * Every decoder of bytes that a client or a file hands in, one after the other, on sound bytes that
 * were mutated: messages in all versions, frames out of chunks, batches, records, the four codecs,
 * the journal's groups, producer snapshots. Each gives a value of bounded size or the one error
 * that its callers expect; nothing else, and at once.
 *
 * Inputs that made a decoder say something new are kept and mutated further: the error's text, but
 * for its numbers, tells branches apart nearly as well as coverage would, and costs nothing.
 */

import { isDeepStrictEqual } from 'node:util';
import { checkRecords, type RecordRules } from '../../broker/record-checks.ts';
import { codec } from '../../protocol/compile.ts';
import {
  CorruptCompression,
  codecNames,
  DecompressionLimit,
  decompressionLimit,
} from '../../protocol/compression.ts';
import { Framer } from '../../protocol/frame.ts';
import { decodeRequestHeader } from '../../protocol/header.ts';
import { MalformedFrame, Reader } from '../../protocol/reader.ts';
import { batchFault, type CodecNumber, readBatchHeader } from '../../protocol/record-batch.ts';
import { InvalidRecords, readRecords } from '../../protocol/records.ts';
import { walkCodec } from '../../protocol/walk.ts';
import { Writer } from '../../protocol/writer.ts';
import { CorruptLog } from '../../storage/errors.ts';
import { decodeGroup, encodeGroup, findGroup } from '../../storage/journal-format.ts';
import { decodeSnapshot, encodeSnapshot } from '../../storage/producer-snapshot.ts';
import { countValues, messageVersions } from '../protocol/declared.ts';
import { SeededRandom } from '../sim/random.ts';
import { Batches, type Compressors } from './batches.ts';
import type { Findings } from './findings.ts';
import { mutate } from './mutations.ts';
import { RandomValues, Vocabulary } from './values.ts';

/** More values than this for each byte of a frame would be an allocation that nobody sent. */
const VALUES_PER_BYTE = 24;
/** One mutated message in so many is read the slow way too, and must be the same. */
const WALK_EVERY = 20;
const HEADER_BYTES = 61;
const MAX_FRAME_BYTES = 100_000;
const MOST_KEPT = 500;
const CHECK_TIME_EVERY = 64;
const TURN_LIMIT_MS = 100;
const GENERATION = Buffer.alloc(8, 7);
const RULES: RecordRules = {
  keyRequired: true,
  checksTimestamps: true,
  timestampBeforeMaxMs: 1000,
  timestampAfterMaxMs: 1000,
};

/** Decodes and checks what came out; throws what its callers expect, or what is a fault. */
type Decode = (bytes: Buffer) => void;

interface Target {
  readonly name: string;
  /** How often, beside the others. */
  readonly weight: number;
  make(): Buffer;
  /** Inputs mean something only to the version they were made for, and are not kept. */
  readonly isFresh?: boolean;
  readonly decode: Decode;
  readonly expected: readonly (new (...values: never[]) => Error)[];
}

export class DecoderTarget {
  readonly #seed: number;
  readonly #random: SeededRandom;
  readonly #findings: Findings;
  readonly #batches: Batches;
  readonly #compressors: Compressors;
  readonly #values: RandomValues;
  readonly #targets: readonly Target[];
  readonly #kept = new Map<Target, Map<string, Buffer>>();
  #of: (typeof messageVersions)[number];
  #count = 0;

  constructor(seed: number, compressors: Compressors, findings: Findings) {
    this.#seed = seed;
    const random = new SeededRandom(seed);
    this.#random = random;
    this.#findings = findings;
    this.#compressors = compressors;
    this.#batches = new Batches(random.fork(), compressors);
    const records = { any: () => random.bytes(random.below(40)) };
    this.#values = new RandomValues(random.fork(), new Vocabulary(), records);
    this.#of = messageVersions[0]!;
    const all = [this.#messages(), ...this.#streams(), ...this.#records(), ...this.#files()];
    this.#targets = all.flatMap((target) => Array.from({ length: target.weight }, () => target));
  }

  async run(frames: number): Promise<void> {
    let before = process.cpuUsage();
    for (let sent = 0; sent < frames; sent++) {
      const target = this.#random.pick(this.#targets);
      this.#attack(target, this.#input(target));
      if (sent % CHECK_TIME_EVERY !== 0) continue;
      const { user, system } = process.cpuUsage(before);
      const tookMs = (user + system) / 1000;
      this.#findings.noteTurn(tookMs, `${CHECK_TIME_EVERY} inputs, the last of ${target.name}`);
      // What node:zlib holds is let go between two turns only.
      await new Promise((resolve) => setImmediate(resolve));
      before = process.cpuUsage();
    }
    this.#findings.count('decoders', frames);
    this.#findings.noteMemory();
  }

  /** New bytes, or such as have led somewhere before. */
  #input(target: Target): Buffer {
    const random = this.#random;
    const kept = this.#kept.get(target);
    if (kept === undefined || kept.size === 0 || random.chance(0.5)) {
      const made = target.make();
      return random.chance(0.1) ? made : mutate(random, made);
    }
    return mutate(random, random.pick([...kept.values()]));
  }

  #attack(target: Target, bytes: Buffer): void {
    let said = 'a value';
    const before = performance.now();
    try {
      target.decode(bytes);
    } catch (error) {
      const { name, message } = error as Error;
      said = `${name}: ${message.replace(/-?\d+/g, '#')}`;
      if (!target.expected.some((kind) => error instanceof kind)) {
        this.#fault(`${target.name}: ${said}`, (error as Error).stack ?? message, bytes);
      }
    }
    const tookMs = performance.now() - before;
    if (tookMs > TURN_LIMIT_MS) this.#confirmHang(target, bytes);
    if (target.isFresh === true) return;
    const kept = this.#kept.get(target) ?? new Map<string, Buffer>();
    this.#kept.set(target, kept);
    if (kept.has(said) || kept.size >= MOST_KEPT || bytes.length > 4096) return;
    kept.set(said, Buffer.from(bytes));
  }

  /** Time passes for other reasons, too; a hang takes the processor, and does so again. */
  #confirmHang(target: Target, bytes: Buffer): void {
    const before = process.cpuUsage();
    try {
      target.decode(bytes);
    } catch {
      // What it throws was looked at the first time.
    }
    const { user } = process.cpuUsage(before);
    if (user / 1000 > TURN_LIMIT_MS) {
      this.#fault(`${target.name}: a hang`, `${user / 1000} ms`, bytes);
    }
  }

  /** All messages and records in all versions; some are also read the slow way. */
  #messages(): Target {
    return {
      name: 'messages',
      weight: 10,
      isFresh: true,
      make: () => {
        this.#of = this.#random.pick(messageVersions);
        const { message, version } = this.#of;
        const writer = new Writer();
        const value = this.#values.of(message.fields, version);
        codec(message, version).encode(writer, value as never);
        return Buffer.concat(writer.finish());
      },
      decode: (bytes) => {
        const { message, version } = this.#of;
        const value = codec(message, version).decode(new Reader(bytes));
        const count = countValues(value);
        if (count > (bytes.length + 2) * VALUES_PER_BYTE) throw new Error('too many values');
        if (++this.#count % WALK_EVERY !== 0) return;
        const walked = walkCodec(message, version).decode(new Reader(bytes));
        if (!isDeepStrictEqual(walked, value)) throw new Error('read otherwise step by step');
      },
      expected: [MalformedFrame],
    };
  }

  #streams(): Target[] {
    const random = this.#random;
    const frames = () => {
      const parts = Array.from({ length: 1 + random.below(4) }, () => {
        const body = random.bytes(random.below(60));
        const head = Buffer.alloc(4);
        head.writeInt32BE(body.length);
        return Buffer.concat([head, body]);
      });
      return Buffer.concat(parts);
    };
    const split = (bytes: Buffer) => {
      const framer = new Framer(MAX_FRAME_BYTES);
      let size = 0;
      for (let at = 0; at < bytes.length; ) {
        const length = 1 + random.below(random.pick([3, 50, 1000]));
        for (const frame of framer.push(bytes.subarray(at, at + length))) size += frame.length;
        at += length;
      }
      if (size > bytes.length) throw new Error('more bytes came out than went in');
      if (framer.pendingBytes > MAX_FRAME_BYTES) throw new Error('memory for what did not come');
    };
    const header = () => {
      const writer = new Writer();
      for (const value of [1, 12]) writer.int16(value);
      writer.int32(random.bits() | 0);
      writer.nullableString(random.pick([null, '', 'client']));
      return Buffer.concat(writer.finish());
    };
    const expected = [MalformedFrame];
    return [
      { name: 'frames', weight: 2, make: frames, decode: split, expected },
      {
        name: 'header',
        weight: 1,
        make: header,
        decode: (bytes) => decodeRequestHeader(new Reader(bytes)),
        expected,
      },
    ];
  }

  #records(): Target[] {
    const make = () => this.#batches.any();
    const batch: Target = {
      name: 'batches',
      weight: 2,
      make,
      decode: (bytes) => {
        if (batchFault(bytes, 0) !== undefined) return;
        const header = readBatchHeader(bytes, 0);
        if (header.codec === 0) for (const _record of readRecords(bytes, 0));
      },
      expected: [InvalidRecords],
    };
    const records: Target = {
      name: 'records',
      weight: 3,
      make: () => this.#batches.sound().subarray(HEADER_BYTES),
      decode: (bytes) => {
        const claims = { recordCount: 1 + (bytes[0] ?? 0), baseTimestamp: 0 };
        checkRecords(bytes, 0, bytes.length, claims, RULES, 1_704_067_200_000);
      },
      expected: [InvalidRecords],
    };
    const codecs = [...this.#compressors.codecs].map(
      ([number, one]): Target => ({
        name: codecNames[number] as string,
        weight: number === 1 ? 1 : 2,
        make: () => this.#batches.payload(number as CodecNumber),
        decode: (bytes) => {
          const limit = decompressionLimit(bytes.length, 1_000_000);
          const size = one.decompress(bytes, limit).length;
          if (size > limit) throw new Error(`${size} bytes under a limit of ${limit}`);
        },
        expected: [CorruptCompression, DecompressionLimit],
      }),
    );
    return [batch, records, ...codecs];
  }

  #files(): Target[] {
    const random = this.#random;
    const synced = { sequence: 1, position: 512 };
    const journal: Target = {
      name: 'journal',
      weight: 1,
      make: () => {
        const entry = {
          kind: 'lease' as const,
          topicId: Buffer.alloc(16, 1),
          partition: random.below(4),
          leaseEnd: random.below(1e6),
        };
        return encodeGroup([entry], GENERATION, 512, synced).header;
      },
      decode: (bytes) => {
        const at = findGroup(bytes, 0);
        if (at >= 0) decodeGroup(bytes, at, 512 + at, 512 + bytes.length, GENERATION);
      },
      expected: [],
    };
    const snapshot: Target = {
      name: 'snapshots',
      weight: 1,
      make: () => encodeSnapshot([]),
      decode: (bytes) => decodeSnapshot(bytes, 0),
      expected: [CorruptLog],
    };
    return [journal, snapshot];
  }

  #fault(kind: string, detail: string, bytes: Buffer): void {
    this.#findings.add({ kind, detail, seed: this.#seed, bytes });
  }
}
