/**
 * How an API is declared: key, versions, messages and handler in one value. The table in
 * apis/index.ts lists them; ApiVersions, metrics and documentation are derived from it.
 */

import type { Decoded, Input, Message, VersionRange } from '../protocol/schema.ts';
import type { Later } from './later.ts';
import type { Services } from './services.ts';

/** The connection a request came in on, as handlers see it. */
export interface ClientConnection {
  /** Unique within the process. */
  readonly id: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** Host and port that clients of this listener are told to connect to. */
  readonly advertised: { readonly host: string; readonly port: number };
  /** What ApiVersions v3+ said, empty before. */
  clientSoftwareName: string;
  clientSoftwareVersion: string;
  readonly closed: boolean;
  /** Calls back once when the connection goes; returns how to take that back. */
  onClose(listener: () => void): () => void;
}

export interface RequestContext {
  readonly services: Services;
  readonly connection: ClientConnection;
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly correlationId: number;
  /** Empty when the client sent null. */
  readonly clientId: string;
  /**
   * Calls back exactly once when the answer's bytes have left the process, or when it is sure that
   * they never will: an answer with shared buffers (LogSlice) gives them back here. May be called
   * several times, until the answer is given.
   */
  onSent(release: () => void): void;
}

/**
 * What a handler gives. The synchronous part of a handler fixes the order: the next request of the
 * connection starts when the handler has returned. Where fixing the order must wait (a held
 * Produce), `Staged.ordered` says when the next may start. Answers leave in request order.
 */
export type Answer<R> = R | Promise<R> | Later<R> | Staged<R>;

/** Two stages: the order is fixed when `ordered` resolves (it never rejects), the answer comes later. */
export class Staged<R> {
  readonly ordered: Promise<void>;
  readonly answer: Promise<R>;

  constructor(ordered: Promise<void>, answer: Promise<R>) {
    this.ordered = ordered;
    this.answer = answer;
  }
}

/** What a handler gives when nothing is to be sent (Produce with acks=0). */
export const NO_RESPONSE: unique symbol = Symbol('no response');
/** What a handler gives when the connection is to be closed without an answer. */
export const CLOSE_CONNECTION: unique symbol = Symbol('close the connection');
export type NoResponse = typeof NO_RESPONSE | typeof CLOSE_CONNECTION;

export interface Api<Request extends Message = Message, Response extends Message = Message> {
  readonly name: string;
  readonly key: number;
  /** Versions served: exactly Apache Kafka 4.4's stable ones. */
  readonly versions: VersionRange;
  readonly request: Request;
  readonly response: Response;
  /** Estimate of what handling keeps in memory beside the frame, for a frame of so many bytes. */
  readonly memory: (frameBytes: number) => number;
  /**
   * Largest frame that is decoded. A small value can become a large object, so only what stays a
   * slice of its frame (Produce) may be as large as `socket.request.max.bytes` allows.
   */
  readonly largestFrameBytes: number;
  /**
   * A second request of this API on a connection starts when the first has been answered. For
   * Fetch: a client that sends hundreds of them at once and takes no answer pins one, not all.
   */
  readonly oneAtATime?: boolean;
  /** The decoded request has slices of its frame, and is used until the answer is there. */
  readonly keepsFrame?: boolean;
  handle(context: RequestContext, request: Decoded<Request>): Answer<Input<Response> | NoResponse>;
  /** The answer to a request whose handler threw: the declaration's error fields filled in. */
  readonly onError: (
    context: RequestContext,
    request: Decoded<Request>,
    errorCode: number,
    message: string,
  ) => Input<Response> | NoResponse;
  /**
   * The answer, in version 0, to a version above those served. Only ApiVersions has one: for all
   * other APIs the connection is closed, since no answer could be read.
   */
  readonly onUnsupportedVersion?: (context: RequestContext) => Input<Response>;
}

/** What a frame of many tiny fields grows to when it is decoded: an object of some fifty bytes each. */
const DECODED_GROWTH = 16;
const LARGEST_DECODED_FRAME_BYTES = 8 * 1024 * 1024;

type Defaulted = 'memory' | 'largestFrameBytes';

/** Declares an API. */
export function api<Request extends Message, Response extends Message>(
  declaration: Omit<Api<Request, Response>, 'key' | Defaulted> &
    Partial<Pick<Api<Request, Response>, Defaulted>>,
): Api<Request, Response> {
  return {
    memory: (frameBytes) => DECODED_GROWTH * frameBytes,
    largestFrameBytes: LARGEST_DECODED_FRAME_BYTES,
    ...declaration,
    key: declaration.request.key,
  };
}

/** Any API, as the table holds it. */
// biome-ignore lint/suspicious/noExplicitAny: the table holds handlers of all messages.
export type AnyApi = Api<any, any>;
