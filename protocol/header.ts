/**
 * Headers of requests and responses, and whole frames of both.
 *
 * Request: api_key int16, api_version int16, correlation_id int32, client_id nullable string (never
 * compact), and in flexible versions tagged fields. Response: correlation_id int32, and in flexible
 * versions tagged fields, except for ApiVersions, whose answer must be readable by a client that
 * does not yet know what the broker speaks (KIP-511).
 * Source: Kafka's RequestHeader.json, ResponseHeader.json.
 */

import { codec } from './compile.ts';
import { FRAME_SIZE_BYTES } from './frame.ts';
import { Reader } from './reader.ts';
import type { Decoded, Input, Message } from './schema.ts';
import { Writer } from './writer.ts';

const API_VERSIONS_KEY = 18;

export interface RequestHeader {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly correlationId: number;
  readonly clientId: string | null;
}

/**
 * The part of a request's header that all versions of the header have, so that it can be read
 * before it is known whether we know the API. `decodeRequest` steps over the rest.
 */
export function decodeRequestHeader(reader: Reader): RequestHeader {
  return {
    apiKey: reader.int16(),
    apiVersion: reader.int16(),
    correlationId: reader.int32(),
    clientId: reader.nullableString(),
  };
}

/** The body behind a header that was just read, of an API key and version that we know. */
export function decodeRequest<M extends Message>(
  reader: Reader,
  message: M,
  version: number,
): Decoded<M> {
  const { flexible, decode } = codec(message, version);
  if (flexible) reader.skipTags();
  return decode(reader);
}

/** A whole request, as a client sends it. */
export function encodeRequest<M extends Message>(
  message: M,
  header: Omit<RequestHeader, 'apiKey'>,
  value: Input<M>,
): Buffer[] {
  const { apiVersion } = header;
  const { flexible, encode } = codec(message, apiVersion);
  const writer = new Writer();
  writer.int32(0);
  writer.int16(message.key);
  writer.int16(apiVersion);
  writer.int32(header.correlationId);
  writer.nullableString(header.clientId);
  if (flexible) writer.unsignedVarint(0);
  encode(writer, value);
  return finishFrame(writer);
}

/** A whole response as the list of buffers to be sent one after the other. */
export function encodeResponse<M extends Message>(
  message: M,
  version: number,
  correlationId: number,
  value: Input<M>,
): Buffer[] {
  const { flexible, encode } = codec(message, version);
  const writer = new Writer();
  writer.int32(0);
  writer.int32(correlationId);
  if (flexible && message.key !== API_VERSIONS_KEY) writer.unsignedVarint(0);
  encode(writer, value);
  return finishFrame(writer);
}

/** A response, as a client reads it, from a frame without its length. */
export function decodeResponse<M extends Message>(
  frame: Buffer,
  message: M,
  version: number,
): { correlationId: number; value: Decoded<M> } {
  const reader = new Reader(frame);
  const { flexible, decode } = codec(message, version);
  const correlationId = reader.int32();
  if (flexible && message.key !== API_VERSIONS_KEY) reader.skipTags();
  return { correlationId, value: decode(reader) };
}

/** Puts the frame's length where the writer's first four bytes were left for it. */
export function finishFrame(writer: Writer): Buffer[] {
  const sizeBytes = writer.sizeBytes - FRAME_SIZE_BYTES;
  const buffers = writer.finish();
  buffers[0]!.writeInt32BE(sizeBytes, 0);
  return buffers;
}
