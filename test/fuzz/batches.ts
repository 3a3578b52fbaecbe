/**
 * Record batches for the fuzzer: sound ones in every codec, and such as lie: in their header, their
 * checksum, the records, the compressed frames; and bombs, small bytes that promise or become much.
 */

import { type BatchCodec, loadCodec } from '../../protocol/compression.ts';
import { crc32c } from '../../protocol/crc32c.ts';
import { Codec, type CodecNumber } from '../../protocol/record-batch.ts';
import { buildBatch, type RecordInput, wrapPayload } from '../../protocol/records.ts';
import type { SeededRandom } from '../sim/random.ts';
import { mutate } from './mutations.ts';

const CODECS: readonly CodecNumber[] = [Codec.gzip, Codec.snappy, Codec.lz4, Codec.zstd];
const CRC_AT = 17;
const CHECKED_AT = 21;
const HEADER_BYTES = 61;
const BOMB_BYTES = 20 * 1024 * 1024;
const START_MS = 1_704_067_200_000;

/** Small payloads that stand for very much: of each codec, true bombs and mere promises. */
function makeBombs(codecs: ReadonlyMap<CodecNumber, BatchCodec>): [CodecNumber, Buffer][] {
  const zeros = Buffer.alloc(BOMB_BYTES);
  const bombs: [CodecNumber, Buffer][] = [];
  for (const [number, codec] of codecs) bombs.push([number, codec.compress(zeros)]);
  // Snappy: a length of 4 GiB before two bytes. zstd: a frame that promises 2^60.
  bombs.push([Codec.snappy, Buffer.from('ffffffff0f0061', 'hex')]);
  bombs.push([Codec.zstd, Buffer.from('28b52ffdc05000000000000000100100000000', 'hex')]);
  bombs.push([Codec.zstd, Buffer.from('28b52ffde0ffffffffffffff0f030000', 'hex')]);
  // LZ4: a content size of 2^63, and a block of 4 GiB.
  bombs.push([Codec.lz4, Buffer.from('04224d186840ffffffffffffff7f7b00000000', 'hex')]);
  bombs.push([Codec.lz4, Buffer.from('04224d18604082ffffff7f', 'hex')]);
  return bombs;
}

/** What compressing once for all seeds costs is paid once. */
export class Compressors {
  readonly codecs: ReadonlyMap<CodecNumber, BatchCodec>;
  readonly bombs: readonly (readonly [CodecNumber, Buffer])[];

  private constructor(codecs: ReadonlyMap<CodecNumber, BatchCodec>) {
    this.codecs = codecs;
    this.bombs = makeBombs(codecs);
  }

  static async load(): Promise<Compressors> {
    const codecs = new Map<CodecNumber, BatchCodec>();
    for (const number of CODECS) codecs.set(number, await loadCodec(number));
    return new Compressors(codecs);
  }
}

export class Batches {
  readonly #random: SeededRandom;
  readonly #compressors: Compressors;

  constructor(random: SeededRandom, compressors: Compressors) {
    this.#random = random;
    this.#compressors = compressors;
  }

  /** Any records that a Produce may carry. */
  any(): Buffer {
    const fraction = this.#random.fraction();
    if (fraction < 0.45) return this.sound();
    if (fraction < 0.6) return this.#lyingHeader();
    if (fraction < 0.85) return this.#lyingPayload();
    if (fraction < 0.9) return Buffer.concat([this.sound(), this.sound()]);
    if (fraction < 0.95) return mutate(this.#random, this.sound());
    return fraction < 0.955 ? this.#bomb() : this.#random.bytes(this.#random.below(200));
  }

  /** A batch as a client makes it. */
  sound(): Buffer {
    const random = this.#random;
    const codec = random.chance(0.5) ? Codec.none : random.pick(CODECS);
    const producer = random.chance(0.3)
      ? { producerId: random.below(3), producerEpoch: 0, baseSequence: random.below(4) }
      : {};
    const records = Array.from({ length: 1 + random.below(4) }, () => this.#record());
    const transactional = 'producerId' in producer && random.chance(0.3);
    const options = { records, ...producer, transactional };
    if (codec === Codec.none) return buildBatch(options);
    const { compress } = this.#compressors.codecs.get(codec) as BatchCodec;
    return buildBatch({ ...options, compression: { codec, compress } });
  }

  /** Compressed bytes, sound or not, as a codec is given them. */
  payload(codec: CodecNumber): Buffer {
    const random = this.#random;
    const source = random.chance(0.5)
      ? random.bytes(random.below(400))
      : Buffer.alloc(random.below(4000), random.bytes(1 + random.below(7)));
    const sound = (this.#compressors.codecs.get(codec) as BatchCodec).compress(source);
    return mutate(random, sound);
  }

  #record(): RecordInput {
    const random = this.#random;
    const headers = random.chance(0.2) ? [{ key: 'h', value: random.bytes(3) }] : [];
    return {
      key: random.chance(0.5) ? random.bytes(random.below(6)) : null,
      value: random.chance(0.9) ? Buffer.alloc(random.below(300), 'value ') : null,
      headers,
      timestamp: START_MS + random.below(1000),
    };
  }

  /** One or two fields of the header changed; the checksum mostly right. */
  #lyingHeader(): Buffer {
    const random = this.#random;
    const batch = Buffer.from(this.sound());
    for (let count = 1 + random.below(2); count > 0; count--) {
      const at = random.below(Math.min(HEADER_BYTES, batch.length - 4));
      if (random.chance(0.5)) batch[at] = random.below(256);
      else batch.writeInt32BE(random.pick([-1, 0, 1, 0x7fff_ffff, -0x8000_0000]), at);
    }
    if (random.chance(0.8)) batch.writeUInt32BE(crc32c(batch.subarray(CHECKED_AT)), CRC_AT);
    return batch;
  }

  /** Records, or compressed records, that lie behind a sound header. */
  #lyingPayload(): Buffer {
    const batch = this.sound();
    const payload = mutate(this.#random, batch.subarray(HEADER_BYTES));
    const changed = Buffer.concat([batch.subarray(0, HEADER_BYTES), payload]);
    changed.writeInt32BE(changed.length - 12, 8);
    changed.writeUInt32BE(crc32c(changed.subarray(CHECKED_AT)), CRC_AT);
    return changed;
  }

  #bomb(): Buffer {
    const [codec, payload] = this.#random.pick(this.#compressors.bombs);
    const facts = { lastOffsetDelta: 0, baseTimestamp: START_MS, maxTimestamp: START_MS };
    return wrapPayload({}, payload, { codec, recordCount: 1, ...facts });
  }
}
