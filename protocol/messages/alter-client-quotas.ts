/** AlterClientQuotas, API key 49. Source: Kafka 4.4's message definitions. */

import { array, bool, float64, int16, int32, message, string } from '../schema.ts';

export const AlterClientQuotasRequest = message(
  'AlterClientQuotasRequest',
  { key: 49, type: 'request', versions: '0-1', flexible: '1+' },
  {
    entries: array('0+', {
      entity: array('0+', {
        entityType: string('0+'),
        entityName: string('0+', { nullable: '0+' }),
      }),
      ops: array('0+', {
        key: string('0+'),
        value: float64('0+'),
        remove: bool('0+'),
      }),
    }),
    validateOnly: bool('0+'),
  },
);

export const AlterClientQuotasResponse = message(
  'AlterClientQuotasResponse',
  { key: 49, type: 'response', versions: '0-1', flexible: '1+' },
  {
    throttleTimeMs: int32('0+', { default: 0 }),
    entries: array('0+', {
      errorCode: int16('0+'),
      errorMessage: string('0+', { nullable: '0+' }),
      entity: array('0+', {
        entityType: string('0+'),
        entityName: string('0+', { nullable: '0+' }),
      }),
    }),
  },
);
