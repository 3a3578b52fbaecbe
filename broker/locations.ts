/**
 * URLs of located bytes. The broker's own HTTP door names them in the path:
 *
 * ```
 * /v1/segments/{topic id}/{partition}/{base offset}/{generation}/{position}-{length}
 * ```
 *
 * Where `slice.location.base.url` is set, a static server hands the files out. A URL then names the
 * file in its path and the bytes in its query, first and last, as a `Range` says them:
 *
 * ```
 * {base}/{topic id}/{partition}/{base offset}-{generation}?bytes={first}-{last}
 * ```
 * Whoever fetches a URL with `bytes` sends `Range: bytes={first}-{last}`; a static server that does
 * so by itself (docs/locations.md has the lines for nginx) serves clients that know nothing of it.
 * Either way the URL always leads to the same bytes, or to 410 or 404: then the slice is asked for
 * again.
 */

import { type LocatedName, locatedPath } from '../storage/located.ts';
import type { Location, PartitionLogView } from '../storage/types.ts';
import type { RequestContext } from './api.ts';
import { type Config, isUnspecified } from './config.ts';

/** Where segments are served, below an HTTP listener. */
export const SEGMENTS_PATH = '/v1/segments';

/** Where an HTTP listener is open. */
export interface HttpDoor {
  readonly host: string;
  readonly port: number;
}

type LogName = Pick<PartitionLogView, 'topicId' | 'partition'>;

/** The path of located bytes at the broker's own HTTP door. */
export function segmentPath({ topicId, partition }: LogName, location: Location): string {
  const { segmentBaseOffset, generation, position, length } = location;
  const file = `${topicId}/${partition}/${segmentBaseOffset}/${generation}`;
  return `${SEGMENTS_PATH}/${file}/${position}-${length}`;
}

export class Locations {
  /** Set when segments are served by this broker. */
  door: HttpDoor | undefined;
  readonly #config: Config;

  constructor(config: Config) {
    this.#config = config;
  }

  /** Whether clients that can fetch located bytes are told of them. */
  get isEnabled(): boolean {
    return this.#config.get('slice.location.enable');
  }

  /** The most bytes that the locations of one answer name. */
  get maxBytes(): number {
    return this.#config.get('slice.location.max.bytes');
  }

  /** Whether there may be URLs at all. */
  get hasUrls(): boolean {
    return this.door !== undefined || this.#config.get('slice.location.base.url') !== null;
  }

  /** The URL at the static server; undefined without one, or when it does not have the file. */
  staticUrl({ topicId, partition }: LogName, location: Location): string | undefined {
    const base = this.#config.get('slice.location.base.url');
    if (base === null || !location.isLinked) return undefined;
    const { segmentBaseOffset: baseOffset, generation, position, length } = location;
    const name: LocatedName = { topicId, partition, baseOffset, generation };
    const range = `${position}-${position + length - 1}`;
    return `${base.replace(/\/+$/, '')}/${locatedPath(name)}?bytes=${range}`;
  }

  /** For a client that came by HTTP: where to go on, absolute only where it must be. */
  redirect(log: LogName, location: Location): string {
    const advertised = this.#config.get('http.advertised.url')?.replace(/\/+$/, '') ?? '';
    return this.staticUrl(log, location) ?? advertised + segmentPath(log, location);
  }

  /** `host`: how the client that asks reaches this machine. */
  url(log: LogName, location: Location, host: string): string | undefined {
    const elsewhere = this.staticUrl(log, location);
    if (elsewhere !== undefined || this.door === undefined) return elsewhere;
    const path = segmentPath(log, location);
    const advertised = this.#config.get('http.advertised.url');
    if (advertised !== null) return advertised.replace(/\/+$/, '') + path;
    const { port } = this.door;
    const told = isUnspecified(this.door.host) ? host : this.door.host;
    return `http://${told.includes(':') ? `[${told}]` : told}:${port}${path}`;
  }
}

/** The URL of located bytes for the client of a request; undefined when nobody serves them. */
export function locationUrl(
  { services, connection }: Pick<RequestContext, 'services' | 'connection'>,
  log: LogName,
  location: Location,
): string | undefined {
  return services.locations.url(log, location, connection.advertised.host);
}
