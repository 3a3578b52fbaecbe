/**
 * The producer snapshots of a log: their checksums, and what they say of producers against the
 * batches below them, as far as those are still there.
 */

import path from 'node:path';
import { CorruptLog } from '../errors.ts';
import { decodeSnapshot } from '../producer-snapshot.ts';
import type { ProducerEntry, ProducerStates } from '../producer-state.ts';
import { SNAPSHOT_SUFFIX, segmentFileName } from '../segment-names.ts';
import type { FoundLog } from './data-folder.ts';
import type { VerifyTools } from './verify-log.ts';

interface Snapshot {
  readonly offset: number;
  readonly file: string;
  readonly entries: readonly ProducerEntry[];
}

export class SnapshotChecks {
  readonly #tools: VerifyTools;
  readonly #log: FoundLog;
  #waiting: Snapshot[] = [];

  constructor(tools: VerifyTools, log: FoundLog) {
    this.#tools = tools;
    this.#log = log;
  }

  /** Reads the snapshots. */
  async load(): Promise<void> {
    const { disk, findings } = this.#tools;
    for (const offset of this.#log.snapshots) {
      const file = path.join(this.#log.folder, segmentFileName(offset, SNAPSHOT_SUFFIX));
      const contents = await disk.readFile(file);
      if (contents === undefined) continue;
      try {
        const entries = decodeSnapshot(contents, 0);
        this.#waiting.push({ offset, file, entries });
        this.#checkOffsets(file, offset, entries);
      } catch (error) {
        if (!(error instanceof CorruptLog)) throw error;
        findings.damage(file, undefined, error.message);
      }
    }
  }

  #checkOffsets(file: string, offset: number, entries: readonly ProducerEntry[]): void {
    for (const { producerId, batches, currentTxnFirstOffset } of entries) {
      const last = Math.max(currentTxnFirstOffset, batches.at(-1)?.lastOffset ?? -1);
      if (last < offset) continue;
      const reason = `producer ${producerId} is at offset ${last}, the snapshot speaks of less`;
      this.#tools.findings.damage(file, undefined, reason);
    }
  }

  /** The batches below an offset were read, and made this state. */
  reached(offset: number, states: ProducerStates): void {
    while (this.#waiting[0] !== undefined && this.#waiting[0].offset <= offset) {
      this.#compare(this.#waiting.shift()!, states);
    }
  }

  /** All batches were read; `states` where none of them was missing. */
  end(endOffset: number, states: ProducerStates | undefined): void {
    if (states !== undefined) this.reached(endOffset, states);
    for (const { file, offset } of this.#waiting) {
      // After a power cut the log may end before; a start then uses an older snapshot.
      if (offset <= endOffset || !this.#tools.isWhole) continue;
      const reason = `it speaks of the log below ${offset}, which ends at ${endOffset}`;
      this.#tools.findings.damage(file, undefined, reason);
    }
  }

  #compare({ file, entries }: Snapshot, states: ProducerStates): void {
    for (const { producerId, epoch, batches } of entries) {
      const known = states.get(producerId);
      const said = batches.at(-1);
      const found = known?.batches.at(-1);
      // Of a producer that is not known the batches have left the log.
      if (known === undefined || said === undefined || found === undefined) continue;
      const isSame = said.lastOffset === found.lastOffset && epoch === known.epoch;
      if (isSame && said.lastSequence === found.lastSequence) continue;
      const reason =
        `producer ${producerId} has epoch ${epoch}, sequence ${said.lastSequence} at offset ` +
        `${said.lastOffset}; the batches have ${known.epoch}, ${found.lastSequence} at ${found.lastOffset}`;
      this.#tools.findings.damage(file, undefined, reason);
    }
  }
}
