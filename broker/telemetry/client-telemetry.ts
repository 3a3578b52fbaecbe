/**
 * Metrics that clients push (KIP-714): tells each what is wanted of it, and takes what it sends.
 * There is nobody here to hand metrics on to, as in Kafka without a receiver: they are checked,
 * counted and let go. Source: Kafka's ClientMetricsManager.
 */

import { crc32c } from '../../protocol/crc32c.ts';
import { type ErrorName, ProtocolError } from '../../protocol/errors.ts';
import { Codec } from '../../protocol/record-batch.ts';
import { ZERO_UUID } from '../../protocol/schema.ts';
import type { Clock, Random } from '../../storage/env.ts';
import type { Codecs } from '../codec-pool.ts';
import type { Metrics } from '../metrics.ts';
import {
  type ClientInstance,
  ClientInstances,
  type TelemetryConnection,
} from './client-instances.ts';
import type { ClientIdentity, Subscriptions, Wanted } from './subscriptions.ts';

export interface ClientTelemetryServices {
  readonly subscriptions: Subscriptions;
  readonly clock: Clock;
  readonly random: Random;
  readonly codecs: Codecs;
  readonly metrics: Metrics;
  /** `telemetry.max.bytes`: the longest push, as it is sent. */
  readonly maxBytes: number;
}

/** Who asks, on which connection. */
export interface TelemetryClient {
  readonly identity: Omit<ClientIdentity, 'client_instance_id'>;
  readonly connection: TelemetryConnection;
}

export interface Push {
  readonly clientInstanceId: string;
  readonly subscriptionId: number;
  readonly terminating: boolean;
  readonly compressionType: number;
  readonly metrics: Buffer;
}

export interface Subscribed extends Wanted {
  readonly clientInstanceId: string;
  readonly subscriptionId: number;
}

/** Codecs that clients may compress with, the best first. */
export const ACCEPTED_CODECS: readonly number[] = [Codec.zstd, Codec.lz4, Codec.gzip, Codec.snappy];
/** What a push may come to uncompressed, in pushes of the most bytes. */
const MOST_GROWTH = 16;
const ID_BYTES = 16;
/** Kafka's Uuid.ONE_UUID, which means the metadata log's topic. */
const ONE_UUID = 'AAAAAAAAAAAAAAAAAAAAAQ';
/** After these a client asks anew at once. */
const ASKS_ANEW: readonly ErrorName[] = ['UNKNOWN_SUBSCRIPTION_ID', 'UNSUPPORTED_COMPRESSION_TYPE'];
const NEVER_MS = Number.NEGATIVE_INFINITY;

export class ClientTelemetry {
  readonly #services: ClientTelemetryServices;
  readonly #instances = new ClientInstances();

  constructor(services: ClientTelemetryServices) {
    this.#services = services;
    services.metrics.gauge('client_telemetry_instances').from(() => this.#instances.size);
  }

  get maxBytes(): number {
    return this.#services.maxBytes;
  }

  /** What is wanted of a client; one without an id gets one. Throws ProtocolError. */
  subscribe(clientInstanceId: string, client: TelemetryClient): Subscribed {
    const nowMs = this.#services.clock.monotonic();
    const id = clientInstanceId === ZERO_UUID ? this.#newId() : clientInstanceId;
    const instance = this.#instance(id, client, nowMs);
    const sinceMs = nowMs - Math.max(instance.lastGetMs, instance.lastPushMs);
    if (sinceMs >= instance.wanted.pushIntervalMs) instance.lastGetMs = nowMs;
    else if (!ASKS_ANEW.includes(instance.lastError)) throw this.#tooEarly(id);
    instance.lastError = 'NONE';
    const { subscriptionId, wanted } = instance;
    return { ...wanted, clientInstanceId: id, subscriptionId };
  }

  /** Takes what a client pushes. Rejects with ProtocolError. */
  async push(push: Push, client: TelemetryClient): Promise<void> {
    const { clientInstanceId: id, metrics } = push;
    if (id === ZERO_UUID || id === ONE_UUID) {
      throw new ProtocolError('INVALID_REQUEST', `${id} is not the id of a client`);
    }
    const nowMs = this.#services.clock.monotonic();
    const instance = this.#instance(id, client, nowMs);
    const { metrics: counted } = this.#services;
    try {
      this.#check(push, instance, nowMs);
      await this.#open(push);
      instance.lastError = 'NONE';
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      instance.lastError = error.errorName;
      counted.counter('client_telemetry_refused_total', error.errorName).add();
      throw error;
    }
    counted.counter('client_telemetry_pushes_total').add();
    counted.counter('client_telemetry_bytes_total').add(metrics.length);
  }

  #check(push: Push, instance: ClientInstance, nowMs: number): void {
    const { clientInstanceId: id, terminating, compressionType, metrics } = push;
    const hadEnded = instance.terminating;
    instance.terminating = terminating;
    if (hadEnded) {
      throw new ProtocolError('INVALID_REQUEST', `client ${id} has said before that it goes`);
    }
    // The first push after the subscriptions were asked for may come early: clients spread them.
    const isFirst = instance.lastGetMs > instance.lastPushMs;
    const isDue = isFirst || nowMs - instance.lastPushMs >= instance.wanted.pushIntervalMs;
    if (isDue) instance.lastPushMs = nowMs;
    else if (!terminating) throw this.#tooEarly(id);
    if (push.subscriptionId !== instance.subscriptionId) {
      throw new ProtocolError('UNKNOWN_SUBSCRIPTION_ID', `client ${id} must ask anew`);
    }
    if (compressionType !== Codec.none && !ACCEPTED_CODECS.includes(compressionType)) {
      throw new ProtocolError('UNSUPPORTED_COMPRESSION_TYPE', `codec ${compressionType}`);
    }
    if (metrics.length > this.maxBytes) {
      throw new ProtocolError(
        'TELEMETRY_TOO_LARGE',
        `${metrics.length} bytes of metrics; ${this.maxBytes} are the most`,
      );
    }
  }

  /** What is compressed must be that, and come to a bounded size. */
  async #open({ compressionType: codec, metrics }: Push): Promise<void> {
    if (codec === Codec.none || metrics.length === 0) return;
    const maxBytes = MOST_GROWTH * this.maxBytes;
    const job = { kind: 'decompress', payload: metrics, codec, maxBytes } as const;
    const result = await this.#services.codecs.run(job);
    if (!('fault' in result)) return;
    const error = result.fault === 'corrupt' ? 'INVALID_RECORD' : 'TELEMETRY_TOO_LARGE';
    throw new ProtocolError(error, result.message);
  }

  #tooEarly(id: string): ProtocolError {
    return new ProtocolError('THROTTLING_QUOTA_EXCEEDED', `client ${id} comes before its time`);
  }

  /** The client of an id, with what is wanted of it by the subscriptions as they are. */
  #instance(id: string, client: TelemetryClient, nowMs: number): ClientInstance {
    const { subscriptions } = this.#services;
    const known = this.#instances.get(id, nowMs);
    if (known?.version === subscriptions.version) return known;
    const { connection, identity } = client;
    const wanted = subscriptions.wantedOf({ ...identity, client_instance_id: id });
    const instance: ClientInstance = {
      id,
      wanted,
      subscriptionId: subscriptionIdOf(wanted, id),
      version: subscriptions.version,
      lastGetMs: NEVER_MS,
      lastPushMs: NEVER_MS,
      terminating: false,
      lastError: 'NONE',
      expiresMs: nowMs,
    };
    this.#instances.put(instance, nowMs);
    this.#instances.heardOn(connection, id);
    return instance;
  }

  #newId(): string {
    return this.#services.random.bytes(ID_BYTES).toString('base64url');
  }
}

/** The same for the same wishes to the same client, and another one when they change. */
function subscriptionIdOf({ metrics, pushIntervalMs }: Wanted, id: string): number {
  return crc32c(Buffer.from(JSON.stringify([id, pushIntervalMs, ...metrics]))) | 0;
}
