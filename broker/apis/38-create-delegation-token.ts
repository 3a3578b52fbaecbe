/**
 * CreateDelegationToken, API key 38, versions 1-3. A token may be asked for by who has proved who he
 * is, and in plain text nobody has: as in Kafka it is not allowed there. Version 2: flexible.
 * Version 3: tokens for others. Source: KIP-48, KIP-373; Kafka's KafkaApis.allowTokenRequests.
 */

import { ErrorCode } from '../../protocol/errors.ts';
import {
  CreateDelegationTokenRequest,
  CreateDelegationTokenResponse,
} from '../../protocol/messages/create-delegation-token.ts';
import type { Decoded, Input } from '../../protocol/schema.ts';
import { api } from '../api.ts';

type Request = Decoded<typeof CreateDelegationTokenRequest>;
type Response = Input<typeof CreateDelegationTokenResponse>;

const NEVER_MS = -1;
const USER_TYPE = 'User';
/** Who speaks on a connection without authentication. */
const ANONYMOUS = 'ANONYMOUS';

function refusal(request: Request, errorCode: number): Response {
  const { ownerPrincipalName, ownerPrincipalType } = request;
  const isForOther = ownerPrincipalName !== null && ownerPrincipalName !== '';
  return {
    errorCode,
    principalType: isForOther ? (ownerPrincipalType ?? '') : USER_TYPE,
    principalName: isForOther ? ownerPrincipalName : ANONYMOUS,
    tokenRequesterPrincipalType: USER_TYPE,
    tokenRequesterPrincipalName: ANONYMOUS,
    issueTimestampMs: NEVER_MS,
    expiryTimestampMs: NEVER_MS,
    maxTimestampMs: NEVER_MS,
    tokenId: '',
    hmac: Buffer.alloc(0),
  };
}

export const createDelegationToken = api({
  name: 'CreateDelegationToken',
  versions: '1-3',
  request: CreateDelegationTokenRequest,
  response: CreateDelegationTokenResponse,
  handle: (_context, request) => refusal(request, ErrorCode.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED),
  onError: (_context, request, errorCode) => refusal(request, errorCode),
});
