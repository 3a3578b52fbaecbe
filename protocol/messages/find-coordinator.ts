/** FindCoordinator, API key 10. Source: Kafka 4.4's message definitions. */

import { array, arrayOf, int8, int16, int32, message, string } from '../schema.ts';

export const FindCoordinatorRequest = message(
  'FindCoordinatorRequest',
  { key: 10, type: 'request', versions: '0-6', flexible: '3+' },
  {
    key: string('0-3', { default: '' }),
    keyType: int8('1+', { default: 0 }),
    coordinatorKeys: arrayOf('string', '4+', { default: [] }),
  },
);

export const FindCoordinatorResponse = message(
  'FindCoordinatorResponse',
  { key: 10, type: 'response', versions: '0-6', flexible: '3+' },
  {
    throttleTimeMs: int32('1+', { default: 0 }),
    errorCode: int16('0-3', { default: 0 }),
    errorMessage: string('1-3', { nullable: '1-3', default: '' }),
    nodeId: int32('0-3', { default: 0 }),
    host: string('0-3', { default: '' }),
    port: int32('0-3', { default: 0 }),
    coordinators: array(
      '4+',
      {
        key: string('4+', { default: '' }),
        nodeId: int32('4+', { default: 0 }),
        host: string('4+', { default: '' }),
        port: int32('4+', { default: 0 }),
        errorCode: int16('4+', { default: 0 }),
        errorMessage: string('4+', { nullable: '4+', default: '' }),
      },
      { default: [] },
    ),
  },
);
