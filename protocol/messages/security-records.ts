/**
 * Records of the __cluster_metadata log that tell of users, quotas and ACLs, keyed by KRaft's type
 * id. Source: Kafka 4.4's metadata schemas.
 */

import { array, bool, bytes, float64, int8, int32, message, string, uuid } from '../schema.ts';

export const AccessControlEntryRecord = message(
  'AccessControlEntryRecord',
  { key: 18, type: 'record', versions: '0', flexible: '0+' },
  {
    id: uuid('0+'),
    resourceType: int8('0+'),
    resourceName: string('0+'),
    patternType: int8('0+'),
    principal: string('0+'),
    host: string('0+'),
    operation: int8('0+'),
    permissionType: int8('0+'),
  },
);

export const RemoveAccessControlEntryRecord = message(
  'RemoveAccessControlEntryRecord',
  { key: 19, type: 'record', versions: '0', flexible: '0+' },
  {
    id: uuid('0+'),
  },
);

export const ClientQuotaRecord = message(
  'ClientQuotaRecord',
  { key: 14, type: 'record', versions: '0', flexible: '0+' },
  {
    entity: array('0+', {
      entityType: string('0+'),
      entityName: string('0+', { nullable: '0+' }),
    }),
    key: string('0+'),
    value: float64('0+'),
    remove: bool('0+'),
  },
);

export const UserScramCredentialRecord = message(
  'UserScramCredentialRecord',
  { key: 11, type: 'record', versions: '0', flexible: '0+' },
  {
    name: string('0+'),
    mechanism: int8('0+'),
    salt: bytes('0+'),
    storedKey: bytes('0+'),
    serverKey: bytes('0+'),
    iterations: int32('0+'),
  },
);

export const RemoveUserScramCredentialRecord = message(
  'RemoveUserScramCredentialRecord',
  { key: 22, type: 'record', versions: '0', flexible: '0+' },
  {
    name: string('0+'),
    mechanism: int8('0+'),
  },
);
