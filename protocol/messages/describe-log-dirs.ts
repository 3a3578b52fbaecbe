/** DescribeLogDirs, API key 35. Source: Kafka 4.4's message definitions. */

import { array, arrayOf, bool, int16, int32, int64, message, string } from '../schema.ts';

export const DescribeLogDirsRequest = message(
  'DescribeLogDirsRequest',
  { key: 35, type: 'request', versions: '1-5', flexible: '2+' },
  {
    topics: array(
      '0+',
      {
        topic: string('0+'),
        partitions: arrayOf('int32', '0+'),
      },
      { nullable: '0+' },
    ),
  },
);

export const DescribeLogDirsResponse = message(
  'DescribeLogDirsResponse',
  { key: 35, type: 'response', versions: '1-5', flexible: '2+' },
  {
    throttleTimeMs: int32('0+'),
    errorCode: int16('3+', { default: 0 }),
    results: array('0+', {
      errorCode: int16('0+'),
      logDir: string('0+'),
      topics: array('0+', {
        name: string('0+'),
        partitions: array('0+', {
          partitionIndex: int32('0+'),
          partitionSize: int64('0+'),
          offsetLag: int64('0+'),
          isFutureKey: bool('0+'),
        }),
      }),
      totalBytes: int64('4+', { default: -1 }),
      usableBytes: int64('4+', { default: -1 }),
      isCordoned: bool('5+', { default: false }),
    }),
  },
);
