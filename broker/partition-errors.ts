/**
 * What went wrong with one partition of a request: its code for the answer, and a log line that
 * names topic, partition and client. Lines that clients can bring about are limited in number.
 */

import { errorName } from '../protocol/errors.ts';
import type { RequestContext } from './api.ts';
import { blameOf, errorCodeOf } from './error-map.ts';
import { shown } from './limited-log.ts';

/** Logs an error of a partition; gives Kafka's code for it. */
export function reportPartitionError(
  context: RequestContext,
  topic: string,
  partition: number,
  error: unknown,
): number {
  const code = errorCodeOf(error);
  const values = { ...describe(context, topic, partition), error: errorName(code) };
  if (blameOf(error) === 'broker') {
    context.services.env.log.error({ ...values, err: error }, 'partition failed');
  } else {
    const reason = (error as Error).message;
    context.services.limitedLog.warn({ ...values, reason }, 'partition refused');
  }
  return code;
}

/** The same for a fault that is a code and no error. */
export function reportPartitionFault(
  context: RequestContext,
  topic: string,
  partition: number,
  code: number,
  reason: string,
): void {
  const values = { ...describe(context, topic, partition), error: errorName(code), reason };
  context.services.limitedLog.warn(values, 'partition refused');
}

function describe(context: RequestContext, topic: string, partition: number): object {
  return {
    api: context.apiKey,
    topic: shown(topic),
    partition,
    client: shown(context.clientId),
    address: context.connection.remoteAddress,
  };
}
