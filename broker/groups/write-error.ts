/** What a coordinator answers when a record of its own could not be written. */

import { type ErrorName, errorName } from '../../protocol/errors.ts';
import { errorCodeOf } from '../error-map.ts';

/** Kafka's answer, after which the client looks for the coordinator again. */
export function writeErrorOf(error: unknown): ErrorName {
  const name = errorName(errorCodeOf(error));
  switch (name) {
    case 'UNKNOWN_TOPIC_OR_PARTITION':
    case 'NOT_ENOUGH_REPLICAS':
    case 'REQUEST_TIMED_OUT':
      return 'COORDINATOR_NOT_AVAILABLE';
    case 'NOT_LEADER_OR_FOLLOWER':
    case 'KAFKA_STORAGE_ERROR':
      return 'NOT_COORDINATOR';
    case 'MESSAGE_TOO_LARGE':
    case 'RECORD_LIST_TOO_LARGE':
      return 'UNKNOWN_SERVER_ERROR';
    default:
      return name;
  }
}
