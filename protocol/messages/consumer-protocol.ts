/** What consumers put into JoinGroup's and SyncGroup's opaque bytes. Source: Kafka 4.4's message definitions. */

import { array, arrayOf, bytes, int32, message, string } from '../schema.ts';

export const ConsumerProtocolSubscription = message(
  'ConsumerProtocolSubscription',
  { key: -1, type: 'record', versions: '0-3' },
  {
    topics: arrayOf('string', '0+'),
    userData: bytes('0+', { nullable: '0+', default: null }),
    ownedPartitions: array(
      '1+',
      {
        topic: string('1+', { default: '' }),
        partitions: arrayOf('int32', '1+', { default: [] }),
      },
      { default: [] },
    ),
    generationId: int32('2+', { default: -1 }),
    rackId: string('3+', { nullable: '3+', default: null }),
  },
);

export const ConsumerProtocolAssignment = message(
  'ConsumerProtocolAssignment',
  { key: -1, type: 'record', versions: '0-3' },
  {
    assignedPartitions: array('0+', {
      topic: string('0+'),
      partitions: arrayOf('int32', '0+'),
    }),
    userData: bytes('0+', { nullable: '0+', default: null }),
  },
);
