/**
 * Users with SCRAM credentials: a client sends salt, iterations and the password salted with them;
 * what is kept, in __cluster_metadata, are the keys made of that. In force when durable.
 * Source: KIP-554, RFC 5802; Kafka's ScramControlManager, ScramImage, ScramFormatter.
 */

import { createHash, createHmac } from 'node:crypto';
import { type ErrorName, ProtocolError } from '../../protocol/errors.ts';
import type { NewMetadataRecord } from '../metadata-records.ts';
import { checkChangeCount, type Ledger } from './ledger.ts';

/** Hashes by Kafka's ids of the mechanisms: SCRAM-SHA-256 and SCRAM-SHA-512. */
const HASHES: ReadonlyMap<number, string> = new Map([
  [1, 'sha256'],
  [2, 'sha512'],
]);
/** What RFC 7677 asks for at least, and what a login may cost at most. */
const MIN_ITERATIONS = 4096;
const MAX_ITERATIONS = 16_384;

export interface ScramDeletion {
  readonly name: string;
  readonly mechanism: number;
}

export interface ScramUpsertion extends ScramDeletion {
  readonly iterations: number;
  readonly salt: Buffer;
  readonly saltedPassword: Buffer;
}

/** A user's credentials as they may be shown, or why there are none to show. */
export interface ScramDescription {
  readonly user: string;
  readonly error: ProtocolError | undefined;
  readonly credentialInfos: readonly { readonly mechanism: number; readonly iterations: number }[];
}

export interface ScramOutcome {
  readonly user: string;
  readonly error: ProtocolError | undefined;
}

function fail(error: ErrorName, message: string): never {
  throw new ProtocolError(error, message);
}

export class ScramUsers {
  readonly #ledger: Ledger;

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  /** Of the users named, or of all. A user that is named twice is described as that. */
  describe(names: readonly string[]): ScramDescription[] {
    const { scram } = this.#ledger.committed;
    const counts = new Map<string, number>();
    for (const name of names.length === 0 ? scram.users() : names) {
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    return Array.from(counts, ([user, count]): ScramDescription => {
      const credentialInfos = Array.from(scram.of(user).values(), (credential) => ({
        mechanism: credential.mechanism,
        iterations: credential.iterations,
      })).sort((a, b) => a.mechanism - b.mechanism);
      const error = describeFault(user, count, credentialInfos.length);
      return { user, error, credentialInfos: error === undefined ? credentialInfos : [] };
    });
  }

  /**
   * Changes the credentials of many users with one append, each of whom comes out for himself; a
   * user that is named twice is refused. Durable when it resolves.
   */
  async alter(
    deletions: readonly ScramDeletion[],
    upsertions: readonly ScramUpsertion[],
  ): Promise<ScramOutcome[]> {
    await this.#ledger.recover();
    const plans = new Map<string, NewMetadataRecord | ProtocolError>();
    const plan = (user: string, make: () => NewMetadataRecord) => {
      const before = plans.get(user);
      // What is wrong with a user's first change stays his answer.
      if (before instanceof ProtocolError) return;
      plans.set(user, before === undefined ? recordOrError(make) : twice());
    };
    for (const deletion of deletions) plan(deletion.name, () => this.#deletion(deletion));
    for (const upsertion of upsertions) plan(upsertion.name, () => upsertRecord(upsertion));
    const records: NewMetadataRecord[] = [];
    const outcomes = Array.from(plans, ([user, planned]): ScramOutcome => {
      if (planned instanceof ProtocolError) return { user, error: planned };
      records.push(planned);
      return { user, error: undefined };
    });
    checkChangeCount(records.length);
    await this.#ledger.append(records);
    return outcomes;
  }

  #deletion({ name, mechanism }: ScramDeletion): NewMetadataRecord {
    checkUser(name, mechanism);
    if (!this.#ledger.planned.scram.of(name).has(mechanism)) {
      fail('RESOURCE_NOT_FOUND', 'Attempt to delete a user credential that does not exist');
    }
    return { kind: 'RemoveUserScramCredentialRecord', value: { name, mechanism } };
  }
}

function twice(): ProtocolError {
  return new ProtocolError(
    'DUPLICATE_RESOURCE',
    'A user credential cannot be altered twice in the same request',
  );
}

function recordOrError(make: () => NewMetadataRecord): NewMetadataRecord | ProtocolError {
  try {
    return make();
  } catch (error) {
    if (error instanceof ProtocolError) return error;
    throw error;
  }
}

function describeFault(user: string, count: number, found: number): ProtocolError | undefined {
  if (count > 1) {
    return new ProtocolError(
      'DUPLICATE_RESOURCE',
      `Cannot describe SCRAM credentials for the same user twice in a single request: ${user}`,
    );
  }
  if (found > 0) return undefined;
  return new ProtocolError(
    'RESOURCE_NOT_FOUND',
    `Attempt to describe a user credential that does not exist: ${user}`,
  );
}

/** The hash of a user's mechanism. Throws ProtocolError where there is no such user or mechanism. */
function checkUser(name: string, mechanism: number): string {
  if (name === '') fail('UNACCEPTABLE_CREDENTIAL', 'Username must not be empty');
  const hash = HASHES.get(mechanism);
  return hash ?? fail('UNSUPPORTED_SASL_MECHANISM', 'Unknown SCRAM mechanism');
}

function upsertRecord(upsertion: ScramUpsertion): NewMetadataRecord {
  const { name, mechanism, iterations, salt, saltedPassword } = upsertion;
  const hash = checkUser(name, mechanism);
  if (iterations < MIN_ITERATIONS) fail('UNACCEPTABLE_CREDENTIAL', 'Too few iterations');
  if (iterations > MAX_ITERATIONS) fail('UNACCEPTABLE_CREDENTIAL', 'Too many iterations');
  if (saltedPassword.length === 0) {
    fail('UNACCEPTABLE_CREDENTIAL', 'The salted password must not be empty');
  }
  const keyed = (text: string) => createHmac(hash, saltedPassword).update(text).digest();
  const storedKey = createHash(hash).update(keyed('Client Key')).digest();
  const serverKey = keyed('Server Key');
  const value = { name, mechanism, salt, storedKey, serverKey, iterations };
  return { kind: 'UserScramCredentialRecord', value };
}
