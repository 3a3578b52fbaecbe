/**
 * The bytes of a location, from the file itself or by URL, as pieces of whole batches. What cannot
 * be had is a LocationFault: the place is asked for again. Whether the bytes are sound is checked by
 * who takes the batches. Specified in docs/locations.md.
 */

import { type FileHandle, open } from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import type { FetchResponse } from '../protocol/messages/fetch.ts';
import { BATCH_HEADER_BYTES, batchBytes, LOG_OVERHEAD } from '../protocol/record-batch.ts';
import type { Decoded } from '../protocol/schema.ts';
import { LocationFault } from './errors.ts';

export type Location = Decoded<
  typeof FetchResponse
>['responses'][number]['partitions'][number]['location'];

/** Pieces of whole batches, each in memory of its own. */
export type Pieces = AsyncGenerator<Buffer, void, undefined>;

/** A server that says nothing for so long is not waited for. */
const SILENCE_LIMIT_MS = 30_000;

/** Bytes of the whole batches at the front of a buffer. */
function wholeBytes(buffer: Buffer, filled: number): number {
  let end = 0;
  while (end + LOG_OVERHEAD <= filled) {
    const size = batchBytes(buffer, end);
    if (size < BATCH_HEADER_BYTES) throw new LocationFault('unsound', 'a batch without a header');
    if (end + size > filled) break;
    end += size;
  }
  return end;
}

/** Bytes that the first batch needs, as far as they are known. */
function neededBytes(buffer: Buffer, filled: number): number {
  return filled < LOG_OVERHEAD ? BATCH_HEADER_BYTES : batchBytes(buffer, 0);
}

/** The batches of a location from its file. */
export async function* filePieces(location: Location, chunkBytes: number): Pieces {
  const { path, position, length } = location;
  const handle = await openFile(path);
  try {
    await compareFile(handle, location);
    let wanted = chunkBytes;
    for (let done = 0; done < length; ) {
      const left = length - done;
      if (wanted > left && wanted > chunkBytes) throw cutBatch();
      const buffer = Buffer.allocUnsafeSlow(Math.min(wanted, left));
      await fill(handle, buffer, position + done);
      const whole = wholeBytes(buffer, buffer.length);
      if (whole > 0) {
        done += whole;
        wanted = chunkBytes;
        yield buffer.subarray(0, whole);
      } else {
        wanted = neededBytes(buffer, buffer.length);
        if (wanted > left) throw cutBatch();
      }
    }
  } finally {
    await handle.close();
  }
}

function cutBatch(): LocationFault {
  return new LocationFault('unsound', 'the range ends within a batch');
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const isGone = code === 'ENOENT' || code === 'ENOTDIR';
    throw new LocationFault(isGone ? 'gone' : 'unreachable', (error as Error).message, error);
  }
}

async function compareFile(handle: FileHandle, { path, device, inode }: Location): Promise<void> {
  const stats = await handle.stat();
  if (!stats.isFile() || stats.dev !== device || stats.ino !== inode) {
    throw new LocationFault('gone', `${path} is another file`);
  }
}

async function fill(handle: FileHandle, buffer: Buffer, position: number): Promise<void> {
  for (let filled = 0; filled < buffer.length; ) {
    const { bytesRead } = await handle
      .read(buffer, filled, buffer.length - filled, position + filled)
      .catch((error: Error) => {
        throw new LocationFault('unreachable', error.message, error);
      });
    if (bytesRead === 0) throw new LocationFault('gone', 'the file is shorter than the range');
    filled += bytesRead;
  }
}

/** Connections for URLs, kept alive from one location to the next. */
export class UrlAgents {
  readonly #http = new http.Agent({ keepAlive: true });
  readonly #https = new https.Agent({ keepAlive: true });

  get(url: URL, headers: http.OutgoingHttpHeaders): Promise<http.IncomingMessage> {
    const isSecure = url.protocol === 'https:';
    const options = { agent: isSecure ? this.#https : this.#http, headers };
    return new Promise((resolve, reject) => {
      const silence = setTimeout(() => {
        request.destroy(new Error('no answer in time'));
      }, SILENCE_LIMIT_MS);
      const request = (isSecure ? https : http).get(url, options, (response) => {
        clearTimeout(silence);
        resolve(response);
      });
      request.once('error', (error) => {
        clearTimeout(silence);
        reject(error);
      });
    });
  }

  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }
}

/** The batches of a location from its URL. */
export async function* urlPieces(
  location: Location,
  chunkBytes: number,
  agents: UrlAgents,
): Pieces {
  const { length } = location;
  const response = await getUrl(location, agents);
  let done = 0;
  let buffer: Buffer = Buffer.allocUnsafeSlow(Math.min(chunkBytes, length));
  let filled = 0;
  try {
    for await (const part of partsOf(response)) {
      if (part.length > length - done - filled) {
        throw new LocationFault('unsound', `${location.url} has more than the range`);
      }
      for (let at = 0; at < part.length; ) {
        const copied = part.copy(buffer, filled, at);
        at += copied;
        filled += copied;
        if (filled < buffer.length) continue;
        const whole = wholeBytes(buffer, filled);
        done += whole;
        const next = nextBuffer(buffer, whole, length - done, chunkBytes);
        filled -= whole;
        if (whole > 0) yield buffer.subarray(0, whole);
        buffer = next;
      }
    }
  } catch (error) {
    if (error instanceof LocationFault) throw error;
    throw new LocationFault('gone', (error as Error).message, error);
  } finally {
    response.destroy();
  }
  if (done < length) throw new LocationFault('gone', `${location.url} ended early`);
}

/** What comes of an answer, as long as it comes: who does not take it yet is not timed. */
async function* partsOf(response: http.IncomingMessage): AsyncGenerator<Buffer, void, undefined> {
  const parts = response[Symbol.asyncIterator]() as AsyncIterator<Buffer, void>;
  for (;;) {
    const silence = setTimeout(() => {
      response.destroy(new Error('no bytes in time'));
    }, SILENCE_LIMIT_MS);
    const { done, value } = await parts.next().finally(() => clearTimeout(silence));
    if (done === true) return;
    yield value;
  }
}

/** Memory for what follows the whole batches of a full buffer, with the rest of it in front. */
function nextBuffer(full: Buffer, whole: number, left: number, chunkBytes: number): Buffer {
  const rest = full.subarray(whole);
  const needed = rest.length === 0 ? 0 : neededBytes(rest, rest.length);
  if (needed > left) throw cutBatch();
  const next = Buffer.allocUnsafeSlow(Math.min(left, Math.max(chunkBytes, needed)));
  rest.copy(next);
  return next;
}

async function getUrl(location: Location, agents: UrlAgents): Promise<http.IncomingMessage> {
  const url = new URL(location.url);
  const range = url.searchParams.get('bytes');
  const headers = range === null ? {} : { range: `bytes=${range}` };
  const response = await agents.get(url, headers).catch((error: Error) => {
    throw new LocationFault('unreachable', `${location.url}: ${error.message}`, error);
  });
  const { statusCode } = response;
  const bytes = response.headers['content-length'];
  const isRange = statusCode === 200 || statusCode === 206;
  if (isRange && (bytes === undefined || Number(bytes) === location.length)) return response;
  response.destroy();
  const isGone = statusCode === 410 || statusCode === 404;
  const said = `${location.url} is answered ${statusCode}, ${bytes} bytes`;
  throw new LocationFault(isGone ? 'gone' : 'unreachable', said);
}

/** Has the next piece read while the one before is decoded. */
export class ReadAhead {
  readonly #pieces: Pieces;
  #next: Promise<IteratorResult<Buffer, void>>;

  constructor(pieces: Pieces) {
    this.#pieces = pieces;
    this.#next = this.#ask();
  }

  /** The next piece; undefined after the last one. */
  async next(): Promise<Buffer | undefined> {
    const { done, value } = await this.#next;
    if (done === true) return undefined;
    this.#next = this.#ask();
    return value;
  }

  /** Lets go of the file or the connection, once what is being read is there. */
  close(): void {
    void this.#pieces.return().catch(() => undefined);
  }

  #ask(): Promise<IteratorResult<Buffer, void>> {
    const next = this.#pieces.next();
    // Whoever asks for it is told of a failure; nobody may ask.
    next.catch(() => undefined);
    return next;
  }
}
