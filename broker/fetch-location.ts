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
import { locationUrl } from './locations.ts';
import type { Partition } from './partition.ts';

type Asked = Decoded<typeof FetchRequest>['locate'];

/** A location as it is told to a client. */
export interface LocationAnswer extends Location {
  /** Empty, as path and URL, where the file or the URL is of no use to the client. */
  readonly hostId: string;
  readonly url: string;
  /** Leader epoch of the last batch. */
  readonly lastEpoch: number;
}

/** The form of locations that ApiVersions announces; another one would be another tagged field. */
export const LOCATION_FORM = 1;

const NO_FILE = { hostId: '', path: '', device: 0, inode: 0 };

/** What a reading needs to know of who wants locations in place of persisted records. */
export interface LocationTeller {
  /** Of the whole answer, and of each partition in it. */
  readonly maxBytes: number;
  readonly partitionMaxBytes: number;
  /** The location as the client is told it; undefined when it is none that the client could use. */
  tell(partition: Partition, location: Location): LocationAnswer | undefined;
}

/** What one request wants located, and by which ways its sender can come to the bytes. */
export class Locating implements LocationTeller {
  readonly #context: RequestContext;
  readonly #byFile: boolean;
  readonly #byUrl: boolean;
  readonly maxBytes: number;
  readonly partitionMaxBytes: number;

  private constructor(context: RequestContext, asked: Asked, byFile: boolean, byUrl: boolean) {
    const allowedBytes = context.services.config.get('slice.location.max.bytes');
    this.#context = context;
    this.#byFile = byFile;
    this.#byUrl = byUrl;
    this.maxBytes = Math.min(asked.maxBytes, allowedBytes);
    this.partitionMaxBytes =
      asked.partitionMaxBytes < 0 ? this.maxBytes : Math.min(asked.partitionMaxBytes, allowedBytes);
  }

  /** Undefined when the request does not ask, or has no way to what would be located. */
  static of(context: RequestContext, asked: Asked): Locating | undefined {
    const { hostId, locations } = context.services;
    if (asked.maxBytes < 0 || !locations.isEnabled) return undefined;
    const byFile = asked.hostId === hostId;
    const byUrl = asked.urls && locations.hasUrls;
    return byFile || byUrl ? new Locating(context, asked, byFile, byUrl) : undefined;
  }

  tell(partition: Partition, location: Location): LocationAnswer | undefined {
    const { hostId } = this.#context.services;
    const { path, device, inode } = location;
    // Numbers that were rounded name no file.
    const isNamed = Number.isSafeInteger(device) && Number.isSafeInteger(inode);
    const file = this.#byFile && isNamed ? { hostId, path, device, inode } : NO_FILE;
    const url = this.#byUrl ? (locationUrl(this.#context, partition.log, location) ?? '') : '';
    if (file === NO_FILE && url === '') return undefined;
    const lastEpoch = partition.log.epochAt(location.nextOffset - 1);
    return { ...location, ...file, url, lastEpoch };
  }
}
