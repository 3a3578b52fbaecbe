/**
 * CreatePartitions, API key 37, versions 0-3. All topics of a request are durable when it is
 * answered.
 *
 * Version 1: as 0. Version 2: flexible. Version 3: quota errors.
 * Source: KIP-195; Kafka's ControllerApis.createPartitions.
 */

import { ErrorCode, ProtocolError } from '../../protocol/errors.ts';
import {
  CreatePartitionsRequest,
  CreatePartitionsResponse,
} from '../../protocol/messages/create-partitions.ts';
import type { Decoded, Input } from '../../protocol/schema.ts';
import { api } from '../api.ts';
import type { Services } from '../services.ts';
import { repeatedIn } from '../topic-names.ts';

type Request = Decoded<typeof CreatePartitionsRequest>;
type RequestedTopic = Request['topics'][number];
type Result = Input<typeof CreatePartitionsResponse>['results'][number];

async function raise(
  services: Services,
  requested: RequestedTopic,
  validateOnly: boolean,
): Promise<Result> {
  const { name, count, assignments } = requested;
  try {
    const topic = services.topics.get(name);
    if (topic === undefined) {
      throw new ProtocolError('UNKNOWN_TOPIC_OR_PARTITION', `The topic '${name}' does not exist.`);
    }
    await services.topics.addPartitions(topic, count, assignments, validateOnly);
    return { name, errorCode: ErrorCode.NONE, errorMessage: null };
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { name, errorCode: error.code, errorMessage: error.message };
  }
}

export const createPartitions = api({
  name: 'CreatePartitions',
  versions: '0-3',
  request: CreatePartitionsRequest,
  response: CreatePartitionsResponse,
  async handle({ services }, request) {
    const repeated = repeatedIn(request.topics.map((topic) => topic.name));
    const single = request.topics.filter(({ name }) => !repeated.has(name));
    const results = await Promise.all(
      single.map((topic) => raise(services, topic, request.validateOnly)),
    );
    for (const name of repeated) {
      const errorMessage = 'Duplicate topic name.';
      results.push({ name, errorCode: ErrorCode.INVALID_REQUEST, errorMessage });
    }
    return { throttleTimeMs: 0, results };
  },
  onError: (_context, request, errorCode, errorMessage) => ({
    throttleTimeMs: 0,
    results: request.topics.map(({ name }) => ({ name, errorCode, errorMessage })),
  }),
});
