import t from 'tap';
import type { ErrorName } from '../../protocol/errors.ts';
import { ErrorCode, errorName, isRetriable, ProtocolError } from '../../protocol/errors.ts';
import type { Field, Fields, FieldType, Message } from '../../protocol/schema.ts';
import { inRange, parseRange } from '../../protocol/schema.ts';
import { fixture, messages, messageVersions, versionsOf } from './declared.ts';

/** A type as Kafka's own classes print it; a struct is the list of its fields. */
type KafkaType = string | KafkaStruct | KafkaArray;
interface KafkaArray {
  array: KafkaType;
  compact?: boolean;
  nullable?: boolean;
}
interface KafkaField {
  name: string;
  type: KafkaType;
  nullable?: boolean;
  tag?: number;
}
type KafkaStruct = (KafkaField | { tagged: KafkaField[] })[];

interface Schemas {
  apis: {
    key: number;
    name: string;
    oldest: number;
    latest: number;
    versions: {
      version: number;
      requestHeader: number;
      responseHeader: number;
      request: KafkaStruct;
      response: KafkaStruct;
    }[];
  }[];
  records: { record: string; id: string; versions: { version: number; fields: KafkaStruct }[] }[];
}

const schemas = fixture<Schemas>('kafka-4.4-schemas.json');

/** Neither has a schema of its own among Kafka's released classes of stored records. */
const WITHOUT_SCHEMA = ['ControlRecordTypeSchema', 'LeaderChangeMessage'];

/** Tagged fields from here on are our own, docs/locations.md; Kafka's count from 0. */
const FIRST_OWN_TAG = 10_000;

const KIND_NAMES: Record<string, string> = { bool: 'BOOLEAN' };

function kafkaName(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function kafkaType(
  type: FieldType,
  version: number,
  flexible: boolean,
  nullable: boolean,
): KafkaType {
  if (type.kind === 'struct') return kafkaStruct(type.fields, version, flexible);
  if (type.kind === 'array') {
    const array: KafkaArray = { array: kafkaType(type.element, version, flexible, false) };
    if (flexible) array.compact = true;
    if (nullable) array.nullable = true;
    return array;
  }
  const words = [KIND_NAMES[type.kind] ?? type.kind.toUpperCase()];
  if (type.kind === 'string' || type.kind === 'bytes' || type.kind === 'records') {
    if (nullable) words.unshift('NULLABLE');
    if (flexible) words.unshift('COMPACT');
  }
  return words.join('_');
}

function kafkaField(name: string, field: Field, version: number, flexible: boolean): KafkaField {
  const nullable = inRange(field.nullable, version);
  const type = kafkaType(field.type, version, flexible, nullable);
  const result: KafkaField = { name: kafkaName(name), type };
  if (nullable && field.type.kind !== 'array') result.nullable = true;
  return result;
}

/** One version of our declaration in the form of the fixture. */
function kafkaStruct(fields: Fields, version: number, flexible: boolean): KafkaStruct {
  const struct: KafkaStruct = [];
  const tagged: KafkaField[] = [];
  for (const [name, field] of Object.entries(fields)) {
    if (!inRange(field.versions, version)) continue;
    if ((field.tag ?? 0) >= FIRST_OWN_TAG) continue;
    const entry = kafkaField(name, field, version, flexible);
    if (inRange(field.tagged, version)) tagged.push({ tag: field.tag!, ...entry });
    else struct.push(entry);
  }
  tagged.sort((a, b) => a.tag! - b.tag!);
  return flexible ? [...struct, { tagged }] : struct;
}

function kafkaSchema(message: Message, version: number): KafkaStruct | undefined {
  if (message.type === 'record') {
    const record = schemas.records.find(({ record }) => record === message.name);
    return record?.versions.find((candidate) => candidate.version === version)?.fields;
  }
  const api = schemas.apis.find(({ key }) => key === message.key);
  return api?.versions.find((candidate) => candidate.version === version)?.[message.type];
}

t.test('every version of every declaration has the fields of Apache Kafka 4.4', async (t) => {
  for (const { message, version } of messageVersions) {
    if (WITHOUT_SCHEMA.includes(message.name)) continue;
    const flexible = inRange(message.flexible, version);
    t.strictSame(
      kafkaStruct(message.fields, version, flexible),
      kafkaSchema(message, version),
      `${message.name} ${version}`,
    );
  }
});

t.test('requests and responses are declared in exactly the versions of 4.4', async (t) => {
  for (const api of schemas.apis) {
    for (const type of ['request', 'response']) {
      const message = messages.find((one) => one.type === type && one.key === api.key);
      t.ok(message, `${api.name} has a ${type}`);
      t.equal(message?.name.toLowerCase(), `${api.name}${type}`.toLowerCase());
      t.strictSame(
        parseRange(message!.versions),
        { first: api.oldest, last: api.latest },
        `versions of ${message?.name}`,
      );
    }
  }
});

t.test('a version is flexible where Kafka gives it a header with tags', async (t) => {
  for (const api of schemas.apis) {
    const requests = messages.find(({ type, key }) => type === 'request' && key === api.key)!;
    const responses = messages.find(({ type, key }) => type === 'response' && key === api.key)!;
    for (const { version, requestHeader, responseHeader } of api.versions) {
      const flexible = inRange(requests.flexible, version);
      t.equal(requestHeader, flexible ? 2 : 1, `${api.name} ${version} request`);
      t.equal(inRange(responses.flexible, version), flexible, `${api.name} ${version} agree`);
      const isApiVersions = api.key === 18;
      t.equal(
        responseHeader,
        flexible && !isApiVersions ? 1 : 0,
        `${api.name} ${version} response`,
      );
    }
  }
});

t.test(
  'stored records are declared in exactly the versions of 4.4, with its type ids',
  async (t) => {
    for (const { record, id, versions } of schemas.records) {
      const message = messages.find(({ name }) => name === record)!;
      t.strictSame(
        versionsOf(message),
        versions.map(({ version }) => version),
        record,
      );
      t.equal(message.key, Number(id), record);
    }
  },
);

t.test('no message is declared that the fixture does not check', async (t) => {
  const checked = [
    ...schemas.records.map(({ record }) => record),
    ...messages.filter(({ type }) => type !== 'record').map(({ name }) => name),
    ...WITHOUT_SCHEMA,
  ];
  t.strictSame(messages.map(({ name }) => name).sort(), checked.sort());
  for (const message of messages) {
    if (message.type === 'record') continue;
    t.ok(
      schemas.apis.some(({ key }) => key === message.key),
      message.name,
    );
  }
});

t.test('the errors are those of Apache Kafka 4.4', async (t) => {
  const errors =
    fixture<{ code: number; name: ErrorName; retriable: boolean }[]>('kafka-4.4-errors.json');
  t.strictSame(Object.keys(ErrorCode).sort(), errors.map(({ name }) => name).sort());
  for (const { code, name, retriable } of errors) {
    t.equal(ErrorCode[name], code, name);
    t.equal(errorName(code), name, name);
    t.equal(isRetriable(name), retriable, `${name} retriable`);
  }
});

t.test('a code that Kafka does not have is an unknown server error', async (t) => {
  t.equal(errorName(31_000), 'UNKNOWN_SERVER_ERROR');
});

t.test('a ProtocolError carries name, code and text', async (t) => {
  const error = new ProtocolError('OFFSET_OUT_OF_RANGE');
  t.match(error, { errorName: 'OFFSET_OUT_OF_RANGE', code: 1, message: 'offset out of range' });
  t.equal(new ProtocolError('NONE', 'told').message, 'told');
});

t.test('version ranges are read as Kafka writes them', async (t) => {
  t.strictSame(parseRange('3+'), { first: 3, last: Number.POSITIVE_INFINITY });
  t.strictSame(parseRange('0-4'), { first: 0, last: 4 });
  t.strictSame(parseRange('2'), { first: 2, last: 2 });
  for (const text of ['', 'none', '-1', '3-', '1.5', '+']) {
    t.throws(() => parseRange(text), RangeError, `refuses "${text}"`);
  }
  t.equal(inRange(undefined, 0), false, 'undefined is the empty range');
});
