/**
 * The one place that decides whether somebody may read a topic: Fetch asks it, and HTTP does for
 * slices and segments. Without ACLs everybody may; a policy takes the place of `everybody` in the
 * services.
 */

import type { RequestContext } from './api.ts';

/** Who asks, as far as the door knows; the client's own name for itself proves nothing. */
export type Asker = Pick<RequestContext, 'connection' | 'clientId'>;

export interface Authorizer {
  mayRead(asker: Asker, topic: string): boolean;
}

/** The policy of a broker without ACLs. */
export const everybody: Authorizer = { mayRead: () => true };
