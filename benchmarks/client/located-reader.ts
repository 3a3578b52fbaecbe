/**
 * Reading partitions by location, as lean as it can be: where the records lie is asked for with the
 * tagged field (docs/locations.md), and the bytes are fetched from the file, or by URL. They are
 * counted and not looked at; what is in the broker's memory comes as records and is counted too.
 */

import { type FileHandle, open } from 'node:fs/promises';
import { Agent, get } from 'node:http';
import { FetchRequest, FetchResponse } from '../../protocol/messages/fetch.ts';
import { batchBytes, lastOffset } from '../../protocol/record-batch.ts';
import type { Decoded } from '../../protocol/schema.ts';
import type { WireConnection } from './connection.ts';
import { refuseError } from './topics.ts';

const FETCH_VERSION = 12;
const MAX_WAIT_MS = 500;
const MAX_BYTES = 1024 * 1024;
const LOCATED_BYTES = 2 ** 30;
const CHUNK_BYTES = 1024 * 1024;

type Answer = Decoded<typeof FetchResponse>['responses'][number]['partitions'][number];
type Location = Answer['location'];

export type Way = 'file' | 'url';

export interface LocatedReaderOptions {
  readonly topic: string;
  /** End offsets, by partition: what is read up to, from the start. */
  readonly ends: readonly number[];
  readonly way: Way;
  /** Of this host; the broker gives paths to who has its own. */
  readonly hostId: string;
}

/** What was read, and how much of it was located. */
export interface ReadBytes {
  total: number;
  located: number;
}

export class LocatedReader {
  readonly #connection: WireConnection;
  readonly #options: LocatedReaderOptions;
  readonly #next: Map<number, number>;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  readonly #bytes: ReadBytes = { total: 0, located: 0 };

  constructor(connection: WireConnection, options: LocatedReaderOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#next = new Map(options.ends.map((_, partition) => [partition, 0]));
  }

  /** Reads all partitions to their ends. */
  async run(): Promise<ReadBytes> {
    try {
      while (this.#next.size > 0) {
        for (const partition of await this.#fetch()) await this.#take(partition);
      }
    } finally {
      this.#agent.destroy();
    }
    return this.#bytes;
  }

  /** Asks for the last records, until all of them are located: none is only in memory then. */
  async untilPersisted(): Promise<void> {
    for (const [partition, end] of this.#options.ends.entries()) this.#next.set(partition, end - 1);
    let isPersisted = false;
    while (!isPersisted) {
      const answers = await this.#fetch();
      isPersisted = answers.every(({ location }) => location.length > 0);
    }
  }

  async #fetch(): Promise<readonly Answer[]> {
    const { topic, way, hostId } = this.#options;
    const value = await this.#connection.call(FetchRequest, FetchResponse, FETCH_VERSION, {
      maxWaitMs: MAX_WAIT_MS,
      minBytes: 1,
      maxBytes: MAX_BYTES,
      topics: [
        {
          topic,
          partitions: Array.from(this.#next, ([partition, fetchOffset]) => ({
            partition,
            fetchOffset,
            partitionMaxBytes: MAX_BYTES,
          })),
        },
      ],
      locate: {
        maxBytes: LOCATED_BYTES,
        partitionMaxBytes: -1,
        hostId: way === 'file' ? hostId : '',
        urls: way === 'url',
      },
    });
    refuseError('Fetch', value.errorCode);
    return value.responses.flatMap(({ partitions }) => partitions);
  }

  async #take({ partitionIndex, errorCode, location, records }: Answer): Promise<void> {
    refuseError('Fetch', errorCode);
    if (location.length > 0) {
      const bytes =
        this.#options.way === 'file' ? await this.#readFile(location) : await this.#get(location);
      if (bytes !== location.length)
        throw new Error(`${bytes} bytes instead of ${location.length}`);
      this.#bytes.total += bytes;
      this.#bytes.located += bytes;
      this.#advance(partitionIndex, location.nextOffset);
      return;
    }
    let at = 0;
    while (
      records !== null &&
      at + 12 <= records.length &&
      at + batchBytes(records, at) <= records.length
    ) {
      this.#advance(partitionIndex, lastOffset(records, at) + 1);
      at += batchBytes(records, at);
    }
    this.#bytes.total += at;
  }

  #advance(partition: number, next: number): void {
    if (next >= this.#options.ends[partition]!) this.#next.delete(partition);
    else this.#next.set(partition, next);
  }

  async #readFile({ path, position, length }: Location): Promise<number> {
    const file: FileHandle = await open(path, 'r');
    try {
      let done = 0;
      while (done < length) {
        const count = Math.min(CHUNK_BYTES, length - done);
        const { bytesRead } = await file.read(this.#buffer, 0, count, position + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      return done;
    } finally {
      await file.close();
    }
  }

  #get({ url }: Location): Promise<number> {
    const range = new URL(url).searchParams.get('bytes');
    const headers = range === null ? {} : { range: `bytes=${range}` };
    return new Promise((resolve, reject) => {
      const request = get(url, { agent: this.#agent, headers }, (response) => {
        if (response.statusCode !== 200 && response.statusCode !== 206) {
          response.resume();
          reject(new Error(`${url} was answered ${response.statusCode}`));
          return;
        }
        let bytes = 0;
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
        });
        response.on('end', () => resolve(bytes));
        response.on('error', reject);
      });
      request.on('error', reject);
    });
  }
}
