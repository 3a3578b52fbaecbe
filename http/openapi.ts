/** The OpenAPI 3.1 description of the routes, made of their declarations. */

import { VERSION } from '../broker/version.ts';
import { PROBLEM_TYPE } from './problem.ts';
import type { AnswerDoc, Route } from './routes.ts';

const PROBLEM_SCHEMA = {
  type: 'object',
  required: ['type', 'title', 'status', 'detail', 'error', 'code'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    error: { type: 'string', description: "Kafka's name of the error." },
    code: { type: 'integer', description: "Kafka's code of the error." },
  },
};

function answerOf(status: string, { doc, headers, content }: AnswerDoc): object {
  const isProblem = Number(status) >= 400;
  const types = content ?? (isProblem ? [PROBLEM_TYPE] : []);
  const schema =
    isProblem && types.includes(PROBLEM_TYPE) ? { $ref: '#/components/schemas/Problem' } : {};
  return {
    description: doc,
    ...(headers !== undefined && {
      headers: Object.fromEntries(
        Object.entries(headers).map(([name, description]) => [
          name,
          { description, schema: { type: 'string' } },
        ]),
      ),
    }),
    ...(types.length > 0 && {
      content: Object.fromEntries(types.map((type) => [type, { schema }])),
    }),
  };
}

function parametersOf({ parameters, headers = {} }: Route): object[] {
  const own = Object.entries(parameters).map(([name, parameter]) => ({
    name,
    in: parameter.in,
    required: parameter.in === 'path' || parameter.default === undefined,
    description: parameter.doc,
    schema: parameter.schema,
  }));
  const fromHeaders = Object.entries(headers).map(([name, description]) => ({
    name,
    in: 'header',
    required: false,
    description,
    schema: { type: 'string' },
  }));
  return [...own, ...fromHeaders];
}

export function openApi(routes: readonly Route[]): object {
  const paths: Record<string, object> = {};
  for (const declared of routes) {
    const { path, id, doc, answers } = declared;
    paths[path] = {
      get: {
        operationId: id,
        summary: doc,
        parameters: parametersOf(declared),
        responses: Object.fromEntries(
          Object.entries(answers).map(([status, answer]) => [status, answerOf(status, answer)]),
        ),
      },
    };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Tailrace',
      version: VERSION,
      description: 'Slices of partitions and the segments that they lie in; health and metrics.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    paths,
    components: { schemas: { Problem: PROBLEM_SCHEMA } },
  };
}
