/**
 * AlterClientQuotas, API key 49, versions 0-1: sets quotas and takes them back. They are kept; nobody
 * is held to them. Of a type that an entity names twice the last name counts, as in Kafka. Version 1:
 * flexible. Source: KIP-546.
 */

import { ErrorCode } from '../../protocol/errors.ts';
import {
  AlterClientQuotasRequest,
  AlterClientQuotasResponse,
} from '../../protocol/messages/alter-client-quotas.ts';
import { api } from '../api.ts';
import { partsOf } from '../security/client-quotas.ts';

export const alterClientQuotas = api({
  name: 'AlterClientQuotas',
  versions: '0-1',
  request: AlterClientQuotasRequest,
  response: AlterClientQuotasResponse,
  async handle({ services }, request) {
    const changes = request.entries.map(({ entity, ops }) => ({
      entity: new Map(entity.map(({ entityType, entityName }) => [entityType, entityName])),
      quotas: ops.map(({ key, value, remove }) => ({ key, value: remove ? null : value })),
    }));
    const outcomes = await services.clientQuotas.alter(changes, request.validateOnly);
    return {
      entries: outcomes.map(({ entity, error }) => ({
        errorCode: error?.code ?? ErrorCode.NONE,
        errorMessage: error?.message ?? null,
        entity: partsOf(entity),
      })),
    };
  },
  onError: (_context, request, errorCode, errorMessage) => ({
    entries: request.entries.map(({ entity }) => ({ errorCode, errorMessage, entity })),
  }),
});
