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
import { readSlice, type SliceRequest } from '../broker/slice.ts';
import { errorName } from '../protocol/errors.ts';
import { Problem } from './problem.ts';
import { linesOf, VisibleBatches } from './record-lines.ts';
import { checkSlice, positionHeaders } from './slice-answer.ts';

export const LINES_TYPE = 'application/x-ndjson';

/** Lines are handed to the socket in pieces of about so many characters. */
const PIECE_CHARACTERS = 64 * 1024;
/** What a follower reads at once. */
const FOLLOW_BYTES = 256 * 1024;
/** A follower's wait; then it waits anew. */
const FOLLOW_WAIT_MS = 60_000;

/** Writes, and waits where the reader is slow; false when he has gone. */
async function write(raw: ServerResponse, text: string): Promise<boolean> {
  if (text === '' || raw.write(text)) return !raw.destroyed;
  await new Promise<void>((resolve) => {
    const done = () => {
      raw.off('drain', done);
      raw.off('close', done);
      resolve();
    };
    raw.on('drain', done);
    raw.on('close', done);
  });
  return !raw.destroyed;
}

/** Sends the records of a slice; false when the reader has gone. */
async function sendSlice(
  { services }: RequestContext,
  slice: FetchSlice,
  raw: ServerResponse,
): Promise<boolean> {
  const visible = new VisibleBatches(slice.aborted ?? []);
  const unpack = (codec: number, payload: Buffer) => inflate(services.codecs, codec, payload);
  let piece = '';
  for (const read of slice.reads) {
    for (const buffer of read.buffers) {
      for await (const lines of linesOf(buffer, slice.fetchOffset, visible, unpack)) {
        for (const line of lines) {
          piece += line;
          if (piece.length < PIECE_CHARACTERS) continue;
          if (!(await write(raw, piece))) return false;
          piece = '';
        }
      }
    }
  }
  return write(raw, piece);
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
    let failure: unknown;
    await sendSlice(context, slice, raw).catch((error: unknown) => {
      failure = error;
    });
    // The head said that all is well: only a last line can say that it is not.
    raw.end(
      failure === undefined ? undefined : told(context, partition, slice.fetchOffset, failure),
    );
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
  let { from } = request;
  const raw = begin(reply, { 'tailrace-next-offset': String(from) });
  let failure: unknown;
  try {
    while (!connection.closed && !services.watchers.isStopped) {
      from = await followOnce(context, partition, { ...request, from }, raw);
      // Records that are always there must not keep all others waiting.
      await new Promise((resolve) => setImmediate(resolve));
    }
  } catch (error) {
    failure = error;
  }
  if (connection.closed) return;
  raw.end(
    failure === undefined ? lastLine(from, undefined) : told(context, partition, from, failure),
  );
}

/** Waits for records and sends them; gives the offset after them. */
async function followOnce(
  context: RequestContext,
  partition: Partition,
  request: SliceRequest,
  raw: ServerResponse,
): Promise<number> {
  const { slice, release } = await readSlice(context, partition, {
    ...request,
    minBytes: Math.max(1, request.minBytes),
    maxBytes: FOLLOW_BYTES,
    locatedMaxBytes: undefined,
    timeoutMs: request.timeoutMs > 0 ? request.timeoutMs : FOLLOW_WAIT_MS,
  });
  try {
    checkSlice(slice, request.from);
    await sendSlice(context, slice, raw);
    return slice.nextOffset;
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
