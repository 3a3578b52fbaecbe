/** DescribeClientQuotas, API key 48. Source: Kafka 4.4's message definitions. */

import { array, bool, float64, int8, int16, int32, message, string } from '../schema.ts';

export const DescribeClientQuotasRequest = message(
  'DescribeClientQuotasRequest',
  { key: 48, type: 'request', versions: '0-1', flexible: '1+' },
  {
    components: array('0+', {
      entityType: string('0+'),
      matchType: int8('0+'),
      match: string('0+', { nullable: '0+' }),
    }),
    strict: bool('0+'),
  },
);

export const DescribeClientQuotasResponse = message(
  'DescribeClientQuotasResponse',
  { key: 48, type: 'response', versions: '0-1', flexible: '1+' },
  {
    throttleTimeMs: int32('0+', { default: 0 }),
    errorCode: int16('0+'),
    errorMessage: string('0+', { nullable: '0+' }),
    entries: array(
      '0+',
      {
        entity: array('0+', {
          entityType: string('0+'),
          entityName: string('0+', { nullable: '0+' }),
        }),
        values: array('0+', {
          key: string('0+'),
          value: float64('0+'),
        }),
      },
      { nullable: '0+' },
    ),
  },
);
