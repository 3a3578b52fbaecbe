/**
 * Quotas, SCRAM users and ACLs: what Apache Kafka answers to what is asked of them, whether legal or
 * not, and that they are there after a restart. Apache Kafka needs an authorizer to have ACLs.
 */

import t from 'tap';
import { WireConnection } from '../../benchmarks/client/connection.ts';
import { errorName } from '../../protocol/errors.ts';
import {
  AlterClientQuotasRequest,
  AlterClientQuotasResponse,
} from '../../protocol/messages/alter-client-quotas.ts';
import {
  AlterUserScramCredentialsRequest,
  AlterUserScramCredentialsResponse,
} from '../../protocol/messages/alter-user-scram-credentials.ts';
import { CreateAclsRequest, CreateAclsResponse } from '../../protocol/messages/create-acls.ts';
import { DeleteAclsRequest, DeleteAclsResponse } from '../../protocol/messages/delete-acls.ts';
import {
  DescribeAclsRequest,
  DescribeAclsResponse,
} from '../../protocol/messages/describe-acls.ts';
import {
  DescribeClientQuotasRequest,
  DescribeClientQuotasResponse,
} from '../../protocol/messages/describe-client-quotas.ts';
import {
  DescribeUserScramCredentialsRequest,
  DescribeUserScramCredentialsResponse,
} from '../../protocol/messages/describe-user-scram-credentials.ts';
import { isApacheKafka, startTestBroker } from './test-broker.ts';

const authorizer = {
  'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
  'super.users': 'User:ANONYMOUS',
};
const broker = await startTestBroker(t, isApacheKafka ? authorizer : {});
let connection = await WireConnection.open(broker.host, broker.port);
t.teardown(() => connection.close());

async function restart(): Promise<void> {
  connection.close();
  await broker.restart();
  connection = await WireConnection.open(broker.host, broker.port);
}

type Part = readonly [type: string, name: string | null];
type Quotas = Readonly<Record<string, number | null>>;

/** `user=a`, `user=<default>`: an entity in one word. */
function wordOf(parts: readonly { entityType: string; entityName: string | null }[]): string {
  const words = parts.map((part) => `${part.entityType}=${part.entityName ?? '<default>'}`);
  return words.sort().join();
}

function entityOf(parts: readonly Part[]) {
  return parts.map(([entityType, entityName]) => ({ entityType, entityName }));
}

/** Sets quotas, null takes one back; the answers by entity. */
async function setQuotas(
  version: number,
  changes: readonly (readonly [parts: readonly Part[], quotas: Quotas])[],
  validateOnly = false,
) {
  const entries = changes.map(([parts, quotas]) => ({
    entity: entityOf(parts),
    ops: Object.entries(quotas).map(([key, value]) => {
      return { key, value: value ?? 0, remove: value === null };
    }),
  }));
  const pair = [AlterClientQuotasRequest, AlterClientQuotasResponse] as const;
  const answer = await connection.call(...pair, version, { entries, validateOnly });
  return Object.fromEntries(
    answer.entries.map(({ entity, errorCode }) => [wordOf(entity), errorName(errorCode)]),
  );
}

type FilterPart = readonly [type: string, matchType: number, match: string | null];

async function quotas(version: number, parts: readonly FilterPart[], strict = false) {
  const components = parts.map(([entityType, matchType, match]) => {
    return { entityType, matchType, match };
  });
  const pair = [DescribeClientQuotasRequest, DescribeClientQuotasResponse] as const;
  const answer = await connection.call(...pair, version, { components, strict });
  if (answer.errorCode !== 0) return errorName(answer.errorCode);
  return Object.fromEntries(
    answer.entries!.map(({ entity, values }) => [
      wordOf(entity),
      Object.fromEntries(values.map(({ key, value }) => [key, value])),
    ]),
  );
}

const EXACT = 0;
const DEFAULT = 1;
const SPECIFIED = 2;

t.test('quotas are set, found by filters, there after a restart, and taken back', async (t) => {
  const both: readonly Part[] = [
    ['user', 'u'],
    ['client-id', 'c'],
  ];
  for (const version of [0, 1]) {
    const changes = [
      [[['user', 'u']], { producer_byte_rate: 1000 }],
      [both, { request_percentage: 12.5, consumer_byte_rate: 5 }],
      [[['user', null]], { controller_mutation_rate: 0.5 }],
      [[['ip', '127.0.0.1']], { connection_creation_rate: 7 }],
    ] as const;
    const ofUser = { 'user=u': { producer_byte_rate: 1000 } };
    const ofBoth = { 'client-id=c,user=u': { request_percentage: 12.5, consumer_byte_rate: 5 } };
    const ofDefault = { 'user=<default>': { controller_mutation_rate: 0.5 } };
    t.same(Object.values(await setQuotas(version, changes, true)), Array(4).fill('NONE'));
    t.same(await quotas(version, []), {}, 'validated and not set');
    t.same(Object.values(await setQuotas(version, changes)), Array(4).fill('NONE'));
    await restart();
    const all = { ...ofUser, ...ofBoth, ...ofDefault };
    const ofAddress = { 'ip=127.0.0.1': { connection_creation_rate: 7 } };
    t.same(await quotas(version, []), { ...all, ...ofAddress });
    t.same(await quotas(version, [], true), {}, 'nothing has no part at all');
    t.same(await quotas(version, [['user', EXACT, 'u']]), { ...ofUser, ...ofBoth });
    t.same(await quotas(version, [['user', EXACT, 'u']], true), ofUser);
    t.same(await quotas(version, [['user', DEFAULT, null]]), ofDefault);
    t.same(await quotas(version, [['user', SPECIFIED, null]]), all);
    const parts: readonly FilterPart[] = [
      ['client-id', SPECIFIED, null],
      ['user', SPECIFIED, null],
    ];
    t.same(await quotas(version, parts, true), ofBoth);
    const back = changes.map(([entity, values]) => {
      const none = Object.fromEntries(Object.keys(values).map((key) => [key, null]));
      return [entity, none] as const;
    });
    t.same(Object.values(await setQuotas(version, back)), Array(4).fill('NONE'));
    t.same(await quotas(version, []), {});
  }
});

t.test('the parts of an entity are told in one order, whatever the order asked for', async (t) => {
  const told = [entityOf([['client-id', 'c']])[0], entityOf([['user', 'u']])[0]];
  for (const entity of [told, told.toReversed()] as const) {
    const entries = [{ entity: entity.map((part) => part!), ops: [] }];
    const pair = [AlterClientQuotasRequest, AlterClientQuotasResponse] as const;
    const answer = await connection.call(...pair, 1, { entries, validateOnly: true });
    t.same(answer.entries[0]?.entity, told);
  }
});

t.test('the quotas of an entity are told in one order, too', async (t) => {
  const keys = ['producer_byte_rate', 'consumer_byte_rate', 'request_percentage'] as const;
  await setQuotas(1, [[[['user', 'o']], Object.fromEntries(keys.map((key) => [key, 1]))]]);
  const told = (await quotas(1, [['user', EXACT, 'o']])) as Record<string, Quotas>;
  t.same(Object.keys(told['user=o'] ?? {}), [keys[1], keys[2], keys[0]]);
  await setQuotas(1, [[[['user', 'o']], Object.fromEntries(keys.map((key) => [key, null]))]]);
});

t.test('quotas that cannot be are refused, each for itself', async (t) => {
  const refused = async (parts: readonly Part[], values: Quotas) => {
    const [error] = Object.values(await setQuotas(1, [[parts, values]]));
    t.equal(error, 'INVALID_REQUEST', `${wordOf(entityOf(parts))} ${JSON.stringify(values)}`);
  };
  const rate = { producer_byte_rate: 1 };
  await refused([], rate);
  await refused([['role', 'x']], rate);
  await refused([['user', '']], rate);
  const userAndAddress: readonly Part[] = [
    ['user', 'a'],
    ['ip', '1.2.3.4'],
  ];
  await refused(userAndAddress, rate);
  const address: readonly Part[] = [['ip', '1.2.3.4']];
  await refused([['ip', 'no.such.host.invalid']], { connection_creation_rate: 1 });
  if (!isApacheKafka) await refused([['ip', 'localhost']], { connection_creation_rate: 1 });
  await refused([['ip', '::1::2']], { connection_creation_rate: 1 });
  await refused(address, { connection_creation_rate: 1.5 });
  await refused(address, { connection_creation_rate: 3e9 });
  await refused(address, rate);
  const user: readonly Part[] = [['user', 'a']];
  await refused(user, { connection_creation_rate: 1 });
  await refused(user, { no_such_quota: 1 });
  for (const value of [0, -3, 1.5, 1e19, Number.NaN, Number.POSITIVE_INFINITY]) {
    await refused(user, { producer_byte_rate: value });
  }
  t.same(await quotas(1, []), {}, 'nothing was set');
  const changes = [
    [[['user', 'good']], rate],
    [[['user', 'bad']], { no_such_quota: 2 }],
    [[['ip', '::1']], { connection_creation_rate: 2 }],
    [[['user', 'none']], { no_such_quota: null }],
  ] as const;
  t.same(await setQuotas(1, changes), {
    'user=good': 'NONE',
    'user=bad': 'INVALID_REQUEST',
    'ip=::1': 'NONE',
    'user=none': 'NONE',
  });
  const twice = [[[['user', 'two']], rate] as const, [[['user', 'two']], rate] as const] as const;
  t.same(await setQuotas(1, twice), { 'user=two': 'INVALID_REQUEST' });
  // Apache Kafka makes the first change all the same.
  const two = { 'user=two': rate };
  t.same(await quotas(1, [['user', EXACT, 'two']]), isApacheKafka ? two : {});
  await setQuotas(1, [[[['user', 'two']], { producer_byte_rate: null }]]);
  t.same(Object.keys((await quotas(1, [])) as object).sort(), ['ip=::1', 'user=good']);
});

t.test('filters of quotas that cannot be are refused', async (t) => {
  for (const version of [0, 1]) {
    t.equal(await quotas(version, [['', EXACT, 'u']]), 'INVALID_REQUEST');
    t.equal(await quotas(version, [['role', EXACT, 'u']]), 'UNSUPPORTED_VERSION');
    t.equal(await quotas(version, [['user', EXACT, null]]), 'INVALID_REQUEST');
    t.equal(await quotas(version, [['user', DEFAULT, 'u']]), 'INVALID_REQUEST');
    t.equal(await quotas(version, [['user', SPECIFIED, 'u']]), 'INVALID_REQUEST');
    t.equal(await quotas(version, [['user', 9, 'u']]), 'INVALID_REQUEST');
    const user: FilterPart = ['user', EXACT, 'u'];
    t.equal(await quotas(version, [user, user]), 'INVALID_REQUEST');
    t.equal(await quotas(version, [user, ['ip', EXACT, 'u']]), 'INVALID_REQUEST');
  }
});

const SHA_256 = 1;
const SHA_512 = 2;

function upsertion(name: string, mechanism = SHA_256, iterations = 4096, password = 'x') {
  const bytes = [Buffer.from('salt'), Buffer.from(password)] as const;
  return { name, mechanism, iterations, salt: bytes[0], saltedPassword: bytes[1] };
}

async function alterUsers(
  upsertions: readonly ReturnType<typeof upsertion>[],
  ...deletions: readonly (readonly [name: string, mechanism: number])[]
) {
  const pair = [AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse] as const;
  const answer = await connection.call(...pair, 0, {
    upsertions,
    deletions: deletions.map(([name, mechanism]) => ({ name, mechanism })),
  });
  return Object.fromEntries(answer.results.map((one) => [one.user, errorName(one.errorCode)]));
}

/** Mechanisms and iterations by user, or the error. */
async function users(...names: readonly string[]) {
  const pair = [DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse] as const;
  const request = { users: names.length === 0 ? null : names.map((name) => ({ name })) };
  const { results, errorCode } = await connection.call(...pair, 0, request);
  t.equal(errorCode, 0);
  return Object.fromEntries(
    results.map(({ user, errorCode: code, credentialInfos }) => [
      user,
      code === 0
        ? credentialInfos.map(({ mechanism, iterations }) => `${mechanism}:${iterations}`).join()
        : errorName(code),
    ]),
  );
}

t.test('SCRAM users are made, shown without secrets, kept, and removed', async (t) => {
  t.same(await users(), {});
  const made = await alterUsers([upsertion('alice'), upsertion('bob', SHA_512, 8192)]);
  t.same(made, { alice: 'NONE', bob: 'NONE' });
  t.same(await alterUsers([upsertion('alice', SHA_512)]), { alice: 'NONE' });
  await restart();
  t.same(await users(), { alice: '1:4096,2:4096', bob: '2:8192' });
  t.same(await users('alice', 'nobody', 'bob', 'bob'), {
    alice: '1:4096,2:4096',
    nobody: 'RESOURCE_NOT_FOUND',
    bob: 'DUPLICATE_RESOURCE',
  });
  t.same(await alterUsers([upsertion('bob', SHA_512, 9000)], ['alice', SHA_256]), {
    alice: 'NONE',
    bob: 'NONE',
  });
  t.same(await users(), { alice: '2:4096', bob: '2:9000' });
  t.same(await alterUsers([], ['alice', SHA_512]), { alice: 'NONE' });
  await restart();
  t.same(await users(), { bob: '2:9000' });
});

t.test('credentials that cannot be are refused, each for itself', async (t) => {
  const refused = async (error: string, ...words: Parameters<typeof upsertion>) => {
    t.same(await alterUsers([upsertion(...words)]), { [words[0]]: error });
  };
  await refused('UNACCEPTABLE_CREDENTIAL', '');
  await refused('UNSUPPORTED_SASL_MECHANISM', 'x', 9);
  await refused('UNSUPPORTED_SASL_MECHANISM', 'x', 0);
  await refused('UNACCEPTABLE_CREDENTIAL', 'x', SHA_256, 4095);
  await refused('UNACCEPTABLE_CREDENTIAL', 'x', SHA_256, 16_385);
  await refused('UNACCEPTABLE_CREDENTIAL', 'x', SHA_256, -1);
  // Apache Kafka meets an exception of its own.
  const error = isApacheKafka ? 'UNKNOWN_SERVER_ERROR' : 'UNACCEPTABLE_CREDENTIAL';
  await refused(error, 'x', SHA_256, 4096, '');
  const twice = 'DUPLICATE_RESOURCE';
  t.same(await alterUsers([upsertion('x'), upsertion('x', SHA_512)]), { x: twice });
  t.same(await alterUsers([], ['bob', SHA_512], ['bob', SHA_512]), { bob: twice });
  t.same(await alterUsers([upsertion('bob')], ['bob', SHA_512]), { bob: twice });
  const some = await alterUsers([upsertion('good')], ['nobody', SHA_256], ['bob', 7], ['', 1]);
  t.same(some, {
    good: 'NONE',
    nobody: 'RESOURCE_NOT_FOUND',
    bob: 'UNSUPPORTED_SASL_MECHANISM',
    '': 'UNACCEPTABLE_CREDENTIAL',
  });
  t.same(await users(), { bob: '2:9000', good: '1:4096' });
});

const ANY = 1;
const MATCH = 2;
const LITERAL = 3;
const PREFIXED = 4;
const TOPIC = 2;
const GROUP = 3;
const CLUSTER = 4;

function acl(resourceType: number, resourceName: string, patternType = LITERAL, rest = {}) {
  const head = { resourceType, resourceName, resourcePatternType: patternType };
  return { ...head, principal: 'User:a', host: '*', operation: 3, permissionType: 3, ...rest };
}

async function createAcls(version: number, ...creations: readonly ReturnType<typeof acl>[]) {
  const pair = [CreateAclsRequest, CreateAclsResponse] as const;
  const { results } = await connection.call(...pair, version, { creations });
  return results.map(({ errorCode }) => errorName(errorCode));
}

function filter(rest = {}) {
  return {
    resourceTypeFilter: ANY,
    resourceNameFilter: null,
    patternTypeFilter: ANY,
    principalFilter: null,
    hostFilter: null,
    operation: ANY,
    permissionType: ANY,
    ...rest,
  };
}

/** The names of the resources that a filter finds, prefixes with a star. */
async function acls(version: number, rest = {}): Promise<string> {
  const pair = [DescribeAclsRequest, DescribeAclsResponse] as const;
  const { resources, errorCode } = await connection.call(...pair, version, filter(rest));
  t.equal(errorCode, 0);
  const words = resources.flatMap(({ resourceName, patternType, acls: found }) =>
    found.map(() => (patternType === PREFIXED ? `${resourceName}*` : resourceName)),
  );
  return words.sort().join(' ');
}

async function deleteAcls(version: number, ...filters: readonly object[]) {
  const pair = [DeleteAclsRequest, DeleteAclsResponse] as const;
  const request = { filters: filters.map((rest) => filter(rest)) };
  const { filterResults } = await connection.call(...pair, version, request);
  return filterResults.map(({ errorCode, matchingAcls }) => {
    if (errorCode !== 0) return errorName(errorCode);
    return matchingAcls.map(({ resourceName }) => resourceName).sort();
  });
}

t.test('ACLs are added once, found by every kind of filter, kept, and removed', async (t) => {
  for (const version of [1, 2, 3]) {
    const made = await createAcls(
      version,
      acl(TOPIC, 't1'),
      acl(TOPIC, 't', PREFIXED),
      acl(GROUP, '*'),
      acl(GROUP, 'g', LITERAL, { principal: 'User:b', host: '10.0.0.1', operation: 2 }),
      acl(CLUSTER, 'kafka-cluster', LITERAL, { permissionType: 2 }),
    );
    t.same(made, Array(5).fill('NONE'));
    t.same(await createAcls(version, acl(TOPIC, 't1'), acl(TOPIC, 't1')), ['NONE', 'NONE']);
    await restart();
    t.equal(await acls(version), '* g kafka-cluster t* t1');
    t.equal(await acls(version, { resourceTypeFilter: TOPIC }), 't* t1');
    const named = (patternTypeFilter: number, resourceNameFilter = 't1') => {
      return acls(version, { resourceNameFilter, patternTypeFilter });
    };
    t.equal(await named(LITERAL), 't1');
    t.equal(await named(PREFIXED), '');
    t.equal(await named(ANY), 't1');
    t.equal(await named(MATCH), '* t* t1', 'itself, the wildcard, and the prefix');
    t.equal(await named(MATCH, 't'), '* t*');
    t.equal(await named(PREFIXED, 't'), 't*');
    t.equal(await acls(version, { patternTypeFilter: PREFIXED }), 't*');
    t.equal(await acls(version, { principalFilter: 'User:b' }), 'g');
    t.equal(await acls(version, { hostFilter: '10.0.0.1' }), 'g');
    t.equal(await acls(version, { operation: 2 }), 'g');
    t.equal(await acls(version, { permissionType: 2 }), 'kafka-cluster');
    t.equal(await acls(version, { principalFilter: '' }), '');
    t.equal(await acls(version, { resourceTypeFilter: 77 }), '');
    const removed = await deleteAcls(
      version,
      { principalFilter: 'User:b' },
      { resourceNameFilter: 't1', patternTypeFilter: MATCH, resourceTypeFilter: TOPIC },
      { resourceNameFilter: 't1', patternTypeFilter: LITERAL },
      { resourceNameFilter: 'not there' },
    );
    t.same(removed, [['g'], ['t', 't1'], ['t1'], []]);
    await restart();
    t.equal(await acls(version), '* kafka-cluster');
    t.same(await deleteAcls(version, {}), [['*', 'kafka-cluster']]);
    t.equal(await acls(version), '');
  }
});

t.test('ACLs that cannot be are refused, each for itself', async (t) => {
  const bad = [
    acl(TOPIC, ''),
    acl(CLUSTER, 'other'),
    acl(77, 'x'),
    acl(TOPIC, 'x', 9),
    acl(TOPIC, 'x', LITERAL, { operation: 99 }),
    acl(TOPIC, 'x', LITERAL, { permissionType: 9 }),
    acl(TOPIC, 'x', LITERAL, { principal: 'nobody' }),
    acl(TOPIC, 'x', LITERAL, { host: '' }),
  ];
  t.same(
    await createAcls(3, ...bad),
    bad.map(() => 'INVALID_REQUEST'),
  );
  t.same(await createAcls(3, acl(TOPIC, 'good'), ...bad.slice(0, 1)), ['NONE', 'INVALID_REQUEST']);
  t.equal(await acls(3), 'good');
  t.same(await deleteAcls(3, { operation: 77 }), ['INVALID_REQUEST']);
  t.same(await deleteAcls(3, { patternTypeFilter: 77 }, {}), ['INVALID_REQUEST', ['good']]);
  // Apache Kafka meets an exception of its own.
  const error = isApacheKafka ? 'UNKNOWN_SERVER_ERROR' : 'INVALID_REQUEST';
  t.same(await createAcls(3, acl(ANY, 'x')), [error]);
  t.same(await createAcls(3, acl(TOPIC, 'x', MATCH)), [error]);
  t.same(await createAcls(3, acl(TOPIC, 'x', LITERAL, { operation: ANY })), [error]);
  t.same(await createAcls(3, acl(TOPIC, 'x', LITERAL, { permissionType: ANY })), [error]);
});

t.test('what says "unknown" is malformed: the connection is closed', async (t) => {
  const requests: readonly (() => Promise<unknown>)[] = [
    () => acls(3, { operation: 0 }),
    () => createAcls(3, acl(0, 'x')),
    () => deleteAcls(3, { permissionType: 0 }),
  ];
  for (const request of requests) {
    await t.rejects(request(), /closed the connection/);
    connection = await WireConnection.open(broker.host, broker.port);
  }
});
