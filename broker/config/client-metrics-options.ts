/**
 * Configurations of a client metrics subscription: which metrics, how often, of which clients.
 * Source: KIP-714; Kafka's ClientMetricsConfigs.
 */

import { PatternFault, TextPattern } from '../text-pattern.ts';
import { int, list } from './option.ts';

/** What a client is known by; a subscription matches each with a regular expression. */
export const CLIENT_MATCH_PARAMETERS = [
  'client_instance_id',
  'client_id',
  'client_software_name',
  'client_software_version',
  'client_source_address',
  'client_source_port',
] as const;

export type ClientMatchParameter = (typeof CLIENT_MATCH_PARAMETERS)[number];

export const DEFAULT_PUSH_INTERVAL_MS = 300_000;
export const PUSH_INTERVAL_RANGE_MS = { min: 100, max: 3_600_000 } as const;

function isParameter(text: string): text is ClientMatchParameter {
  return (CLIENT_MATCH_PARAMETERS as readonly string[]).includes(text);
}

/** `client_id=a.*`: parameter and pattern; undefined where a text is none such. */
export function parseMatch(text: string): [ClientMatchParameter, TextPattern] | undefined {
  const [parameter = '', pattern, ...more] = text.split('=').map((part) => part.trim());
  if (!isParameter(parameter) || pattern === undefined || more.length > 0) return undefined;
  try {
    return [parameter, new TextPattern(pattern)];
  } catch (error) {
    if (error instanceof PatternFault) return undefined;
    throw error;
  }
}

export const clientMetricsOptions = {
  'interval.ms': int(DEFAULT_PUSH_INTERVAL_MS, {
    doc: 'How often a client is to push its metrics, in milliseconds: 100 to 3600000.',
  }),
  match: list([], {
    doc:
      'Which clients are meant, as parameter=pattern separated by commas; a client must match all ' +
      `of them. The parameters are ${CLIENT_MATCH_PARAMETERS.join(', ')}. Without any, all are meant.`,
    fault: (texts) => {
      const illegal = texts.find((text) => parseMatch(text) === undefined);
      return illegal === undefined ? undefined : `Illegal client matching pattern: ${illegal}`;
    },
  }),
  metrics: list([], {
    doc: 'Prefixes of the names of the metrics that are wanted, separated by commas; * means all.',
  }),
} as const;
