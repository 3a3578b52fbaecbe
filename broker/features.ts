/** The features that are announced, each with the one level that is in force (KIP-584). */

export interface Feature {
  readonly name: string;
  readonly level: number;
}

/** At level 2 clients speak the second version of transactions (KIP-890). */
export const FEATURES: readonly Feature[] = [{ name: 'transaction.version', level: 2 }];
