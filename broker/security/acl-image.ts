/**
 * ACLs as the records of __cluster_metadata tell them: each has an id, under which it is removed,
 * and is there once. A pure value.
 */

import type { AccessControlEntryRecord } from '../../protocol/messages/security-records.ts';
import type { Decoded } from '../../protocol/schema.ts';

/** An ACL with its id. */
export type StoredAcl = Decoded<typeof AccessControlEntryRecord>;
/** What an ACL says: who, from where, may or may not do what, with which resources. */
export type Acl = Omit<StoredAcl, 'id'>;

/** The same text for ACLs that say the same. */
export function aclKey(acl: Acl): string {
  const { resourceType, resourceName, patternType } = acl;
  const { principal, host, operation, permissionType } = acl;
  const pattern = [resourceType, resourceName, patternType];
  return JSON.stringify([...pattern, principal, host, operation, permissionType]);
}

export class AclImage {
  readonly #byId = new Map<string, StoredAcl>();
  readonly #keys = new Set<string>();

  all(): IterableIterator<StoredAcl> {
    return this.#byId.values();
  }

  /** Whether there is one that says the same. */
  has(acl: Acl): boolean {
    return this.#keys.has(aclKey(acl));
  }

  apply(acl: StoredAcl): void {
    this.#byId.set(acl.id, acl);
    this.#keys.add(aclKey(acl));
  }

  remove(id: string): void {
    const acl = this.#byId.get(id);
    if (acl === undefined) return;
    this.#byId.delete(id);
    this.#keys.delete(aclKey(acl));
  }
}
