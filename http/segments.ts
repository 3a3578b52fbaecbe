/**
 * Bytes of segments, as locations name them: exactly those, of that file, below the persisted mark,
 * as long as the generation is there, then 410. What a URL names never changes, so it can be kept
 * by whoever may.
 *
 * No name in the path reaches the file system: the numbers and the id are looked up among the files
 * that the storage has open or can open itself.
 */

import type { FastifyReply, FastifyRequest } from 'fastify';
import { SEGMENTS_PATH } from '../broker/locations.ts';
import type { Services } from '../broker/services.ts';
import type { LocatedFile } from '../storage/types.ts';
import { contextOf } from './http-connection.ts';
import { integer, text, type Values } from './parameters.ts';
import { Problem } from './problem.ts';
import { type ByteRange, parseRange } from './range.ts';
import { type Route, route } from './routes.ts';
import { SegmentSender } from './segment-sender.ts';
import { BATCHES_TYPE, cacheControl } from './slices.ts';

const MAX_OFFSET = Number.MAX_SAFE_INTEGER;
const MAX_INT32 = 2 ** 31 - 1;

function identifier(doc: string, pattern: string, takes: string) {
  const form = new RegExp(pattern);
  const parse = (value: string) => (form.test(value) ? value : undefined);
  return text({ in: 'path', doc, pattern, takes, parse });
}

const parameters = {
  topic: identifier('Id of the topic.', '^[A-Za-z0-9_-]{22}$', 'a topic id'),
  partition: integer({
    in: 'path',
    doc: 'Number of the partition.',
    minimum: 0,
    maximum: MAX_INT32,
  }),
  base: integer({ in: 'path', doc: 'Base offset of the file.', minimum: 0, maximum: MAX_OFFSET }),
  generation: identifier('Id of the file.', '^[0-9a-f]{16}$', '16 hex digits'),
  position: integer({ in: 'path', doc: 'Of the first byte.', minimum: 0, maximum: MAX_OFFSET }),
  length: integer({ in: 'path', doc: 'In bytes.', minimum: 1, maximum: MAX_OFFSET }),
} as const;

type SegmentValues = Values<typeof parameters>;

/** Opens the file; throws Problem when it is gone, not to be read, or shorter than what is asked. */
async function open(
  services: Services,
  values: SegmentValues,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<LocatedFile> {
  const { topic, partition, base, generation, position, length } = values;
  const file = await services.logs.openLocated(topic, partition, base, generation);
  if (file === undefined) {
    throw new Problem('SNAPSHOT_NOT_FOUND', 'this file is gone; ask for the slice again');
  }
  try {
    if (!services.authorizer.mayRead(contextOf(services, request, reply), file.topic)) {
      throw new Problem('TOPIC_AUTHORIZATION_FAILED', 'this file is not to be read');
    }
    if (position + length > file.sizeBytes) {
      const detail = `the file has ${file.sizeBytes} bytes that may be read`;
      throw new Problem('POSITION_OUT_OF_RANGE', detail);
    }
  } catch (error) {
    file.release();
    throw error;
  }
  return file;
}

function headersOf(services: Services, values: SegmentValues, tag: string) {
  const log = services.logs.get(values.topic, values.partition);
  return {
    'content-type': BATCHES_TYPE,
    'cache-control': cacheControl(log?.options.fileDeleteDelayMs ?? 0),
    'accept-ranges': 'bytes',
    etag: tag,
  };
}

async function handle(
  services: Services,
  sender: SegmentSender,
  values: SegmentValues,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  const { metrics } = services;
  const { position, length, generation } = values;
  let file: LocatedFile;
  try {
    file = await open(services, values, request, reply);
  } catch (error) {
    const isGone = error instanceof Problem && error.status === 410;
    metrics.counter('segment_requests_total', isGone ? 'gone' : 'refused').add();
    throw error;
  }
  const tag = `"${generation}-${position}-${length}"`;
  const headers = headersOf(services, values, tag);
  const { range, 'if-range': ifRange, 'if-none-match': ifNoneMatch } = request.headers;
  if (ifNoneMatch?.split(',').some((known) => known.trim() === tag || known.trim() === '*')) {
    file.release();
    metrics.counter('segment_requests_total', 'not modified').add();
    return reply.code(304).headers(headers).send();
  }
  const isAsked = range !== undefined && (ifRange === undefined || ifRange === tag);
  const part = isAsked ? parseRange(range, length) : undefined;
  if (part === 'outside') {
    file.release();
    reply.header('content-range', `bytes */${length}`);
    throw new Problem('POSITION_OUT_OF_RANGE', `there are ${length} bytes`);
  }
  metrics.counter('segment_requests_total', 'bytes').add();
  const bytes: ByteRange = part ?? { first: 0, last: length - 1 };
  const sizeBytes = bytes.last - bytes.first + 1;
  reply.hijack();
  reply.raw.writeHead(part === undefined ? 200 : 206, {
    ...headers,
    'content-length': sizeBytes,
    ...(part && { 'content-range': `bytes ${part.first}-${part.last}/${length}` }),
  });
  const isHead = request.method === 'HEAD';
  return sender.send(file, position + bytes.first, isHead ? 0 : sizeBytes, reply.raw);
}

export function segmentRoute(services: Services): Route {
  const sender = new SegmentSender(services);
  return route({
    path: `${SEGMENTS_PATH}/{topic}/{partition}/{base}/{generation}/{position}-{length}`,
    id: 'segment',
    doc: 'The bytes that a location names: whole record batches as they are stored.',
    parameters,
    headers: { Range: 'One range of bytes within what the URL names.' },
    answers: {
      200: { doc: 'The bytes.', content: [BATCHES_TYPE] },
      206: { doc: 'A range of the bytes.', content: [BATCHES_TYPE] },
      304: { doc: 'The client has them.' },
      400: { doc: 'This is no URL of a location.' },
      403: { doc: 'The topic is not to be read by who asks.' },
      410: { doc: 'The file is gone: ask for the slice again.' },
      416: { doc: 'More is asked for than the file or the URL has.' },
    },
    handle: (values, request, reply) => handle(services, sender, values, request, reply),
  });
}
