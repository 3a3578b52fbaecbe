/**
 * SCRAM credentials as the records of __cluster_metadata tell them, by user and mechanism. What is
 * kept lets a password be checked, and nobody log in with it. A pure value.
 */

import type {
  RemoveUserScramCredentialRecord,
  UserScramCredentialRecord,
} from '../../protocol/messages/security-records.ts';
import type { Decoded } from '../../protocol/schema.ts';

/** Salt, stored key, server key and iterations of one user in one mechanism. */
export type ScramCredential = Decoded<typeof UserScramCredentialRecord>;

const NO_CREDENTIALS: ReadonlyMap<number, ScramCredential> = new Map();

export class ScramImage {
  readonly #users = new Map<string, Map<number, ScramCredential>>();

  users(): IterableIterator<string> {
    return this.#users.keys();
  }

  /** A user's credentials by mechanism. */
  of(user: string): ReadonlyMap<number, ScramCredential> {
    return this.#users.get(user) ?? NO_CREDENTIALS;
  }

  apply(credential: ScramCredential): void {
    const { name, mechanism } = credential;
    let credentials = this.#users.get(name);
    if (credentials === undefined) {
      credentials = new Map();
      this.#users.set(name, credentials);
    }
    credentials.set(mechanism, credential);
  }

  remove({ name, mechanism }: Decoded<typeof RemoveUserScramCredentialRecord>): void {
    const credentials = this.#users.get(name);
    credentials?.delete(mechanism);
    if (credentials?.size === 0) this.#users.delete(name);
  }

  /** Records that make this image out of an empty one. */
  *records(): Generator<ScramCredential> {
    for (const credentials of this.#users.values()) yield* credentials.values();
  }
}
