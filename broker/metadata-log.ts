/**
 * The __cluster_metadata log: every change of topics, configurations, producer id blocks and
 * feature levels is a record appended here, and is in force when that record is durable.
 *
 * Two images are kept: `planned` has all that was appended, and is what a next change is checked
 * against; `committed` has what is durable, and is what the broker shows. When an append fails, it
 * is not known what of it reached the disk: before the next one the log is read, and planned
 * becomes what it really holds.
 *
 * When the log has grown by `metadata.log.max.record.bytes.between.snapshots`, a snapshot is
 * written, and the log before it dropped: start-up reads the newest sound snapshot and what
 * follows it.
 */

import { buildBatch } from '../protocol/batch-builder.ts';
import { batchBytes, isControl, lastOffset, readBatchHeader } from '../protocol/record-batch.ts';
import { readRecords } from '../protocol/records.ts';
import type { Env } from '../storage/env.ts';
import { CorruptLog } from '../storage/errors.ts';
import type { LogStore, PartitionLogView } from '../storage/types.ts';
import { MetadataImage } from './metadata-image.ts';
import {
  decodeMetadataRecord,
  encodeMetadataRecord,
  type MetadataRecord,
  type NewMetadataRecord,
} from './metadata-records.ts';
import {
  listSnapshots,
  readSnapshot,
  removeOldSnapshots,
  type SnapshotId,
  snapshotBatches,
  snapshotFileName,
  writeSnapshot,
} from './metadata-snapshot.ts';

/** Kafka 4.4's level of the metadata's format: KRaft's tools look for it before all else. */
const METADATA_VERSION = { name: 'metadata.version', featureLevel: 33 };
const FORMAT: NewMetadataRecord = { kind: 'FeatureLevelRecord', value: METADATA_VERSION };

/** How much of the log is read at once. */
const READ_BYTES = 1024 * 1024;

export interface MetadataLogOptions {
  /** The folder of the log's segments, where snapshots lie too. */
  readonly folder: string;
  readonly nodeId: number;
  readonly bytesBetweenSnapshots: number;
}

/** Told of records when they are durable, in the order of the log, one append at a time. */
export type CommitListener = (records: readonly MetadataRecord[]) => void;

export class MetadataLog {
  readonly #env: Env;
  readonly #log: PartitionLogView;
  readonly #logs: Pick<LogStore, 'admit'>;
  readonly #options: MetadataLogOptions;
  readonly #listeners: CommitListener[] = [];
  #committed = new MetadataImage();
  #planned = new MetadataImage();
  /** Offset after the last record in `committed`. */
  #committedEnd = 0;
  #bytesSinceSnapshot = 0;
  readonly #inFlight = new Set<Promise<void>>();
  /** Set while it is not known what the log holds after an append that failed. */
  #uncertain = false;
  #recovery: Promise<void> | undefined;
  /** The last append that waits for something before it can be written: later ones come after. */
  #turn: Promise<void> | undefined;
  #snapshot: Promise<void> | undefined;

  private constructor(
    env: Env,
    log: PartitionLogView,
    logs: Pick<LogStore, 'admit'>,
    options: MetadataLogOptions,
  ) {
    this.#env = env;
    this.#log = log;
    this.#logs = logs;
    this.#options = options;
  }

  /** Reads snapshot and log. Throws CorruptLog when neither tells all that was. */
  static async open(
    env: Env,
    log: PartitionLogView,
    logs: Pick<LogStore, 'admit'>,
    options: MetadataLogOptions,
  ): Promise<MetadataLog> {
    const metadata = new MetadataLog(env, log, logs, options);
    await metadata.#load();
    return metadata;
  }

  /** What is durable. */
  get committed(): MetadataImage {
    return this.#committed;
  }

  /** What is durable or on its way. */
  get planned(): MetadataImage {
    return this.#planned;
  }

  /** Offset after the last durable record. */
  get committedEnd(): number {
    return this.#committedEnd;
  }

  onCommit(listener: CommitListener): void {
    this.#listeners.push(listener);
  }

  /** Whether an append has failed, and what the log holds is still to be read back. */
  get isUncertain(): boolean {
    return this.#uncertain;
  }

  /** Takes over what the log holds after a failed append. Rejects while it cannot be read. */
  recover(): Promise<void> {
    if (!this.#uncertain) return Promise.resolve();
    this.#recovery ??= this.#readBack().finally(() => {
      this.#recovery = undefined;
    });
    return this.#recovery;
  }

  /**
   * Appends records as one batch: all of them or none. They are in `planned` at once, and in
   * `committed` when this resolves. The first append of all tells the format too.
   */
  async append(records: readonly NewMetadataRecord[]): Promise<void> {
    if (records.length === 0) return;
    if (this.#uncertain) await this.recover();
    const isFirst = this.#planned.feature(METADATA_VERSION.name) === undefined;
    const nowMs = this.#env.clock.now();
    const batch = buildBatch({
      records: (isFirst ? [FORMAT, ...records] : records).map((record) => ({
        key: null,
        value: encodeMetadataRecord(record),
        timestamp: nowMs,
      })),
    });
    // Read back, so that both images hold what a restart would find.
    const written = decodeBatch(batch, 0);
    for (const record of written) this.#planned.apply(record);
    const done = this.#write(batch).then((end) => this.#commit(written, end, batch.length));
    this.#inFlight.add(done);
    try {
      await done;
    } catch (error) {
      this.#uncertain = true;
      throw error;
    } finally {
      this.#inFlight.delete(done);
    }
    this.#snapshotWhenDue();
  }

  /** Waits until nothing is being written. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#inFlight);
    await this.#snapshot;
  }

  #write(batch: Buffer): Promise<number> {
    const room = this.#logs.admit(batch.length, true);
    if (room === undefined && this.#turn === undefined) return this.#appendDurably(batch);
    const turn = Promise.all([this.#turn, room]).then(() => undefined);
    const settled = turn
      .catch(() => undefined)
      .then(() => {
        if (this.#turn === settled) this.#turn = undefined;
      });
    this.#turn = settled;
    return turn.then(() => this.#appendDurably(batch));
  }

  #appendDurably(batch: Buffer): Promise<number> {
    return new Promise((resolve, reject) => {
      const header = readBatchHeader(batch, 0);
      const appended = this.#log.append(batch, header, this.#env.clock.now());
      const end = appended.lastOffset + 1;
      this.#log.onMark('durable', end, (error) => {
        if (error === undefined) resolve(end);
        else reject(error);
      });
    });
  }

  #commit(records: readonly MetadataRecord[], end: number, sizeBytes: number): void {
    for (const record of records) this.#committed.apply(record);
    this.#committedEnd = end;
    this.#bytesSinceSnapshot += sizeBytes;
    for (const listener of this.#listeners) listener(records);
  }

  async #load(): Promise<void> {
    const { disk, log } = this.#env;
    const { folder } = this.#options;
    let start: SnapshotId | undefined;
    for (const id of await listSnapshots(disk, folder)) {
      try {
        for (const record of await readSnapshot(disk, folder, id)) this.#committed.apply(record);
        start = id;
        break;
      } catch (error) {
        if (!(error instanceof CorruptLog)) throw error;
        log.error({ file: snapshotFileName(id), reason: error.message }, 'snapshot is unusable');
      }
    }
    this.#committedEnd = start?.endOffset ?? 0;
    const { logStartOffset, endOffset } = this.#log;
    if (logStartOffset > this.#committedEnd) {
      throw new CorruptLog(
        `${folder}: the log begins at ${logStartOffset}, and no sound snapshot reaches it`,
      );
    }
    if (endOffset < this.#committedEnd) {
      throw new CorruptLog(
        `${folder}: the log ends at ${endOffset}, before the snapshot of ${this.#committedEnd}`,
      );
    }
    await this.#readOn();
    this.#planned = this.#copyOfCommitted();
    if (start !== undefined) await removeOldSnapshots(disk, folder, start);
  }

  async #readBack(): Promise<void> {
    await Promise.allSettled(this.#inFlight);
    await this.#readOn();
    this.#planned = this.#copyOfCommitted();
    this.#uncertain = false;
  }

  /** Commits everything between the committed end and the log's durable end. */
  async #readOn(): Promise<void> {
    const limit = this.#log.durableOffset;
    while (this.#committedEnd < limit) {
      const from = this.#committedEnd;
      const slice = await this.#log.read(from, READ_BYTES, limit, true);
      try {
        for (const buffer of slice.buffers) {
          for (let at = 0; at < buffer.length; at += batchBytes(buffer, at)) {
            const end = lastOffset(buffer, at) + 1;
            if (end <= this.#committedEnd) continue;
            this.#commit(decodeBatch(buffer, at), end, batchBytes(buffer, at));
          }
        }
      } finally {
        slice.release();
      }
      if (slice.nextOffset <= from) {
        throw new CorruptLog(`${this.#options.folder}: nothing can be read at offset ${from}`);
      }
      this.#committedEnd = Math.max(this.#committedEnd, slice.nextOffset);
    }
  }

  #copyOfCommitted(): MetadataImage {
    const copy = new MetadataImage();
    for (const record of this.#committed.records(this.#options.nodeId)) {
      copy.apply(record as MetadataRecord);
    }
    return copy;
  }

  #snapshotWhenDue(): void {
    if (this.#bytesSinceSnapshot < this.#options.bytesBetweenSnapshots) return;
    if (this.#snapshot !== undefined || this.#uncertain) return;
    const bytes = this.#bytesSinceSnapshot;
    this.#bytesSinceSnapshot = 0;
    this.#snapshot = this.writeSnapshot()
      .catch((error: unknown) => {
        // The log still has everything; the next append tries again.
        this.#bytesSinceSnapshot += bytes;
        this.#env.log.error({ error }, 'no snapshot of the metadata could be written');
      })
      .finally(() => {
        this.#snapshot = undefined;
      });
  }

  /** Writes a snapshot of what is committed, and drops the log and the snapshots before it. */
  async writeSnapshot(): Promise<void> {
    const { disk, clock, log } = this.#env;
    const { folder, nodeId } = this.#options;
    const endOffset = this.#committedEnd;
    if (endOffset === 0) return;
    const id = { endOffset, epoch: Math.max(0, this.#log.epochAt(endOffset - 1)) };
    const batches = snapshotBatches(id, this.#committed.records(nodeId), clock.now());
    await writeSnapshot(disk, folder, id, batches);
    await this.#log.deleteRecordsBefore(endOffset);
    await removeOldSnapshots(disk, folder, id);
    log.info({ file: snapshotFileName(id) }, 'metadata snapshot written');
  }
}

/** The metadata records of a batch; none for a control batch. */
function decodeBatch(buffer: Buffer, at: number): MetadataRecord[] {
  if (isControl(buffer, at)) return [];
  const records: MetadataRecord[] = [];
  for (const { value } of readRecords(buffer, at)) {
    const record = value === null ? undefined : decodeMetadataRecord(value);
    if (record !== undefined) records.push(record);
  }
  return records;
}
