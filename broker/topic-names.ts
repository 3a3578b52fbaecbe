/** What a topic may be called. Source: Kafka's Topic.validate. */

const MAX_NAME_CHARACTERS = 249;

/** What is wrong with a topic's name, or undefined. */
export function topicNameFault(name: string): string | undefined {
  if (name === '') return 'the topic name is empty';
  if (name === '.' || name === '..') return `the topic name must not be ${name}`;
  if (name.length > MAX_NAME_CHARACTERS) {
    return `the topic name has ${name.length} characters; ${MAX_NAME_CHARACTERS} are the most`;
  }
  if (!/^[a-zA-Z0-9._-]+$/.test(name)) {
    return 'the topic name has characters other than letters, digits, dot, underscore and hyphen';
  }
  return undefined;
}

/** Names that differ in dots and underscores only would share names of metrics. */
export function collisionKey(name: string): string {
  return name.replaceAll('.', '_');
}

/** The log that topics and configurations themselves are kept in; no topic to clients. */
export const METADATA_TOPIC = '__cluster_metadata';

/** Topics of the broker's own: no client writes to them, Metadata marks them. */
const INTERNAL_TOPICS: ReadonlySet<string> = new Set([
  '__consumer_offsets',
  '__transaction_state',
  '__share_group_state',
]);

export function isInternalTopic(name: string): boolean {
  return INTERNAL_TOPICS.has(name);
}

/** Names that come more than once. */
export function repeatedIn(names: readonly string[]): Set<string> {
  const seen = new Set<string>();
  const repeated = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) repeated.add(name);
    seen.add(name);
  }
  return repeated;
}
