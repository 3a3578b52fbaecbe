/** Our codec against @platformatic/kafka's: the flexible versions, which kafkajs does not speak. */

import * as library from '@platformatic/kafka';
import t from 'tap';
import { codec } from '../../protocol/compile.ts';
import { encodeResponse } from '../../protocol/header.ts';
import { FetchResponse } from '../../protocol/messages/fetch.ts';
import { ProduceRequest, ProduceResponse } from '../../protocol/messages/produce.ts';
import { Reader } from '../../protocol/reader.ts';
import { batchFault, readBatchHeader } from '../../protocol/record-batch.ts';
import type { Message } from '../../protocol/schema.ts';
import { inRange } from '../../protocol/schema.ts';
import { adminCases } from './platformatic-admin-cases.ts';
import { TOPIC_ID } from './platformatic-case.ts';
import { dataCases } from './platformatic-data-cases.ts';
import { groupCases } from './platformatic-group-cases.ts';

/** The library's namespace of one version of an API. */
interface LibraryApi {
  createRequest(...args: unknown[]): library.Writer;
  parseResponse(
    correlationId: number,
    apiKey: number,
    apiVersion: number,
    reader: library.Reader,
  ): unknown;
}

type Values = Readonly<Record<string, unknown>>;

const cases = [...dataCases, ...groupCases, ...adminCases];

const CORRELATION_ID = 77;

function libraryApi(api: string, version: number): LibraryApi {
  const found = (library as unknown as Record<string, LibraryApi>)[`${api}V${version}`];
  if (found === undefined) throw new Error(`the library has no ${api} ${version}`);
  return found;
}

/** The library's values in our terms: bigint as number, uuid with dashes as base64url. */
function inOurTerms(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (typeof value === 'string' && /^\w{8}(-\w{4}){3}-\w{12}$/.test(value)) {
    return Buffer.from(value.replaceAll('-', ''), 'hex').toString('base64url');
  }
  if (Array.isArray(value)) return value.map(inOurTerms);
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, inOurTerms(inner)]),
  );
}

function read(api: string, message: Message, version: number, args: unknown[]) {
  const reader = new Reader(libraryApi(api, version).createRequest(...args).buffer);
  const value = codec(message, version).decode(reader);
  return { value, bytesLeft: reader.bytesLeft };
}

function parse(api: string, message: Message, version: number, value: Values): unknown {
  const frame = Buffer.concat(encodeResponse(message, version, CORRELATION_ID, value));
  const hasTags = inRange(message.flexible, version) && message.key !== 18;
  const body = library.Reader.from(frame.subarray(hasTags ? 9 : 8));
  const { parseResponse } = libraryApi(api, version);
  return inOurTerms(parseResponse(CORRELATION_ID, message.key, version, body));
}

for (const one of cases) {
  t.test(`${one.api} is the same to @platformatic/kafka and to us`, async (t) => {
    const [requestMessage, responseMessage] = one.messages;
    for (const version of one.versions) {
      const of = <T>(value: T | ((version: number) => T)): T =>
        typeof value === 'function' ? (value as (version: number) => T)(version) : value;
      const got = read(one.api, requestMessage, version, of(one.arguments));
      t.match(got.value, of(one.request), `request ${version}`);
      t.equal(got.bytesLeft, one.extraBytes?.(version) ?? 0, `request ${version} ends`);
      if (one.misread?.includes(version)) continue;
      const parsed = parse(one.api, responseMessage, version, one.response);
      t.match(parsed, of(one.parsed ?? one.response), `response ${version}`);
    }
  });
}

t.test('every version that the library speaks is looked at', async (t) => {
  for (const { api, versions } of cases) {
    const spoken = Object.keys(library)
      .filter((name) => new RegExp(`^${api}V\\d+$`).test(name))
      .map((name) => Number(name.slice(api.length + 1)));
    t.strictSame(
      versions,
      spoken.sort((a, b) => a - b),
      api,
    );
  }
});

function produceArguments() {
  const messages = [
    { topic: 'orders', partition: 2, key: Buffer.from('k'), value: Buffer.from('v') },
    { topic: 'orders', partition: 2, value: Buffer.from('second') },
  ].map((message) => ({ ...message, timestamp: 1234567890123n }));
  return [1, 30_000, messages, {}];
}

t.test('Produce carries batches of the library that we find sound', async (t) => {
  for (const version of [7, 8, 9, 10, 11]) {
    const { value, bytesLeft } = read('produce', ProduceRequest, version, produceArguments());
    t.equal(bytesLeft, 0);
    t.match(value, {
      transactionalId: null,
      acks: 1,
      timeoutMs: 30_000,
      topicData: [{ name: 'orders', partitionData: [{ index: 2 }] }],
    });
    const topics = value.topicData as { partitionData: { records: Buffer }[] }[];
    const records = topics[0]!.partitionData[0]!.records;
    t.equal(batchFault(records, 0), undefined);
    t.match(readBatchHeader(records, 0), { recordCount: 2, baseTimestamp: 1234567890123 });
    const partition = {
      index: 2,
      errorCode: 0,
      baseOffset: 4294967301,
      logAppendTimeMs: -1,
      logStartOffset: 7,
    };
    const responses = [{ name: 'orders', partitionResponses: [partition] }];
    const answer = { responses, throttleTimeMs: 3 };
    t.match(parse('produce', ProduceResponse, version, answer), answer, `response ${version}`);
  }
});

t.test(
  'records of a Fetch answer reach the library whole, over the parts they come in',
  async (t) => {
    const { value } = read('produce', ProduceRequest, 11, produceArguments());
    const topics = value.topicData as { partitionData: { records: Buffer }[] }[];
    const batch = topics[0]!.partitionData[0]!.records;
    const partition = (partitionIndex: number, records: Buffer | Buffer[]) => ({
      partitionIndex,
      errorCode: 0,
      highWatermark: 4,
      abortedTransactions: [],
      records,
    });
    const parsed = parse('fetch', FetchResponse, 17, {
      throttleTimeMs: 0,
      responses: [
        { topicId: TOPIC_ID, partitions: [partition(0, [batch, batch]), partition(1, batch)] },
      ],
    });
    const { responses } = parsed as {
      responses: { partitions: { records: { records: unknown[] }[] }[] }[];
    };
    const counts = responses[0]?.partitions.map(({ records }) =>
      records.map((batch) => batch.records.length),
    );
    t.strictSame(counts, [[2, 2], [2]]);
  },
);
