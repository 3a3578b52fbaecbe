/**
 * DescribeClientQuotas, API key 48, versions 0-1: the quotas of users, client ids and addresses that
 * a filter means. They are kept; nobody is held to them. Version 1: flexible. Source: KIP-546.
 */

import { ErrorCode } from '../../protocol/errors.ts';
import {
  DescribeClientQuotasRequest,
  DescribeClientQuotasResponse,
} from '../../protocol/messages/describe-client-quotas.ts';
import { api } from '../api.ts';
import { partsOf, valuesOf } from '../security/client-quotas.ts';

export const describeClientQuotas = api({
  name: 'DescribeClientQuotas',
  versions: '0-1',
  request: DescribeClientQuotasRequest,
  response: DescribeClientQuotasResponse,
  handle({ services }, { components, strict }) {
    const entries = services.clientQuotas.find(components, strict).map(({ entity, values }) => ({
      entity: partsOf(entity),
      values: valuesOf(values),
    }));
    return { errorCode: ErrorCode.NONE, errorMessage: null, entries };
  },
  onError: (_context, _request, errorCode, errorMessage) => ({
    errorCode,
    errorMessage,
    entries: null,
  }),
});
