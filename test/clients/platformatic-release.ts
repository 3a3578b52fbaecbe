/**
 * The newest @platformatic/kafka that this Node can run: 2.x wants Node 22.22, below it there is
 * 1.35.0. The tests of clients take what they call from here. The types are those of 1.35.0, so
 * that a test asks for nothing that only one of the two has.
 */

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

type Platformatic = typeof import('@platformatic/kafka');

/** The oldest Node that 2.x supports, as its package says. */
export const NODE_OF_RELEASE_2 = [22, 22] as const;

/** The names under which package.json has the two. */
export const RELEASE_1 = '@platformatic/kafka';
export const RELEASE_2 = 'platformatic-kafka-2';

function supportsRelease2(): boolean {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const [oldestMajor, oldestMinor] = NODE_OF_RELEASE_2;
  return major > oldestMajor || (major === oldestMajor && minor >= oldestMinor);
}

/** What the package of a client says of itself. */
export function packageOf(name: string): {
  readonly version: string;
  readonly engines: { readonly node: string };
} {
  const file = new URL('../package.json', import.meta.resolve(name));
  return JSON.parse(readFileSync(fileURLToPath(file), 'utf8'));
}

const name = supportsRelease2() ? RELEASE_2 : RELEASE_1;

/** For the names of tests. */
export const release: string = packageOf(name).version;

export const {
  Admin,
  compressionsAlgorithms,
  ConfigResourceTypes,
  Consumer,
  FindCoordinatorKeyTypes,
  IncrementalAlterConfigOperationTypes,
  Producer,
  stringDeserializers,
  stringSerializers,
} = (await import(name)) as Platformatic;
