/**
 * Clients that ask what metrics are wanted of them, by the id that each was given. At most so many
 * are kept, those that were heard of last; one is forgotten when it has been silent for three of its
 * intervals, and the last one of a connection with that.
 * Source: Kafka's ClientMetricsManager, ClientMetricsInstance.
 */

import type { ErrorName } from '../../protocol/errors.ts';
import type { Wanted } from './subscriptions.ts';

export interface ClientInstance {
  readonly id: string;
  readonly wanted: Wanted;
  readonly subscriptionId: number;
  /** Version of the subscriptions that `wanted` was made of. */
  readonly version: number;
  lastGetMs: number;
  lastPushMs: number;
  /** It has said that it goes. */
  terminating: boolean;
  lastError: ErrorName;
  expiresMs: number;
}

/** The connection of a client, as far as it matters here. */
export interface TelemetryConnection {
  readonly id: number;
  onClose(listener: () => void): () => void;
}

const MOST_INSTANCES = 16_384;
const LEAST_SILENCE_MS = 60_000;
const SILENT_INTERVALS = 3;

export class ClientInstances {
  /** In the order in which they were heard of last. */
  readonly #byId = new Map<string, ClientInstance>();
  /** The id that was made known last on each connection. */
  readonly #lastOf = new Map<number, string>();

  get size(): number {
    return this.#byId.size;
  }

  get(id: string, nowMs: number): ClientInstance | undefined {
    const instance = this.#byId.get(id);
    if (instance === undefined) return undefined;
    this.#byId.delete(id);
    if (instance.expiresMs <= nowMs) return undefined;
    this.put(instance, nowMs);
    return instance;
  }

  put(instance: ClientInstance, nowMs: number): void {
    const silenceMs = Math.max(LEAST_SILENCE_MS, SILENT_INTERVALS * instance.wanted.pushIntervalMs);
    instance.expiresMs = nowMs + silenceMs;
    this.#byId.delete(instance.id);
    this.#byId.set(instance.id, instance);
    for (const oldest of this.#byId.values()) {
      if (oldest.expiresMs > nowMs && this.#byId.size <= MOST_INSTANCES) break;
      this.#byId.delete(oldest.id);
    }
  }

  /** A client was heard of on a connection: it is forgotten with that, unless another comes. */
  heardOn(connection: TelemetryConnection, id: string): void {
    const isKnown = this.#lastOf.has(connection.id);
    this.#lastOf.set(connection.id, id);
    if (isKnown) return;
    connection.onClose(() => {
      this.#byId.delete(this.#lastOf.get(connection.id) as string);
      this.#lastOf.delete(connection.id);
    });
  }
}
