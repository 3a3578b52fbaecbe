/**
 * HTTP beside the broker: /healthz (the process answers), /readyz (clients can be served) and
 * /metrics. Loaded only when `http.listeners` is set.
 *
 * /metrics has the series of each partition and group; `?partitions=false` leaves them out, for
 * who has very many.
 */

import type { AddressInfo } from 'node:net';
import Fastify, { type FastifyInstance } from 'fastify';
import type { Services } from '../broker/services.ts';
import { exposeAll } from './exposition.ts';
import { exposeKafkaExporter } from './kafka-exporter.ts';
import { ProcessMetrics } from './process-metrics.ts';

export interface HttpListener {
  readonly host: string;
  readonly port: number;
}

/** What is told about a broker. */
export interface ObservedBroker {
  readonly services: Pick<Services, 'metrics' | 'topics' | 'groups' | 'nodeId'>;
  /** Why clients cannot be served as they should; undefined when they can. */
  unreadiness(): string | undefined;
}

export interface HttpServer {
  /** Addresses that are open, in the order of the listeners. */
  readonly addresses: readonly HttpListener[];
  close(): Promise<void>;
}

function routes(app: FastifyInstance, broker: ObservedBroker, processMetrics: ProcessMetrics) {
  const { metrics } = broker.services;
  const all = exposeAll(metrics);
  exposeKafkaExporter(all, broker.services);
  const few = exposeAll(metrics);
  app.get('/healthz', () => ({ status: 'ok' }));
  app.get('/readyz', (_request, reply) => {
    const reason = broker.unreadiness();
    if (reason === undefined) return reply.send({ status: 'ready' });
    return reply.code(503).send({ status: 'not ready', reason });
  });
  app.get<{ Querystring: { partitions?: string } }>('/metrics', async (request, reply) => {
    const registry = request.query.partitions === 'false' ? few : all;
    const text = await registry.metrics();
    processMetrics.reset();
    return reply.type(registry.contentType).send(text);
  });
}

/** Opens one server for each listener. Rejects when an address cannot be had. */
export async function openHttp(
  listeners: readonly HttpListener[],
  broker: ObservedBroker,
): Promise<HttpServer> {
  const processMetrics = new ProcessMetrics(broker.services.metrics);
  const apps: FastifyInstance[] = [];
  const close = async () => {
    processMetrics.close();
    await Promise.all(apps.map((app) => app.close()));
  };
  const addresses: HttpListener[] = [];
  try {
    for (const { host, port } of listeners) {
      const app = Fastify({ logger: false, forceCloseConnections: true });
      apps.push(app);
      routes(app, broker, processMetrics);
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
