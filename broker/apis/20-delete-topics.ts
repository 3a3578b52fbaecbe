/**
 * DeleteTopics, API key 20, versions 1-6. Deletions are durable, and the files gone, when they are
 * answered.
 *
 * Version 3: TOPIC_DELETION_DISABLED. Version 4: flexible. Version 5: error messages. Version 6:
 * topics by id. Source: Kafka's ControllerApis.deleteTopics.
 */

import { ErrorCode, type ErrorName } from '../../protocol/errors.ts';
import {
  DeleteTopicsRequest,
  DeleteTopicsResponse,
} from '../../protocol/messages/delete-topics.ts';
import { type Decoded, type Input, ZERO_UUID } from '../../protocol/schema.ts';
import { api, type RequestContext } from '../api.ts';
import type { Topic } from '../topics.ts';

type Request = Decoded<typeof DeleteTopicsRequest>;
type Result = Input<typeof DeleteTopicsResponse>['responses'][number];

function resultOf(
  name: string | null,
  topicId: string,
  error: ErrorName,
  errorMessage: string | null = null,
): Result {
  return { name, topicId, errorCode: ErrorCode[error], errorMessage };
}

/** What is asked for, in one form for all versions. */
function wanted(request: Request): { name: string | null; topicId: string }[] {
  const byName = request.topicNames.map((name) => ({ name, topicId: ZERO_UUID }));
  return [...byName, ...request.topics];
}

/** How often each text comes. */
function countsOf(texts: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  return counts;
}

/** Sorts a request into topics to delete and results that are known already. */
class Selection {
  readonly refused: Result[] = [];
  readonly chosen = new Map<string, { readonly topic: Topic; readonly byName: boolean }>();
  readonly #context: RequestContext;

  constructor(context: RequestContext, request: Request) {
    this.#context = context;
    const topics = wanted(request);
    const names = countsOf(
      topics.flatMap(({ name, topicId }) => (name !== null && topicId === ZERO_UUID ? [name] : [])),
    );
    const ids = countsOf(topics.flatMap(({ name, topicId }) => (name === null ? [topicId] : [])));
    for (const { name, topicId } of topics) {
      if (name !== null && topicId !== ZERO_UUID) {
        const message = 'You may not specify both topic name and topic id.';
        this.refused.push(resultOf(name, topicId, 'INVALID_REQUEST', message));
      } else if (name === null && topicId === ZERO_UUID) {
        const message = 'Neither topic name nor id were specified.';
        this.refused.push(resultOf(null, topicId, 'INVALID_REQUEST', message));
      } else if (name === null) this.#chooseId(topicId, ids);
      else this.#chooseName(name, names);
    }
  }

  #chooseId(id: string, counts: Map<string, number>): void {
    const count = counts.get(id) ?? 0;
    counts.delete(id);
    if (count === 0) return;
    const topic = this.#context.services.topics.byId(id);
    if (count > 1) {
      this.refused.push(resultOf(null, id, 'INVALID_REQUEST', 'Duplicate topic id.'));
    } else if (topic === undefined) {
      this.refused.push(resultOf(null, id, 'UNKNOWN_TOPIC_ID'));
    } else this.#choose(topic, false);
  }

  #chooseName(name: string, counts: Map<string, number>): void {
    const count = counts.get(name) ?? 0;
    counts.delete(name);
    if (count === 0) return;
    const topic = this.#context.services.topics.get(name);
    if (count > 1) {
      this.refused.push(resultOf(name, ZERO_UUID, 'INVALID_REQUEST', 'Duplicate topic name.'));
    } else if (topic === undefined) {
      this.refused.push(resultOf(name, ZERO_UUID, 'UNKNOWN_TOPIC_OR_PARTITION'));
    } else this.#choose(topic, true);
  }

  #choose(topic: Topic, byName: boolean): void {
    if (!this.chosen.has(topic.id)) {
      this.chosen.set(topic.id, { topic, byName });
      return;
    }
    this.chosen.delete(topic.id);
    const message = 'The provided topic name maps to an ID that was already supplied.';
    this.refused.push(resultOf(topic.name, topic.id, 'INVALID_REQUEST', message));
  }
}

function sameForAll(request: Request, errorCode: number, errorMessage: string) {
  const responses = wanted(request).map(({ name, topicId }) => ({
    name,
    topicId,
    errorCode,
    errorMessage,
  }));
  return { throttleTimeMs: 0, responses };
}

export const deleteTopics = api({
  name: 'DeleteTopics',
  versions: '1-6',
  request: DeleteTopicsRequest,
  response: DeleteTopicsResponse,
  async handle(context, request) {
    const { topics, config } = context.services;
    if (!config.get('delete.topic.enable')) {
      const error = context.apiVersion < 3 ? 'INVALID_REQUEST' : 'TOPIC_DELETION_DISABLED';
      return sameForAll(request, ErrorCode[error], 'Topic deletion is disabled.');
    }
    const { refused, chosen } = new Selection(context, request);
    const deleted = new Set(await topics.deleteAll([...chosen.values()].map(({ topic }) => topic)));
    const responses = Array.from(chosen.values(), ({ topic, byName }): Result => {
      if (deleted.has(topic)) return resultOf(topic.name, topic.id, 'NONE');
      return byName
        ? resultOf(topic.name, ZERO_UUID, 'UNKNOWN_TOPIC_OR_PARTITION')
        : resultOf(null, topic.id, 'UNKNOWN_TOPIC_ID');
    });
    return { throttleTimeMs: 0, responses: [...responses, ...refused] };
  },
  onError: (_context, request, errorCode, message) => sameForAll(request, errorCode, message),
});
