/**
 * Quotas of clients as the records of __cluster_metadata tell them: for an entity, which is a user,
 * a client id, both, or an address, each by name or for all that have none of their own (null), a
 * number by the quota's key. A pure value.
 */

import type { ClientQuotaRecord } from '../../protocol/messages/security-records.ts';
import type { Decoded, Input } from '../../protocol/schema.ts';

/** Name by type: `user`, `client-id`, `ip`; null stands for the default of the type. */
export type QuotaEntity = ReadonlyMap<string, string | null>;

export interface EntityQuotas {
  readonly entity: QuotaEntity;
  readonly values: ReadonlyMap<string, number>;
}

interface OwnQuotas extends EntityQuotas {
  readonly values: Map<string, number>;
}

const NO_QUOTAS: ReadonlyMap<string, number> = new Map();

/** The same text for the same entity, whatever the order of its parts. */
export function entityKey(entity: QuotaEntity): string {
  return JSON.stringify([...entity].sort(([a], [b]) => (a < b ? -1 : 1)));
}

export class QuotaImage {
  readonly #entities = new Map<string, OwnQuotas>();

  entities(): IterableIterator<EntityQuotas> {
    return this.#entities.values();
  }

  /** The quotas set for exactly this entity. */
  of(entity: QuotaEntity): ReadonlyMap<string, number> {
    return this.#entities.get(entityKey(entity))?.values ?? NO_QUOTAS;
  }

  apply({ entity: parts, key, value, remove }: Decoded<typeof ClientQuotaRecord>): void {
    const entity = new Map(parts.map(({ entityType, entityName }) => [entityType, entityName]));
    const text = entityKey(entity);
    const known = this.#entities.get(text);
    if (!remove) {
      const quotas = known ?? { entity, values: new Map<string, number>() };
      quotas.values.set(key, value);
      this.#entities.set(text, quotas);
    } else if (known !== undefined) {
      known.values.delete(key);
      if (known.values.size === 0) this.#entities.delete(text);
    }
  }

  /** Records that make this image out of an empty one. */
  *records(): Generator<Input<typeof ClientQuotaRecord>> {
    for (const { entity, values } of this.#entities.values()) {
      for (const [key, value] of values) yield quotaRecord(entity, key, value);
    }
  }
}

/** The record that sets a quota, or takes it back with null. */
export function quotaRecord(
  entity: QuotaEntity,
  key: string,
  value: number | null,
): Input<typeof ClientQuotaRecord> {
  const parts = Array.from(entity, ([entityType, entityName]) => ({ entityType, entityName }));
  return { entity: parts, key, value: value ?? 0, remove: value === null };
}
