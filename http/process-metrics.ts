/** Numbers of the process: memory, processor time, and how late the event loop is. */

import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import type { Metrics } from '../broker/metrics.ts';

/** The loop is asked this often how late it is. */
const RESOLUTION_MS = 20;
const NANOSECONDS = 1e9;
const MICROSECONDS = 1e6;

export class ProcessMetrics {
  private readonly delay: IntervalHistogram;

  constructor(metrics: Metrics) {
    this.delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    this.delay.enable();
    for (const [quantile, percentile] of [
      ['0.5', 50],
      ['0.99', 99],
      ['1', 100],
    ] as const) {
      metrics.gauge('event_loop_delay_seconds', quantile).from(() => this.lateness(percentile));
    }
    metrics.gauge('resident_memory_bytes').from(() => process.memoryUsage.rss());
    metrics.counter('cpu_seconds_total').from(() => {
      const { user, system } = process.cpuUsage();
      return (user + system) / MICROSECONDS;
    });
  }

  /** Seconds beyond the interval at which the loop is asked, since the last `reset`. */
  private lateness(percentile: number): number {
    const nanoseconds = this.delay.percentile(percentile);
    return Math.max(0, nanoseconds / NANOSECONDS - RESOLUTION_MS / 1000);
  }

  /** Measures anew: what was read was told. */
  reset(): void {
    this.delay.reset();
  }

  close(): void {
    this.delay.disable();
  }
}
