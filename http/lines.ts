/**
 * Slices as lines of JSON (record-lines.ts): of what there is now, or following the partition as
 * records are produced. A slow reader holds one reading and what its socket takes, no more: the
 * next slice is read when the last one's lines have left.
 *
 * A followed answer ends with its connection. When the broker ends it, its last line is
 * `{"nextOffset":…}`, with `error` and `detail` where one is the reason.
 */

import type { ServerResponse } from 'node:http';
import type { FastifyReply } from 'fastify';
import type { RequestContext } from '../broker/api.ts';
import { inflate } from '../broker/codec-pool.ts';
import { errorCodeOf, messageFor } from '../broker/error-map.ts';
import type { FetchSlice } from '../broker/fetch-slice.ts';
import type { Partition } from '../broker/partition.ts';
import type { Services } from '../broker/services.ts';
import { readSlice, type SliceRequest } from '../broker/slice.ts';
import { errorName } from '../protocol/errors.ts';
import { Problem } from './problem.ts';
import { lineOf, shownBatches, VisibleBatches } from './record-lines.ts';
import { checkSlice, positionHeaders } from './slice-answer.ts';
import { endWhenStalled, mayBeStill } from './stall.ts';

export const LINES_TYPE = 'application/x-ndjson';

/** Lines are handed to the socket in pieces of about so many characters. */
const PIECE_CHARACTERS = 64 * 1024;
/** What a follower reads at once. */
const FOLLOW_BYTES = 256 * 1024;
/** A follower's wait; then it waits anew. */
const FOLLOW_WAIT_MS = 60_000;

/** Writes, and waits where the reader is slow, until he has gone. */
async function write(services: Services, raw: ServerResponse, text: string): Promise<void> {
  if (text === '' || raw.destroyed || raw.write(text)) return;
  endWhenStalled(raw, services.config);
  await new Promise<void>((resolve) => {
    const done = () => {
      raw.off('drain', done);
      raw.off('close', done);
      resolve();
    };
    raw.on('drain', done);
    raw.on('close', done);
  });
  mayBeStill(raw);
}

/** Sends the records of slices, and knows how far it has come. */
class LineSender {
  /** Offset after what was sent. */
  nextOffset: number;
  readonly #context: RequestContext;
  readonly #raw: ServerResponse;
  #piece = '';

  constructor(context: RequestContext, from: number, raw: ServerResponse) {
    this.#context = context;
    this.nextOffset = from;
    this.#raw = raw;
  }

  /** Sends what there is of a slice before its end, its damage, or the reader's going. */
  async send(slice: FetchSlice): Promise<void> {
    const visible = new VisibleBatches(slice.aborted ?? []);
    try {
      for (const read of slice.reads) {
        for (const buffer of read.buffers) await this.#sendBuffer(buffer, visible);
      }
      this.nextOffset = slice.nextOffset;
    } finally {
      await this.#flush();
    }
  }

  async #sendBuffer(buffer: Buffer, visible: VisibleBatches): Promise<void> {
    const { codecs } = this.#context.services;
    const unpack = (codec: number, payload: Buffer) => inflate(codecs, codec, payload);
    for await (const { records, nextOffset } of shownBatches(buffer, visible, unpack)) {
      for (const record of records) {
        if (this.#raw.destroyed) return;
        if (record.offset < this.nextOffset) continue;
        this.#piece += lineOf(record);
        this.nextOffset = record.offset + 1;
        if (this.#piece.length >= PIECE_CHARACTERS) await this.#flush();
      }
      this.nextOffset = nextOffset;
    }
  }

  async #flush(): Promise<void> {
    const piece = this.#piece;
    this.#piece = '';
    await write(this.#context.services, this.#raw, piece);
  }
}

/** What the answer's last line says when the broker ends it. */
function lastLine(nextOffset: number, error: unknown): string {
  if (error === undefined) return `${JSON.stringify({ nextOffset })}\n`;
  const name = error instanceof Problem ? error.error : errorName(errorCodeOf(error));
  const detail = error instanceof Problem ? error.message : messageFor(error);
  return `${JSON.stringify({ nextOffset, error: name, detail })}\n`;
}

function begin(reply: FastifyReply, headers: Record<string, string>): ServerResponse {
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, {
    'content-type': LINES_TYPE,
    'cache-control': 'private, no-store',
    ...headers,
  });
  raw.flushHeaders();
  return raw;
}

/** Answers with the records of one slice. */
export async function sendLines(
  context: RequestContext,
  partition: Partition,
  request: SliceRequest,
  reply: FastifyReply,
): Promise<void> {
  const asked = { ...request, locatedMaxBytes: undefined };
  const { slice, release } = await readSlice(context, partition, asked);
  try {
    checkSlice(slice, request.from);
    const { 'tailrace-aborted-transactions': _left, ...headers } = positionHeaders(slice);
    if (slice.sizeBytes === 0) {
      reply.code(204).headers(headers).send();
      return;
    }
    const raw = begin(reply, headers);
    const sender = new LineSender(context, request.from, raw);
    try {
      await sender.send(slice);
      raw.end();
    } catch (error) {
      // The head said that all is well: only a last line can say that it is not.
      raw.end(told(context, partition, sender.nextOffset, error));
    }
  } finally {
    release();
  }
}

/** Keeps sending the records as they are produced, until the reader or the broker ends it. */
export async function follow(
  context: RequestContext,
  partition: Partition,
  request: SliceRequest,
  reply: FastifyReply,
): Promise<void> {
  const { services, connection } = context;
  const raw = begin(reply, { 'tailrace-next-offset': String(request.from) });
  const sender = new LineSender(context, request.from, raw);
  try {
    while (!connection.closed && !services.watchers.isStopped) {
      await followOnce(context, partition, request, sender);
      // Records that are always there must not keep all others waiting.
      await new Promise((resolve) => setImmediate(resolve));
    }
    raw.end(lastLine(sender.nextOffset, undefined));
  } catch (error) {
    raw.end(told(context, partition, sender.nextOffset, error));
  }
}

/** Waits for records and sends them. */
async function followOnce(
  context: RequestContext,
  partition: Partition,
  request: SliceRequest,
  sender: LineSender,
): Promise<void> {
  const from = sender.nextOffset;
  const { slice, release } = await readSlice(context, partition, {
    ...request,
    from,
    minBytes: Math.max(1, request.minBytes),
    maxBytes: FOLLOW_BYTES,
    locatedMaxBytes: undefined,
    timeoutMs: request.timeoutMs > 0 ? request.timeoutMs : FOLLOW_WAIT_MS,
  });
  try {
    checkSlice(slice, from);
    await sender.send(slice);
  } finally {
    release();
  }
}

/** The last line for a failure, which is logged. */
function told(
  { services, connection }: RequestContext,
  { topic, index: partition }: Partition,
  nextOffset: number,
  error: unknown,
): string {
  const values = { topic: topic.name, partition, address: connection.remoteAddress, err: error };
  services.limitedLog.warn(values, 'lines ended early');
  return lastLine(nextOffset, error);
}
