/** Heartbeat, API key 12. Source: Kafka 4.4's message definitions. */

import { int16, int32, message, string } from '../schema.ts';

export const HeartbeatRequest = message(
  'HeartbeatRequest',
  { key: 12, type: 'request', versions: '0-4', flexible: '4+' },
  {
    groupId: string('0+'),
    generationId: int32('0+'),
    memberId: string('0+'),
    groupInstanceId: string('3+', { nullable: '3+', default: null }),
  },
);

export const HeartbeatResponse = message(
  'HeartbeatResponse',
  { key: 12, type: 'response', versions: '0-4', flexible: '4+' },
  {
    throttleTimeMs: int32('1+', { default: 0 }),
    errorCode: int16('0+'),
  },
);
