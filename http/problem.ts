/**
 * Errors as `application/problem+json` (RFC 9457), with Kafka's name and code of the error, so that
 * a program that knows those can act on them.
 */

import { ErrorCode, type ErrorName, errorName, ProtocolError } from '../protocol/errors.ts';

export const PROBLEM_TYPE = 'application/problem+json';

const statuses = new Map<ErrorName, number>([
  ['OFFSET_OUT_OF_RANGE', 416],
  ['POSITION_OUT_OF_RANGE', 416],
  ['UNKNOWN_TOPIC_OR_PARTITION', 404],
  ['UNKNOWN_TOPIC_ID', 404],
  ['RESOURCE_NOT_FOUND', 404],
  ['SNAPSHOT_NOT_FOUND', 410],
  ['INVALID_REQUEST', 400],
  ['INVALID_TOPIC_EXCEPTION', 400],
  ['TOPIC_AUTHORIZATION_FAILED', 403],
  ['BROKER_NOT_AVAILABLE', 503],
  ['KAFKA_STORAGE_ERROR', 503],
]);

/** What a request is answered with in place of what it asked for. */
export class Problem extends Error {
  readonly status: number;
  readonly error: ErrorName;

  constructor(error: ErrorName, detail: string, status = statuses.get(error) ?? 500) {
    super(detail);
    this.name = 'Problem';
    this.error = error;
    this.status = status;
  }

  /** Of an error code that came from within. */
  static ofCode(code: number, detail: string): Problem {
    return new Problem(errorName(code), detail);
  }

  toJSON(): object {
    const { status, message: detail, error } = this;
    const code = ErrorCode[error];
    return { type: 'about:blank', title: titleOf(error), status, detail, error, code };
  }
}

/** `offset out of range` for OFFSET_OUT_OF_RANGE. */
function titleOf(error: ErrorName): string {
  return error.toLowerCase().replaceAll('_', ' ');
}

/** The problem that an error is told as; undefined for one that says nothing to a client. */
export function problemOf(error: unknown): Problem | undefined {
  if (error instanceof Problem) return error;
  if (error instanceof ProtocolError) return new Problem(error.errorName, error.message);
  const { statusCode, message } = error as { statusCode?: unknown; message?: string };
  // What fastify refuses before a route sees it: a path that is no URL, a body that is too large.
  const isRefusal = typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500;
  return isRefusal ? new Problem('INVALID_REQUEST', String(message), statusCode) : undefined;
}
