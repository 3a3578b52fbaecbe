/**
 * What may be set as a quota, and of whom. Source: Kafka's ClientQuotaControlManager, QuotaConfig.
 */

import { ProtocolError } from '../../protocol/errors.ts';
import type { QuotaEntity } from './quota-image.ts';

/** In the order in which Kafka tells the parts of an entity, whatever the order of the request. */
export const QUOTA_ENTITY_TYPES: readonly string[] = ['ip', 'client-id', 'user'];

type NumberKind = 'double' | 'long' | 'int';

/**
 * Quotas of users and client ids, with the kind of number that each takes, in the order in which
 * Kafka tells them.
 */
export const CLIENT_QUOTAS: ReadonlyMap<string, NumberKind> = new Map([
  ['consumer_byte_rate', 'long'],
  ['controller_mutation_rate', 'double'],
  ['request_percentage', 'double'],
  ['producer_byte_rate', 'long'],
]);
const ADDRESS_QUOTAS: ReadonlyMap<string, NumberKind> = new Map([
  ['connection_creation_rate', 'int'],
]);

const LARGEST: Readonly<Record<NumberKind, number>> = {
  double: Number.MAX_VALUE,
  long: 2 ** 63,
  int: 2 ** 31 - 1,
};
/** Doubles stand for whole numbers on the wire: what is nearer than this is one. */
const FRACTION_TOLERANCE = 1e-6;

function invalid(message: string): never {
  throw new ProtocolError('INVALID_REQUEST', message);
}

/** Whether a text is an address; names are not looked up. */
function isAddress(text: string): boolean {
  if (/^\d+(\.\d+)*$/.test(text)) {
    const bytes = text.split('.');
    return (
      bytes.length === 4 && bytes.every((byte) => /^\d{1,3}$/.test(byte) && Number(byte) < 256)
    );
  }
  return /^[0-9a-f:.]*:[0-9a-f:.]*$/i.test(text) && URL.canParse(`http://[${text}]/`);
}

/** The quotas that an entity may have. Throws ProtocolError where there is no such entity. */
export function quotasOf(entity: QuotaEntity): ReadonlyMap<string, NumberKind> {
  if (entity.size === 0) invalid('Invalid empty client quota entity');
  for (const [type, name] of entity) {
    if (!QUOTA_ENTITY_TYPES.includes(type)) invalid(`Unhandled client quota entity type: ${type}`);
    if (name === '') invalid(`Empty ${type} not supported`);
  }
  const address = entity.get('ip');
  if (address === undefined) return CLIENT_QUOTAS;
  if (entity.size > 1) {
    invalid(
      'Invalid quota entity combination, IP entity should not be combined with User or ClientId',
    );
  }
  if (address !== null && !isAddress(address)) invalid(`${address} is not a valid IP.`);
  return ADDRESS_QUOTAS;
}

/** Throws ProtocolError where a quota does not take a value. */
export function checkQuota(
  known: ReadonlyMap<string, NumberKind>,
  key: string,
  value: number,
): void {
  const kind = known.get(key);
  if (kind === undefined) invalid(`Invalid configuration key ${key}`);
  if (!Number.isFinite(value)) invalid(`Quota ${key} must be a finite number`);
  if (value <= 0) invalid(`Quota ${key} must be greater than 0`);
  if (kind === 'double') return;
  if (value > LARGEST[kind]) {
    invalid(`Proposed value for ${key} is too large for ${kind === 'int' ? 'an INT' : 'a LONG'}.`);
  }
  if (value % 1 > FRACTION_TOLERANCE) invalid(`${key} cannot be a fractional value.`);
}
