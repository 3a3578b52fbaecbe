/**
 * DescribeDelegationToken, API key 41, versions 1-3. In plain text nobody has proved who he is: as in
 * Kafka it is not allowed there. Version 2: flexible. Version 3: who asked for a token.
 * Source: KIP-48, KIP-373; Kafka's KafkaApis.allowTokenRequests.
 */

import { ErrorCode } from '../../protocol/errors.ts';
import {
  DescribeDelegationTokenRequest,
  DescribeDelegationTokenResponse,
} from '../../protocol/messages/describe-delegation-token.ts';
import { api } from '../api.ts';

export const describeDelegationToken = api({
  name: 'DescribeDelegationToken',
  versions: '1-3',
  request: DescribeDelegationTokenRequest,
  response: DescribeDelegationTokenResponse,
  handle: () => ({ errorCode: ErrorCode.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, tokens: [] }),
  onError: (_context, _request, errorCode) => ({ errorCode, tokens: [] }),
});
