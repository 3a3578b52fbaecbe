/** DeleteTopics, API key 20. Source: Kafka 4.4's message definitions. */

import { array, arrayOf, int16, int32, message, string, uuid, ZERO_UUID } from '../schema.ts';

export const DeleteTopicsRequest = message(
  'DeleteTopicsRequest',
  { key: 20, type: 'request', versions: '1-6', flexible: '4+' },
  {
    topics: array(
      '6+',
      {
        name: string('6+', { nullable: '6+', default: null }),
        topicId: uuid('6+', { default: ZERO_UUID }),
      },
      { default: [] },
    ),
    topicNames: arrayOf('string', '0-5', { default: [] }),
    timeoutMs: int32('0+'),
  },
);

export const DeleteTopicsResponse = message(
  'DeleteTopicsResponse',
  { key: 20, type: 'response', versions: '1-6', flexible: '4+' },
  {
    throttleTimeMs: int32('1+'),
    responses: array('0+', {
      name: string('0+', { nullable: '6+' }),
      topicId: uuid('6+', { default: ZERO_UUID }),
      errorCode: int16('0+'),
      errorMessage: string('5+', { nullable: '5+', default: null }),
    }),
  },
);
