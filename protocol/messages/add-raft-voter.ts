/** AddRaftVoter, API key 80. Source: Kafka 4.4's message definitions. */

import { array, bool, int16, int32, message, string, uint16, uuid } from '../schema.ts';

export const AddRaftVoterRequest = message(
  'AddRaftVoterRequest',
  { key: 80, type: 'request', versions: '0-1', flexible: '0+' },
  {
    clusterId: string('0+', { nullable: '0+' }),
    timeoutMs: int32('0+'),
    voterId: int32('0+'),
    voterDirectoryId: uuid('0+'),
    listeners: array('0+', {
      name: string('0+'),
      host: string('0+'),
      port: uint16('0+'),
    }),
    ackWhenCommitted: bool('1+', { default: true }),
  },
);

export const AddRaftVoterResponse = message(
  'AddRaftVoterResponse',
  { key: 80, type: 'response', versions: '0-1', flexible: '0+' },
  {
    throttleTimeMs: int32('0+', { default: 0 }),
    errorCode: int16('0+'),
    errorMessage: string('0+', { nullable: '0+' }),
  },
);
