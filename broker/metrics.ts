/**
 * Everything that is counted: one table of metrics, and cheap numbers behind it. Nothing here
 * knows an exposition format; http/metrics.ts turns the table into one when it is asked for.
 *
 * Names are given without the prefix `tailrace_`; `also` is the name that boards made for Apache
 * Kafka's JMX exporter know the same number by. Labels come from closed sets (API names, error
 * names, reasons), never from what a client sends, so the number of series is bounded.
 */

export type MetricType = 'counter' | 'gauge' | 'histogram';

interface Declaration {
  readonly type: MetricType;
  readonly unit: 'bytes' | 'records' | 'batches' | 'seconds' | 'count';
  readonly labels: readonly string[];
  readonly doc: string;
  readonly also?: string;
  /** Upper bounds of a histogram's buckets, rising. */
  readonly bounds?: readonly number[];
}

const TIME_BOUNDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
  30,
] as const;

function counter<const L extends readonly string[] = []>(
  unit: Declaration['unit'],
  doc: string,
  options: { labels?: L; also?: string } = {},
) {
  return {
    type: 'counter',
    unit,
    doc,
    ...options,
    labels: options.labels ?? ([] as never as L),
  } as const;
}

function gauge<const L extends readonly string[] = []>(
  unit: Declaration['unit'],
  doc: string,
  options: { labels?: L } = {},
) {
  return { type: 'gauge', unit, doc, labels: options.labels ?? ([] as never as L) } as const;
}

function histogram<const L extends readonly string[] = []>(
  doc: string,
  options: { labels?: L; also?: string } = {},
) {
  return {
    type: 'histogram',
    unit: 'seconds',
    doc,
    bounds: TIME_BOUNDS,
    ...options,
    labels: options.labels ?? ([] as never as L),
  } as const;
}

/** The declared metrics. */
export const METRICS = {
  // Records in and out.
  produce_bytes_total: counter('bytes', 'Record batch bytes taken from producers.', {
    also: 'kafka_server_brokertopicmetrics_bytesin_total',
  }),
  produce_records_total: counter('records', 'Records taken from producers.', {
    also: 'kafka_server_brokertopicmetrics_messagesin_total',
  }),
  produce_batches_total: counter('batches', 'Record batches taken from producers.'),
  produce_refused_total: counter('batches', 'Record batches refused, by error.', {
    labels: ['error'],
  }),
  produce_duplicates_total: counter('batches', 'Repeated batches answered from memory.'),
  fetch_bytes_total: counter('bytes', 'Record batch bytes given to consumers.', {
    also: 'kafka_server_brokertopicmetrics_bytesout_total',
  }),
  fetch_records_total: counter('records', 'Records given to consumers.'),
  fetch_located_total: counter('count', 'Locations given to consumers in place of records.'),
  fetch_located_bytes_total: counter('bytes', 'Record batch bytes that those locations name.'),
  slice_requests_total: counter('count', 'Slices asked for over HTTP, by what was answered.', {
    labels: ['answer'],
  }),
  segment_requests_total: counter('count', 'Segments asked for over HTTP, by what was answered.', {
    labels: ['answer'],
  }),
  segment_bytes_total: counter('bytes', 'Bytes of segments sent over HTTP.'),
  fetch_refused_total: counter('count', 'Partitions of fetches refused, by error.', {
    labels: ['error'],
  }),
  fetch_sessions: gauge('count', 'Fetch sessions kept.'),
  fetch_sessions_evicted_total: counter('count', 'Fetch sessions dropped to make room.'),

  // Waiting.
  watchers_parked: gauge('count', 'Fetches waiting for records.'),
  watchers_examined_total: counter('count', 'Times a waiting fetch was looked at.'),
  watchers_completed_total: counter('count', 'Fetches that stopped waiting, by cause.', {
    labels: ['cause'],
  }),
  paused_sources: gauge('count', 'Connections held because a Produce cannot be taken now.'),
  produce_held_total: counter('count', 'Produce requests that had to wait for room.'),
  produce_held_seconds: histogram('How long a Produce waited for room.'),

  // Requests.
  requests_total: counter('count', 'Requests taken in, by API.', { labels: ['api'] }),
  request_errors_total: counter('count', 'Requests answered with an error as a whole.', {
    labels: ['api', 'error'],
  }),
  request_seconds: histogram('From the whole frame to the answer handed to the socket, by API.', {
    labels: ['api'],
    also: 'kafka_network_requestmetrics_totaltime_seconds',
  }),
  requests_held_total: counter(
    'count',
    'Requests that had to wait for others of their connection, by the limit that was reached.',
    { labels: ['limit'] },
  ),
  requests_in_flight: gauge('count', 'Requests started and not yet answered.'),
  client_telemetry_instances: gauge('count', 'Clients that have asked which metrics are wanted.'),
  client_telemetry_pushes_total: counter('count', 'Pushes of metrics taken from clients.'),
  client_telemetry_bytes_total: counter('bytes', 'Bytes of metrics taken from clients, as sent.'),
  client_telemetry_refused_total: counter('count', 'Pushes of metrics refused, by error.', {
    labels: ['error'],
  }),

  // Connections.
  connections: gauge('count', 'Open client connections.'),
  connections_accepted_total: counter('count', 'Client connections accepted.'),
  connections_refused_total: counter('count', 'Connections closed when they came, by reason.', {
    labels: ['reason'],
  }),
  connections_closed_total: counter('count', 'Connections closed by the broker, by reason.', {
    labels: ['reason'],
  }),
  connections_waiting_for_memory: gauge('count', 'Connections not read until memory is free.'),
  connections_not_taking_answers: gauge('count', 'Connections whose answers are not being taken.'),
  network_bytes_in_total: counter('bytes', 'Bytes read from client connections.'),
  network_bytes_out_total: counter('bytes', 'Bytes written to client connections.'),

  // Memory and the write path.
  memory_bytes: gauge('bytes', 'Memory counted against memory.max.bytes, by user.', {
    labels: ['user'],
  }),
  memory_limit_bytes: gauge('bytes', 'The limit memory.max.bytes.'),
  memory_allowed_bytes: gauge('bytes', 'What the configuration allows to be held, by part.', {
    labels: ['part'],
  }),
  decompressions_cut_total: counter(
    'batches',
    'Compressed batches that were given up, since they become larger than they may.',
  ),
  tail_bytes: gauge('bytes', 'Bytes kept alive by memory tails that are not queued yet.'),
  flush_queue_bytes: gauge('bytes', 'Bytes queued for being persisted.'),
  flush_queue_limit_bytes: gauge('bytes', 'The limit flush.queue.bytes.'),
  flush_queue_chunks: gauge('count', 'Chunks queued for being persisted.'),
  journal_bytes: gauge('bytes', 'Bytes in journal files that are still needed.'),
  journal_limit_bytes: gauge('bytes', 'The limit journal.max.bytes.'),
  sync_seconds: histogram('Duration of fsyncs, by what was synced.', { labels: ['file'] }),
  logs: gauge('count', 'Partition logs open.'),
  failed_logs: gauge('count', 'Partition logs that take nothing since writing to them failed.'),
  damaged_ranges_total: counter(
    'count',
    'Ranges of segments found that are not what was written, since the start.',
  ),
  retention_segments_deleted_total: counter('count', 'Segments deleted by retention, by reason.', {
    labels: ['reason'],
  }),
  retention_bytes_deleted_total: counter('bytes', 'Bytes deleted by retention, by reason.', {
    labels: ['reason'],
  }),
  tail_compacted_records_total: counter(
    'records',
    'Records compacted away in memory, before they were written to a segment.',
  ),
  tail_compacted_bytes_total: counter('bytes', 'Bytes that this saved the segments.'),
  tail_vanished_pairs_total: counter(
    'records',
    'Deletes among those records, which went together with what they deleted.',
  ),
  retention_suspended: gauge(
    'count',
    'Whether retention by time is suspended, since the clock has jumped.',
  ),

  // The log cleaner.
  cleaner_passes_total: counter('count', 'Passes of the log cleaner over a log.'),
  cleaner_failures_total: counter('count', 'Passes of the log cleaner that failed.'),
  cleaner_read_bytes_total: counter('bytes', 'Bytes of log that were cleaned.'),
  cleaner_written_bytes_total: counter('bytes', 'Bytes of log that cleaning wrote anew.'),
  cleaner_read_records_total: counter('records', 'Records that were looked at by cleaning.'),
  cleaner_written_records_total: counter('records', 'Records that cleaning kept.'),
  cleaner_running: gauge('count', 'Logs that are being cleaned.'),
  cleaner_max_dirty_ratio: gauge(
    'count',
    'Largest share of a compacted log that is dirty, when it was last looked for.',
  ),
  cleaner_dirty_bytes: gauge('bytes', 'Dirty bytes of all compacted logs that could be cleaned.'),
  cleaner_max_delay_seconds: gauge(
    'seconds',
    'By how much max.compaction.lag.ms is exceeded at most.',
  ),
  cleaner_last_pass_seconds: gauge('seconds', 'Duration of the last pass.'),
  cleaner_last_pass_buffer_ratio: gauge(
    'count',
    'How full the memory for keys became in the last pass.',
  ),
  cleaner_idle_seconds: gauge('seconds', 'Time since logs to clean were last looked for.'),
  cleaner_uncleanable_partitions: gauge(
    'count',
    'Logs that could not be cleaned and are left as they are for a while.',
  ),
  cleaner_uncleanable_bytes: gauge('bytes', 'Size of the logs that could not be cleaned.'),

  // Groups and topics.
  topics: gauge('count', 'Topics, internal ones included.'),
  partitions: gauge('count', 'Partitions, internal ones included.'),
  groups: gauge('count', 'Consumer groups known.'),
  group_members: gauge('count', 'Members of consumer groups.'),
  group_rebalances_total: counter('count', 'Rebalances of consumer groups completed.'),
  transactional_ids: gauge('count', 'Transactional ids known.'),
  transactions_open: gauge('count', 'Transactions begun and not yet decided.'),
  transactions_completing: gauge('count', 'Transactions whose markers are being written.'),
  transactions_total: counter('count', 'Transactions completed, by outcome.', {
    labels: ['outcome'],
  }),
  transactions_timed_out_total: counter('count', 'Transactions aborted for taking too long.'),
  offset_commits_total: counter('count', 'Offsets committed.'),

  // The process.
  event_loop_delay_seconds: gauge('seconds', 'Delay of the event loop since the last reading.', {
    labels: ['quantile'],
  }),
  resident_memory_bytes: gauge('bytes', 'Resident memory of the process.'),
  cpu_seconds_total: counter('seconds', 'Processor time of the process, user and system.'),
  start_seconds: gauge('seconds', 'When the broker was started, in Unix time.'),
} as const satisfies Record<string, Declaration>;

type Table = typeof METRICS;
export type MetricName = keyof Table;
type NamesOf<T extends MetricType> = {
  [N in MetricName]: Table[N]['type'] extends T ? N : never;
}[MetricName];
export type CounterName = NamesOf<'counter'>;
export type GaugeName = NamesOf<'gauge'>;
export type HistogramName = NamesOf<'histogram'>;
/** One string for each declared label. */
type Strings<L extends readonly string[]> = { readonly [I in keyof L]: string };
type LabelValues<N extends MetricName> = Strings<Table[N]['labels']>;

/** One series: a number that only grows, is set, or is asked for when it is read. */
export class Series {
  readonly labels: readonly string[];
  value = 0;
  private source: (() => number) | undefined;

  constructor(labels: readonly string[]) {
    this.labels = labels;
  }

  add(amount = 1): void {
    this.value += amount;
  }

  set(value: number): void {
    this.value = value;
  }

  /** The value is asked for when it is read, from now on. */
  from(source: () => number): void {
    this.source = source;
  }

  read(): number {
    return this.source === undefined ? this.value : this.source();
  }
}

/** One series of a histogram: counts by bucket, the last one for what is above all bounds. */
export class HistogramSeries {
  readonly labels: readonly string[];
  readonly bounds: readonly number[];
  readonly counts: number[];
  sum = 0;
  count = 0;

  constructor(labels: readonly string[], bounds: readonly number[]) {
    this.labels = labels;
    this.bounds = bounds;
    this.counts = new Array<number>(bounds.length + 1).fill(0);
  }

  record(value: number): void {
    const bounds = this.bounds;
    let bucket = 0;
    while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket++;
    this.counts[bucket] = (this.counts[bucket] as number) + 1;
    this.sum += value;
    this.count += 1;
  }
}

/** All series of one metric. Where labels are known beforehand, keep the series, not the name. */
export class Family<S extends Series | HistogramSeries> {
  readonly name: MetricName;
  private readonly make: (labels: readonly string[]) => S;
  private readonly byLabels = new Map<string, S>();

  constructor(name: MetricName, make: (labels: readonly string[]) => S) {
    this.name = name;
    this.make = make;
  }

  of(labels: readonly string[]): S {
    // Most have no label or one; joining costs as much as all the rest.
    const key = labels.length < 2 ? (labels[0] ?? '') : labels.join('\u0000');
    let series = this.byLabels.get(key);
    if (series === undefined) {
      series = this.make([...labels]);
      this.byLabels.set(key, series);
    }
    return series;
  }

  all(): Iterable<S> {
    return this.byLabels.values();
  }
}

/**
 * The numbers of one broker: `metrics.counter('requests_total', 'Fetch').add()`. The types know
 * the names of each kind and how many labels each has.
 */
export class Metrics {
  private readonly series = new Map<MetricName, Family<Series>>();
  private readonly histograms = new Map<MetricName, Family<HistogramSeries>>();

  constructor() {
    for (const name of Object.keys(METRICS) as MetricName[]) {
      const declared: Declaration = METRICS[name];
      if (declared.type === 'histogram') {
        const bounds = declared.bounds ?? TIME_BOUNDS;
        const make = (labels: readonly string[]) => new HistogramSeries(labels, bounds);
        this.histograms.set(name, new Family(name, make));
      } else {
        this.series.set(name, new Family(name, (labels) => new Series(labels)));
      }
      if (declared.labels.length === 0) this.touch(name);
    }
  }

  counter<N extends CounterName>(name: N, ...labels: LabelValues<N>): Series {
    return (this.series.get(name) as Family<Series>).of(labels);
  }

  gauge<N extends GaugeName>(name: N, ...labels: LabelValues<N>): Series {
    return (this.series.get(name) as Family<Series>).of(labels);
  }

  histogram<N extends HistogramName>(name: N, ...labels: LabelValues<N>): HistogramSeries {
    return (this.histograms.get(name) as Family<HistogramSeries>).of(labels);
  }

  /** All series of a counter or gauge, of each label used so far. */
  valuesOf(name: CounterName | GaugeName): Iterable<Series> {
    return (this.series.get(name) as Family<Series>).all();
  }

  /** All series of a histogram. */
  histogramsOf(name: HistogramName): Iterable<HistogramSeries> {
    return (this.histograms.get(name) as Family<HistogramSeries>).all();
  }

  /** A metric without labels is there from the start, with the value 0. */
  private touch(name: MetricName): void {
    this.series.get(name)?.of([]);
    this.histograms.get(name)?.of([]);
  }
}
