/** What a reading can be told, and what stands for what it is not told. */

import { ReadError } from './errors.ts';
import type { ReadEvent } from './stats.ts';
import { isToken } from './token.ts';

export type Isolation = 'read_committed' | 'read_uncommitted';

/** Offsets by partition. */
export type Offsets = ReadonlyMap<number, number> | Readonly<Record<number, number>>;

/** How located bytes are fetched. */
export type LocationWay = 'file' | 'url';

export interface ReadOptions {
  /** `host:port`, or several of which one must answer. */
  readonly bootstrap: string | readonly string[];
  readonly topic: string;
  /** The partitions to read; when not given, all that the topic has, and those that it gets. */
  readonly partitions?: readonly number[];
  /**
   * Where to begin: `earliest` (the default), `latest`, an offset for all partitions, offsets by
   * partition, the first record at or after a time, or the token of an earlier reading.
   */
  readonly from?: 'earliest' | 'latest' | number | Offsets | Date | (string & {});
  /** `read_uncommitted` when not given, as in Kafka. */
  readonly isolation?: Isolation;
  /** Goes on in real time (the default), or ends where the topic ended when the reading began. */
  readonly follow?: boolean;
  /**
   * When the offset to go on from is not there any more, or the broker lost what it had given:
   * `error` (the default) throws; `earliest` and `latest` go on at the log's start or end, and where
   * records were lost, at the offset from which on they were.
   */
  readonly reset?: 'error' | 'earliest' | 'latest';
  /** Ways to fetch what is persisted without the broker; both when not given, `[]` for neither. */
  readonly ways?: readonly LocationWay[];
  /** The broker waits for so many bytes, at most so long. 1 byte and 500 ms when not given. */
  readonly minBytes?: number;
  readonly maxWaitMs?: number;
  /** The most bytes of records in one answer for one partition; 1 MiB when not given. */
  readonly maxBytes?: number;
  /** The most bytes of one location; 256 MiB when not given. Not held in memory. */
  readonly maxLocatedBytes?: number;
  /** What is read from a file or URL at once; 1 MiB when not given. Twice that is held, per partition. */
  readonly chunkBytes?: number;
  /**
   * About how much is held in all of what was fetched and not taken; 64 MiB when not given. Where
   * there are many partitions, answers and pieces become smaller.
   */
  readonly maxBufferedBytes?: number;
  /** The most bytes that the records of one batch may become; 128 MiB when not given. */
  readonly maxBatchBytes?: number;
  /** How often to look for partitions that the topic has got; 30 s when not given. */
  readonly metadataMaxAgeMs?: number;
  /** How long no broker may answer before the reading fails; 60 s when not given. */
  readonly patienceMs?: number;
  readonly clientId?: string;
  /** Ends the reading: what waits for it throws the signal's reason. */
  readonly signal?: AbortSignal;
  /** Told how each request was answered. */
  readonly onEvent?: (event: ReadEvent) => void;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** The options with nothing left open. */
export interface Settings
  extends Required<Omit<ReadOptions, 'bootstrap' | 'partitions' | 'signal' | 'onEvent'>> {
  readonly bootstrap: readonly Address[];
  readonly partitions: readonly number[] | undefined;
  readonly signal: AbortSignal | undefined;
  readonly onEvent: ((event: ReadEvent) => void) | undefined;
}

const DEFAULT_PORT = 9092;
const MEBIBYTE = 1024 * 1024;
/** Held of one partition. */
const MOST_ANSWERS = 2;
const MOST_PIECES = 3;
/** Chunks must hold at least a header and some records. */
const LEAST_CHUNK_BYTES = 4096;

const DEFAULTS = {
  from: 'earliest',
  isolation: 'read_uncommitted',
  follow: true,
  reset: 'error',
  ways: ['file', 'url'],
  minBytes: 1,
  maxWaitMs: 500,
  maxBytes: MEBIBYTE,
  maxLocatedBytes: 256 * MEBIBYTE,
  chunkBytes: MEBIBYTE,
  maxBufferedBytes: 64 * MEBIBYTE,
  maxBatchBytes: 128 * MEBIBYTE,
  metadataMaxAgeMs: 30_000,
  patienceMs: 60_000,
  clientId: 'tailrace-reader',
} as const;

/** Checks the options and fills them up. Throws ReadError INVALID_OPTIONS. */
export function settingsOf(options: ReadOptions): Settings {
  const given = Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as unknown as ReadOptions;
  const settings = { ...DEFAULTS, partitions: undefined, signal: undefined, onEvent: undefined };
  const merged = { ...settings, ...given, bootstrap: addresses(options.bootstrap) } as Settings;
  check(merged.topic !== '' && typeof merged.topic === 'string', 'topic is a name');
  check(['read_committed', 'read_uncommitted'].includes(merged.isolation), 'isolation');
  check(['error', 'earliest', 'latest'].includes(merged.reset), 'reset');
  check(
    merged.ways.every((way) => way === 'file' || way === 'url'),
    'ways are file and url',
  );
  check(
    merged.partitions?.every((index) => Number.isInteger(index) && index >= 0) ?? true,
    'partitions are numbers from 0',
  );
  for (const name of ['minBytes', 'maxWaitMs', 'metadataMaxAgeMs', 'patienceMs'] as const) {
    checkNumber(merged, name, 0);
  }
  for (const name of [
    'maxBytes',
    'maxLocatedBytes',
    'maxBufferedBytes',
    'maxBatchBytes',
  ] as const) {
    checkNumber(merged, name, 1);
  }
  checkNumber(merged, 'chunkBytes', LEAST_CHUNK_BYTES);
  checkFrom(merged.from);
  return merged;
}

/**
 * The settings for so many partitions: each holds two answers at most, and of a location two pieces
 * and the first one of the next.
 */
export function shareOut(settings: Settings, partitions: number): Settings {
  const share = settings.maxBufferedBytes / Math.max(1, partitions);
  const atMost = (bytes: number, parts: number) =>
    Math.min(bytes, Math.max(LEAST_CHUNK_BYTES, Math.floor(share / parts)));
  return {
    ...settings,
    maxBytes: atMost(settings.maxBytes, MOST_ANSWERS),
    chunkBytes: atMost(settings.chunkBytes, MOST_PIECES),
  };
}

function checkNumber(settings: Settings, name: keyof Settings, least: number): void {
  const value = settings[name] as number;
  check(typeof value === 'number' && value >= least, `${name} is at least ${least}`);
}

function checkFrom(from: Settings['from']): void {
  if (typeof from === 'string') {
    check(['earliest', 'latest'].includes(from) || isToken(from), 'from is no token');
  } else if (typeof from === 'number') checkOffset(from);
  else if (from instanceof Date) check(!Number.isNaN(from.getTime()), 'from is no time');
  else for (const [, offset] of offsetsOf(from)) checkOffset(offset);
}

function checkOffset(offset: number): void {
  check(Number.isSafeInteger(offset) && offset >= 0, `${offset} is no offset`);
}

/** Offsets by partition, however they were given. */
export function offsetsOf(offsets: Offsets): Map<number, number> {
  if (offsets instanceof Map) return new Map(offsets);
  return new Map(Object.entries(offsets).map(([index, offset]) => [Number(index), offset]));
}

function addresses(bootstrap: string | readonly string[]): Address[] {
  const names = typeof bootstrap === 'string' ? bootstrap.split(',') : bootstrap;
  check(names.length > 0, 'bootstrap names a broker');
  return names.map((name) => {
    const match = /^\s*(?:\[([^\]]+)\]|([^:\s]+))(?::(\d+))?\s*$/.exec(name);
    check(match !== null, `bootstrap: ${name} is not host:port`);
    const [, bracketed, plain, port] = match as RegExpExecArray;
    return { host: (bracketed ?? plain)!, port: Number(port ?? DEFAULT_PORT) };
  });
}

function check(holds: boolean, message: string): void {
  if (!holds) throw new ReadError('INVALID_OPTIONS', message);
}
