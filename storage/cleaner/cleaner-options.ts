/** Options of the log cleaner, as broker/config.ts derives them from Kafka's `log.cleaner.*`. */

export interface CleanerOptions {
  /** `log.cleaner.enable`. */
  readonly isEnabled: boolean;
  /** `log.cleaner.threads`: logs cleaned at once; they share the buffers. */
  readonly threads: number;
  /** `log.cleaner.dedupe.buffer.size`: memory of all offset maps. */
  readonly dedupeBufferBytes: number;
  /** `log.cleaner.io.buffer.load.factor`: how full they may become. */
  readonly loadFactor: number;
  /** `log.cleaner.io.buffer.size`: memory for reading and writing. */
  readonly ioBufferBytes: number;
  /** `log.cleaner.io.max.bytes.per.second`, read and written together. */
  readonly maxBytesPerSecond: number;
  /** `log.cleaner.backoff.ms`: the wait where there is nothing to clean. */
  readonly backoffMs: number;
}
