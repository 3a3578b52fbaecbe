/** RemoveRaftVoter, API key 81. Source: Kafka 4.4's message definitions. */

import { int16, int32, message, string, uuid } from '../schema.ts';

export const RemoveRaftVoterRequest = message(
  'RemoveRaftVoterRequest',
  { key: 81, type: 'request', versions: '0', flexible: '0+' },
  {
    clusterId: string('0+', { nullable: '0+' }),
    voterId: int32('0+'),
    voterDirectoryId: uuid('0+'),
  },
);

export const RemoveRaftVoterResponse = message(
  'RemoveRaftVoterResponse',
  { key: 81, type: 'response', versions: '0', flexible: '0+' },
  {
    throttleTimeMs: int32('0+', { default: 0 }),
    errorCode: int16('0+'),
    errorMessage: string('0+', { nullable: '0+' }),
  },
);
