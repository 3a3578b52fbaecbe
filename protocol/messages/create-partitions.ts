/** CreatePartitions, API key 37. Source: Kafka 4.4's message definitions. */

import { array, arrayOf, bool, int16, int32, message, string } from '../schema.ts';

export const CreatePartitionsRequest = message(
  'CreatePartitionsRequest',
  { key: 37, type: 'request', versions: '0-3', flexible: '2+' },
  {
    topics: array('0+', {
      name: string('0+'),
      count: int32('0+'),
      assignments: array(
        '0+',
        {
          brokerIds: arrayOf('int32', '0+'),
        },
        { nullable: '0+' },
      ),
    }),
    timeoutMs: int32('0+'),
    validateOnly: bool('0+'),
  },
);

export const CreatePartitionsResponse = message(
  'CreatePartitionsResponse',
  { key: 37, type: 'response', versions: '0-3', flexible: '2+' },
  {
    throttleTimeMs: int32('0+'),
    results: array('0+', {
      name: string('0+'),
      errorCode: int16('0+'),
      errorMessage: string('0+', { nullable: '0+', default: null }),
    }),
  },
);
