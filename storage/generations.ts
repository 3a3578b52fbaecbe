/**
 * The generations of a partition's segments: a random 64-bit id for each file whose location was
 * ever given out, made when the first one is. They are kept in a side file, which is durable before
 * a location leaves, in Kafka's checkpoint format: `base offset, id, device, inode`. A file of
 * another inode is another file: a copied folder gets new ids, and never shares one with its
 * original, from which it may come to differ.
 */

import path from 'node:path';
import { formatCheckpoint, parseCheckpoint, replaceFile } from './checkpoint.ts';
import type { FileStat } from './env.ts';
import { CorruptLog } from './errors.ts';
import type { LogContext } from './log-context.ts';

export const GENERATIONS_FILE = 'tailrace-generations';
const GENERATION_BYTES = 8;

interface Generation {
  readonly id: string;
  readonly device: number;
  readonly inode: number;
}

export class Generations {
  readonly #context: LogContext;
  readonly #folder: { readonly path: string };
  #loaded: Promise<Map<number, Generation>> | undefined;
  #saving: Promise<void> = Promise.resolve();

  constructor(context: LogContext, folder: { readonly path: string }) {
    this.#context = context;
    this.#folder = folder;
  }

  /** The id of a segment's file, 16 hex digits; durable when it resolves. */
  async of(baseOffset: number, stat: FileStat): Promise<string> {
    const { device, inode } = stat;
    const generations = await this.#load();
    const known = generations.get(baseOffset);
    if (known !== undefined && known.device === device && known.inode === inode) {
      await this.#saving;
      return known.id;
    }
    const id = this.#context.env.random.bytes(GENERATION_BYTES).toString('hex');
    generations.set(baseOffset, { id, device, inode });
    await this.#save(generations);
    return id;
  }

  /** The files of these segments have gone; an inode may come back, its generation must not. */
  async forget(baseOffsets: readonly number[]): Promise<void> {
    const generations = await this.#load();
    let isChanged = false;
    for (const baseOffset of baseOffsets) {
      if (generations.delete(baseOffset)) isChanged = true;
    }
    if (isChanged) await this.#save(generations);
  }

  #load(): Promise<Map<number, Generation>> {
    this.#loaded ??= this.#read();
    return this.#loaded;
  }

  async #read(): Promise<Map<number, Generation>> {
    const generations = new Map<number, Generation>();
    const file = path.join(this.#folder.path, GENERATIONS_FILE);
    const contents = await this.#context.env.disk.readFile(file);
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
      this.#context.env.log.warn({ err: error, file }, 'generations are made anew');
    }
    return generations;
  }

  /** One write after the other; a write that failed is the caller's error, not the next one's. */
  #save(generations: Map<number, Generation>): Promise<void> {
    const saved = this.#saving.then(() => {
      const lines = [...generations].map(
        ([base, { id, device, inode }]) => `${base} ${id} ${device} ${inode}`,
      );
      const file = path.join(this.#folder.path, GENERATIONS_FILE);
      return replaceFile(this.#context.env.disk, file, formatCheckpoint(lines));
    });
    this.#saving = saved.catch(() => {});
    return saved;
  }
}
