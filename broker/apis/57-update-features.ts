/**
 * UpdateFeatures, API key 57, versions 0-2: levels of features. Each is in force at the one level that
 * this broker has: asking for that is granted, asking for another refused, and nothing changes.
 *
 * Version 1: kinds of upgrades, validate_only. Version 2: one error for all in place of results.
 * Source: Kafka's FeatureControlManager.updateFeature; KIP-584, KIP-778.
 */

import { ErrorCode } from '../../protocol/errors.ts';
import {
  UpdateFeaturesRequest,
  UpdateFeaturesResponse,
} from '../../protocol/messages/update-features.ts';
import type { Decoded, Input } from '../../protocol/schema.ts';
import { api, type RequestContext } from '../api.ts';
import { FEATURES } from '../features.ts';

type Request = Decoded<typeof UpdateFeaturesRequest>;
type Response = Input<typeof UpdateFeaturesResponse>;
type Result = NonNullable<Response['results']>[number];

const FIRST_WITHOUT_RESULTS = 2;

function resultOf({ feature, maxVersionLevel }: Request['featureUpdates'][number]): Result {
  const refuse = (errorCode: number, why: string): Result => ({
    feature,
    errorCode,
    errorMessage: `Invalid update version ${maxVersionLevel} for feature ${feature}. ${why}`,
  });
  const known = FEATURES.find(({ name }) => name === feature);
  if (known === undefined) {
    return refuse(ErrorCode.INVALID_UPDATE_VERSION, 'The broker does not know this feature.');
  }
  if (maxVersionLevel < 0 || maxVersionLevel > known.level) {
    const why = `The broker supports the levels 0-${known.level}.`;
    return refuse(ErrorCode.INVALID_UPDATE_VERSION, why);
  }
  if (maxVersionLevel !== known.level) {
    const why = `The level in force is ${known.level} and cannot be lowered.`;
    return refuse(ErrorCode.FEATURE_UPDATE_FAILED, why);
  }
  return { feature, errorCode: ErrorCode.NONE, errorMessage: null };
}

function update({ apiVersion }: RequestContext, { featureUpdates }: Request): Response {
  const names = featureUpdates.map(({ feature }) => feature);
  const twice = names.find((name, index) => names.indexOf(name) < index);
  if (twice !== undefined) {
    const errorMessage = `The feature ${twice} is named more than once.`;
    return { errorCode: ErrorCode.INVALID_REQUEST, errorMessage, results: [] };
  }
  const results = featureUpdates.map(resultOf);
  const failed = results.find(({ errorCode }) => errorCode !== ErrorCode.NONE);
  if (apiVersion >= FIRST_WITHOUT_RESULTS && failed !== undefined) {
    return { errorCode: failed.errorCode, errorMessage: failed.errorMessage };
  }
  const { NONE: errorCode } = ErrorCode;
  return apiVersion >= FIRST_WITHOUT_RESULTS
    ? { errorCode, errorMessage: null }
    : { errorCode, errorMessage: null, results };
}

export const updateFeatures = api({
  name: 'UpdateFeatures',
  versions: '0-2',
  request: UpdateFeaturesRequest,
  response: UpdateFeaturesResponse,
  handle: update,
  onError: (_context, _request, errorCode, errorMessage) => ({ errorCode, errorMessage }),
});
