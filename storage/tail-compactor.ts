/**
 * On-the-fly compaction: takes out of sealed chunks, on their way to the segments, what newer
 * records of the same keys in memory have made superfluous. The rule is in tail-rule.ts, what is
 * known of the keys in tail-chains.ts, the proof in docs/architecture.md.
 *
 * A pass has three steps, each of which leaves the log right wherever it ends:
 * 1. The keys of the run, and of durable chunks behind it, are noted.
 * 2. Records go for newer ones, batch by batch; each batch is exchanged in one turn, in memory, so
 *    that a reader sees the same before and after the flush.
 * 3. Deletes go that nobody can miss. Their inserts went in step 2, so no reader can come between.
 * Then emptied batches that no producer's state needs become one. Offsets keep no gap.
 *
 * Long runs are worked through in pieces, between which other work has its turn. Compressed batches
 * are uncompressed and compressed anew by whoever does that for the broker (its codec threads).
 */

import { isControl, producerId as producerIdOf } from '../protocol/record-batch.ts';
import { emptiedBatch, fillerBatch, remainingBatch, withoutRecords } from './batch-remains.ts';
import { HashCollector } from './key-hash.ts';
import { type Chunk, compactedEntry, type MemoryTail } from './memory-tail.ts';
import { CompactableBatch, isPlain, KeyCursor, TailTurns } from './tail-batches.ts';
import { CarriedChains, type Chain, TailChains } from './tail-chains.ts';
import type { CompactableLog, TailRule } from './tail-rule.ts';
import type { WritePath } from './write-path.ts';

/** What the compaction has saved since the process started. */
export interface TailSavings {
  records: number;
  bytes: number;
  /** Deletes that went together with what they deleted. */
  pairs: number;
}

/** Chunks behind the run are looked at for newer records up to here. */
const HORIZON_BYTES = 4 * 1024 * 1024;
/** Uncompressed records of compressed batches held in one pass. */
const INFLATED_MAX_BYTES = 16 * 1024 * 1024;

interface Dropped {
  readonly index: number;
  readonly offset: number;
  readonly key: string;
  readonly chain: Chain;
}

export class TailCompactor {
  readonly #path: WritePath;
  readonly #log: CompactableLog;
  readonly #tail: MemoryTail;
  readonly #carried = new CarriedChains();

  constructor(path: WritePath, log: CompactableLog, tail: MemoryTail) {
    this.#path = path;
    this.#log = log;
    this.#tail = tail;
  }

  /**
   * Compacts the oldest chunks of the tail, which are about to be written. A run for which an
   * acknowledgement waits, or which comes again after a failed write, is left as it is.
   */
  async compact(chunks: readonly Chunk[]): Promise<void> {
    const end = chunks.at(-1)!.endOffset;
    const isRetry = chunks.some(({ wasCompacted }) => wasCompacted);
    for (const chunk of chunks) chunk.wasCompacted = true;
    if (!isRetry && !this.#log.isAwaited(end)) {
      const pass = new TailPass(this.#path, this.#log, this.#tail, this.#carried, chunks);
      await pass.run();
    }
    this.#carried.forgetBelow(end);
  }
}

class TailPass {
  readonly #path: WritePath;
  readonly #log: CompactableLog;
  readonly #tail: MemoryTail;
  readonly #carried: CarriedChains;
  readonly #chunks: readonly Chunk[];
  readonly #rule: TailRule;
  readonly #chains: TailChains;
  readonly #turns: TailTurns;
  readonly #hashes = new HashCollector();
  readonly #limit: number;
  /** Records with a later time are too young; Infinity where the topic sets no lag. */
  readonly #youngestMs: number;
  readonly #end: number;
  #inflatedBytes = 0;

  constructor(
    path: WritePath,
    log: CompactableLog,
    tail: MemoryTail,
    carried: CarriedChains,
    chunks: readonly Chunk[],
  ) {
    this.#path = path;
    this.#log = log;
    this.#tail = tail;
    this.#carried = carried;
    this.#chunks = chunks;
    this.#rule = path.tailRule;
    this.#chains = new TailChains(carried);
    this.#turns = new TailTurns(path.env.clock);
    this.#limit = this.#rule.limitOf(log);
    const { minCompactionLagMs: lagMs } = log.options;
    const isFree = lagMs === 0;
    this.#youngestMs = isFree ? Number.POSITIVE_INFINITY : path.env.clock.now() - lagMs;
    this.#end = chunks.at(-1)!.endOffset;
  }

  async run(): Promise<void> {
    const batches = await this.#noteRun();
    await this.#noteHorizon();
    let hasDeletes = false;
    for (const batch of batches) {
      if (this.#log.failure !== undefined) return;
      await this.#dropSuperseded(batch);
      hasDeletes ||= batch.hasDeletes;
      await this.#turns.after(batch.payloadBytes);
    }
    if (hasDeletes) await this.#dropPairs(batches);
    this.#mergeEmptied();
  }

  // Noting.

  async #noteRun(): Promise<CompactableBatch[]> {
    const batches: CompactableBatch[] = [];
    for (const chunk of this.#chunks) {
      for (const entry of chunk.batches) {
        const batch = new CompactableBatch(chunk, entry);
        await this.#inflate(batch);
        this.#note(batch);
        batches.push(batch);
        await this.#turns.after(batch.payloadBytes);
      }
    }
    return batches;
  }

  /** Newer records may lie in chunks behind the run; those that are compressed are passed over. */
  async #noteHorizon(): Promise<void> {
    let leftBytes = HORIZON_BYTES;
    const behind = this.#tail.chunks.filter(({ baseOffset }) => baseOffset >= this.#end);
    for (const chunk of behind) {
      for (let at = 0; at < chunk.batches.length; at++) {
        const entry = chunk.batches[at]!;
        leftBytes -= entry.sizeBytes;
        if (leftBytes < 0 || entry.lastOffset >= this.#limit) return;
        const batch = new CompactableBatch(chunk, entry);
        if (batch.payload !== undefined) this.#note(batch);
        await this.#turns.after(batch.payloadBytes);
      }
    }
  }

  async #inflate(batch: CompactableBatch): Promise<void> {
    if (batch.payload !== undefined || batch.header.control) return;
    if (this.#inflatedBytes >= INFLATED_MAX_BYTES) return;
    const payload = await this.#inFull(() => batch.inflate(this.#path.inflate));
    if (payload === undefined) return;
    batch.payload = payload;
    this.#inflatedBytes += payload.length;
  }

  /** Undefined when the records cannot be had: they are left as they are. */
  async #inFull(work: () => Promise<Buffer>): Promise<Buffer | undefined> {
    try {
      return await work();
    } catch (error) {
      const facts = { err: error, folder: this.#log.segments.folder };
      this.#path.env.log.warn(facts, 'a compressed batch is left out of compaction');
      return undefined;
    }
  }

  #note(batch: CompactableBatch): void {
    const { header, payload } = batch;
    if (header.control || header.lastOffset >= this.#limit) return;
    if (payload === undefined) {
      this.#chains.noteUnknown(header.baseOffset);
      return;
    }
    const plain = isPlain(header);
    const cursor = new KeyCursor(header, payload);
    while (cursor.next()) {
      const { key, offset } = cursor;
      if (key === undefined) continue;
      if (plain && cursor.timestamp <= this.#youngestMs) {
        this.#chains.noteNewest(key, offset, cursor.isDelete);
      } else this.#chains.noteKept(key, offset);
    }
    if (!cursor.isFaulty) return;
    batch.payload = undefined;
    this.#chains.noteUnknown(header.baseOffset);
  }

  // Records that go for newer ones.

  async #dropSuperseded(batch: CompactableBatch): Promise<void> {
    const { header, payload } = batch;
    if (header.control) batch.entry.keyHashes = this.#hashes.take();
    if (header.control || payload === undefined) return;
    const isOpen = isPlain(header) && header.lastOffset < this.#limit;
    const dropped: Dropped[] = [];
    const cursor = new KeyCursor(header, payload);
    while (cursor.next()) {
      const { key, offset } = cursor;
      if (key === undefined) continue;
      const chain = isOpen ? this.#chains.get(key) : undefined;
      const isYoung = cursor.timestamp > this.#youngestMs;
      if (chain !== undefined && offset < chain.newest && !isYoung && this.#carries(key, chain)) {
        dropped.push({ index: cursor.index, offset, key, chain });
      } else {
        cursor.hashInto(this.#hashes);
        batch.hasDeletes ||= chain?.newest === offset && chain.isDelete;
      }
    }
    const keyHashes = this.#hashes.take();
    if (cursor.isFaulty) return;
    if (dropped.length === 0) batch.entry.keyHashes = keyHashes;
    else await this.#exchange(batch, dropped, () => true, keyHashes);
  }

  /** Of a record that goes for one behind the run, the next pass must know. */
  #carries(key: string, chain: Chain): boolean {
    return chain.newest < this.#end || this.#carried.add(key, chain.newest);
  }

  /**
   * Exchanges a batch for what is left of it, in the turn in which `isRight` says yes at last;
   * without that, or where it cannot be compressed anew, it stays.
   */
  async #exchange(
    batch: CompactableBatch,
    dropped: readonly Dropped[],
    isRight: () => boolean,
    keyHashes: Uint32Array,
  ): Promise<boolean> {
    const { header, chunk } = batch;
    const indexes = new Set(dropped.map(({ index }) => index));
    const remains = withoutRecords(header, batch.payload!, indexes);
    let bytes = emptiedBatch(header);
    if (remains.recordCount > 0) {
      const packed = await this.#deflated(batch, remains.payload);
      if (packed !== undefined) bytes = remainingBatch(header, packed, remains);
      if (packed === undefined) {
        for (const { key, offset } of dropped) this.#chains.noteKept(key, offset);
        return false;
      }
    }
    if (!isRight()) return false;
    const saved = batch.entry.sizeBytes - bytes.length;
    batch.exchange(compactedEntry(bytes), remains.payload);
    batch.entry.keyHashes = keyHashes;
    chunk.replace(chunk.find(header.baseOffset), 1, batch.entry);
    for (const { offset, key, chain } of dropped) {
      chain.hasDropped = true;
      if (!this.#rule.wasServed(this.#log, offset)) continue;
      chain.wasServed = true;
      this.#carried.markServed(key);
    }
    this.#path.tailSavings.records += dropped.length;
    this.#path.tailSavings.bytes += saved;
    return true;
  }

  async #deflated(batch: CompactableBatch, payload: Buffer): Promise<Buffer | undefined> {
    const { codec } = batch.header;
    const { deflate } = this.#path;
    if (codec === 0) return payload;
    return deflate && this.#inFull(() => deflate(codec, payload));
  }

  // Deletes that go with what they deleted.

  async #dropPairs(batches: readonly CompactableBatch[]): Promise<void> {
    await this.#log.segments.keyFilters.load();
    for (const batch of batches) {
      if (this.#log.failure !== undefined) return;
      if (!batch.hasDeletes) continue;
      await this.#dropPairsOf(batch);
      await this.#turns.after(batch.payloadBytes);
    }
  }

  async #dropPairsOf(batch: CompactableBatch): Promise<void> {
    const dropped: Dropped[] = [];
    const cursor = new KeyCursor(batch.header, batch.payload!);
    while (cursor.next()) {
      const { key, offset } = cursor;
      if (key === undefined) continue;
      const chain = this.#chains.get(key);
      if (chain?.newest === offset && chain.isDelete && this.#mayVanish(cursor, chain)) {
        dropped.push({ index: cursor.index, offset, key, chain });
      } else cursor.hashInto(this.#hashes);
    }
    const keyHashes = this.#hashes.take();
    if (dropped.length === 0) return;
    const areUnseen = () => dropped.every(({ offset }) => !this.#rule.wasServed(this.#log, offset));
    const isDone = await this.#exchange(batch, dropped, areUnseen, keyHashes);
    if (isDone) this.#path.tailSavings.pairs += dropped.length;
  }

  #mayVanish(cursor: KeyCursor, chain: Chain): boolean {
    const { offset } = cursor;
    if (!this.#chains.isAlone(chain, offset) || this.#rule.wasServed(this.#log, offset)) {
      return false;
    }
    const [first, second] = cursor.hash();
    return !this.#rule.mayBePersisted(this.#log, first, second);
  }

  // Emptied batches.

  /** Batches without records that no producer's state needs become one where they are neighbours. */
  #mergeEmptied(): void {
    const needed = this.#recentBatches();
    for (const chunk of this.#chunks) {
      for (let at = 0; at < chunk.batches.length; at++) {
        let count = 0;
        for (let entry = chunk.batches[at]; entry !== undefined; ) {
          if (entry.recordCount > 0 || needed.has(entry.baseOffset)) break;
          entry = chunk.batches[at + ++count];
        }
        if (count < 2) continue;
        const first = chunk.batches[at]!;
        const { lastOffset } = chunk.batches[at + count - 1]!;
        const bytes = fillerBatch(first.baseOffset, lastOffset, first.leaderEpoch);
        const before = chunk.sizeBytes;
        const filler = compactedEntry(bytes);
        filler.keyHashes = this.#hashes.take();
        chunk.replace(at, count, filler);
        this.#path.tailSavings.bytes += before - chunk.sizeBytes;
      }
    }
  }

  /** Bases of the last batches below the limit of each producer in memory. */
  #recentBatches(): ReadonlySet<number> {
    const seen = new Map<number, number>();
    const recent = new Set<number>();
    for (const chunk of [...this.#tail.chunks].reverse()) {
      for (let at = chunk.batches.length - 1; at >= 0; at--) {
        const { baseOffset, lastOffset, bytes } = chunk.batches[at]!;
        const producerId = producerIdOf(bytes, 0);
        const isCounted = lastOffset < this.#limit && producerId >= 0 && !isControl(bytes, 0);
        const count = seen.get(producerId) ?? 0;
        if (!isCounted || count >= this.#rule.batchesKept) continue;
        seen.set(producerId, count + 1);
        recent.add(baseOffset);
      }
    }
    return recent;
  }
}
