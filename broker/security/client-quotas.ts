/**
 * Quotas of clients: kept in __cluster_metadata, shown and changed; a change is in force when it is
 * durable. Source: KIP-546; Kafka's ClientQuotaControlManager, ClientQuotasImage.
 */

import { type ErrorName, ProtocolError } from '../../protocol/errors.ts';
import type { NewMetadataRecord } from '../metadata-records.ts';
import { checkChangeCount, type Ledger } from './ledger.ts';
import { type EntityQuotas, entityKey, type QuotaEntity, quotaRecord } from './quota-image.ts';
import { CLIENT_QUOTAS, checkQuota, QUOTA_ENTITY_TYPES, quotasOf } from './quota-rules.ts';

/** How a part of a filter is compared, by Kafka's ids. */
const MatchType = { exact: 0, default: 1, specified: 2 } as const;

/** One part of a filter. */
export interface QuotaFilterPart {
  readonly entityType: string;
  readonly matchType: number;
  readonly match: string | null;
}

/** What is asked for one entity: a value by key, null takes it back. */
export interface QuotaChange {
  readonly entity: QuotaEntity;
  readonly quotas: readonly { readonly key: string; readonly value: number | null }[];
}

/** The parts of an entity as answers have them; types that there are not come last. */
export function partsOf(entity: QuotaEntity) {
  const ranks = [...QUOTA_ENTITY_TYPES, ...entity.keys()];
  const parts = Array.from(entity, ([entityType, entityName]) => ({ entityType, entityName }));
  return parts.sort((a, b) => ranks.indexOf(a.entityType) - ranks.indexOf(b.entityType));
}

/** The quotas of an entity as answers have them. */
export function valuesOf(values: ReadonlyMap<string, number>) {
  const ranks = [...CLIENT_QUOTAS.keys(), ...values.keys()];
  const told = Array.from(values, ([key, value]) => ({ key, value }));
  return told.sort((a, b) => ranks.indexOf(a.key) - ranks.indexOf(b.key));
}

/** How a change came out: undefined, or what speaks against it. */
export interface QuotaOutcome {
  readonly entity: QuotaEntity;
  readonly error: ProtocolError | undefined;
}

type PartTest = (name: string | null) => boolean;

function fail(error: ErrorName, message: string): never {
  throw new ProtocolError(error, message);
}

export class ClientQuotas {
  readonly #ledger: Ledger;

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  /**
   * The entities that have what each part of a filter wants; `strict`: and nothing else. Throws
   * ProtocolError.
   */
  find(parts: readonly QuotaFilterPart[], strict: boolean): EntityQuotas[] {
    const tests = testsOf(parts);
    return [...this.#ledger.committed.quotas.entities()].filter(({ entity }) => {
      if (strict && entity.size !== tests.size) return false;
      for (const [type, test] of tests) {
        const name = entity.get(type);
        if (name === undefined || !test(name)) return false;
      }
      return true;
    });
  }

  /**
   * Changes many entities with one append, each of which comes out for itself. An entity that is
   * named twice is refused and stays as it is. Durable when it resolves.
   */
  async alter(changes: readonly QuotaChange[], validateOnly: boolean): Promise<QuotaOutcome[]> {
    await this.#ledger.recover();
    const byEntity = new Map<string, QuotaChange[]>();
    for (const change of changes) {
      const key = entityKey(change.entity);
      byEntity.set(key, [...(byEntity.get(key) ?? []), change]);
    }
    const records: NewMetadataRecord[] = [];
    const outcomes: QuotaOutcome[] = [];
    for (const [change, ...more] of byEntity.values()) {
      const { entity } = change as QuotaChange;
      try {
        if (more.length > 0) fail('INVALID_REQUEST', 'Ignoring duplicate entity');
        records.push(...this.#plan(change as QuotaChange));
        outcomes.push({ entity, error: undefined });
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        outcomes.push({ entity, error });
      }
    }
    checkChangeCount(records.length);
    if (!validateOnly) await this.#ledger.append(records);
    return outcomes;
  }

  #plan({ entity, quotas }: QuotaChange): NewMetadataRecord[] {
    const known = quotasOf(entity);
    const before = this.#ledger.planned.quotas.of(entity);
    const keys = new Set<string>();
    const records: NewMetadataRecord[] = [];
    for (const { key, value } of quotas) {
      if (keys.has(key)) fail('INVALID_REQUEST', `Duplicate quota key ${key}`);
      keys.add(key);
      if (value !== null) checkQuota(known, key, value);
      if (value === (before.get(key) ?? null)) continue;
      records.push({ kind: 'ClientQuotaRecord', value: quotaRecord(entity, key, value) });
    }
    return records;
  }
}

function testsOf(parts: readonly QuotaFilterPart[]): Map<string, PartTest> {
  const tests = new Map<string, PartTest>();
  for (const part of parts) {
    const { entityType } = part;
    if (entityType === '') fail('INVALID_REQUEST', 'Invalid empty entity type.');
    if (tests.has(entityType)) {
      const why = 'cannot appear more than once in the filter.';
      fail('INVALID_REQUEST', `Entity type ${entityType} ${why}`);
    }
    if (!QUOTA_ENTITY_TYPES.includes(entityType)) {
      fail('UNSUPPORTED_VERSION', `Unsupported entity type ${entityType}`);
    }
    tests.set(entityType, testOf(part));
  }
  if (tests.has('ip') && tests.size > 1) {
    fail(
      'INVALID_REQUEST',
      'Invalid entity filter component combination. IP filter component should not be used ' +
        'with user or clientId filter component.',
    );
  }
  return tests;
}

function testOf({ matchType, match }: QuotaFilterPart): PartTest {
  switch (matchType) {
    case MatchType.exact:
      if (match === null) fail('INVALID_REQUEST', 'An exact match is asked for, but of null.');
      return (name) => name === match;
    case MatchType.default:
      if (match !== null) fail('INVALID_REQUEST', 'The default is asked for, but with a name.');
      return (name) => name === null;
    case MatchType.specified:
      if (match !== null) fail('INVALID_REQUEST', 'Any name is asked for, but with one.');
      return () => true;
    default:
      return fail('INVALID_REQUEST', `Unknown match type ${matchType}`);
  }
}
