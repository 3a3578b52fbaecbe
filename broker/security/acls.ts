/**
 * ACLs: kept in __cluster_metadata, shown and changed, in force for whoever asks this list when they
 * are durable. Nothing here decides about requests. Source: KIP-140, KIP-290; Kafka's
 * AclControlManager, AclApis, AclBindingFilter, ResourcePatternFilter.
 */

import { ProtocolError } from '../../protocol/errors.ts';
import type { Random } from '../../storage/env.ts';
import type { RequestContext } from '../api.ts';
import type { NewMetadataRecord } from '../metadata-records.ts';
import { type Acl, aclKey, type StoredAcl } from './acl-image.ts';
import { checkChangeCount, type Ledger } from './ledger.ts';

/** Kafka's ids: 1 stands for any in all four. Whatever is above the last is unknown. */
const UNKNOWN_ID = 0;
const ANY_ID = 1;
const PatternType = { any: 1, match: 2, literal: 3, prefixed: 4 } as const;
const LAST_RESOURCE_TYPE = 7;
const LAST_PATTERN_TYPE = 4;
const LAST_OPERATION = 15;
const LAST_PERMISSION_TYPE = 3;
const CLUSTER_TYPE = 4;
const CLUSTER_NAME = 'kafka-cluster';
/** As the name of a resource it stands for all of the type. */
const WILDCARD = '*';
const ID_BYTES = 16;

/** What an ACL must be to be meant; null stands for anything. */
export interface AclFilter {
  readonly resourceTypeFilter: number;
  readonly resourceNameFilter: string | null;
  readonly patternTypeFilter: number;
  readonly principalFilter: string | null;
  readonly hostFilter: string | null;
  readonly operation: number;
  readonly permissionType: number;
}

/** How one filter of a deletion came out: what it removed, or what speaks against it. */
export type AclDeletion =
  | { readonly removed: readonly Acl[]; readonly error?: undefined }
  | { readonly removed?: undefined; readonly error: ProtocolError };

export class Acls {
  readonly #ledger: Ledger;
  readonly #random: Random;

  constructor(ledger: Ledger, random: Random) {
    this.#ledger = ledger;
    this.#random = random;
  }

  find(filter: AclFilter): StoredAcl[] {
    return [...this.#ledger.committed.acls.all()].filter((acl) => matches(filter, acl));
  }

  /**
   * Adds many with one append, each of which comes out for itself; one that is there already is
   * granted. Durable when it resolves.
   */
  async create(acls: readonly Acl[]): Promise<(ProtocolError | undefined)[]> {
    await this.#ledger.recover();
    const records: NewMetadataRecord[] = [];
    const added = new Set<string>();
    const outcomes = acls.map((acl): ProtocolError | undefined => {
      const fault = faultOf(acl);
      if (fault !== undefined) return new ProtocolError('INVALID_REQUEST', fault);
      const text = aclKey(acl);
      if (added.has(text) || this.#ledger.planned.acls.has(acl)) return undefined;
      added.add(text);
      records.push({ kind: 'AccessControlEntryRecord', value: { ...acl, id: this.#newId() } });
      return undefined;
    });
    checkChangeCount(records.length);
    await this.#ledger.append(records);
    return outcomes;
  }

  /** Removes what the filters mean with one append. Durable when it resolves. */
  async delete(filters: readonly AclFilter[]): Promise<AclDeletion[]> {
    await this.#ledger.recover();
    checkChangeCount(filters.length);
    const doomed = new Set<string>();
    // Filters may mean the same: what is answered is bounded, and not only what is removed.
    let answered = 0;
    const outcomes = filters.map((filter): AclDeletion => {
      const fault = filterFault(filter);
      if (fault !== undefined) return { error: new ProtocolError('INVALID_REQUEST', fault) };
      const removed = [...this.#ledger.planned.acls.all()].filter((acl) => matches(filter, acl));
      answered += removed.length;
      checkChangeCount(answered);
      for (const { id } of removed) doomed.add(id);
      return { removed };
    });
    await this.#ledger.append(
      Array.from(doomed, (id) => ({ kind: 'RemoveAccessControlEntryRecord', value: { id } })),
    );
    return outcomes;
  }

  #newId(): string {
    return this.#random.bytes(ID_BYTES).toString('base64url');
  }
}

/** Whether a request says "unknown": Kafka takes it for malformed and closes the connection. */
export function isOfUnknown(context: RequestContext, ids: readonly number[]): boolean {
  if (!ids.includes(UNKNOWN_ID)) return false;
  const { services, connection, apiKey } = context;
  const values = { apiKey, connection: connection.id, address: connection.remoteAddress };
  services.limitedLog.warn(values, 'a request about ACLs names what is unknown');
  return true;
}

function faultOf(acl: Acl): string | undefined {
  const { resourceType, resourceName, patternType, principal, host } = acl;
  if (resourceType === CLUSTER_TYPE && resourceName !== CLUSTER_NAME) {
    return `The only valid name for the CLUSTER resource is ${CLUSTER_NAME}`;
  }
  if (resourceName === '') return 'Invalid empty resource name';
  if (!principal.includes(':')) {
    return (
      `Could not parse principal from \`${principal}\` (no colon is present separating the ` +
      'principal type from the principal name)'
    );
  }
  if (host === '') return 'Host pattern cannot be null or empty';
  if (!isDefinite(resourceType, LAST_RESOURCE_TYPE)) return `Invalid resourceType ${resourceType}`;
  if (patternType !== PatternType.literal && patternType !== PatternType.prefixed) {
    return `Invalid patternType ${patternType}`;
  }
  if (!isDefinite(acl.operation, LAST_OPERATION)) return `Invalid operation ${acl.operation}`;
  if (!isDefinite(acl.permissionType, LAST_PERMISSION_TYPE)) {
    return `Invalid permissionType ${acl.permissionType}`;
  }
  return undefined;
}

function isDefinite(id: number, last: number): boolean {
  return id > ANY_ID && id <= last;
}

function isKnown(id: number, last: number): boolean {
  return id >= ANY_ID && id <= last;
}

function filterFault(filter: AclFilter): string | undefined {
  const { resourceTypeFilter, patternTypeFilter, operation, permissionType } = filter;
  const isKnownPattern =
    isKnown(resourceTypeFilter, LAST_RESOURCE_TYPE) &&
    isKnown(patternTypeFilter, LAST_PATTERN_TYPE);
  if (!isKnownPattern) return 'Unknown patternFilter.';
  const isKnownEntry =
    isKnown(operation, LAST_OPERATION) && isKnown(permissionType, LAST_PERMISSION_TYPE);
  return isKnownEntry ? undefined : 'Unknown entryFilter.';
}

function matches(filter: AclFilter, acl: Acl): boolean {
  const { principalFilter, hostFilter, operation, permissionType } = filter;
  return (
    (filter.resourceTypeFilter === ANY_ID || filter.resourceTypeFilter === acl.resourceType) &&
    matchesResource(filter, acl) &&
    (principalFilter === null || principalFilter === acl.principal) &&
    (hostFilter === null || hostFilter === acl.host) &&
    (operation === ANY_ID || operation === acl.operation) &&
    (permissionType === ANY_ID || permissionType === acl.permissionType)
  );
}

/** `match` means all that speaks of the resource of a name: itself, wildcards and prefixes. */
function matchesResource(filter: AclFilter, acl: Acl): boolean {
  const { resourceNameFilter: name, patternTypeFilter: type } = filter;
  const { resourceName, patternType } = acl;
  if (type !== PatternType.any && type !== PatternType.match && type !== patternType) return false;
  if (name === null || name === resourceName) return true;
  if (type !== PatternType.match) return false;
  return patternType === PatternType.prefixed
    ? name.startsWith(resourceName)
    : resourceName === WILDCARD;
}
