/** The one table of broker options. */

import { cleanerOptions } from './cleaner-options.ts';
import { httpOptions } from './http-options.ts';
import { storageOptions, topicDefaultOptions } from './log-options.ts';
import { networkOptions, requestOptions } from './network-options.ts';
import type { Option } from './option.ts';
import { transactionOptions } from './transaction-options.ts';

export const brokerOptions = {
  ...networkOptions,
  ...httpOptions,
  ...topicDefaultOptions,
  ...storageOptions,
  ...cleanerOptions,
  ...requestOptions,
  ...transactionOptions,
} as const;

export type OptionName = keyof typeof brokerOptions;
export type OptionValue<N extends OptionName> =
  (typeof brokerOptions)[N] extends Option<infer T> ? T : never;

/** Whether a text is the name of a broker option. */
export function isOptionName(name: string): name is OptionName {
  return Object.hasOwn(brokerOptions, name);
}

/** The declaration behind a name. */
export function brokerOption(name: OptionName): Option {
  return brokerOptions[name] as unknown as Option;
}
