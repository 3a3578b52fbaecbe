/**
 * AlterUserScramCredentials, API key 51, version 0: sets and removes the credentials of users.
 * Source: KIP-554.
 */

import { ErrorCode } from '../../protocol/errors.ts';
import {
  AlterUserScramCredentialsRequest,
  AlterUserScramCredentialsResponse,
} from '../../protocol/messages/alter-user-scram-credentials.ts';
import { api } from '../api.ts';

export const alterUserScramCredentials = api({
  name: 'AlterUserScramCredentials',
  versions: '0',
  request: AlterUserScramCredentialsRequest,
  response: AlterUserScramCredentialsResponse,
  async handle({ services }, { deletions, upsertions }) {
    const outcomes = await services.scramUsers.alter(deletions, upsertions);
    return {
      results: outcomes.map(({ user, error }) => ({
        user,
        errorCode: error?.code ?? ErrorCode.NONE,
        errorMessage: error?.message ?? null,
      })),
    };
  },
  onError: (_context, { deletions, upsertions }, errorCode, errorMessage) => {
    const users = new Set([...deletions, ...upsertions].map(({ name }) => name));
    return { results: Array.from(users, (user) => ({ user, errorCode, errorMessage })) };
  },
});
