/**
 * Slices over HTTP: `GET /v1/topics/{topic}/partitions/{partition}/slice`. What is persisted is
 * answered with 307 and where it lies; what is in memory with the record batches as they are
 * stored; what is not there yet is waited for, on the same watchers as a Fetch, and answered with
 * 204 when the time is over. Every answer says in its headers where to go on.
 *
 * With `Accept: application/x-ndjson` the records are decoded, a line each (lines.ts).
 */

import type { FastifyReply, FastifyRequest } from 'fastify';
import type { RequestContext } from '../broker/api.ts';
import type { FetchSlice } from '../broker/fetch-slice.ts';
import type { Partition } from '../broker/partition.ts';
import type { Services } from '../broker/services.ts';
import { readSlice, type SliceReading, type SliceRequest } from '../broker/slice.ts';
import { contextOf } from './http-connection.ts';
import { follow, LINES_TYPE, sendLines } from './lines.ts';
import { Problem } from './problem.ts';
import { type AnswerDoc, type Route, route } from './routes.ts';
import { checkSlice, POSITION_HEADERS, positionHeaders } from './slice-answer.ts';
import { findPartition, resolveFrom, type SliceValues, sliceParameters } from './slice-request.ts';
import { endWhenStalled } from './stall.ts';

/** Record batches of magic 2, one behind the other, as Kafka's protocol defines them. */
export const BATCHES_TYPE = 'application/vnd.tailrace.record-batches';

/** Of records, where the request does not say. */
const DEFAULT_MAX_BYTES = 1024 * 1024;
/** Aborted transactions that fit into a header which every client takes. */
const MOST_ABORTED = 200;

function acceptsLines(accept: string | undefined): boolean {
  return (accept ?? '').split(',').some((part) => {
    const [type, ...parameters] = part.split(';').map((word) => word.trim().toLowerCase());
    return type === LINES_TYPE && !parameters.some((word) => /^q=0(\.0*)?$/.test(word));
  });
}

/** The request in the broker's words. */
function requestOf(values: SliceValues, from: number, services: Services): SliceRequest {
  const { config, locations } = services;
  const largest = config.get('fetch.max.bytes');
  const asked = values.max_bytes;
  const locatedMaxBytes = asked === 0 ? locations.maxBytes : Math.min(asked, locations.maxBytes);
  return {
    from,
    minBytes: values.min_bytes,
    maxBytes: Math.min(asked === 0 ? DEFAULT_MAX_BYTES : asked, largest),
    locatedMaxBytes: locations.isEnabled ? locatedMaxBytes : undefined,
    timeoutMs: values.timeout_ms,
    readCommitted: values.isolation === 'read_committed',
  };
}

/** Reads a slice whose aborted transactions fit into a header: of too many, fewer bytes. */
async function readTold(
  context: RequestContext,
  partition: Partition,
  asked: SliceRequest,
): Promise<SliceReading> {
  let request = asked;
  for (;;) {
    const reading = await readSlice(context, partition, request);
    const count = reading.slice.aborted?.length ?? 0;
    if (count <= MOST_ABORTED) return reading;
    reading.release();
    const { locatedMaxBytes = 1, maxBytes } = request;
    if (locatedMaxBytes <= 1 && maxBytes <= 1) {
      const detail = `${count} aborted transactions overlap one batch; read without read_committed`;
      throw new Problem('UNKNOWN_SERVER_ERROR', detail);
    }
    request = {
      ...request,
      minBytes: 0,
      maxBytes: Math.ceil(maxBytes / 2),
      locatedMaxBytes: request.locatedMaxBytes && Math.ceil(request.locatedMaxBytes / 2),
    };
  }
}

/** Sends the buffers as they are; they are given back when they have left. */
function sendBatches(services: Services, reply: FastifyReply, reading: SliceReading): void {
  const { slice } = reading;
  reply.hijack();
  const { raw } = reply;
  raw.once('close', () => reading.release());
  endWhenStalled(raw, services.config);
  raw.writeHead(200, {
    'content-type': BATCHES_TYPE,
    'content-length': slice.sizeBytes,
    'cache-control': 'private, no-store',
    ...positionHeaders(slice),
  });
  raw.cork();
  for (const read of slice.reads) for (const buffer of read.buffers) raw.write(buffer);
  raw.end();
  raw.uncork();
}

/** Kept by clients for as long as the location leads somewhere in any case. */
export function cacheControl(fileDeleteDelayMs: number): string {
  const seconds = Math.floor(fileDeleteDelayMs / 1000);
  return seconds === 0 ? 'private, no-store' : `private, max-age=${seconds}, immutable`;
}

function count({ metrics }: Services, slice: FetchSlice): void {
  if (slice.location !== undefined) {
    metrics.counter('slice_requests_total', 'location').add();
    metrics.counter('fetch_located_total').add();
    metrics.counter('fetch_located_bytes_total').add(slice.location.length);
  } else if (slice.sizeBytes > 0) {
    metrics.counter('slice_requests_total', 'records').add();
    metrics.counter('fetch_bytes_total').add(slice.sizeBytes);
    metrics.counter('fetch_records_total').add(slice.nextOffset - slice.fetchOffset);
  } else metrics.counter('slice_requests_total', 'nothing').add();
}

function answer(
  values: SliceValues,
  { services }: RequestContext,
  { log }: Partition,
  reading: SliceReading,
  reply: FastifyReply,
): unknown {
  const { slice } = reading;
  count(services, slice);
  if (slice.location === undefined && slice.sizeBytes > 0)
    return sendBatches(services, reply, reading);
  reading.release();
  reply.headers(positionHeaders(slice));
  if (slice.location === undefined) {
    return reply.code(204).header('cache-control', 'private, no-store').send();
  }
  // A time and an end move on; what an offset is answered with stays right.
  const isFixed = typeof values.from === 'object' && 'offset' in values.from;
  return reply
    .code(307)
    .header('location', slice.location.url)
    .header('cache-control', cacheControl(isFixed ? log.options.fileDeleteDelayMs : 0))
    .header('vary', 'accept')
    .send();
}

async function handle(
  services: Services,
  values: SliceValues,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  if (services.watchers.isStopped) throw new Problem('BROKER_NOT_AVAILABLE', 'the broker stops');
  const context = contextOf(services, request, reply);
  const partition = findPartition(context, values.topic, values.partition);
  const readCommitted = values.isolation === 'read_committed';
  const from = await resolveFrom(partition, values.from, readCommitted);
  const asked = requestOf(values, from, services);
  if (acceptsLines(request.headers.accept)) {
    metricsOfLines(services);
    if (values.follow === 'true') return follow(context, partition, asked, reply);
    return sendLines(context, partition, asked, reply);
  }
  if (values.follow === 'true') {
    throw new Problem('INVALID_REQUEST', `follow=true needs Accept: ${LINES_TYPE}`);
  }
  const reading = await readTold(context, partition, asked);
  try {
    checkSlice(reading.slice, from);
  } catch (error) {
    reading.release();
    throw error;
  }
  if (!context.connection.closed) return answer(values, context, partition, reading, reply);
  reading.release();
  return reply.hijack();
}

function metricsOfLines({ metrics }: Services): void {
  metrics.counter('slice_requests_total', 'lines').add();
}

const problems: Readonly<Record<number, AnswerDoc>> = {
  400: { doc: 'A parameter has no meaning.' },
  403: { doc: 'The topic is not to be read by who asks.' },
  404: { doc: 'There is no such topic or partition.' },
  416: { doc: 'The offset is below the first one, or above the end.' },
  503: { doc: 'The broker stops, or the disk fails.' },
};

export function sliceRoute(services: Services): Route {
  return route({
    path: '/v1/topics/{topic}/partitions/{partition}/slice',
    id: 'slice',
    doc: 'Records of a partition from a point on: where they lie, the records, or a wait for them.',
    parameters: sliceParameters,
    headers: { Accept: `\`${LINES_TYPE}\` for decoded records, a line of JSON each.` },
    answers: {
      200: {
        doc: 'Records from memory: whole batches, the first of which contains the offset.',
        headers: POSITION_HEADERS,
        content: [BATCHES_TYPE, LINES_TYPE],
      },
      204: { doc: 'There was nothing until the time was over.', headers: POSITION_HEADERS },
      307: {
        doc: 'The records are persisted, and are to be fetched from `Location`.',
        headers: { ...POSITION_HEADERS, Location: 'URL of just the bytes of whole batches.' },
      },
      ...problems,
    },
    handle: (values, request, reply) => handle(services, values, request, reply),
  });
}
