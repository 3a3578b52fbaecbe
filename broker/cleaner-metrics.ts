/** The numbers of the log cleaner, asked for when they are read. */

import type { LogCleaner } from '../storage/cleaner/log-cleaner.ts';
import type { Clock } from '../storage/env.ts';
import type { Metrics } from './metrics.ts';

export function exposeCleaner(metrics: Metrics, cleaner: LogCleaner, clock: Clock): void {
  const { record } = cleaner;
  metrics.counter('cleaner_passes_total').from(() => record.passes);
  metrics.counter('cleaner_failures_total').from(() => record.failures);
  metrics.counter('cleaner_read_bytes_total').from(() => record.bytesRead);
  metrics.counter('cleaner_written_bytes_total').from(() => record.bytesWritten);
  metrics.counter('cleaner_read_records_total').from(() => record.recordsRead);
  metrics.counter('cleaner_written_records_total').from(() => record.recordsWritten);
  metrics.gauge('cleaner_running').from(() => cleaner.running);
  metrics.gauge('cleaner_max_dirty_ratio').from(() => record.maxDirtyRatio);
  metrics.gauge('cleaner_dirty_bytes').from(() => record.dirtyBytes);
  metrics.gauge('cleaner_max_delay_seconds').from(() => record.maxDelayMs / 1000);
  metrics.gauge('cleaner_last_pass_seconds').from(() => record.lastSeconds);
  metrics.gauge('cleaner_last_pass_buffer_ratio').from(() => record.lastUtilization);
  metrics.gauge('cleaner_idle_seconds').from(() => {
    return record.lastRunMs === 0 ? 0 : (clock.now() - record.lastRunMs) / 1000;
  });
  metrics.gauge('cleaner_uncleanable_partitions').from(() => record.uncleanable);
  metrics.gauge('cleaner_uncleanable_bytes').from(() => record.uncleanableBytes);
}
