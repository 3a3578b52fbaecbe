/**
 * How a route is declared: path, parameters, answers and handler in one value, of which the server
 * makes the route and openapi.ts its description.
 */

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type Parameters, readParameters, type Values } from './parameters.ts';

export interface AnswerDoc {
  readonly doc: string;
  /** By name, what each header says. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Content types. */
  readonly content?: readonly string[];
}

export interface Route<P extends Parameters = Parameters> {
  /** As OpenAPI writes it: `/v1/topics/{topic}`. */
  readonly path: string;
  readonly id: string;
  readonly doc: string;
  readonly parameters: P;
  /** Request headers that have a meaning, and which. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly answers: Readonly<Record<number, AnswerDoc>>;
  handle(values: Values<P>, request: FastifyRequest, reply: FastifyReply): unknown;
}

/** A route whose handler knows the types of its parameters. */
export function route<const P extends Parameters>(declared: Route<P>): Route {
  return declared as unknown as Route;
}

export function addRoutes(app: FastifyInstance, routes: readonly Route[]): void {
  for (const { path, parameters, handle } of routes) {
    const url = path.replaceAll(/\{(\w+)\}/g, ':$1');
    app.get(url, (request, reply) => {
      const params = request.params as Record<string, string>;
      const query = request.query as Record<string, unknown>;
      return handle(readParameters(parameters, params, query), request, reply);
    });
  }
}
