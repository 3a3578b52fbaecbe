/** The leader epochs of a log's checkpoint against those in its batches. */

import path from 'node:path';
import type { BatchHeader } from '../../protocol/record-batch.ts';
import { LEADER_EPOCHS_FILE, parseCheckpoint, parseWhole } from '../checkpoint.ts';
import { CorruptLog } from '../errors.ts';
import type { EpochStart } from '../leader-epochs.ts';
import type { FoundLog } from './data-folder.ts';
import type { VerifyTools } from './verify-log.ts';

export class EpochCheck {
  readonly #tools: VerifyTools;
  readonly #file: string;
  #entries: EpochStart[] | undefined;
  /** The entry that batches are compared with; -1 below the first. */
  #current = -1;
  #newest = -1;
  #isTold = false;

  constructor(tools: VerifyTools, log: FoundLog) {
    this.#tools = tools;
    this.#file = path.join(log.folder, LEADER_EPOCHS_FILE);
  }

  async load(): Promise<void> {
    const { disk, findings } = this.#tools;
    const contents = await disk.readFile(this.#file);
    if (contents === undefined) return;
    try {
      const entries = parseCheckpoint(contents, this.#file).map(([epoch, startOffset]) => ({
        epoch: parseWhole(epoch, this.#file),
        startOffset: parseWhole(startOffset, this.#file),
      }));
      for (const [index, { epoch, startOffset }] of entries.entries()) {
        const before = entries[index - 1];
        if (before === undefined) continue;
        if (epoch > before.epoch && startOffset > before.startOffset) continue;
        const reason = `epoch ${epoch} from ${startOffset} does not follow epoch ${before.epoch}`;
        findings.damage(this.#file, undefined, `${reason} from ${before.startOffset}`);
        return;
      }
      this.#entries = entries;
    } catch (error) {
      if (!(error instanceof CorruptLog)) throw error;
      findings.damage(this.#file, undefined, error.message);
    }
  }

  batch({ baseOffset, leaderEpoch }: BatchHeader, segment: string, position: number): void {
    if (leaderEpoch < this.#newest) {
      const reason = `leader epoch ${leaderEpoch} behind epoch ${this.#newest}`;
      this.#tools.findings.damage(segment, position, reason);
    }
    this.#newest = Math.max(this.#newest, leaderEpoch);
    const entries = this.#entries;
    if (entries === undefined || this.#isTold) return;
    while (entries[this.#current + 1] !== undefined) {
      if (entries[this.#current + 1]!.startOffset > baseOffset) break;
      this.#current++;
    }
    const entry = entries[this.#current];
    // Below the first entry lies what the log start has passed.
    if (entry === undefined || entry.epoch === leaderEpoch) return;
    // After a kill the checkpoint may lack the newest epoch; a start takes it from the batches.
    const isLate = this.#current === entries.length - 1 && leaderEpoch > entry.epoch;
    if (isLate && !this.#tools.isWhole) return;
    this.#isTold = true;
    const reason = `it has epoch ${entry.epoch} at offset ${baseOffset}, where the batch has ${leaderEpoch}`;
    this.#tools.findings.damage(this.#file, undefined, reason);
  }

  /** `endOffset`: the log's. */
  end(endOffset: number): void {
    const { findings, isWhole } = this.#tools;
    if (this.#entries === undefined && this.#newest >= 0 && isWhole) {
      findings.note(this.#file, undefined, 'there is none; a start makes it from the batches');
    }
    const last = this.#entries?.at(-1);
    if (last !== undefined && last.startOffset > endOffset && isWhole) {
      const reason = `epoch ${last.epoch} begins at ${last.startOffset}, the log ends at ${endOffset}`;
      findings.damage(this.#file, undefined, reason);
    }
  }
}
