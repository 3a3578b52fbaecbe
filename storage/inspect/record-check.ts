/** The records of one batch whose checksum is right: whether they are what the header says. */

import type { BatchHeader } from '../../protocol/record-batch.ts';
import { InvalidRecords, payloadOf, RecordCursor } from '../../protocol/records.ts';

/** Gives the records of a compressed payload, bounded in size, or says why they cannot be had. */
export type Uncompress = (codec: number, payload: Buffer) => Buffer | string;

/** What is wrong; undefined when nothing is. */
export function recordsFault(
  buffer: Buffer,
  at: number,
  header: BatchHeader,
  uncompress: Uncompress,
): string | undefined {
  const stored = payloadOf(buffer, at);
  const isEmpty = header.recordCount === 0 && stored.length === 0;
  const payload = header.codec === 0 || isEmpty ? stored : uncompress(header.codec, stored);
  if (typeof payload === 'string') return payload;
  try {
    return orderFault(new RecordCursor(payload), header);
  } catch (error) {
    if (error instanceof InvalidRecords) return error.message;
    throw error;
  }
}

function orderFault(cursor: RecordCursor, header: BatchHeader): string | undefined {
  const most = header.lastOffset - header.baseOffset;
  let before = -1;
  while (cursor.next()) {
    const { offsetDelta } = cursor;
    if (offsetDelta <= before || offsetDelta > most) {
      const offset = header.baseOffset + offsetDelta;
      return `record ${cursor.index} has offset ${offset}, out of order or out of the batch`;
    }
    before = offsetDelta;
  }
  const found = cursor.index + 1;
  return found === header.recordCount
    ? undefined
    : `it has ${found} records and says ${header.recordCount}`;
}
