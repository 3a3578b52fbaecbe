/**
 * Takes segments, or the whole folder of a log, out of use: they are renamed at once and removed
 * after `file.delete.delay.ms`; what a stop leaves, the next start removes. Open readers finish.
 */

import path from 'node:path';
import { forgetKeyFilters } from './key-filters.ts';
import { SIDE_SUFFIXES } from './log-folder.ts';
import type { Segment } from './segment.ts';
import type { SegmentList } from './segment-list.ts';
import { DELETED_SUFFIX, deletedFolderName, LOG_SUFFIX } from './segment-names.ts';
import { SparseSet } from './sparse.ts';

export class SegmentRemover {
  readonly #list: SegmentList;
  /** Names of deleted logs that are still there. */
  readonly #names = new SparseSet<string>();

  constructor(list: SegmentList) {
    this.#list = list;
  }

  /** The file is kept open over its renaming, so that a reader that comes now finds it. */
  async removeSegment(segment: Segment): Promise<void> {
    const { files, env } = this.#list.context;
    await forgetKeyFilters(this.#list, [segment]);
    const paths = [LOG_SUFFIX, ...SIDE_SUFFIXES].map((suffix) => segment.pathOf(suffix));
    const suffix = this.#freeSuffix(segment);
    await files.use(segment.file, async () => {
      for (const file of paths) {
        if ((await env.disk.stat(file)) === undefined) continue;
        await env.disk.rename(file, file + suffix);
      }
      segment.suffix = suffix;
    });
    env.log.info({ segment: segment.path }, 'a segment was deleted');
    this.#list.context.indexes.forget(segment);
    this.#later(async () => {
      if (!(await this.#removeFile(segment))) return;
      for (const file of paths) await env.disk.remove(file + suffix);
      this.#names.delete(segment.path);
    });
  }

  /** A log that is cleaned often may have left several files of one base. */
  #freeSuffix(segment: Segment): string {
    let suffix = DELETED_SUFFIX;
    for (let count = 1; this.#names.has(segment.path + suffix); count++) {
      suffix = `.${count}${DELETED_SUFFIX}`;
    }
    this.#names.add(segment.path + suffix);
    return suffix;
  }

  /** Renames the folder, durably. */
  async removeAll(): Promise<void> {
    const { segments } = this.#list;
    for (const segment of segments) this.#list.context.indexes.forget(segment);
    await forgetKeyFilters(this.#list, segments);
    if (!this.#list.hasFolder) return;
    const { env } = this.#list.context;
    const { dataDir, topic, partition } = this.#list.place;
    const name = deletedFolderName(topic, partition, env.random.bytes(16));
    const target = path.join(dataDir, name);
    await env.disk.rename(this.#list.folder.path, target);
    this.#list.folder.path = target;
    await env.disk.syncDir(dataDir);
    env.log.info({ folder: target }, 'a partition was deleted');
    this.#later(async () => {
      for (const segment of segments) {
        if (!(await this.#removeFile(segment))) return;
      }
      await env.disk.removeTree(target);
    });
  }

  /**
   * Removes the log's file. Who was told where it lies may have it open, and finishes; other
   * programs had `file.delete.delay.ms`. Gives false when a stop came first.
   */
  async #removeFile(segment: Segment): Promise<boolean> {
    const { files, removals } = this.#list.context;
    const wasLocated = await this.#forgetLocated(segment);
    files.retire(segment.file);
    return removals.removeSegmentFile(segment.path, wasLocated || segment.file.isUsed);
  }

  /** Locations of its file lead nowhere from now on. Gives whether there were any. */
  async #forgetLocated(segment: Segment): Promise<boolean> {
    const { left, links } = this.#list.context;
    const name = left.remove(segment);
    if (name !== undefined) await links?.remove(name);
    return name !== undefined;
  }

  /** Removes files after `file.delete.delay.ms`; at the latest the next start does it. */
  #later(remove: () => Promise<void>): void {
    const { context, options, folder } = this.#list;
    context.removals.later(options.fileDeleteDelayMs, folder.path, remove);
  }
}
