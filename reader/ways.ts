/**
 * By which way a location is fetched: the file, when it lies on this host and can be read, else the
 * URL. A way that does not lead there is left alone for a while; the broker is then told so, and
 * gives what is left.
 */

import type { LocationFailure } from './errors.ts';
import { hostId } from './host.ts';
import type { Location } from './located.ts';
import type { LocationWay } from './options.ts';

/** How long a way that failed is not tried. */
const CLOSED_MS = 30_000;

export class Ways {
  /** Until when each is closed; what was not wanted is closed for good. */
  readonly #closedUntil: Record<LocationWay, number>;
  /** What failed last and how often: the same place again is no coincidence. */
  #failed = '';

  constructor(wanted: readonly LocationWay[]) {
    const until = (way: LocationWay) => (wanted.includes(way) ? 0 : Number.POSITIVE_INFINITY);
    this.#closedUntil = { file: until('file'), url: until('url') };
  }

  /** What a Fetch says of this reader; undefined when no location is of use to it. */
  get asked(): { readonly hostId: string; readonly urls: boolean } | undefined {
    const byFile = this.#isOpen('file');
    const urls = this.#isOpen('url');
    return byFile || urls ? { hostId: byFile ? hostId() : '', urls } : undefined;
  }

  /** The way to a location; undefined when there is none at present. */
  to({ path, url }: Location): LocationWay | undefined {
    if (path !== '' && this.#isOpen('file')) return 'file';
    return url !== '' && this.#isOpen('url') ? 'url' : undefined;
  }

  /** A location could not be used, at this place. One that is gone is worth a second look, not a third. */
  failed(way: LocationWay, failure: LocationFailure, { generation }: Location, at: string): void {
    const place = `${way} ${failure} ${generation} ${at}`;
    const isAgain = place === this.#failed;
    this.#failed = place;
    if (failure !== 'unreachable' && !isAgain) return;
    // Bytes that are unsound twice are unsound by every way: the broker is to answer for them.
    const closed: LocationWay[] = failure === 'unsound' ? ['file', 'url'] : [way];
    for (const each of closed) this.#close(each);
  }

  #close(way: LocationWay): void {
    const until = performance.now() + CLOSED_MS;
    this.#closedUntil[way] = Math.max(this.#closedUntil[way], until);
  }

  #isOpen(way: LocationWay): boolean {
    return performance.now() >= this.#closedUntil[way];
  }
}
