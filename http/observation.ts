/**
 * /healthz (the process answers), /readyz (clients can be served) and /metrics, which has the series
 * of each partition and group; `?partitions=false` leaves them out, for who has very many.
 */

import type { Services } from '../broker/services.ts';
import { exposeAll } from './exposition.ts';
import { exposeKafkaExporter } from './kafka-exporter.ts';
import { choice } from './parameters.ts';
import type { ProcessMetrics } from './process-metrics.ts';
import { type Route, route } from './routes.ts';

/** What is told about a broker. */
export interface ObservedBroker {
  readonly services: Pick<Services, 'metrics' | 'topics' | 'groups' | 'nodeId'>;
  /** Why clients cannot be served as they should; undefined when they can. */
  unreadiness(): string | undefined;
}

const JSON_TYPE = 'application/json';

export function observationRoutes(broker: ObservedBroker, processMetrics: ProcessMetrics): Route[] {
  const { metrics } = broker.services;
  const all = exposeAll(metrics);
  exposeKafkaExporter(all, broker.services);
  const few = exposeAll(metrics);
  return [
    route({
      path: '/healthz',
      id: 'health',
      doc: 'Whether the process answers.',
      parameters: {},
      answers: { 200: { doc: 'It does.', content: [JSON_TYPE] } },
      handle: () => ({ status: 'ok' }),
    }),
    route({
      path: '/readyz',
      id: 'readiness',
      doc: 'Whether clients can be served.',
      parameters: {},
      answers: {
        200: { doc: 'They can.', content: [JSON_TYPE] },
        503: { doc: 'They cannot, with the reason.', content: [JSON_TYPE] },
      },
      handle: (_values, _request, reply) => {
        const reason = broker.unreadiness();
        if (reason === undefined) return reply.send({ status: 'ready' });
        return reply.code(503).send({ status: 'not ready', reason });
      },
    }),
    route({
      path: '/metrics',
      id: 'metrics',
      doc: "The broker's numbers in Prometheus' text format.",
      parameters: {
        partitions: choice(['true', 'false'], {
          in: 'query',
          doc: 'Whether the series of each partition and group are among them.',
          default: 'true',
        }),
      },
      answers: { 200: { doc: 'The numbers.', content: ['text/plain'] } },
      handle: async ({ partitions }, _request, reply) => {
        const registry = partitions === 'false' ? few : all;
        const text = await registry.metrics();
        processMetrics.reset();
        return reply.type(registry.contentType).send(text);
      },
    }),
  ];
}
