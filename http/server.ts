/**
 * HTTP beside the broker: health, metrics, and unless they are switched off slices and segments.
 * Loaded only when `http.listeners` is set. /v1/openapi.json describes all of it.
 */

import type { AddressInfo } from 'node:net';
import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify';
import type { Services } from '../broker/services.ts';
import { type ObservedBroker, observationRoutes } from './observation.ts';
import { openApi } from './openapi.ts';
import { PROBLEM_TYPE, Problem, problemOf } from './problem.ts';
import { ProcessMetrics } from './process-metrics.ts';
import { RequestsInWork } from './requests-in-work.ts';
import { addRoutes, type Route, route } from './routes.ts';
import { segmentRoute } from './segments.ts';
import { sliceRoute } from './slices.ts';

export type { ObservedBroker } from './observation.ts';

export interface HttpListener {
  readonly host: string;
  readonly port: number;
}

/** What is served: the broker's state, and its records where slices are switched on. */
export interface ServedBroker extends ObservedBroker {
  readonly slices?: Services | undefined;
  /** To each listener. */
  readonly mostHttpConnections?: number;
}

export interface HttpServer {
  /** Addresses that are open, in the order of the listeners. */
  readonly addresses: readonly HttpListener[];
  close(): Promise<void>;
}

/** A topic's name has up to 249 characters, each perhaps escaped. */
const MAX_PARAMETER_CHARACTERS = 1024;
/** Time for the head of a request to come. */
const REQUEST_TIMEOUT_MS = 30_000;
/** Time for what is being answered when the broker stops; those who wait were let go before. */
const STOP_GRACE_MS = 1000;

function describe(routes: readonly Route[]): Route {
  return route({
    path: '/v1/openapi.json',
    id: 'description',
    doc: 'This description.',
    parameters: {},
    answers: { 200: { doc: 'OpenAPI 3.1.', content: ['application/json'] } },
    handle: () => openApi(routes),
  });
}

function makeApp(
  broker: ServedBroker,
  routes: readonly Route[],
  inWork: RequestsInWork,
): FastifyInstance {
  const app = Fastify({
    logger: false,
    forceCloseConnections: true,
    requestTimeout: REQUEST_TIMEOUT_MS,
    routerOptions: { maxParamLength: MAX_PARAMETER_CHARACTERS },
    frameworkErrors: (error, _request, reply) => {
      tell(reply, new Problem('INVALID_REQUEST', error.message, error.statusCode ?? 400));
    },
  });
  if (broker.mostHttpConnections !== undefined) {
    app.server.maxConnections = broker.mostHttpConnections;
  }
  inWork.watch(app);
  app.setNotFoundHandler((request, reply) => {
    return tell(reply, new Problem('RESOURCE_NOT_FOUND', `nothing is served at ${request.url}`));
  });
  app.setErrorHandler((error, request, reply) => {
    let problem = problemOf(error);
    if (problem === undefined) {
      broker.slices?.env.log.error({ err: error, url: request.url }, 'an HTTP request failed');
      problem = new Problem('UNKNOWN_SERVER_ERROR', 'The broker met an unexpected error.');
    }
    return tell(reply, problem);
  });
  addRoutes(app, routes);
  return app;
}

/** As bytes: to a text a charset would be added, which JSON has not. */
function tell(reply: FastifyReply, problem: Problem): FastifyReply {
  const body = Buffer.from(JSON.stringify(problem));
  return reply.code(problem.status).type(PROBLEM_TYPE).send(body);
}

/** Opens one server for each listener. Rejects when an address cannot be had. */
export async function openHttp(
  listeners: readonly HttpListener[],
  broker: ServedBroker,
): Promise<HttpServer> {
  const processMetrics = new ProcessMetrics(broker.services.metrics);
  const apps: FastifyInstance[] = [];
  const inWork = new RequestsInWork();
  const close = async () => {
    processMetrics.close();
    await inWork.ended(STOP_GRACE_MS);
    await Promise.all(apps.map((app) => app.close()));
  };
  const { slices } = broker;
  const routes = observationRoutes(broker, processMetrics);
  if (slices !== undefined) routes.push(sliceRoute(slices), segmentRoute(slices));
  routes.push(describe(routes));
  const addresses: HttpListener[] = [];
  try {
    for (const { host, port } of listeners) {
      const app = makeApp(broker, routes, inWork);
      apps.push(app);
      await app.listen({ port, host: host === '' ? '0.0.0.0' : host });
      const address = app.server.address() as AddressInfo;
      addresses.push({ host: address.address, port: address.port });
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { addresses, close };
}
