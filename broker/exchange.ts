/**
 * One request on its way through the broker: what its handler sees of it (RequestContext), and in
 * the end its answer. Memory is counted by the connection: the frame and what decoding makes of it
 * until the answer is there, then the answer until the socket has taken it.
 */

import type { AnyApi, ClientConnection, RequestContext } from './api.ts';
import type { Services } from './services.ts';

interface Body {
  readonly frame: Buffer;
  /** Where the body begins, after the header. */
  readonly at: number;
}

interface OpenedRequest {
  readonly services: Services;
  readonly connection: ClientConnection;
  readonly api: AnyApi;
  /** The version to answer in. */
  readonly apiVersion: number;
  /** The request's own version is above those served; its body cannot be read. */
  readonly unsupported: boolean;
  readonly correlationId: number;
  readonly clientId: string;
  readonly arrivedMs: number;
  readonly body: Body;
}

export class Exchange implements RequestContext {
  readonly services: Services;
  readonly connection: ClientConnection;
  readonly api: AnyApi;
  readonly apiVersion: number;
  readonly unsupported: boolean;
  readonly correlationId: number;
  readonly clientId: string;
  readonly frameBytes: number;
  /** Estimate of what decoding the frame makes of it. */
  readonly decodedBytes: number;
  /** On the monotonic clock, when the frame was whole. */
  readonly arrivedMs: number;
  private body: Body | undefined;
  private buffers: readonly Buffer[] | undefined;
  private sizeBytes = 0;
  private closing = false;
  private releases: (() => void)[] | undefined;

  constructor(request: OpenedRequest) {
    this.services = request.services;
    this.connection = request.connection;
    this.api = request.api;
    this.apiVersion = request.apiVersion;
    this.unsupported = request.unsupported;
    this.correlationId = request.correlationId;
    this.clientId = request.clientId;
    this.arrivedMs = request.arrivedMs;
    this.body = request.body;
    this.frameBytes = request.body.frame.length;
    this.decodedBytes = request.api.memory(this.frameBytes);
  }

  get apiKey(): number {
    return this.api.key;
  }

  /** Gives the body away, so that a waiting request does not keep its frame alive. */
  takeBody(): Body {
    const body = this.body;
    if (body === undefined) throw new Error('a request was started twice');
    this.body = undefined;
    return body;
  }

  /** The buffers of the answer, none when nothing is sent; undefined as long as there is none. */
  get answer(): readonly Buffer[] | undefined {
    return this.buffers;
  }

  get answerBytes(): number {
    return this.sizeBytes;
  }

  /** Whether the connection is to be closed where the answer would be. */
  get closes(): boolean {
    return this.closing;
  }

  answerWith(buffers: readonly Buffer[]): void {
    this.buffers = buffers;
    for (const buffer of buffers) this.sizeBytes += buffer.length;
  }

  close(): void {
    this.closing = true;
    this.answerWith([]);
  }

  onSent(release: () => void): void {
    if (this.releases === undefined) this.releases = [release];
    else this.releases.push(release);
  }

  /** Calls back all who wait for the answer to have left; further calls do nothing. */
  sent(): void {
    const releases = this.releases;
    this.releases = undefined;
    if (releases !== undefined) for (const release of releases) release();
  }
}
