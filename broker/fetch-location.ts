/**
 * Locations in the answers of a Fetch: for who sends the tagged field, what is persisted is answered
 * with where it lies, in place of its bytes. How much one answer may locate has limits of its own,
 * since it costs the broker nothing but a look into an index.
 * Specified in docs/locations.md, DESIGN "the three answers".
 */

import type { FetchRequest } from '../protocol/messages/fetch.ts';
import type { Decoded } from '../protocol/schema.ts';
import type { Location } from '../storage/types.ts';
import type { RequestContext } from './api.ts';
import type { Partition } from './partition.ts';

type Asked = Decoded<typeof FetchRequest>['locate'];

/** A location as it is told to a client. */
export interface LocationAnswer extends Location {
  readonly hostId: string;
  /** Leader epoch of the last batch. */
  readonly lastEpoch: number;
}

/** The form of locations that ApiVersions announces; another one would be another tagged field. */
export const LOCATION_FORM = 1;

/** What one request wants located, and by which ways its sender can come to the bytes. */
export class Locating {
  readonly #context: RequestContext;
  /** Of the whole answer, and of each partition in it. */
  readonly maxBytes: number;
  readonly partitionMaxBytes: number;

  private constructor(context: RequestContext, asked: Asked) {
    const allowedBytes = context.services.config.get('slice.location.max.bytes');
    this.#context = context;
    this.maxBytes = Math.min(asked.maxBytes, allowedBytes);
    this.partitionMaxBytes =
      asked.partitionMaxBytes < 0 ? this.maxBytes : Math.min(asked.partitionMaxBytes, allowedBytes);
  }

  /** Undefined when the request does not ask, or has no way to what would be located. */
  static of(context: RequestContext, asked: Asked): Locating | undefined {
    if (asked.maxBytes < 0 || !context.services.locations.isEnabled) return undefined;
    const byFile = asked.hostId === context.services.hostId;
    return byFile ? new Locating(context, asked) : undefined;
  }

  /** The location for the client; undefined when there is none that it could use. */
  tell(partition: Partition, location: Location): LocationAnswer | undefined {
    const { hostId } = this.#context.services;
    // Numbers that were rounded name no file.
    const isNamed = Number.isSafeInteger(location.device) && Number.isSafeInteger(location.inode);
    if (!isNamed) return undefined;
    const lastEpoch = partition.log.epochAt(location.nextOffset - 1);
    return { ...location, hostId, lastEpoch };
  }
}
