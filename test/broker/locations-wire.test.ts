/**
 * Who does not ask for locations sees nothing of them: answers of a broker that gives locations are,
 * byte for byte, those of Kafka's own schemas, before and after somebody else asked.
 */

import t from 'tap';
import { Broker } from '../../broker/index.ts';
import { decodeResponse, encodeResponse } from '../../protocol/header.ts';
import { ApiVersionsRequest, ApiVersionsResponse } from '../../protocol/messages/api-versions.ts';
import {
  CreateTopicsRequest,
  CreateTopicsResponse,
} from '../../protocol/messages/create-topics.ts';
import { FetchRequest, FetchResponse } from '../../protocol/messages/fetch.ts';
import { ProduceRequest, ProduceResponse } from '../../protocol/messages/produce.ts';
import type { Field, Fields, FieldType, Input, Message } from '../../protocol/schema.ts';
import { batchOf } from './data-broker.ts';
import { WireClient } from './wire-client.ts';

const FIRST_OWN_TAG = 10_000;
const FETCH_VERSIONS = [12, 13, 14, 15, 16, 17, 18];
/** Of the answer's frame: its correlation id differs from request to request. */
const AFTER_CORRELATION_ID = 4;

/** The declaration without our own tagged fields, at any depth: Kafka's schema. */
function kafkas<M extends Message>(message: M): M {
  const typeOf = (type: FieldType): FieldType => {
    if (type.kind === 'struct') return { kind: 'struct', fields: strip(type.fields) };
    return type.kind === 'array' ? { kind: 'array', element: typeOf(type.element) } : type;
  };
  const strip = (fields: Fields): Fields =>
    Object.fromEntries(
      Object.entries(fields)
        .filter(([, field]) => (field.tag ?? 0) < FIRST_OWN_TAG)
        .map(([name, field]): [string, Field] => [name, { ...field, type: typeOf(field.type) }]),
    );
  return { ...message, fields: strip(message.fields) };
}

const broker = await Broker.start();
t.teardown(() => broker.stop());
const client = await WireClient.connect(broker.port);
t.teardown(() => client.close());

const created = await client.ask(CreateTopicsRequest, CreateTopicsResponse, 7, {
  topics: [{ name: 't', numPartitions: 2, replicationFactor: 1, assignments: [], configs: [] }],
  timeoutMs: 1000,
});
const { topicId } = created.topics[0]!;
for (const index of [0, 1]) {
  await client.ask(ProduceRequest, ProduceResponse, 11, {
    acks: -1,
    timeoutMs: 1000,
    topicData: [{ name: 't', partitionData: [{ index, records: batchOf(['a', 'b']) }] }],
  });
}
// Partition 0 can be located, 1 lies in memory.
await broker.services.topics.get('t')!.partitions[0]!.log.flush();

function request(locate?: Input<typeof FetchRequest>['locate']): Input<typeof FetchRequest> {
  const partitions = [0, 1].map((partition) => ({
    partition,
    fetchOffset: 0,
    partitionMaxBytes: 100_000,
  }));
  const topics = [{ topic: 't', topicId, partitions }];
  return { maxWaitMs: 0, minBytes: 1, topics, ...(locate && { locate }) };
}

async function fetchBytes(version: number, locate?: Input<typeof FetchRequest>['locate']) {
  const frame = await client.send(FetchRequest, version, request(locate));
  return frame.subarray(AFTER_CORRELATION_ID);
}

/** The same answer in Kafka's schema. */
function inKafkasSchema<M extends Message>(frame: Buffer, message: M, version: number): Buffer {
  const whole = Buffer.concat([Buffer.alloc(4), frame]);
  const { value } = decodeResponse(whole, kafkas(message), version);
  const again = Buffer.concat(encodeResponse(kafkas(message), version, 0, value as Input<M>));
  return again.subarray(4 + AFTER_CORRELATION_ID);
}

t.test('Fetch, every flexible version', async (t) => {
  const here = { maxBytes: 1e6, hostId: broker.services.hostId };
  for (const version of FETCH_VERSIONS) {
    const before = await fetchBytes(version);
    const located = await fetchBytes(version, here);
    t.notSame(located, before, `version ${version}: who asks gets a location`);
    t.same(await fetchBytes(version), before, 'who does not gets what he got before');
    t.same(await fetchBytes(version, { ...here, hostId: 'elsewhere' }), before);
    t.same(inKafkasSchema(before, FetchResponse, version), before, "it is Kafka's schema");
    const { value } = decodeResponse(
      Buffer.concat([Buffer.alloc(4), before]),
      FetchResponse,
      version,
    );
    t.ok(value.responses[0]!.partitions.every(({ records }) => records!.length > 0));
    const seen = decodeResponse(
      Buffer.concat([Buffer.alloc(4), located]),
      FetchResponse,
      version,
    ).value.responses[0]!.partitions.map(({ location, records }) => [
      location.length > 0,
      records!.length > 0,
    ]);
    t.same(seen, [
      [true, false],
      [false, true],
    ]);
  }
});

t.test('ApiVersions, every version', async (t) => {
  const who = { clientSoftwareName: 'x', clientSoftwareVersion: '1' };
  for (let version = 0; version <= 5; version++) {
    const ask = async (locations: boolean) => {
      const frame = await client.send(ApiVersionsRequest, version, { ...who, locations });
      return frame.subarray(AFTER_CORRELATION_ID);
    };
    const plain = await ask(false);
    t.same(inKafkasSchema(plain, ApiVersionsResponse, version), plain, `version ${version}`);
    if (version < 3) continue;
    const told = await ask(true);
    const whole = Buffer.concat([Buffer.alloc(4), told]);
    const { value } = decodeResponse(whole, ApiVersionsResponse, version);
    t.same(value.locations, { form: 1, maxBytes: 2 ** 30 });
    t.same(inKafkasSchema(told, ApiVersionsResponse, version), plain);
    t.same(await ask(false), plain);
  }
});
