/**
 * UpdateFeatures, API key 57, versions 0-2: levels of features. Each is in force at the one level that
 * this broker has: asking for that is granted, asking for another refused, and nothing changes.
 *
 * All updates are made or none: what fails is told once for all, and there are results where none failed.
 *
 * Version 1: kinds of upgrades, validate_only. Version 2: no results.
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

const FIRST_WITHOUT_RESULTS = 2;

/** What UpgradeType says; of version 0 allow_downgrade says the same. */
const UPGRADE = 1;
const SAFE_DOWNGRADE = 2;
const UNSAFE_DOWNGRADE = 3;

type Update = Request['featureUpdates'][number];
type Failure = Pick<Response, 'errorCode' | 'errorMessage'>;

function failureOf(update: Update): Failure | undefined {
  const { feature, maxVersionLevel } = update;
  const refuse = (errorCode: number, why: string): Failure => ({
    errorCode,
    errorMessage:
      'The update failed for all features since the following feature had an error: ' +
      `Invalid update version ${maxVersionLevel} for feature ${feature}. ${why}`,
  });
  const { INVALID_UPDATE_VERSION, FEATURE_UPDATE_FAILED } = ErrorCode;
  const upgradeType = update.allowDowngrade ? SAFE_DOWNGRADE : update.upgradeType;
  if (upgradeType < UPGRADE || upgradeType > UNSAFE_DOWNGRADE) {
    return refuse(INVALID_UPDATE_VERSION, `${upgradeType} is no type of upgrade.`);
  }
  const known = FEATURES.find(({ name }) => name === feature);
  if (known === undefined) {
    return refuse(INVALID_UPDATE_VERSION, 'The broker does not know this feature.');
  }
  if (maxVersionLevel < 0 || maxVersionLevel > known.level) {
    return refuse(INVALID_UPDATE_VERSION, `The broker supports the levels 0-${known.level}.`);
  }
  if (maxVersionLevel === known.level) return undefined;
  if (upgradeType === UPGRADE) {
    return refuse(INVALID_UPDATE_VERSION, 'It would be lowered, which was not asked for.');
  }
  const why = `The level in force is ${known.level} and cannot be lowered.`;
  return refuse(FEATURE_UPDATE_FAILED, why);
}

function update({ apiVersion }: RequestContext, { featureUpdates }: Request): Response {
  const names = featureUpdates.map(({ feature }) => feature);
  const twice = names.find((name, index) => names.indexOf(name) < index);
  if (twice !== undefined) {
    const errorMessage = `The feature ${twice} is named more than once.`;
    return { errorCode: ErrorCode.INVALID_REQUEST, errorMessage };
  }
  for (const update of featureUpdates) {
    const failure = failureOf(update);
    if (failure !== undefined) return failure;
  }
  const done = { errorCode: ErrorCode.NONE, errorMessage: null };
  if (apiVersion >= FIRST_WITHOUT_RESULTS) return done;
  return { ...done, results: names.map((feature) => ({ feature, ...done })) };
}

export const updateFeatures = api({
  name: 'UpdateFeatures',
  versions: '0-2',
  request: UpdateFeaturesRequest,
  response: UpdateFeaturesResponse,
  handle: update,
  onError: (_context, _request, errorCode, errorMessage) => ({ errorCode, errorMessage }),
});
