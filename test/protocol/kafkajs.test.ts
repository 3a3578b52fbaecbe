/** Our codec against kafkajs's: its requests are read by ours, our answers by its parsers. */

import { createRequire } from 'node:module';
import t from 'tap';
import { Framer } from '../../protocol/frame.ts';
import { decodeRequest, decodeRequestHeader, encodeResponse } from '../../protocol/header.ts';
import { ProduceRequest, ProduceResponse } from '../../protocol/messages/produce.ts';
import { Reader } from '../../protocol/reader.ts';
import { batchFault, readBatchHeader } from '../../protocol/record-batch.ts';
import type { Message } from '../../protocol/schema.ts';
import { adminCases } from './kafkajs-admin-cases.ts';
import { dataCases } from './kafkajs-data-cases.ts';
import { groupCases } from './kafkajs-group-cases.ts';

interface KafkajsRequest {
  apiKey: number;
  apiVersion: number;
}
interface KafkajsResponse {
  decode(payload: Buffer): Promise<object>;
  parse(decoded: object): Promise<object>;
}
interface KafkajsProtocol {
  versions: string[];
  protocol(options: { version: number }): (options: object) => {
    request: KafkajsRequest;
    response: KafkajsResponse;
  };
}

const load = createRequire(import.meta.url);
const { requests } = load('kafkajs/src/protocol/requests/index.js') as {
  requests: Record<string, KafkajsProtocol>;
};
const encodeFrame = load('kafkajs/src/protocol/request.js') as (request: {
  correlationId: number;
  clientId: string;
  request: KafkajsRequest;
}) => Promise<{ buffer: Buffer }>;

const cases = [...dataCases, ...groupCases, ...adminCases];

const CORRELATION_ID = 77;
const HEADER_BYTES = 8;

/** Lets kafkajs encode, and decodes with ours. */
async function read(request: KafkajsRequest, message: Message, version: number) {
  const clientId = 'kafkajs';
  const { buffer } = await encodeFrame({ correlationId: CORRELATION_ID, clientId, request });
  const [frame] = [...new Framer(1_000_000).push(buffer)];
  const reader = new Reader(frame!);
  const header = decodeRequestHeader(reader);
  const value = decodeRequest(reader, message, version);
  return { header, value, bytesLeft: reader.bytesLeft };
}

/** Encodes with ours, and lets kafkajs decode and judge. */
async function parse(
  response: KafkajsResponse,
  message: Message,
  version: number,
  value: Readonly<Record<string, unknown>>,
) {
  const frame = Buffer.concat(encodeResponse(message, version, CORRELATION_ID, value));
  return response.parse(await response.decode(frame.subarray(HEADER_BYTES)));
}

for (const one of cases) {
  const of = (value: object, version: number) =>
    typeof value === 'function' ? value(version) : value;
  t.test(`${one.api} is the same to kafkajs and to us`, async (t) => {
    for (let version = one.first; version <= one.last; version++) {
      const make = requests[one.api]!.protocol({ version });
      const { request, response } = make(of(one.options, version));
      const [requestMessage, responseMessage] = one.messages;
      const got = await read(request, requestMessage, version);
      t.strictSame(got.header, {
        apiKey: requestMessage.key,
        apiVersion: version,
        correlationId: CORRELATION_ID,
        clientId: 'kafkajs',
      });
      t.match(got.value, of(one.request, version), `request ${version}`);
      t.equal(got.bytesLeft, 0, `request ${version} is read to its end`);
      const parsed = await parse(response, responseMessage, version, one.response);
      t.match(parsed, of(one.parsed, version), `response ${version}`);
    }
  });
}

t.test('every version that kafkajs speaks of an API, and that 4.4 has, is looked at', async (t) => {
  for (const { api, first, last, messages } of cases) {
    const spoken = requests[api]!.versions.map(Number);
    t.equal(Math.max(...spoken), last, `${api} last`);
    const declared = Number(messages[0].versions.split('-')[0]);
    t.equal(Math.max(Math.min(...spoken), declared), first, `${api} first`);
  }
});

t.test('Produce carries batches of kafkajs that we find sound', async (t) => {
  for (let version = 3; version <= 7; version++) {
    const { request, response } = requests.Produce!.protocol({ version })({
      acks: -1,
      timeout: 30_000,
      transactionalId: null,
      topicData: [
        {
          topic: 'orders',
          partitions: [
            {
              partition: 2,
              firstSequence: 0,
              messages: [
                { key: 'k', value: 'v', timestamp: 1234567890123, headers: { h: 'x' } },
                { key: null, value: 'second', timestamp: 1234567890125 },
              ],
            },
          ],
        },
      ],
    });
    const { value, bytesLeft } = await read(request, ProduceRequest, version);
    t.equal(bytesLeft, 0);
    t.match(value, {
      transactionalId: null,
      acks: -1,
      timeoutMs: 30_000,
      topicData: [{ name: 'orders', partitionData: [{ index: 2 }] }],
    });
    const topics = value.topicData as { partitionData: { records: Buffer }[] }[];
    const records = topics[0]!.partitionData[0]!.records;
    t.equal(batchFault(records, 0), undefined);
    t.match(readBatchHeader(records, 0), {
      sizeBytes: records.length,
      recordCount: 2,
      lastOffset: 1,
      baseTimestamp: 1234567890123,
      maxTimestamp: 1234567890125,
    });
    const partition = { index: 2, errorCode: 0, baseOffset: 4294967301, logStartOffset: 7 };
    const parsed = await parse(response, ProduceResponse, version, {
      responses: [{ name: 'orders', partitionResponses: [partition] }],
      throttleTimeMs: 3,
    });
    t.match(parsed, {
      topics: [
        {
          topicName: 'orders',
          partitions: [
            {
              partition: 2,
              errorCode: 0,
              baseOffset: '4294967301',
              logAppendTime: '-1',
              ...(version >= 5 && { logStartOffset: '7' }),
            },
          ],
        },
      ],
    });
  }
});

t.test('kafkajs reads an error of ours as the error it is', async (t) => {
  const { response } = requests.Heartbeat!.protocol({ version: 3 })({
    groupId: 'group',
    groupGenerationId: 1,
    memberId: 'member',
  });
  const heartbeat = cases.find(({ api }) => api === 'Heartbeat')!.messages[1];
  const answer = parse(response, heartbeat, 3, { errorCode: 27 });
  const error = await answer.then(
    () => undefined,
    (reason: { type: string }) => reason,
  );
  t.equal(error?.type, 'REBALANCE_IN_PROGRESS');
});
