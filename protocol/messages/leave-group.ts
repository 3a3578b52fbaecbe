/** LeaveGroup, API key 13. Source: Kafka 4.4's message definitions. */

import { array, int16, int32, message, string } from '../schema.ts';

export const LeaveGroupRequest = message(
  'LeaveGroupRequest',
  { key: 13, type: 'request', versions: '0-5', flexible: '4+' },
  {
    groupId: string('0+'),
    memberId: string('0-2', { default: '' }),
    members: array(
      '3+',
      {
        memberId: string('3+', { default: '' }),
        groupInstanceId: string('3+', { nullable: '3+', default: null }),
        reason: string('5+', { nullable: '5+', default: null }),
      },
      { default: [] },
    ),
  },
);

export const LeaveGroupResponse = message(
  'LeaveGroupResponse',
  { key: 13, type: 'response', versions: '0-5', flexible: '4+' },
  {
    throttleTimeMs: int32('1+', { default: 0 }),
    errorCode: int16('0+'),
    members: array(
      '3+',
      {
        memberId: string('3+', { default: '' }),
        groupInstanceId: string('3+', { nullable: '3+', default: '' }),
        errorCode: int16('3+', { default: 0 }),
      },
      { default: [] },
    ),
  },
);
