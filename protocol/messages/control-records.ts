/** Keys and values of records in control batches. Source: Kafka 4.4's message definitions. */

import { array, int16, int32, int64, message, uuid, ZERO_UUID } from '../schema.ts';

export const ControlRecordTypeSchema = message(
  'ControlRecordTypeSchema',
  { key: -1, type: 'record', versions: '0' },
  {
    type: int16('0+'),
  },
);

export const EndTxnMarker = message(
  'EndTxnMarker',
  { key: -1, type: 'record', versions: '0' },
  {
    coordinatorEpoch: int32('0+'),
  },
);

export const LeaderChangeMessage = message(
  'LeaderChangeMessage',
  { key: -1, type: 'record', versions: '0-1', flexible: '0+' },
  {
    version: int16('0+'),
    leaderId: int32('0+'),
    voters: array('0+', {
      voterId: int32('0+'),
      voterDirectoryId: uuid('1+', { default: ZERO_UUID }),
    }),
    grantingVoters: array('0+', {
      voterId: int32('0+'),
      voterDirectoryId: uuid('1+', { default: ZERO_UUID }),
    }),
  },
);

export const SnapshotHeaderRecord = message(
  'SnapshotHeaderRecord',
  { key: -1, type: 'record', versions: '0', flexible: '0+' },
  {
    version: int16('0+'),
    lastContainedLogTimestamp: int64('0+'),
  },
);

export const SnapshotFooterRecord = message(
  'SnapshotFooterRecord',
  { key: -1, type: 'record', versions: '0', flexible: '0+' },
  {
    version: int16('0+'),
  },
);
