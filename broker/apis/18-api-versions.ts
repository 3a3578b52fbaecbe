/**
 * ApiVersions, 0-5: what the broker speaks, derived from the table of APIs.
 *
 * 0-2  the ranges (throttle time from 1).
 * 3    flexible; the client names its software (KIP-511), and a name or version that is not made of
 *      letters, digits, dots and dashes is INVALID_REQUEST. Features (KIP-584).
 * 4    features may have the minimum 0.
 * 5    the client may say which node of which cluster it means (KIP-1242): another one than ours
 *      is REBOOTSTRAP_REQUIRED.
 *
 * Tagged field 10000 of 3 and up, our own (docs/locations.md): who asks is told that Fetch gives
 * locations. Others are not, so that nobody must step over a field that he does not know.
 *
 * A version above those is answered in version 0 with UNSUPPORTED_VERSION and the range of
 * ApiVersions itself, so that the client can ask again. Produce is told to begin at 0, although it
 * is served from 3: librdkafka takes a broker without it for one that is too old (KAFKA-18659).
 */

import { ErrorCode } from '../../protocol/errors.ts';
import { ApiVersionsRequest, ApiVersionsResponse } from '../../protocol/messages/api-versions.ts';
import { type Decoded, type Input, parseRange } from '../../protocol/schema.ts';
import { type AnyApi, api, type RequestContext } from '../api.ts';
import { FEATURES } from '../features.ts';
import { LOCATION_FORM } from '../fetch-location.ts';

const SOFTWARE_NAME = /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/;
const API_VERSIONS_KEY = 18;
const PRODUCE_KEY = 0;
const FIRST_WITH_LEVEL_0 = 4;

type Answer = Input<typeof ApiVersionsResponse>;
type Range = Answer['apiKeys'][number];

function rangeOf(served: AnyApi): Range {
  const { first, last } = parseRange(served.versions);
  const minVersion = served.key === PRODUCE_KEY ? 0 : first;
  return { apiKey: served.key, minVersion, maxVersion: last };
}

/**
 * The features: with transaction.version at 2 clients leave it to Produce and TxnOffsetCommit to add
 * partitions, and each end of a transaction raises the epoch (KIP-890). A feature that may have the
 * level 0 is not listed to clients that cannot read that.
 */
function featuresFor(apiVersion: number): Partial<Answer> {
  const finalizedFeatures = FEATURES.map(({ name, level }) => ({
    name,
    maxVersionLevel: level,
    minVersionLevel: level,
  }));
  const supportedFeatures = FEATURES.map(({ name, level }) => ({
    name,
    minVersion: 0,
    maxVersion: level,
  }));
  return {
    supportedFeatures: apiVersion < FIRST_WITH_LEVEL_0 ? [] : supportedFeatures,
    finalizedFeatures,
    finalizedFeaturesEpoch: 0,
  };
}

/** What is wrong with the request, or NONE. */
function faultOf(context: RequestContext, request: Decoded<typeof ApiVersionsRequest>): number {
  const { apiVersion, services } = context;
  if (apiVersion < 3) return ErrorCode.NONE;
  const { clientSoftwareName, clientSoftwareVersion, clusterId, nodeId } = request;
  if (!SOFTWARE_NAME.test(clientSoftwareName) || !SOFTWARE_NAME.test(clientSoftwareVersion)) {
    return ErrorCode.INVALID_REQUEST;
  }
  const means = clusterId !== null;
  if (means && (clusterId !== services.clusterId || nodeId !== services.nodeId)) {
    return ErrorCode.REBOOTSTRAP_REQUIRED;
  }
  return ErrorCode.NONE;
}

/** ApiVersions for a table of APIs; itself is in the answer whether the table has it or not. */
export function apiVersionsFor(others: readonly AnyApi[]) {
  const self = api({
    name: 'ApiVersions',
    versions: '0-5',
    request: ApiVersionsRequest,
    response: ApiVersionsResponse,
    handle(context, request): Answer {
      const errorCode = faultOf(context, request);
      if (errorCode !== ErrorCode.NONE) return { errorCode, apiKeys: [] };
      context.connection.clientSoftwareName = request.clientSoftwareName;
      context.connection.clientSoftwareVersion = request.clientSoftwareVersion;
      const answer = { errorCode, apiKeys: ranges, ...featuresFor(context.apiVersion) };
      const { locations } = context.services;
      if (!request.locations || !locations.isEnabled) return answer;
      return { ...answer, locations: { form: LOCATION_FORM, maxBytes: locations.maxBytes } };
    },
    onError: (_context, _request, errorCode): Answer => ({ errorCode, apiKeys: [] }),
    onUnsupportedVersion: (): Answer => ({
      errorCode: ErrorCode.UNSUPPORTED_VERSION,
      apiKeys: ranges.filter((range) => range.apiKey === API_VERSIONS_KEY),
    }),
  });
  const ranges = [...others, self].map(rangeOf).sort((a, b) => a.apiKey - b.apiKey);
  return self;
}
