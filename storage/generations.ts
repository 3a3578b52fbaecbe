/**
 * The generations of a partition's segments: a random 64-bit id for each file whose location was
 * ever given out, made when the first one is. They are kept in a side file, which is durable before
 * a location leaves, in Kafka's checkpoint format: `base offset, id, device, inode`. A file of
 * another inode is another file: a copied folder gets new ids, and never shares one with its
 * original, from which it may come to differ.
 *
 * A segment that leaves the log is forgotten here first, durably: its inode may come back, its
 * generation must not. From then on it gets no location; what was given out before is found among
 * the LeftSegments.
 */

import path from 'node:path';
import { formatCheckpoint, parseCheckpoint, replaceFile } from './checkpoint.ts';
import type { FileStat } from './env.ts';
import { CorruptLog } from './errors.ts';
import type { LocatedName } from './located.ts';
import type { Segment } from './segment.ts';
import type { SegmentList } from './segment-list.ts';
import { SparseMap } from './sparse.ts';

export const GENERATIONS_FILE = 'tailrace-generations';
const GENERATION_BYTES = 8;

interface Generation {
  readonly id: string;
  readonly device: number;
  readonly inode: number;
}

export class Generations {
  readonly #list: SegmentList;
  #loaded: Promise<Map<number, Generation>> | undefined;
  #saving: Promise<void> = Promise.resolve();
  #isStopped = false;
  /** The side file has forgotten all that has left. */
  #isStored = true;
  /** Whose files have their names for static servers; see LocatedLinks. */
  readonly #linked = new SparseMap<string, Promise<void>>();

  constructor(list: SegmentList) {
    this.#list = list;
  }

  /**
   * The id of a segment's file, 16 hex digits; durable when it resolves. Undefined for a segment
   * that has left the log, and after a stop.
   */
  async of(segment: Segment, stat: FileStat): Promise<string | undefined> {
    const { device, inode } = stat;
    const { baseOffset } = segment;
    const generations = await this.#load();
    if (segment.hasLeft || this.#isStopped) return undefined;
    const known = generations.get(baseOffset);
    if (known !== undefined && isOf(known, stat)) {
      await this.#saving;
      await this.#link(segment, known.id);
      return known.id;
    }
    const id = this.#list.context.env.random.bytes(GENERATION_BYTES).toString('hex');
    generations.set(baseOffset, { id, device, inode });
    await this.#save(generations);
    await this.#link(segment, id);
    return id;
  }

  /** Whether a file is that of a generation which is still in the log, as a check to be made of it. */
  async check(
    baseOffset: number,
    generation: string,
  ): Promise<((stat: FileStat) => boolean) | undefined> {
    const known = (await this.#load()).get(baseOffset);
    return known?.id === generation ? (stat) => isOf(known, stat) : undefined;
  }

  /**
   * These segments are about to leave the log: their files are found among those that have left.
   * `endOffset`: what of them was persisted ends below; of closed ones all is.
   */
  async leave(segments: readonly Segment[], endOffset = Number.MAX_SAFE_INTEGER): Promise<void> {
    for (const segment of segments) segment.hasLeft = true;
    if (this.#leave(await this.#load(), segments, endOffset)) this.#isStored = false;
  }

  /** The same, durable when it resolves. */
  async forget(segments: readonly Segment[]): Promise<void> {
    await this.leave(segments);
    if (this.#isStored) return;
    await this.#save(await this.#load());
    this.#isStored = true;
  }

  #leave(
    generations: Map<number, Generation>,
    segments: readonly Segment[],
    endOffset: number,
  ): boolean {
    const { place, context } = this.#list;
    const { left } = context;
    let isChanged = false;
    for (const segment of segments) {
      const known = generations.get(segment.baseOffset);
      if (known === undefined) continue;
      generations.delete(segment.baseOffset);
      this.#linked.delete(known.id);
      left.add(place.topic, this.#nameOf(segment, known.id), segment, endOffset);
      isChanged = true;
    }
    return isChanged;
  }

  #nameOf({ baseOffset }: Segment, generation: string): LocatedName {
    const { topicId, partition } = this.#list.place;
    return { topicId, partition, baseOffset, generation };
  }

  /** Without its name a file has no URL at a static server, and the broker serves it. */
  #link(segment: Segment, id: string): Promise<void> {
    const { links, env } = this.#list.context;
    if (links === undefined) return Promise.resolve();
    let linked = this.#linked.get(id);
    if (linked === undefined) {
      linked = links.add(this.#nameOf(segment, id), segment.path).catch((error: unknown) => {
        this.#linked.delete(id);
        env.log.warn({ err: error, segment: segment.path }, 'a segment could not be linked');
      });
      this.#linked.set(id, linked);
    }
    return linked;
  }

  /** Whether the file of a generation has a name for static servers. */
  isLinked(id: string): boolean {
    return this.#linked.has(id);
  }

  /** Gives no new ones; resolves when what was begun is on the disk, or has failed. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    // Whoever asked for it gets the error.
    await this.#loaded?.catch(() => {});
    await this.#saving;
  }

  #load(): Promise<Map<number, Generation>> {
    this.#loaded ??= this.#read().catch((error: unknown) => {
      // What could not be read is read the next time.
      this.#loaded = undefined;
      throw error;
    });
    return this.#loaded;
  }

  async #read(): Promise<Map<number, Generation>> {
    const { env } = this.#list.context;
    const generations = new Map<number, Generation>();
    const file = path.join(this.#list.folder.path, GENERATIONS_FILE);
    const contents = await env.disk.readFile(file);
    if (contents === undefined) return generations;
    try {
      for (const words of parseCheckpoint(contents, file)) {
        const [baseOffset, id, device, inode] = words;
        if (id === undefined || !/^[0-9a-f]{16}$/.test(id)) continue;
        generations.set(Number(baseOffset), { id, device: Number(device), inode: Number(inode) });
      }
    } catch (error) {
      if (!(error instanceof CorruptLog)) throw error;
      // New ids are as good: who holds an old one asks again.
      env.log.warn({ err: error, file }, 'generations are made anew');
    }
    return generations;
  }

  /** One write after the other; a write that failed is the caller's error, not the next one's. */
  #save(generations: Map<number, Generation>): Promise<void> {
    const saved = this.#saving.then(() => {
      const lines = [...generations].map(
        ([base, { id, device, inode }]) => `${base} ${id} ${device} ${inode}`,
      );
      const file = path.join(this.#list.folder.path, GENERATIONS_FILE);
      return replaceFile(this.#list.context.env.disk, file, formatCheckpoint(lines));
    });
    this.#saving = saved.catch(() => {});
    return saved;
  }
}

function isOf(generation: Generation, { device, inode }: FileStat): boolean {
  return generation.device === device && generation.inode === inode;
}
