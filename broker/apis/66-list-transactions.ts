/**
 * ListTransactions, API key 66, versions 0-2: the transactional ids that the broker keeps, those
 * that pass all filters (KIP-664).
 *
 * Version 1: only what is open for longer than a time (KIP-994). Version 2: only ids that a pattern
 * matches as a whole.
 * Source: Kafka's TransactionStateManager.listTransactionStates.
 */

import { ErrorCode } from '../../protocol/errors.ts';
import {
  ListTransactionsRequest,
  ListTransactionsResponse,
} from '../../protocol/messages/list-transactions.ts';
import type { Decoded, Input } from '../../protocol/schema.ts';
import { api, type RequestContext } from '../api.ts';
import { PatternFault, TextPattern } from '../text-pattern.ts';
import { isStateName, type TransactionState } from '../transactions/transaction-state.ts';

type Request = Decoded<typeof ListTransactionsRequest>;
type Response = Input<typeof ListTransactionsResponse>;

function refused(errorCode: number): Response {
  return { errorCode, unknownStateFilters: [], transactionStates: [] };
}

/** The pattern of a request, if it has one; an error code where it cannot be read. */
function patternOf(text: string | null): TextPattern | undefined | number {
  if (text === null || text === '') return undefined;
  try {
    return new TextPattern(text);
  } catch (error) {
    if (!(error instanceof PatternFault)) throw error;
    return ErrorCode.INVALID_REGULAR_EXPRESSION;
  }
}

function isAsked(state: TransactionState, request: Request, nowMs: number): boolean {
  const { producerIdFilters, stateFilters, durationFilter } = request;
  if (producerIdFilters.length > 0 && !producerIdFilters.includes(state.producerId)) return false;
  if (stateFilters.length > 0 && !stateFilters.includes(state.name)) return false;
  return durationFilter < 0 || nowMs - state.startMs > durationFilter;
}

function list({ services }: RequestContext, request: Request): Response {
  const pattern = patternOf(request.transactionalIdPattern);
  if (typeof pattern === 'number') return refused(pattern);
  const listed = services.transactions.list();
  if (typeof listed === 'string') return refused(ErrorCode[listed]);
  const nowMs = services.env.clock.now();
  const found = listed.filter(
    ({ id, state }) => isAsked(state, request, nowMs) && (pattern?.matches(id) ?? true),
  );
  return {
    errorCode: ErrorCode.NONE,
    unknownStateFilters: request.stateFilters.filter((name) => !isStateName(name)),
    transactionStates: found.map(({ id, state }) => ({
      transactionalId: id,
      producerId: state.producerId,
      transactionState: state.name,
    })),
  };
}

export const listTransactions = api({
  name: 'ListTransactions',
  versions: '0-2',
  request: ListTransactionsRequest,
  response: ListTransactionsResponse,
  handle: list,
  onError: (_context, _request, errorCode) => refused(errorCode),
});
