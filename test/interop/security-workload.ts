/** Quotas, SCRAM users, ACLs and a client metrics subscription: all kinds of records about them. */

import { WireConnection } from '../../benchmarks/client/connection.ts';
import { ResourceType } from '../../broker/metadata-image.ts';
import {
  AlterClientQuotasRequest,
  AlterClientQuotasResponse,
} from '../../protocol/messages/alter-client-quotas.ts';
import {
  AlterUserScramCredentialsRequest,
  AlterUserScramCredentialsResponse,
} from '../../protocol/messages/alter-user-scram-credentials.ts';
import { CreateAclsRequest, CreateAclsResponse } from '../../protocol/messages/create-acls.ts';
import { DeleteAclsRequest, DeleteAclsResponse } from '../../protocol/messages/delete-acls.ts';
import {
  IncrementalAlterConfigsRequest,
  IncrementalAlterConfigsResponse,
} from '../../protocol/messages/incremental-alter-configs.ts';
import type { Address } from './served.ts';

const TOPIC_TYPE = 2;
const LITERAL = 3;
const READ = 3;
const ALLOW = 3;
const ANY = 1;
const SHA_256 = 1;

/** Sets all of it, and takes some of it back. */
export async function fillSecurity({ host, port }: Address): Promise<void> {
  const connection = await WireConnection.open(host, port);
  const acl = { resourceType: TOPIC_TYPE, resourcePatternType: LITERAL, principal: 'User:reader' };
  const said = { host: '*', operation: READ, permissionType: ALLOW };
  const creations = ['kept', 'gone'].map((resourceName) => ({ ...acl, ...said, resourceName }));
  const bytes = { salt: Buffer.from('salt'), saltedPassword: Buffer.alloc(32, 7) };
  const upsertions = ['alice', 'bob'].map((name) => {
    return { name, mechanism: SHA_256, iterations: 4096, ...bytes };
  });
  const quota = (value: number, remove: boolean) => ({
    entity: [{ entityType: 'user', entityName: remove ? 'gone' : 'alice' }],
    ops: [{ key: 'producer_byte_rate', value, remove }],
  });
  const gone = { ...quota(5, true), ops: quota(5, false).ops };
  try {
    const quotas = [AlterClientQuotasRequest, AlterClientQuotasResponse] as const;
    const entries = [quota(1000.0, false), gone];
    await connection.call(...quotas, 1, { entries, validateOnly: false });
    await connection.call(...quotas, 1, { entries: [quota(0, true)], validateOnly: false });
    const users = [AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse] as const;
    await connection.call(...users, 0, { deletions: [], upsertions });
    const deletions = [{ name: 'bob', mechanism: SHA_256 }];
    await connection.call(...users, 0, { deletions, upsertions: [] });
    await connection.call(CreateAclsRequest, CreateAclsResponse, 3, { creations });
    const filter = {
      resourceTypeFilter: ANY,
      resourceNameFilter: 'gone',
      patternTypeFilter: ANY,
      principalFilter: null,
      hostFilter: null,
      operation: ANY,
      permissionType: ANY,
    };
    await connection.call(DeleteAclsRequest, DeleteAclsResponse, 3, { filters: [filter] });
    const configs = [{ name: 'interval.ms', configOperation: 0, value: '1000' }];
    const subscription = { resourceType: ResourceType.clientMetrics, resourceName: 'all', configs };
    const request = { resources: [subscription], validateOnly: false };
    const pair = [IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse] as const;
    await connection.call(...pair, 1, request);
  } finally {
    connection.close();
  }
}
