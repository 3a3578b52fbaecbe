/**
 * The topics a member of a consumer group subscribes to, out of the bytes that it joined with. The
 * coordinator looks into them for one purpose: not to expire offsets that are in use.
 */

import { codec } from '../../protocol/compile.ts';
import { ConsumerProtocolSubscription } from '../../protocol/messages/consumer-protocol.ts';
import { MalformedFrame, Reader } from '../../protocol/reader.ts';

/** Protocol type of the groups whose bytes are consumers' subscriptions. */
export const CONSUMER_PROTOCOL_TYPE = 'consumer';

/** Undefined when the bytes are not a subscription. */
export function subscribedTopics(metadata: Buffer): readonly string[] | undefined {
  try {
    const reader = new Reader(metadata);
    reader.int16();
    // The topics stand first in every version, so the first version reads them all.
    return codec(ConsumerProtocolSubscription, 0).decode(reader).topics;
  } catch (error) {
    if (error instanceof MalformedFrame) return undefined;
    throw error;
  }
}

/** All topics of several subscriptions; undefined when one of them cannot be read. */
export function unionOfTopics(subscriptions: readonly Buffer[]): Set<string> | undefined {
  const union = new Set<string>();
  for (const metadata of subscriptions) {
    const topics = subscribedTopics(metadata);
    if (topics === undefined) return undefined;
    for (const topic of topics) union.add(topic);
  }
  return union;
}
