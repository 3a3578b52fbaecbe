/**
 * ListGroups, API key 16, versions 0-5: all groups, or those of some states or types. Filters
 * ignore case; a state or type that is none finds nothing.
 *
 * Version 3: flexible. Version 4: states (KIP-518). Version 5: types (KIP-848); there are only
 * classic groups.
 * Source: Kafka's GroupMetadataManager.listGroups.
 */

import { ErrorCode } from '../../protocol/errors.ts';
import { ListGroupsRequest, ListGroupsResponse } from '../../protocol/messages/list-groups.ts';
import { api } from '../api.ts';

const GROUP_TYPE = 'classic';

/** Whether a value passes a filter; an empty filter lets everything pass. */
function passes(filter: readonly string[], value: string): boolean {
  return filter.length === 0 || filter.some((wanted) => wanted.toLowerCase() === value);
}

export const listGroups = api({
  name: 'ListGroups',
  versions: '0-5',
  request: ListGroupsRequest,
  response: ListGroupsResponse,
  handle: (context, { statesFilter, typesFilter }) => {
    const groups = context.services.groups.listGroups();
    if (typeof groups === 'string') return { errorCode: ErrorCode[groups], groups: [] };
    const found = passes(typesFilter, GROUP_TYPE)
      ? groups.filter(({ state }) => passes(statesFilter, state.toLowerCase()))
      : [];
    return {
      errorCode: ErrorCode.NONE,
      groups: found.map(({ groupId, protocolType, state }) => ({
        groupId,
        protocolType,
        groupState: state,
        groupType: GROUP_TYPE,
      })),
    };
  },
  onError: (_context, _request, errorCode) => ({ errorCode, groups: [] }),
});
