import t from 'tap';
import { apiVersionsFor } from '../../broker/apis/18-api-versions.ts';
import { ErrorCode } from '../../protocol/errors.ts';
import { decodeResponse, encodeRequest } from '../../protocol/header.ts';
import { ApiVersionsRequest, ApiVersionsResponse } from '../../protocol/messages/api-versions.ts';
import type { Input } from '../../protocol/schema.ts';
import { fakeApis, startServer, until } from './harness.ts';

const others = fakeApis(() => ({ errorCode: 0 }));
const produce = { ...others[0], name: 'Produce', key: 0, versions: '3-13' } as (typeof others)[0];
const apis = [...others, produce, apiVersionsFor([...others, produce])];

async function ask(
  apiVersion: number,
  request: Input<typeof ApiVersionsRequest> = {
    clientSoftwareName: 'x',
    clientSoftwareVersion: '1',
  },
  answerVersion = apiVersion,
) {
  const { connect, server } = await startServer(() => ({ errorCode: 0 }), { apis });
  const client = connect();
  const header = { apiVersion, correlationId: 77, clientId: 'c' };
  const known = Math.min(apiVersion, 5);
  const bytes = encodeRequest(ApiVersionsRequest, { ...header, apiVersion: known }, request);
  (bytes[0] as Buffer).writeInt16BE(apiVersion, 6);
  client.send(bytes);
  await until(() => client.frames.length === 1);
  await server.stop(1000);
  const answer = decodeResponse(client.frames[0] as Buffer, ApiVersionsResponse, answerVersion);
  if (answer.correlationId !== 77) throw new Error('an answer to another request');
  return answer.value;
}

t.test('the ranges are those of the table, Produce from 0', async (t) => {
  for (let version = 0; version <= 5; version++) {
    const { errorCode, apiKeys } = await ask(version);
    t.equal(errorCode, ErrorCode.NONE);
    t.same(apiKeys, [
      { apiKey: 0, minVersion: 0, maxVersion: 13 },
      { apiKey: 12, minVersion: 0, maxVersion: 4 },
      { apiKey: 13, minVersion: 0, maxVersion: 3 },
      { apiKey: 18, minVersion: 0, maxVersion: 5 },
    ]);
  }
});

t.test('transactions are announced in their second version', async (t) => {
  const name = 'transaction.version';
  const { supportedFeatures, finalizedFeatures, finalizedFeaturesEpoch } = await ask(4);
  t.same(supportedFeatures, [{ name, minVersion: 0, maxVersion: 2 }]);
  t.same(finalizedFeatures, [{ name, maxVersionLevel: 2, minVersionLevel: 2 }]);
  t.equal(finalizedFeaturesEpoch, 0);
  const older = await ask(3);
  t.same(older.supportedFeatures, [], 'whose clients cannot read a level of 0');
  t.same(older.finalizedFeatures, finalizedFeatures);
  t.same((await ask(2)).finalizedFeatures, []);
});

t.test('a version from the future is answered in version 0 with our range', async (t) => {
  const { errorCode, apiKeys } = await ask(6, {}, 0);
  t.equal(errorCode, ErrorCode.UNSUPPORTED_VERSION);
  t.same(apiKeys, [{ apiKey: 18, minVersion: 0, maxVersion: 5 }]);
});

t.test('software names and versions have a form', async (t) => {
  const cases: [name: string, version: string, code: number][] = [
    ['apache-kafka-java', '4.4.0', ErrorCode.NONE],
    ['a', '1', ErrorCode.NONE],
    ['', '1', ErrorCode.INVALID_REQUEST],
    ['x', '', ErrorCode.INVALID_REQUEST],
    ['-x', '1', ErrorCode.INVALID_REQUEST],
    ['x', '1.', ErrorCode.INVALID_REQUEST],
    ['two words', '1', ErrorCode.INVALID_REQUEST],
    ['line\nbreak', '1', ErrorCode.INVALID_REQUEST],
  ];
  for (const [clientSoftwareName, clientSoftwareVersion, code] of cases) {
    const { errorCode } = await ask(3, { clientSoftwareName, clientSoftwareVersion });
    t.equal(errorCode, code, JSON.stringify([clientSoftwareName, clientSoftwareVersion]));
  }
});

t.test('a client that means another node or cluster is told to look again', async (t) => {
  const named = { clientSoftwareName: 'x', clientSoftwareVersion: '1' };
  const cases: [clusterId: string | null, nodeId: number, code: number][] = [
    [null, -1, ErrorCode.NONE],
    [null, 9, ErrorCode.NONE],
    ['a-cluster', 1, ErrorCode.NONE],
    ['a-cluster', 2, ErrorCode.REBOOTSTRAP_REQUIRED],
    ['another', 1, ErrorCode.REBOOTSTRAP_REQUIRED],
  ];
  for (const [clusterId, nodeId, code] of cases) {
    const { errorCode } = await ask(5, { ...named, clusterId, nodeId });
    t.equal(errorCode, code, JSON.stringify([clusterId, nodeId]));
  }
});
