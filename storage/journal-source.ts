/** What the journal and the logs that write to it know of one another. */

/** What a log has for the journal: batches that run on from one another. */
export interface JournalRun {
  readonly previousEnd: number;
  readonly end: number;
  readonly buffers: readonly Buffer[];
  readonly sizeBytes: number;
  /** How many these are. */
  readonly batches: number;
}

/** A log, as the journal sees it. */
export interface JournalSource {
  /** 16 bytes. */
  readonly topicIdBytes: Buffer;
  readonly partition: number;
  /** Set when the log takes nothing any more; what it has here is then kept for the next start. */
  readonly failure: Error | undefined;
  /** What is below is in fsynced segments. */
  readonly persistedOffset: number;
  /** Bytes not yet given to the journal. */
  readonly pendingBytes: number;
  /** Whether somebody waits for what is written to become durable. */
  readonly wantsSync: boolean;
  /** How long what nobody waits for may stay unsynced, in milliseconds. */
  readonly syncDelayMs: number;
  /** Gives what is pending, of so many bytes of all logs; undefined when it goes another way. */
  takeRun(groupBytes: number): JournalRun | undefined;
  /** A lease to be recorded with this turn; undefined when none is due. */
  takeLease(): number | undefined;
  onWritten(end: number): void;
  onDurable(end: number): void;
  onLeaseDurable(leaseEnd: number): void;
  /** Whether the lease is of no more use, and is given up with this answer. */
  giveUpLease(): boolean;
  /** Asks for a lease to be written again. */
  renewLease(): void;
  /** The pending data and the run last taken were not written. */
  onWriteFailed(error: Error): void;
  /** Nothing of this log will become durable any more. */
  onSyncFailed(error: Error): void;
}

export interface JournalOptions {
  readonly dir: string;
  readonly fileBytes: number;
  readonly maxBytes: number;
  readonly writeSyncMaxBytes: number;
  readonly syncMaxMs: number;
  readonly device: number;
  /** Whether nothing else is being written, so that a sync waits for nobody. */
  readonly isDiskQuiet: () => boolean;
  /** Told how long each sync took, in milliseconds. */
  readonly onSync: (durationMs: number) => void;
  /** It was full and is not any more: a file has gone out of use. */
  readonly onRoom: () => void;
  /** The journal is half full: these logs hold its oldest file. */
  readonly onPressure: (sources: Iterable<JournalSource>) => void;
  /** The journal stalled (an error) or resumed (undefined). */
  readonly onStall: (error: Error | undefined) => void;
}
