/**
 * DescribeUserScramCredentials, API key 50, version 0: mechanisms and iterations of the users named,
 * or of all; never what a password could be guessed from. Source: KIP-554.
 */

import { ErrorCode } from '../../protocol/errors.ts';
import {
  DescribeUserScramCredentialsRequest,
  DescribeUserScramCredentialsResponse,
} from '../../protocol/messages/describe-user-scram-credentials.ts';
import { api } from '../api.ts';

export const describeUserScramCredentials = api({
  name: 'DescribeUserScramCredentials',
  versions: '0',
  request: DescribeUserScramCredentialsRequest,
  response: DescribeUserScramCredentialsResponse,
  handle({ services }, { users }) {
    const names = (users ?? []).map(({ name }) => name);
    return {
      errorCode: ErrorCode.NONE,
      errorMessage: null,
      results: services.scramUsers.describe(names).map(({ user, error, credentialInfos }) => ({
        user,
        errorCode: error?.code ?? ErrorCode.NONE,
        errorMessage: error?.message ?? null,
        credentialInfos,
      })),
    };
  },
  onError: (_context, _request, errorCode, errorMessage) => ({
    errorCode,
    errorMessage,
    results: [],
  }),
});
