/**
 * The leader epochs of a partition: at which offset each began. Kept in memory, and in
 * `leader-epoch-checkpoint` for the batches that are persisted (Kafka's checkpoint format, a line
 * holds epoch and start offset). Epochs and start offsets both rise.
 * Source: Kafka's LeaderEpochFileCache.
 */

import path from 'node:path';
import {
  exchangeFile,
  formatCheckpoint,
  LEADER_EPOCHS_FILE,
  parseCheckpoint,
  parseWhole,
  replaceFile,
} from './checkpoint.ts';
import type { Disk, Env } from './env.ts';
import { CorruptLog } from './errors.ts';

export interface EpochStart {
  readonly epoch: number;
  readonly startOffset: number;
}

export class LeaderEpochs {
  readonly #disk: Disk;
  readonly #folder: string;
  #entries: EpochStart[] = [];
  /** What the file holds. */
  #stored = '';

  constructor(disk: Disk, folder: string) {
    this.#disk = disk;
    this.#folder = folder;
  }

  /** The epochs as the folder has them; none where the file cannot be read, which is logged. */
  static async load(env: Env, folder: string, from = env.disk): Promise<LeaderEpochs> {
    const epochs = new LeaderEpochs(env.disk, folder);
    const file = path.join(folder, LEADER_EPOCHS_FILE);
    const contents = await from.readFile(file);
    if (contents === undefined) return epochs;
    try {
      for (const [epoch, startOffset] of parseCheckpoint(contents, file)) {
        epochs.assign(parseWhole(epoch, file), parseWhole(startOffset, file));
      }
      epochs.#stored = contents.toString();
    } catch (error) {
      if (!(error instanceof CorruptLog)) throw error;
      env.log.error({ err: error, file }, 'the file of the leader epochs cannot be read');
      return new LeaderEpochs(env.disk, folder);
    }
    return epochs;
  }

  /** The newest epoch; -1 when there is none. */
  get latest(): number {
    return this.#entries.at(-1)?.epoch ?? -1;
  }

  entries(): readonly EpochStart[] {
    return this.#entries;
  }

  /** Says that batches of an epoch begin at an offset; nothing happens when that is known. */
  assign(epoch: number, startOffset: number): void {
    const last = this.#entries.at(-1);
    if (last !== undefined && last.epoch === epoch && last.startOffset <= startOffset) return;
    if (epoch < 0 || startOffset < 0) return;
    // Entries that the new one contradicts are of batches that are not there any more.
    while (this.#entries.length > 0) {
      const entry = this.#entries.at(-1)!;
      if (entry.epoch < epoch && entry.startOffset < startOffset) break;
      this.#entries.pop();
    }
    this.#entries.push({ epoch, startOffset });
  }

  /**
   * The largest epoch at or below the asked one, and where it ends; undefined when unknown. The
   * current epoch is one of them before it has a batch: it begins at the log's end then.
   */
  endOffsetFor(
    epoch: number,
    currentEpoch: number,
    logEndOffset: number,
  ): { leaderEpoch: number; endOffset: number } | undefined {
    if (epoch < 0 || epoch > currentEpoch) return undefined;
    if (epoch === currentEpoch) return { leaderEpoch: epoch, endOffset: logEndOffset };
    const floor = this.#entries.findLastIndex((entry) => entry.epoch <= epoch);
    return {
      leaderEpoch: this.#entries[floor]?.epoch ?? epoch,
      endOffset: this.#entries[floor + 1]?.startOffset ?? logEndOffset,
    };
  }

  /** Epoch of the batch at an offset; -1 when that is older than what is known. */
  epochAt(offset: number): number {
    let epoch = -1;
    for (const entry of this.#entries) {
      if (entry.startOffset > offset) break;
      epoch = entry.epoch;
    }
    return epoch;
  }

  /** Drops the epochs that begin at or after the log's end. */
  truncateFromEnd(endOffset: number): void {
    this.#entries = this.#entries.filter((entry) => entry.startOffset < endOffset);
  }

  /** Drops the epochs that end at or below the log's start; the one there begins at it now. */
  truncateFromStart(startOffset: number): void {
    const kept = this.#entries.filter((entry) => entry.startOffset > startOffset);
    const before = this.#entries[this.#entries.length - kept.length - 1];
    if (before !== undefined) kept.unshift({ epoch: before.epoch, startOffset });
    this.#entries = kept;
  }

  /**
   * Writes the epochs that begin below an offset, where all batches are persisted; the folder must
   * be there. Costs nothing when the file says so already. `isNameSynced`: the caller syncs the folder.
   */
  async save(belowOffset: number, isNameSynced = false): Promise<void> {
    const entries = this.#entries.filter((entry) => entry.startOffset < belowOffset);
    const lines = entries.map(({ epoch, startOffset }) => `${epoch} ${startOffset}`);
    const contents = formatCheckpoint(lines);
    const text = contents.toString();
    if (text === this.#stored) return;
    const file = path.join(this.#folder, LEADER_EPOCHS_FILE);
    // The first file says what the batches do, all of which are there: a power cut may take it.
    if (isNameSynced) await exchangeFile(this.#disk, file, contents, this.#stored !== '');
    else await replaceFile(this.#disk, file, contents);
    this.#stored = text;
  }
}
