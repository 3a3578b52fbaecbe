/**
 * RenewDelegationToken, API key 39, versions 1-2. In plain text nobody has proved who he is: as in Kafka
 * it is not allowed there. Version 2: flexible. Source: KIP-48; Kafka's KafkaApis.allowTokenRequests.
 */

import { ErrorCode } from '../../protocol/errors.ts';
import {
  RenewDelegationTokenRequest,
  RenewDelegationTokenResponse,
} from '../../protocol/messages/renew-delegation-token.ts';
import { api } from '../api.ts';

const NEVER_MS = -1;

export const renewDelegationToken = api({
  name: 'RenewDelegationToken',
  versions: '1-2',
  request: RenewDelegationTokenRequest,
  response: RenewDelegationTokenResponse,
  handle: () => ({
    errorCode: ErrorCode.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED,
    expiryTimestampMs: NEVER_MS,
  }),
  onError: (_context, _request, errorCode) => ({ errorCode, expiryTimestampMs: NEVER_MS }),
});
