/** What changes of quotas, users and ACLs need of the metadata log. */

import { ProtocolError } from '../../protocol/errors.ts';
import type { MetadataLog } from '../metadata-log.ts';
import { MAX_RECORDS_PER_REQUEST } from '../topic-plan.ts';

export type Ledger = Pick<MetadataLog, 'planned' | 'committed' | 'append' | 'recover'>;

/** One request is one batch of the log: it is refused as a whole where that would be too large. */
export function checkChangeCount(records: number): void {
  if (records <= MAX_RECORDS_PER_REQUEST) return;
  throw new ProtocolError(
    'POLICY_VIOLATION',
    `Unable to perform excessively large batch operation: ${records} records.`,
  );
}
