import fc from 'fast-check';
import t from 'tap';
import { ProtocolError } from '../../protocol/errors.ts';
import {
  decodeRequest,
  decodeRequestHeader,
  decodeResponse,
  encodeRequest,
  encodeResponse,
} from '../../protocol/header.ts';
import { ApiVersionsRequest, ApiVersionsResponse } from '../../protocol/messages/api-versions.ts';
import { MetadataRequest, MetadataResponse } from '../../protocol/messages/metadata.ts';
import { MalformedFrame, Reader } from '../../protocol/reader.ts';
import { inRange } from '../../protocol/schema.ts';
import { Writer } from '../../protocol/writer.ts';
import { arbitraryValues, expectedValues, messageVersions } from './declared.ts';

function frame(buffers: Buffer[]): Buffer {
  const whole = Buffer.concat(buffers);
  if (whole.readInt32BE(0) !== whole.length - 4) throw new Error('wrong frame size');
  return whole.subarray(4);
}

function header(apiKey: number, apiVersion: number, clientId: string | null): Writer {
  const writer = new Writer();
  writer.int16(apiKey);
  writer.int16(apiVersion);
  writer.int32(77);
  writer.nullableString(clientId);
  return writer;
}

t.test('a request of every flexible and every plain version is read back', async (t) => {
  for (const apiVersion of [0, 1, 8, 9, 12, 13]) {
    const given = { apiVersion, correlationId: -5, clientId: 'me' };
    const topics = [{ name: 'orders' }];
    const reader = new Reader(frame(encodeRequest(MetadataRequest, given, { topics })));
    t.strictSame(decodeRequestHeader(reader), { apiKey: 3, ...given });
    const request = decodeRequest(reader, MetadataRequest, apiVersion);
    t.equal(request.topics?.[0]?.name, 'orders');
    t.equal(reader.bytesLeft, 0);
  }
});

t.test('a client id may be null or empty', async (t) => {
  for (const clientId of [null, '']) {
    const given = { apiVersion: 12, correlationId: 1, clientId };
    const reader = new Reader(frame(encodeRequest(MetadataRequest, given, { topics: null })));
    t.strictSame(decodeRequestHeader(reader), { apiKey: 3, ...given });
    t.equal(decodeRequest(reader, MetadataRequest, 12).topics, null);
  }
});

t.test('tags in a request header are stepped over', async (t) => {
  const writer = header(3, 12, 'me');
  writer.unsignedVarint(2);
  for (const tag of [0, 5000]) {
    const mark = writer.beginTag(tag);
    writer.raw(Buffer.from('unknown'));
    writer.endTag(mark);
  }
  writer.raw(Buffer.from([0, 1, 0, 0]));
  const reader = new Reader(Buffer.concat(writer.finish()));
  decodeRequestHeader(reader);
  t.match(decodeRequest(reader, MetadataRequest, 12), {
    topics: null,
    allowAutoTopicCreation: true,
  });
  t.equal(reader.bytesLeft, 0);
});

t.test('the header of an API that nobody knows is read', async (t) => {
  for (const [key, version] of [
    [999, 0],
    [-1, -1],
    [3, 99],
  ] as const) {
    const reader = new Reader(Buffer.concat(header(key, version, 'me').finish()));
    t.match(decodeRequestHeader(reader), { apiKey: key, apiVersion: version, correlationId: 77 });
  }
});

t.test('an ApiVersions request too new for us has a header that we read', async (t) => {
  const writer = header(18, 100, 'new');
  writer.unsignedVarint(0);
  writer.raw(Buffer.from('a body of some later form'));
  const reader = new Reader(Buffer.concat(writer.finish()));
  t.match(decodeRequestHeader(reader), { apiKey: 18, apiVersion: 100, clientId: 'new' });
  const error = new ProtocolError(
    'UNSUPPORTED_VERSION',
    'ApiVersionsRequest has no version 100, only 0-5',
  );
  t.throws(() => decodeRequest(reader, ApiVersionsRequest, 100), error);
});

t.test('a header that is cut at any byte is malformed', async (t) => {
  const whole = Buffer.concat(header(3, 1, 'client').finish());
  for (let cut = 0; cut < whole.length; cut++) {
    t.throws(() => decodeRequestHeader(new Reader(whole.subarray(0, cut))), MalformedFrame);
  }
});

t.test('an ApiVersions response has a header without tags in every version', async (t) => {
  for (const version of [0, 3, 5]) {
    const value = { errorCode: 0, apiKeys: [{ apiKey: 3, minVersion: 0, maxVersion: 13 }] };
    const body = frame(encodeResponse(ApiVersionsResponse, version, 9, value));
    t.equal(body.readInt16BE(4), 0, 'the error code follows the correlation id');
    const decoded = decodeResponse(body, ApiVersionsResponse, version);
    t.equal(decoded.correlationId, 9);
    t.strictSame(decoded.value.apiKeys, value.apiKeys);
  }
});

t.test('the other responses have tags where they are flexible', async (t) => {
  for (const version of [8, 9]) {
    const value = { brokers: [], topics: [] };
    const body = frame(encodeResponse(MetadataResponse, version, 9, value));
    const flexible = inRange(MetadataResponse.flexible, version);
    t.equal(body.readInt32BE(flexible ? 5 : 4), 0, 'the throttle time');
    t.equal(decodeResponse(body, MetadataResponse, version).correlationId, 9);
  }
});

t.test('every request in every version is a frame that is read to its end', async (t) => {
  for (const { message, version } of messageVersions) {
    if (message.type !== 'request') continue;
    const given = { apiVersion: version, correlationId: 1, clientId: 'x' };
    const values = fc.sample(arbitraryValues(message.fields, version), 5);
    for (const value of values) {
      const reader = new Reader(frame(encodeRequest(message, given, value)));
      t.equal(decodeRequestHeader(reader).apiKey, message.key);
      decodeRequest(reader, message, version);
      t.equal(reader.bytesLeft, 0, `${message.name} ${version}`);
    }
  }
});

t.test('every response in every version is a frame that is read to its end', async (t) => {
  for (const { message, version } of messageVersions) {
    if (message.type !== 'response') continue;
    for (const value of fc.sample(arbitraryValues(message.fields, version), 5)) {
      const body = frame(encodeResponse(message, version, 6, value));
      const decoded = decodeResponse(body, message, version);
      t.equal(decoded.correlationId, 6);
      const expected = expectedValues(message.fields, version, value);
      t.strictSame(decoded.value, expected, `${message.name} ${version}`);
    }
  }
});
