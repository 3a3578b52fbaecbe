/**
 * From a frame to the handler of its API and from what the handler gives to the bytes of an answer.
 *
 * Bytes that are no request of an API and version in the table cannot be answered, for no answer
 * could be read: they throw, and the connection is closed with a log line, as Kafka does it. What
 * goes wrong in a handler is answered: with the error's code through the API's `onError`.
 */

import { errorName } from '../protocol/errors.ts';
import {
  decodeRequest,
  decodeRequestHeader,
  encodeResponse,
  type RequestHeader,
} from '../protocol/header.ts';
import { Reader } from '../protocol/reader.ts';
import { parseRange } from '../protocol/schema.ts';
import type { Clock, Logger } from '../storage/env.ts';
import {
  type AnyApi,
  CLOSE_CONNECTION,
  type ClientConnection,
  NO_RESPONSE,
  Staged,
} from './api.ts';
import { blameOf, errorCodeOf, messageFor } from './error-map.ts';
import { Exchange } from './exchange.ts';
import type { FramePool } from './frame-pool.ts';
import { type Asker, Later } from './later.ts';
import { type LimitedLog, shown } from './limited-log.ts';
import type { HistogramSeries, Series } from './metrics.ts';
import type { Services } from './services.ts';

/** A request that took longer than this is logged at debug. */
const SLOW_REQUEST_MS = 1000;

/** Why a request cannot be answered; `reason` is a label of connections_closed_total. */
export class UnanswerableRequest extends Error {
  readonly reason: 'unknown_api' | 'unsupported_version' | 'oversized';

  constructor(reason: UnanswerableRequest['reason'], message: string) {
    super(message);
    this.name = 'UnanswerableRequest';
    this.reason = reason;
  }
}

/** Whoever started a request. */
export interface Answered {
  answered(exchange: Exchange): void;
}

interface Row {
  readonly api: AnyApi;
  readonly first: number;
  readonly last: number;
  readonly requests: Series;
  readonly seconds: HistogramSeries;
}

export class Dispatcher {
  private readonly services: Services;
  private readonly frames: FramePool;
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly limitedLog: LimitedLog;
  private readonly rows: (Row | undefined)[] = [];
  private readonly inFlight: Series;

  constructor(services: Services, apis: readonly AnyApi[], frames: FramePool) {
    this.services = services;
    this.frames = frames;
    this.clock = services.env.clock;
    this.log = services.env.log;
    this.limitedLog = services.limitedLog;
    const metrics = services.metrics;
    this.inFlight = metrics.gauge('requests_in_flight');
    for (const api of apis) {
      this.rows[api.key] = {
        api,
        ...parseRange(api.versions),
        requests: metrics.counter('requests_total', api.name),
        seconds: metrics.histogram('request_seconds', api.name),
      };
    }
  }

  /** Reads a frame's header. Throws UnanswerableRequest or MalformedFrame: close the connection. */
  open(connection: ClientConnection, frame: Buffer): Exchange {
    const reader = new Reader(frame);
    const header = decodeRequestHeader(reader);
    const row = header.apiKey < 0 ? undefined : this.rows[header.apiKey];
    if (row === undefined) {
      throw new UnanswerableRequest('unknown_api', `unknown API key ${header.apiKey}`);
    }
    const { api } = row;
    if (frame.length > api.largestFrameBytes) {
      const text = `${api.name} of ${frame.length} bytes, ${api.largestFrameBytes} are allowed`;
      throw new UnanswerableRequest('oversized', text);
    }
    return new Exchange({
      services: this.services,
      connection,
      api,
      apiVersion: servedVersion(row, header),
      unsupported: header.apiVersion > row.last,
      correlationId: header.correlationId,
      clientId: header.clientId ?? '',
      arrivedMs: this.clock.monotonic(),
      body: { frame, at: reader.at },
    });
  }

  /**
   * Decodes and handles a request. `owner` is told exactly once, now or later, when the exchange
   * has its answer. What is given back, if anything, resolves when the next request of
   * the connection may start. Throws MalformedFrame, before anything was done.
   */
  start(exchange: Exchange, owner: Answered): Promise<void> | undefined {
    const { api } = exchange;
    const body = exchange.takeBody();
    if (exchange.unsupported) {
      this.frames.release(body.frame);
      this.finish(exchange, api.onUnsupportedVersion?.(exchange), undefined, owner);
      return undefined;
    }
    const request = decodeRequest(
      new Reader(body.frame, body.at),
      api.request,
      exchange.apiVersion,
    );
    if (api.keepsFrame !== true) this.frames.release(body.frame);
    (this.rows[api.key] as Row).requests.add();
    this.inFlight.add();
    const asker: Asker<unknown> = {
      done: (value) => {
        this.inFlight.add(-1);
        this.finish(exchange, value, request, owner);
        if (api.keepsFrame === true) this.frames.release(body.frame);
      },
      failed: (error) => asker.done(this.errorAnswer(exchange, request, error)),
    };
    let given: unknown;
    try {
      given = api.handle(exchange, request);
    } catch (error) {
      asker.failed(error);
      return undefined;
    }
    if (given instanceof Staged) {
      given.answer.then(asker.done, asker.failed);
      return given.ordered;
    }
    if (given instanceof Later) given.tell(asker);
    else if (given instanceof Promise) given.then(asker.done, asker.failed);
    else asker.done(given);
    return undefined;
  }

  private finish(exchange: Exchange, value: unknown, request: unknown, owner: Answered): void {
    const { api } = exchange;
    if (value === CLOSE_CONNECTION) exchange.close();
    else if (value === NO_RESPONSE || exchange.connection.closed) exchange.answerWith([]);
    else {
      try {
        exchange.answerWith(this.encode(exchange, value));
      } catch (error) {
        this.answerUnencodable(exchange, request, error);
      }
    }
    const tookMs = this.clock.monotonic() - exchange.arrivedMs;
    (this.rows[api.key] as Row).seconds.record(tookMs / 1000);
    if (tookMs > SLOW_REQUEST_MS) {
      this.log.debug({ ...this.describe(exchange), tookMs }, 'slow request');
    }
    owner.answered(exchange);
  }

  private encode(exchange: Exchange, value: unknown): Buffer[] {
    const { api, apiVersion, correlationId } = exchange;
    return encodeResponse(api.response, apiVersion, correlationId, value as never);
  }

  /** An answer that its declaration does not take is a bug of ours; the client is told of it. */
  private answerUnencodable(exchange: Exchange, request: unknown, error: unknown): void {
    try {
      const answer = this.errorAnswer(exchange, request, error);
      if (answer === NO_RESPONSE) exchange.answerWith([]);
      else if (answer === CLOSE_CONNECTION) exchange.close();
      else exchange.answerWith(this.encode(exchange, answer));
    } catch (second) {
      this.log.error({ ...this.describe(exchange), err: second }, 'no answer could be made');
      exchange.close();
    }
  }

  /** The answer to a request whose handler threw. */
  private errorAnswer(exchange: Exchange, request: unknown, error: unknown): unknown {
    const { api } = exchange;
    const code = errorCodeOf(error);
    this.services.metrics.counter('request_errors_total', api.name, errorName(code)).add();
    this.report(exchange, error, code);
    try {
      return api.onError(exchange, request as never, code, messageFor(error));
    } catch (second) {
      this.log.error({ ...this.describe(exchange), err: second }, 'no error answer could be made');
      return CLOSE_CONNECTION;
    }
  }

  private report(exchange: Exchange, error: unknown, code: number): void {
    const values = { ...this.describe(exchange), error: errorName(code) };
    const blame = blameOf(error);
    if (blame === 'broker') this.log.error({ ...values, err: error }, 'request failed');
    else if (blame === 'storage') {
      this.limitedLog.warn({ ...values, reason: (error as Error).message }, 'storage refused');
    } else this.log.debug({ ...values, reason: (error as Error).message }, 'request refused');
  }

  private describe(exchange: Exchange): object {
    return {
      api: exchange.api.name,
      version: exchange.apiVersion,
      client: shown(exchange.clientId),
      address: exchange.connection.remoteAddress,
      connection: exchange.connection.id,
    };
  }
}

/** The version to answer in. Throws UnanswerableRequest when no answer could be read. */
function servedVersion(row: Row, header: RequestHeader): number {
  const { apiVersion } = header;
  if (apiVersion >= row.first && apiVersion <= row.last) return apiVersion;
  if (apiVersion > row.last && row.api.onUnsupportedVersion !== undefined) return 0;
  throw new UnanswerableRequest(
    'unsupported_version',
    `${row.api.name} version ${apiVersion}, ${row.api.versions} are served`,
  );
}
